"""`python -m bench.catch_up`: many messages in many rooms while the daemon was down, and one person who talks to it.

The newest messages of each room come with the first sync, the rest by `/messages`. A probe inside of the daemon
measures how long anything holds its event loop; a person in another room measures how long a bot command takes, then
and when all is quiet. Filling the rooms takes Synapse minutes: `--folder` keeps them for the next time.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from asyncio import events
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rig.daemon import Daemon
from rig.homeserver import Account, Homeserver
from rig.matrix_client import MatrixUser, matrix_user
from rig.people import people
from rig.unprivileged import as_unprivileged, own

ASKS = 20
"""Bot commands when all is quiet."""
PATIENCE = 600.0
TICK = 0.005
"""Seconds between two looks of the probe."""
REPORT_SECONDS = 0.5
BUSY_MS = 50


# ── the daemon, with a probe ──


class Probe:
    """Measures from inside how long the event loop is held."""

    def __init__(self) -> None:
        self._lag = 0.0
        self._held = 0.0
        self._by = ""
        run = events.Handle._run  # noqa: SLF001 - the only place where each callback passes

        def timed(handle: events.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            if (held := time.thread_time() - begun) > self._held:
                self._held, self._by = held, repr(handle)

        events.Handle._run = timed  # type: ignore[assignment,method-assign]  # noqa: SLF001

    async def run(self) -> None:
        """Print what was seen, until cancelled."""
        reported = time.monotonic()
        while True:
            begun = time.monotonic()
            await asyncio.sleep(TICK)
            now = time.monotonic()
            self._lag = max(self._lag, now - begun - TICK)
            if now - reported > REPORT_SECONDS:
                seen = {"lag_ms": self._lag * 1000, "held_ms": self._held * 1000, "by": self._by}
                print(json.dumps({"event": "bench.probe", **seen}), flush=True)
                reported, self._lag, self._held = now, 0.0, 0.0


def serve(config: Path) -> None:
    """Run the daemon as `aiagentchat run` does, with a probe beside it."""
    from aiagentchat.app.daemon import run_daemon
    from aiagentchat.app.live import Live
    from aiagentchat.config.load import load
    from aiagentchat.config.secrets import load_secrets
    from aiagentchat.observability.log import set_up

    set_up("json", "INFO")
    live = Live(load(config, os.environ), load_secrets(os.environ), dict(os.environ))

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(Probe().run())
            await run_daemon(live)
            probing.cancel()

    asyncio.run(both())


class Probed(Daemon):
    """The daemon with the probe, in a process of its own."""

    async def start(self, *, until: str = "sync.first") -> None:
        """As `Daemon`."""
        self.write_config()
        before = len(self.lines())
        argv = [*as_unprivileged(), sys.executable, "-m", "bench.catch_up", "--daemon", str(self.config)]
        env = {**self.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        self._process = subprocess.Popen(  # noqa: ASYNC220 - starts at once
            argv, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        self._reader.start()
        await self.until_line(until, skip=before, timeout=PATIENCE)


# ── the rooms ──


def daemon(folder: Path, homeserver: Homeserver, kept: dict[str, Any], *quiet: str) -> Probed:
    """It answers to the person in the quiet rooms; in the full ones nobody addresses it."""
    full = [{"id": room, "name": f"full{number}", "mention_only": True} for number, room in enumerate(kept["full"])]
    return Probed(
        folder,
        homeserver.url,
        Account(**kept["bot"]),
        [*({"id": room, "name": f"quiet{number}"} for number, room in enumerate(quiet)), *full],
        model_url="http://127.0.0.1:9",
        users=[kept["anna"]["user_id"]],
    )


async def prepare(folder: Path, homeserver: Homeserver, given: argparse.Namespace) -> dict[str, Any]:
    """Rooms, a first life of the daemon in them, and then the messages. Done once for a folder."""
    async with people(homeserver) as present:
        bot, anna = present.account("bot"), present.account("anna")
        senders = [await present.person("sender") for _ in range(given.senders)]
        player = await present.play(bot)
        full = [await present.room(senders[n % given.senders], player) for n in range(given.rooms)]
        kept = {"bot": asdict(bot), "anna": asdict(anna), "full": full, "messages": given.messages}
        first = daemon(own(_fresh(folder / "life")), homeserver, kept)
        await first.start()
        await first.stop()
        shutil.copytree(first.data_dir, folder / "before")
        print(f"{given.messages} messages into {given.rooms} rooms; this takes Synapse minutes", flush=True)
        async with asyncio.TaskGroup() as group:
            for number, sender in enumerate(senders):
                rooms = full[number :: given.senders]
                group.create_task(_fill(sender, rooms, [*range(number, given.messages, given.senders)]))
    (folder / "filled.json").write_text(json.dumps(kept), encoding="utf-8")
    return kept


async def _fill(sender: MatrixUser, rooms: Sequence[str], numbers: Sequence[int]) -> None:
    for count, number in enumerate(numbers):
        await sender.send(rooms[count % len(rooms)], f"message {number}: nothing that anybody has to answer")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# ── the measurement ──


async def ask(person: MatrixUser, room: str, bot: str) -> float:
    """Seconds until a bot command was answered."""
    before = len(person.events(room))
    begun = time.monotonic()
    await person.send(room, "!version")

    def answered() -> bool:
        new = person.events(room)[before:]
        return any(event["sender"] == bot and event["type"] == "m.room.message" for event in new)

    await person.until(answered, timeout=PATIENCE, what="an answer")
    return time.monotonic() - begun


async def measure(folder: Path, homeserver: Homeserver, kept: dict[str, Any]) -> dict[str, Any]:
    """One life of the daemon."""
    life = _fresh(folder / "life")
    shutil.copytree(folder / "before", life / "data")
    bot = Account(**kept["bot"])
    async with matrix_user(homeserver.url, Account(**kept["anna"])) as anna:
        room = await anna.create_room(bot.user_id)
        path = f"/_matrix/client/v3/join/{room}"
        await asyncio.to_thread(homeserver.request, "POST", path, {}, token=bot.access_token)
        running = daemon(own(life), homeserver, kept, room)
        await running.start(until="daemon.ready")
        begun = time.monotonic()
        during: list[float] = []
        try:
            while not _is_over(running, kept):
                during.append(await ask(anna, room, bot.user_id))
            seconds = time.monotonic() - begun
            probes = len(running.lines())
            quiet = [await ask(anna, room, bot.user_id) for _ in range(ASKS)]
            await asyncio.sleep(2 * REPORT_SECONDS)
        finally:
            await running.stop()
    lines = running.lines()
    seen = [line for line in lines[:probes] if line.get("event") == "bench.probe"]
    worst = max(seen, key=lambda line: float(line["held_ms"]))
    return {
        "messages": kept["messages"],
        "rooms": len(kept["full"]),
        "by_sync": sum(line["events"] for line in lines[:probes] if line.get("event") == "sync.batch"),
        "by_history": sum(line["events"] for line in lines[:probes] if line.get("event") == "sync.gap"),
        "lost": sum(line.get("event") == "sync.gap_lost" for line in lines),
        "read_s": _since_ready(lines, "sync.gap"),
        "routed_s": seconds,
        "largest_lag_ms": max(float(line["lag_ms"]) for line in seen),
        "longest_hold_ms": float(worst["held_ms"]),
        "held_by": worst["by"][:160],
        "asked_during": len(during),
        "answer_during_s": statistics.median(during),
        "slowest_during_s": max(during),
        "answer_quiet_s": statistics.median(quiet),
        "ratio": statistics.median(during) / statistics.median(quiet),
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }


def _since_ready(lines: Sequence[dict[str, Any]], event: str) -> float:
    """Seconds from the daemon's being ready to the last line about `event`."""
    begun = next(line["timestamp"] for line in lines if line.get("event") == "daemon.ready")
    last = max((line["timestamp"] for line in lines if line.get("event") == event), default=begun)
    return (datetime.fromisoformat(last) - datetime.fromisoformat(begun)).total_seconds()


