"""`make bench-changes`: what it costs to look at what a turn has changed, by the size of the workspace.

Beside it stands a floor: a program that does nothing, started in the same sandbox, in the same run and in turns.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aiagentchat.core.ids import RoomId, new_session_id
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.execute.changes import COARSE_MS, Differ
from aiagentchat.process.sandbox import ladder
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.enclose import enclose
from aiagentchat.process.sandbox.furnish import furnish

RESULTS = Path(__file__).parent / "results" / "changes.json"
CHANGED = 3
TEXT = "x = 1\n" * 300
console = Console()


def furnished(place: Path, files: int) -> RunSpec:
    """A room with so many files."""
    workspace, home = place / "workspace", place / "homes" / "room"
    for folder in (workspace, home):
        folder.mkdir(parents=True)
    for number in range(files):
        file = workspace / f"folder{number % 100}" / f"{number}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n{TEXT}", encoding="utf-8")
    return RunSpec(
        room=RoomId("!room:bench"),
        session=new_session_id(),
        resume=False,
        workspace=str(workspace),
        home=str(home),
        instructions="",
    )


def change(spec: RunSpec, number: int) -> None:
    """As a turn does it."""
    for name in range(CHANGED):
        Path(spec.workspace, f"changed{name}").write_text(f"{number}\n", encoding="utf-8")


async def floor(isolation: Isolation, spec: RunSpec) -> float:
    """Seconds that nothing takes."""
    cell = Cell(workspace=Path(spec.workspace), home=Path(spec.home))
    furnish(cell)
    begun = time.monotonic()
    await ladder.run(enclose(isolation, cell, ["true"]), cwd=cell.workspace, uid=None)
    return time.monotonic() - begun


async def measured(isolation: Isolation, files: int, rounds: int) -> dict[str, float]:
    """Seconds for the first look, and medians of those after turns and of the floor."""
    with tempfile.TemporaryDirectory(prefix="bench-changes.", dir="/var/tmp") as folder:
        spec = replace(furnished(Path(folder), files))
        differ = Differ(isolation)
        begun = time.monotonic()
        await differ.prepare(spec, round(time.time() * 1000) + 1)
        first, looks, floors = time.monotonic() - begun, [], []
        for number in range(rounds):
            await asyncio.sleep(3 * COARSE_MS / 1000)
            since = round(time.time() * 1000)
            await asyncio.sleep(3 * COARSE_MS / 1000)
            change(spec, number)
            begun = time.monotonic()
            found = await differ.changed(spec, since)
            looks.append(time.monotonic() - begun)
            assert found is not None, "it was not looked at"
            assert found.files == CHANGED, found
            floors.append(await floor(isolation, spec))
    return {"files": files, "first": first, "after": statistics.median(looks), "floor": statistics.median(floors)}


async def main(rounds: int, isolation: Isolation) -> int:
    """Measure, print and write down."""
    rows = [await measured(isolation, files, rounds) for files in (10, 1_000, 10_000)]
    table = Table(title=f"what a turn has changed, isolation {isolation}, load {os.getloadavg()[0]:.1f}")
    for column in ("files", "first look, beside the turn", "after a turn", "floor: nothing in the same sandbox"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(f"{row['files']:,.0f}", *(f"{row[name] * 1000:,.0f} ms" for name in ("first", "after", "floor")))
    console.print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"isolation": isolation, "rows": rows}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--isolation", type=Isolation, default=Isolation.STRICT)
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.rounds, given.isolation)))
