"""`make bench-cchat`: how soon `cchat` is there, and how soon a message is accepted.

Beside each stands a floor: the interpreter that does nothing, and a few lines that put a message into the room
themselves. Both are started anew each time, in turns, in the same run.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.stage import load
from rig.homeserver import Homeserver
from rig.model import Model, model_thread
from rig.people import people as invite_people
from rig.unprivileged import clean_env, own
from tests.e2e.house import move_in

RESULTS = Path(__file__).parent / "results" / "cchat.json"
CCHAT = [sys.executable, "-m", "aiagentchat.cli.cchat"]
NOTHING = [sys.executable, "-c", "pass"]
PUT = """
import http.client, json, os, sys, urllib.parse
url = urllib.parse.urlsplit(os.environ["CCHAT_HOMESERVER"])
room, txn = urllib.parse.quote(sys.argv[1]), f"{os.getpid()}-{os.times().elapsed}"
http = http.client.HTTPConnection(url.hostname, url.port)
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
content = json.dumps({"msgtype": "m.text", "body": "x"})
http.request("PUT", f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}", content, headers)
assert http.getresponse().status == 200
"""
console = Console()

Argv = Sequence[str]


def timed(argv: Argv, env: Mapping[str, str]) -> float:
    """How long a program takes from its start to its end, in milliseconds."""
    begun = time.perf_counter()
    subprocess.run(argv, check=True, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True)
    return (time.perf_counter() - begun) * 1000


def measure(cases: Mapping[str, tuple[Argv, Argv]], env: Mapping[str, str], rounds: int) -> dict[str, dict[str, float]]:
    """Each case beside its floor, in turns."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in cases}
    for number in range(rounds + 1):
        for name, (floor, ours) in cases.items():
            for times, argv in zip(found[name], (floor, ours), strict=True):
                took = timed(argv, env)
                if number:  # the first one compiles and fills caches
                    times.append(took)
    return {name: _row(*times) for name, times in found.items()}


def _row(floor: list[float], ours: list[float]) -> dict[str, float]:
    least, here = statistics.median(floor), statistics.median(ours)
    late = sorted(ours)[int(0.99 * len(ours))]
    return {"floor p50": least, "ours p50": here, "ours p99": late, "ratio": here / least}


async def run(homeserver: Homeserver, model: Model, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """A daemon with its gateway, a login without one, and all cases."""
    gateway = {"enabled": True, "port": 0}
    async with (
        invite_people(homeserver) as people,
        move_in(people, model, folder / "daemon", gateway=gateway) as house,
    ):
        await house.daemon.until_line("gateway.open")
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(house.anna.account.access_token, encoding="utf-8")
        env = clean_env(HOME=str(folder), CCHAT_HOMESERVER=homeserver.url, TOKEN=house.anna.account.access_token)
        subprocess.run([*CCHAT, "login", "--token-file", str(token)], check=True, env=env, capture_output=True)  # noqa: ASYNC221
        return await asyncio.to_thread(measure, cases(house.room, house.daemon.config), env, rounds)


def cases(room: str, config: Path) -> dict[str, tuple[Argv, Argv]]:
    """By name: the floor and ours."""
    put = [sys.executable, "-c", PUT, room]
    return {
        "cchat --help": (NOTHING, [*CCHAT, "--help"]),
        "cchat send, through the gateway": (put, [*CCHAT, "send", room, "x", "--config", str(config)]),
        "cchat send, without a gateway": (put, [*CCHAT, "send", room, "x", "--direct"]),
    }


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    """Print it."""
    table = Table("case", "floor p50, ms", "ours p50, ms", "ours p99, ms", "ratio", title=f"cchat (load {load()})")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in found.items():
        values = (row["floor p50"], row["ours p50"], row["ours p99"])
        table.add_row(name, *(f"{value:.0f}" for value in values), f"{row['ratio']:.2f}")
    console.print(table)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=30, help="how often each is started (default 30)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aiagentchat-cchat-") as name, model_thread() as model:
        folder = own(Path(name))
        folder.chmod(0o755)
        (folder / "daemon").mkdir()
        own(folder / "daemon")
        (folder / "homeserver").mkdir()
        with Homeserver(folder / "homeserver") as homeserver:
            found = asyncio.run(run(homeserver, model, folder, given.rounds))
    show(found)
    RESULTS.parent.mkdir(exist_ok=True)
    rounded = {name: {key: round(value, 2) for key, value in row.items()} for name, row in found.items()}
    RESULTS.write_text(json.dumps({"cpus": os.cpu_count(), **rounded}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
