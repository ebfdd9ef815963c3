"""`make bench-sealed`: what encryption costs, beside plain rooms and beside nio alone.

Two things, in one run. A person whose client encrypts asks in a plain and in an encrypted room of the same daemon, in
turns: how soon the first words are there. And a stream of encrypted messages that nobody answers: how much processor
time each costs the daemon, which opens it and writes it down, and how much it costs a client that is nothing but nio
with its store of keys on the disk.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench import nio_listener
from bench.stage import load
from rig.daemon import Daemon
from rig.homeserver import Account, Homeserver
from rig.model import Model, model_thread
from rig.people import People
from rig.people import people as invite_people
from rig.script import Step, script
from rig.sealed_user import SealedUser, sealed_user
from rig.unprivileged import own

RESULTS = Path(__file__).parent / "results" / "sealed.json"
TARGET_FIRST, TARGET_CPU = 1.25, 1.5
PATIENCE = 60.0
Row = dict[str, float]
console = Console()


async def first_words(anna: SealedUser, bot: Account, rooms: dict[str, str], count: int) -> Row:
    """Milliseconds from the beginning of saying it until the first words of the answer are read; the median."""
    took: dict[str, list[float]] = {name: [] for name in rooms}
    for number in range(count):
        for name, room in rooms.items():
            begun = time.monotonic()
            await anna.say(room, script(f"say {number} {name}", Step(text=f"answer {number} {name}.")))
            await anna.until_body(room, f"answer {number} {name}.", sender=bot.user_id)
            took[name].append((time.monotonic() - begun) * 1000)
    return {name: statistics.median(each[1:]) for name, each in took.items()}  # the first one starts the agent


async def stream(anna: SealedUser, room: str, count: int, read: list[psutil.Process]) -> list[float]:
    """Processor time (ms) that each message costs those who read it."""
    before = [_used(process) for process in read]
    for number in range(count):
        await anna.say(room, f"said to nobody {number}")
    await asyncio.sleep(2)  # the last ones are on their way
    return [(_used(process) - begun) * 1000 / count for process, begun in zip(read, before, strict=True)]


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@asynccontextmanager
async def listener(folder: Path, url: str, account: Account) -> AsyncIterator[psutil.Process]:
    """Nothing but nio, with its keys on the disk."""
    words = [url, account.user_id, account.device_id, account.access_token, str(folder)]
    with subprocess.Popen(  # noqa: ASYNC220 - it is waited for by its first word
        [sys.executable, "-m", nio_listener.__name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(words) + "\n")
        process.stdin.flush()
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(process.stdout.readline)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


async def run(homeserver: Homeserver, model: Model, folder: Path, given: argparse.Namespace) -> dict[str, Row]:
    """Both parts."""
    async with invite_people(homeserver) as people:
        return await _run(people, model, folder, given)


async def _run(people: People, model: Model, folder: Path, given: argparse.Namespace) -> dict[str, Row]:
    url = people.homeserver.url
    bot, quiet = people.account("ours"), people.account("nio")
    async with sealed_user(url, people.account("anna")) as anna, listener(folder / "nio", url, quiet) as nio:
        rooms = {name: await anna.room(bot.user_id, encrypted=name == "encrypted") for name in ("plain", "encrypted")}
        flood = await anna.room(bot.user_id, quiet.user_id)
        names: list[dict[str, object]] = [{"id": room, "name": name} for name, room in rooms.items()]
        names.append({"id": flood, "name": "flood", "mention_only": True})
        daemon = Daemon(folder / "ours", url, bot, names, model_url=model.url, users=[anna.id])
        async with daemon:
            for room in (*rooms.values(), flood):
                await anna.until_member(room, bot.user_id)
            await anna.until_member(flood, quiet.user_id)
            console.print(f"[dim]… first words (load {load()})[/dim]")
            first = await first_words(anna, bot, rooms, given.messages)
            console.print(f"[dim]… {given.stream} messages that nobody answers (load {load()})[/dim]")
            await stream(anna, flood, 5, [])  # keys are shared with the first one
            ours, alone = await stream(anna, flood, given.stream, [psutil.Process(daemon.pid), nio])
    plain, encrypted = first["plain"], first["encrypted"]
    return {
        "first words, ms": {"floor": plain, "ours": encrypted, "ratio": encrypted / plain},
        "CPU of a message, ms": {"floor": alone, "ours": ours, "ratio": ours / alone},
    }


def show(found: dict[str, Row]) -> None:
    """Print it."""
    table = Table("case", "floor", "encrypted", "ratio", "target", title="what encryption costs")
    for (name, row), target in zip(found.items(), (TARGET_FIRST, TARGET_CPU), strict=True):
        table.add_row(name, f"{row['floor']:.1f}", f"{row['ours']:.1f}", f"{row['ratio']:.2f}", f"{target:g}")
    console.print(table)
    console.print("floor: the plain room; a client that is nothing but nio")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=20, help="questions in each room (default 20)")
    parser.add_argument("--stream", type=int, default=200, help="messages that nobody answers (default 200)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aiagentchat-bench-") as name:
        folder = own(Path(name))
        folder.chmod(0o755)
        for part in ("homeserver", "ours", "nio"):
            (folder / part).mkdir()
        own(folder)
        with Homeserver(folder / "homeserver") as homeserver, model_thread() as model:
            found = asyncio.run(run(homeserver, model, folder, given))
    show(found)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
