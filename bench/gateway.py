"""`make bench-gateway`: how long `/send` takes, beside what it does in the end: a PUT to the homeserver.

One after the other, in turns, on one machine. `/send` answers when the message is in the ledger, which is on the disk
by then; the PUT when the homeserver has the event.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rig.daemon import Daemon
from rig.gateway import free_port, gateway_client
from rig.gateway_load import NOBODY, own_folder
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.people import people as invite_people

RESULTS = Path(__file__).parent / "results" / "gateway.json"
TARGET_MS = 300
"""What `cchat send` may take in all: /send must leave most of that to it."""
Row = dict[str, float]
console = Console()


def row(took: list[float]) -> Row:
    """Milliseconds."""
    ordered = sorted(each * 1000 for each in took)
    return {
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))],
        "most": ordered[-1],
    }


async def measured(homeserver: Homeserver, folder: Path, count: int) -> dict[str, Row]:
    """`/send` at the port, and the PUT of a person's client."""
    async with invite_people(homeserver) as people:
        return await _beside(homeserver, await people.person(), folder, count)


async def _beside(homeserver: Homeserver, anna: MatrixUser, folder: Path, count: int) -> dict[str, Row]:
    account = homeserver.register("claude")
    room = await anna.create_room(account.user_id)
    daemon = Daemon(
        folder,
        homeserver.url,
        account,
        [{"id": room, "name": "bench"}],
        model_url=NOBODY,
        users=[anna.id],
        gateway={"enabled": True, "port": free_port()},
    )
    took: dict[str, list[float]] = {"PUT to the homeserver": [], "/send": []}
    async with daemon:
        await daemon.until_line("gateway.open")
        async with gateway_client(daemon) as client:
            for number in range(count + 5):
                begun = time.monotonic()
                await anna.send(room, f"put {number}")
                between = time.monotonic()
                await client.send("bench", f"sent {number}")
                done = time.monotonic()
                if number >= 5:  # the first ones open connections
                    took["PUT to the homeserver"].append(between - begun)
                    took["/send"].append(done - between)
                await asyncio.sleep(0.05)  # the message is on its way into the room
    return {name: row(each) for name, each in took.items()}


def main(count: int) -> int:
    """Measure, print and write down."""
    with tempfile.TemporaryDirectory(prefix="bench-gateway.", dir="/var/tmp") as folder:
        place = Path(folder)
        place.chmod(0o755)
        with Homeserver(place / "homeserver") as homeserver:
            rows = asyncio.run(measured(homeserver, own_folder(place / "daemon"), count))
    put, send = rows["PUT to the homeserver"], rows["/send"]
    ratio = send["p50"] / put["p50"]
    table = Table(title=f"{count} messages, load {os.getloadavg()[0]:.1f}; /send takes {ratio:.2f} of a PUT (p50)")
    for column in ("", "p50", "p99", "most"):
        table.add_column(column, justify="left" if not column else "right")
    for name, each in rows.items():
        table.add_row(name, *(f"{each[key]:.1f} ms" for key in ("p50", "p99", "most")))
    console.print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"count": count, "ratio": ratio, "rows": rows}, indent=1), encoding="utf-8")
    return 0 if send["p99"] < TARGET_MS else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    sys.exit(main(parser.parse_args().count))
