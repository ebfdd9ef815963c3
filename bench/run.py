"""`make bench`: aiagentchat beside a floor, on the same homeserver, model and machine, in one run.

The floor is what sixty lines can do: a long poll, a warm CLI, one PUT. It keeps nothing and survives nothing, so it
says what the parts cost, and the ratio says what everything else of ours costs. Absolute times depend on the machine
and its load; compare ratios.

`bench/layers.py` then says, with a floor of its own, what keeping a run in adds to its messages.
"""

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table

from bench import layers, registry
from bench.stage import Bot, Floor, Ours, Stage, Timing, idle, load, stage
from rig.homeserver import Homeserver
from rig.model import Model, model_thread
from rig.people import people as invite_people
from rig.script import Step, script
from rig.unprivileged import own

RESULTS = Path(__file__).parent / "results" / "latest.json"
PIECES = 100
STREAM_SECONDS = 10.0

LEAST = 0.05
"""What is smaller than this on the floor is noise, and has no ratio."""

Pair = tuple[float, float]
"""Floor, ours."""
Table_ = dict[str, dict[str, Pair]]
console = Console()


def say(text: str) -> None:
    """Progress."""
    console.print(f"[dim]… {text} (load {load()})[/dim]")


async def warm(on: Stage, floor: Floor, ours: Ours, count: int) -> dict[str, Pair]:
    """Short answers by warm processes, floor and ours in turns."""
    timings: dict[str, list[Timing]] = {floor.name: [], ours.name: []}
    bots: Sequence[Bot] = (floor, ours)
    for number in range(count):
        for bot in bots:
            text = script(f"say {number}", Step(text=f"answer {number}."))
            timings[bot.name].append(await on.measure(bot, on.rooms[bot.name][0], text, f"answer {number}."))
    return {
        f"send → {what} {name}": (pick(what, timings["floor"], share), pick(what, timings["ours"], share))
        for what in ("first", "complete")
        for name, share in (("p50", 0.5), ("p95", 0.95))
    }


def pick(what: str, timings: Iterable[Timing], share: float) -> float:
    """A percentile, in milliseconds."""
    values: list[float] = sorted(getattr(timing, what) * 1000 for timing in timings)
    return values[min(len(values) - 1, int(share * len(values)))]


async def cold(on: Stage, per_message: Floor, ours: Ours, count: int) -> dict[str, Pair]:
    """The first message after a start: nothing is warm. The floor starts a process per message."""
    found: dict[str, list[float]] = {"floor": [], "ours": []}
    for number in range(count):
        text, end = script(f"first {number}", Step(text=f"first answer {number}.")), f"first answer {number}."
        found["floor"].append((await on.measure(per_message, on.rooms["cold"][0], text, end)).complete)
        await ours.stop()
        await ours.start()
        found["ours"].append((await on.measure(ours, on.rooms["ours"][0], text, end)).complete)
    return {"send → complete p50": (ms(found["floor"]), ms(found["ours"]))}