def _is_over(running: Daemon, kept: dict[str, Any]) -> bool:
    """Everything was read, and routed."""
    full = {*kept["full"]}
    routed = sum(line.get("event") == "event.decided" and line.get("room") in full for line in running.lines())
    return bool(routed >= kept["messages"])


async def run(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Fill the rooms if they are not, and measure."""
    with Homeserver(folder / "homeserver") as homeserver:
        filled = folder / "filled.json"
        if filled.exists():
            return await measure(folder, homeserver, json.loads(filled.read_text(encoding="utf-8")))
        return await measure(folder, homeserver, await prepare(folder, homeserver, given))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=10_000, help="how many messages (default 10000)")
    parser.add_argument("--rooms", type=int, default=100, help="in how many rooms (default 100)")
    parser.add_argument("--senders", type=int, default=8, help="how many people type at once (default 8)")
    parser.add_argument("--folder", type=Path, help="keep the filled homeserver here, and use it again")
    parser.add_argument("--daemon", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.daemon:
        serve(given.daemon)
        return
    with tempfile.TemporaryDirectory(prefix="aiagentchat-bench-") as name:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        result = asyncio.run(run(folder, given))
    for key, value in result.items():
        print(f"{key:>18}  {value:.3f}" if isinstance(value, float) else f"{key:>18}  {value}")
    if result["longest_hold_ms"] > BUSY_MS:
        print(f"something held the loop for longer than {BUSY_MS} ms")


if __name__ == "__main__":
    main()
