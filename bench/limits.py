"""`python -m bench.limits`: answers in many rooms at once, on a homeserver with the limits that Synapse ships with.

Each question is answered in pieces over some seconds. The limit lets ten events through at once and then one every five
seconds; the table says how near to that all answers arrived, and how often the homeserver had to refuse something.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rig.homeserver import Homeserver
from rig.limited import Outcome, ask_all, limited
from rig.model import Model, model_thread
from rig.unprivileged import own

console = Console()


async def run(homeserver: Homeserver, model: Model, folder: Path, given: argparse.Namespace) -> Outcome:
    """The scene."""
    async with limited(homeserver, model, folder, rooms=given.rooms) as house:
        patience = 60 + 2 * given.turns * max(given.seconds, given.rooms * 5)
        return await ask_all(house, turns=given.turns, seconds=given.seconds, patience=patience)


def show(found: Outcome, given: argparse.Namespace) -> None:
    """Print it."""
    table = Table(
        "what", "is", title=f"{given.rooms} rooms × {given.turns} answers of {given.seconds:g} s, default limits"
    )
    table.columns[1].justify = "right"
    table.add_row("answers whole and in order", f"{found.answers} of {found.asked}")
    table.add_row("wall, s", f"{found.wall:.1f}")
    table.add_row("bound, s", f"{found.bound:.1f}")
    table.add_row("events sent until then", str(found.sends))
    table.add_row("429s, at s", " ".join(f"{at:.1f}" for at in found.refusals) or "none")
    table.add_row("429s a minute after the first", f"{found.per_minute:.2f}")
    console.print(table)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rooms", type=int, default=5)
    parser.add_argument("--turns", type=int, default=5, help="questions in each room (default 5)")
    parser.add_argument("--seconds", type=float, default=10, help="how long each answer takes (default 10)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aiagentchat-limits-") as name:
        folder = own(Path(name))
        folder.chmod(0o755)
        home = folder / "daemon"
        home.mkdir()
        own(home)
        with Homeserver(folder / "homeserver", limits="default") as homeserver, model_thread() as model:
            found = asyncio.run(run(homeserver, model, home, given))
    show(found, given)


if __name__ == "__main__":
    main()