def ms(values: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return statistics.median(values) * 1000


async def streamed(on: Stage, model: Model, streaming: Floor, ours: Ours) -> dict[str, Pair]:
    """An answer that takes ten seconds, in a hundred pieces; the floor shows the first piece, and then the whole."""
    words = [f"piece{number:03d} " for number in range(PIECES)]
    step = Step(text="".join(words) + "the end.", chunk=len(words[0]), delay=STREAM_SECONDS / PIECES)
    found: dict[str, tuple[Timing, float, int]] = {}
    for name, bot in (("stream", streaming), ("ours", ours)):
        room = on.rooms[name][0]
        await on.measure(bot, room, script(f"warm {name}", Step(text="It is warm.", chunk=3)), "is warm.")
        timing = await on.measure(bot, room, script(f"streamed {name}", step), "the end.")
        # The model says its first word as soon as it is asked.
        asked = model.requests(f"streamed {name}")[-1].at
        bodies = [message.body for message in on.anna.view(room)][-3:]
        whole = max(sum(word in body for word in words) for body in bodies)
        found[name] = timing, timing.begun + timing.first - asked, whole
    (floor, floor_first, floor_whole), (our, our_first, our_whole) = found["stream"], found["ours"]
    return {
        "model's first word → visible ms": (floor_first * 1000, our_first * 1000),
        "send → first ms": (floor.first * 1000, our.first * 1000),
        "send → complete ms": (floor.complete * 1000, our.complete * 1000),
        "events": (floor.events, our.events),
        "pieces that arrived": (floor_whole, our_whole),
    }


async def first_words(on: Stage, floor: Floor, ours: Ours, count: int) -> dict[str, Pair]:
    """How soon the first words of an answer are there that takes a second; the floor shows nothing before the end."""
    step = Step(text="".join(f"piece{number} " for number in range(10)) + "the end.", chunk=7, delay=0.1)
    timings: dict[str, list[Timing]] = {floor.name: [], ours.name: []}
    for number in range(count):
        for bot in (floor, ours):
            text = script(f"begin {number}", step)
            timings[bot.name].append(await on.measure(bot, on.rooms[bot.name][0], text, "the end."))
    return {
        f"send → {what} p50": (pick(name, timings["floor"], 0.5), pick(name, timings["ours"], 0.5))
        for what, name in (("first sign", "noticed"), ("first", "first"))
    }


async def rooms(on: Stage, floor: Floor, ours: Ours) -> dict[str, Pair]:
    """Five messages in each of five rooms, all at once."""
    found: dict[str, float] = {}
    for bot in (floor, ours):
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for room in on.rooms[bot.name]:
                group.create_task(_five(on, bot, room))
        found[bot.name] = (time.monotonic() - begun) * 1000
    return {"all complete ms": (found["floor"], found["ours"])}


async def _five(on: Stage, bot: Bot, room: str) -> None:
    for number in range(5):
        text = script(f"number {number}", Step(text=f"of five {number}."))
        await on.measure(bot, room, text, f"of five {number}.")


async def resting(floor: Floor, ours: Ours, seconds: float) -> dict[str, Pair]:
    """With nothing to do, the agents' processes not counted."""
    (floor_rss, floor_cpu), (our_rss, our_cpu) = await asyncio.gather(
        idle(floor.process(), seconds, time.sleep), idle(ours.process(), seconds, time.sleep)
    )
    return {"RSS MiB": (floor_rss, our_rss), "CPU %": (floor_cpu, our_cpu)}


async def run(homeserver: Homeserver, model: Model, folder: Path, given: argparse.Namespace) -> Table_:
    """All cases, in turn."""
    table: Table_ = {}
    async with invite_people(homeserver) as people, stage(people, model, folder) as parts:
        on, ours, floor, per_message, streaming = parts
        for bot in (floor, per_message, streaming, ours):
            await bot.start()
        try:
            say("resting, nothing asked yet")
            table["idle"] = await resting(floor, ours, given.idle)
            say("first message after start")
            table["first message (floor: a process per message)"] = await cold(on, per_message, ours, given.cold)
            await warm(on, floor, ours, 3)  # both warm, and both rooms the same length
            say(f"{given.messages} messages each, warm")
            table["warm message"] = await warm(on, floor, ours, given.messages)
            say("first words of a streamed answer")
            table["one-second answer"] = await first_words(on, floor, ours, given.cold)
            say(f"a {STREAM_SECONDS:.0f} s answer in {PIECES} pieces")
            table["streamed answer (floor: first piece, then the whole)"] = await streamed(on, model, streaming, ours)
            say("5 rooms × 5 messages")
            await rooms(on, floor, ours)  # starts the processes of the other rooms
            table["5 rooms × 5 messages"] = await rooms(on, floor, ours)
            say(f"who is there, of {registry.INSTANCES}")
            table[f"who is there, of {registry.INSTANCES} (floor: asks the homeserver)"] = await registry.measure(
                people
            )
        finally:
            for bot in (ours, streaming, per_message, floor):
                await bot.stop()
    return table


def show(table: Table_) -> dict[str, dict[str, dict[str, float | None]]]:
    """Print it. Returns what to keep of it."""
    shown = Table("case", "metric", *("floor", "ours", "ratio"), title="aiagentchat beside a floor")
    for column in shown.columns[2:]:
        column.justify = "right"
    kept: dict[str, dict[str, dict[str, float | None]]] = {}
    for case, metrics in table.items():
        for metric, (least, ours) in metrics.items():
            ratio = round(ours / least, 3) if least >= LEAST else None
            shown.add_row(case, metric, f"{least:.1f}", f"{ours:.1f}", "–" if ratio is None else f"{ratio:.2f}")
            row = {"floor": round(least, 3), "ours": round(ours, 3), "ratio": ratio}
            kept.setdefault(case, {})[metric] = row
        shown.add_section()
    console.print(shown)
    return kept


def keep(results: dict[str, Any]) -> None:
    """Replace what was measured again; the rest stays from the run before."""
    RESULTS.parent.mkdir(exist_ok=True)
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(before | results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"written to {RESULTS.relative_to(Path.cwd())}" if RESULTS.is_relative_to(Path.cwd()) else "")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=30, help="how many warm messages (default 30)")
    parser.add_argument("--cold", type=int, default=5, help="how many starts (default 5)")
    parser.add_argument("--idle", type=float, default=10, help="seconds of rest (default 10)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds through the ways to keep a run in (default 10)")
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds to wait for a quiet machine before each round (default 0)"
    )
    parser.add_argument("--only", choices=["floor", "layers"], help="one of the two parts")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # of our own runs
    with tempfile.TemporaryDirectory(prefix="aiagentchat-bench-") as name:
        folder = own(Path(name))
        folder.chmod(0o755)
        (folder / "homeserver").mkdir()
        with model_thread() as model:
            if given.only != "layers":
                with Homeserver(folder / "homeserver") as homeserver:
                    keep(show(asyncio.run(run(homeserver, model, folder, given))))
            if given.only != "floor":
                kept_in = asyncio.run(
                    layers.measure(model, folder / "layers", given.rounds, patience=given.patience, say=say)
                )
                layers.show(kept_in, console)
                keep({"what keeping a run in adds": kept_in})


if __name__ == "__main__":
    main()
