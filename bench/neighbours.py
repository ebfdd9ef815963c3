"""`make bench-neighbours`: how long other rooms wait while one of them does its worst, under the default limits.

One room makes its agent fork without end, take all memory, fill the disk, burn the processor, or flood its way out,
again and again; three others are asked short things, one after the other. Each load stands between two quiet times and
is compared with both: the ratio of the 95th percentiles should stay below 2.
"""

import argparse
import asyncio
import contextlib
import json
import shlex
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.stage import Ours, Stage, load
from rig.homeserver import Homeserver
from rig.model import Model, model_thread
from rig.people import people as invite_people
from rig.script import Step, script
from rig.unprivileged import own

RESULTS = Path(__file__).parent / "results" / "neighbours.json"
NEIGHBOURS = 3
TARGET = 2.0
PATIENCE = 120.0
PAUSE_SECONDS = 0.05
OVER = ("✅", "❌", "⏱️", "🛑", "⚠️")
"""The reactions that end a command."""
LIFE_SECONDS = 30
"""What a load takes at most, should nothing end it."""
_HOG = "held = []\nwhile True: held.append(b'x' * 2**26)"
_FLOOD = """
import http.client, os, threading
def ask():
    while True:
        try:
            way = http.client.HTTPConnection(os.environ["HTTP_PROXY"].rpartition("@")[2], timeout=10)
            while True:
                way.request("GET", "http://refused.example/", headers={"Host": "refused.example"})
                way.getresponse().read()
        except OSError:
            pass
for _ in range(64): threading.Thread(target=ask).start()
"""
LOADS: Mapping[str, str] = {
    "fork bomb": "bomb() { bomb | bomb & }; bomb; sleep 10",
    "memory hog": f'python3 -c "{_HOG}"',
    "disk filler": "for name in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=fill.$name bs=1M count=2000 2> /dev/null; done",
    "request flood": f"timeout {LIFE_SECONDS} python3 -c {shlex.quote(_FLOOD)}",
    "64 busy loops": "for loop in $(seq 64); do (while :; do :; done) & done; sleep 10",
}
"""Lines for a shell."""
console = Console()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What other rooms saw, beside one load and in the quiet before and after it. Milliseconds."""

    answers: int
    quiet_p50: float
    quiet_p95: float
    p50: float
    p95: float
    ratio: float
    """Of the 95th percentiles."""
    turns: int
    """How often the load was begun."""
    ended_by: Mapping[str, int]
    """How often which limit ended it."""


async def ask(on: Stage, bot: Ours, seconds: float) -> list[float]:
    """Ask the other rooms in turn, for so long; how long each answer took."""
    until = time.monotonic() + seconds
    took: list[float] = []
    while time.monotonic() < until:
        room = on.rooms[bot.name][1 + len(took) % NEIGHBOURS]
        text = script(f"say {len(took)}", Step(text=f"answer {len(took)}."))
        took.append((await on.measure(bot, room, text, f"answer {len(took)}.")).complete * 1000)
        await asyncio.sleep(PAUSE_SECONDS)
    return took


@asynccontextmanager
async def misbehaving(on: Stage, bot: Ours, line: str) -> AsyncIterator[list[str]]:
    """The first room does this again and again while the block runs. Yields the commands that it was given."""
    given: list[str] = []

    async def again() -> None:
        while True:
            given.append(await _order(on, bot, line))
            await _ended(on, bot, given[-1])

    async with asyncio.TaskGroup() as group:
        doing = group.create_task(again())
        try:
            yield given
        finally:
            doing.cancel()
            await on.anna.send(on.rooms[bot.name][0], "!stop")
            for command in given:
                await _ended(on, bot, command)


async def _order(on: Stage, bot: Ours, line: str) -> str:
    shell = {"command": f"timeout {LIFE_SECONDS} bash -c {shlex.quote(line)}"}
    steps = (Step(text="I do it.", tool="Bash", input=shell), Step(text="It is done."))
    return await on.anna.send(on.rooms[bot.name][0], script("do your worst", *steps))


async def _ended(on: Stage, bot: Ours, command: str) -> None:
    def is_over() -> bool:
        reactions = on.anna.reactions(on.rooms[bot.name][0], command)
        return any(bot.account.user_id in reactions.get(key, ()) for key in OVER)

    await on.anna.until(is_over, timeout=PATIENCE, what="the end of a load")


async def beside(on: Stage, bot: Ours, name: str, seconds: float) -> Beside:
    """Quiet, the load, quiet."""
    quiet = await ask(on, bot, seconds / 2)
    before = len(bot.limits_reached())
    async with misbehaving(on, bot, LOADS[name]) as given:
        await asyncio.sleep(1)
        loud = await ask(on, bot, seconds)
    with contextlib.suppress(FileNotFoundError):
        for file in bot.workspace(0).glob("fill.*"):
            file.unlink()
    await asyncio.sleep(2)
    quiet += await ask(on, bot, seconds / 2)
    reached = Counter(bot.limits_reached()[before:])
    return Beside(
        answers=len(loud),
        quiet_p50=statistics.median(quiet),
        quiet_p95=p95(quiet),
        p50=statistics.median(loud),
        p95=p95(loud),
        ratio=p95(loud) / p95(quiet),
        turns=len(given),
        ended_by=dict(reached),
    )


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


async def run(homeserver: Homeserver, model: Model, folder: Path, given: argparse.Namespace) -> dict[str, Beside]:
    """Each load in turn."""
    found: dict[str, Beside] = {}
    async with invite_people(homeserver) as people:
        anna, account = await people.person(), people.account("ours")
        player = await people.play(account)
        rooms = [await people.room(anna, player) for _ in range(NEIGHBOURS + 1)]
        bot = Ours(folder, people, model, rooms, account, user=anna.id, allow=["Bash"])
        on = Stage(anna, {bot.name: rooms})
        await bot.start(until="sync.first")
        try:
            await ask(on, bot, 5)  # everything warm
            for name in given.load or LOADS:
                console.print(f"[dim]… {name} (load {load()})[/dim]")
                found[name] = await beside(on, bot, name, given.seconds)
                console.print(f"[dim]  {found[name]}[/dim]")
        finally:
            await bot.stop()
    return found


def show(found: Mapping[str, Beside]) -> None:
    """Print it."""
    columns = ("beside", "answers", "p50 ms", "quiet", "p95 ms", "quiet", "ratio p95", "its turns", "ended by")
    table = Table(*columns, title=f"{NEIGHBOURS} other rooms, one after the other")
    for column in table.columns[1:-1]:
        column.justify = "right"
    for name, row in found.items():
        numbers = (row.p50, row.quiet_p50, row.p95, row.quiet_p95)
        reached = ", ".join(f"{limit} × {count}" for limit, count in row.ended_by.items())
        table.add_row(
            name, str(row.answers), *(f"{n:.0f}" for n in numbers), f"{row.ratio:.2f}", str(row.turns), reached or "–"
        )
    console.print(table)
    for name in (name for name, row in found.items() if row.ratio >= TARGET):
        console.print(f"beside a {name} others wait longer than {TARGET:g} times")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long each load is tried (default 30)")
    parser.add_argument("--load", action="append", choices=[*LOADS], help="only this one")
    given = parser.parse_args()
    # Not in /tmp, which may be memory: a disk is to be filled.
    with tempfile.TemporaryDirectory(prefix="aiagentchat-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("homeserver", "ours"):
            (folder / part).mkdir()
        own(folder)
        with Homeserver(folder / "homeserver") as homeserver, model_thread() as model:
            found = asyncio.run(run(homeserver, model, folder / "ours", given))
    show(found)
    if not given.load:
        kept = {name: {**asdict(row)} for name, row in found.items()}
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
