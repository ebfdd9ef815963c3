"""Where both bots play: one homeserver, one model, one machine, one run; and a stop-watch at a person's client."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from rig.claude import cli_binary
from rig.conversation import Event
from rig.daemon import Daemon
from rig.homeserver import Account
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.unprivileged import as_unprivileged, clean_env, own

PATIENCE = 120.0
GLANCE_SECONDS = 0.25
IDLE = 0.9
"""Of all processors together: then the machine is called quiet."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One command, seen from the room. Seconds since its PUT was begun."""

    begun: float
    """When that was (monotonic)."""
    first: float
    """Until some of the answer was there."""
    complete: float
    """Until all of it was there; for aiagentchat with the footer, so that nothing follows."""
    events: int
    """Messages and edits that the answer took."""
    noticed: float
    """Until the first sign of it: a reaction to the message, or else the answer itself."""


class Bot(Protocol):
    """What is measured."""

    name: str
    account: Account

    async def start(self) -> None:
        """Be ready to answer."""
        ...

    async def stop(self) -> None:
        """Leave nothing running."""
        ...

    def process(self) -> psutil.Process:
        """The bot itself, without its agents."""
        ...

    def is_complete(self, body: str, end: str) -> bool:
        """Whether `body` is the whole answer, which ends with `end`."""
        ...


class Ours:
    """aiagentchat."""

    name = "ours"

    def __init__(
        self,
        folder: Path,
        people: People,
        model: Model,
        rooms: list[str],
        bot: Account,
        *,
        user: str,
        allow: Sequence[str] = (),
    ) -> None:
        self.account = bot
        # On a machine that is busy a turn may take long: the answer is to be one message with its footer all the same.
        names = [
            {"id": room, "name": f"room{index}", "allow": [*allow], "notify_after": 0}
            for index, room in enumerate(rooms)
        ]
        self._daemon = Daemon(
            folder, people.homeserver.url, bot, names, model_url=model.url, users=[user], max_parallel_turns=5
        )

    async def start(self, until: str = "service.started") -> None:
        """Start the daemon; its first message will find no warm process. What was said before is not answered in a
        first life, so whoever asks at once waits for `sync.first`."""
        await self._daemon.start(until=until)

    async def stop(self) -> None:
        """SIGTERM."""
        await self._daemon.stop()

    def process(self) -> psutil.Process:
        """The daemon."""
        return psutil.Process(self._daemon.pid)

    def workspace(self, index: int) -> Path:
        """Where a room works."""
        return self._daemon.workspaces / f"room{index}"

    def limits_reached(self) -> list[str]:
        """The limits that have ended turns so far."""
        return [line["limit"] for line in self._daemon.lines() if line.get("event") == "turn.limit_reached"]

    def is_complete(self, body: str, end: str) -> bool:
        """With the footer: nothing follows it."""
        return end in body and " · session " in body


class Floor:
    """The sixty lines of bench/floor.py."""

    name = "floor"

    def __init__(
        self, folder: Path, people: People, model: Model, rooms: list[str], bot: Account, *, flag: str = ""
    ) -> None:
        self.account = bot
        (folder / "work").mkdir(exist_ok=True)
        own(folder)
        self._argv = [
            *(*as_unprivileged(), sys.executable, "-m", "bench.floor", *flag.split()),
            *(people.homeserver.url, bot.user_id, bot.access_token, model.url, str(cli_binary())),
            *(str(folder / "work"), *rooms),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait for its first sync."""
        env = clean_env(PYTHONPATH=str(Path(__file__).parent.parent), HOME="/nonexistent")
        self._process = subprocess.Popen(self._argv, env=env, stdout=subprocess.PIPE)  # noqa: ASYNC220 - starts at once
        assert self._process.stdout is not None
        assert await asyncio.to_thread(self._process.stdout.readline) == b"ready\n"

    async def stop(self) -> None:
        """End it and its warm agents."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        for child in children:
            child.kill()

    def process(self) -> psutil.Process:
        """The bot."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def is_complete(self, body: str, end: str) -> bool:
        """It says everything at once."""
        return end in body


@dataclass(slots=True)
class Stage:
    """A person, and the rooms in which each bot works."""

    anna: MatrixUser
    rooms: dict[str, list[str]]

    async def measure(self, bot: Bot, room: str, text: str, end: str) -> Timing:
        """Type `text` and watch the room until the answer, which ends with `end`, is there."""
        before = len(self.anna.events(room))
        begun = time.monotonic()
        sent = await self.anna.send(room, text)
        seen: list[float] = []
        noticed: list[float] = []

        def said() -> tuple[list[Event], bool]:
            events = self.anna.events(room)
            after = next((n for n, event in enumerate(events) if event["event_id"] == sent), before)
            theirs = [event for event in events[after:] if event["sender"] == bot.account.user_id]
            return [e for e in theirs if e["type"] == "m.room.message"], any(e["type"] == "m.reaction" for e in theirs)

        def complete() -> bool:
            answers, is_noticed = said()
            if is_noticed and not noticed:
                noticed.append(time.monotonic() - begun)
            seen.extend([time.monotonic() - begun] * (len(answers) - len(seen)))
            return any(bot.is_complete(_body(event), end) for event in answers)

        await self.anna.until(complete, timeout=PATIENCE, what=f"{bot.name} to answer")
        return Timing(begun, seen[0], seen[-1], len(seen), min([*noticed, seen[0]]))


def _body(event: Event) -> str:
    content = event["content"]
    return str(content.get("m.new_content", content).get("body", ""))


@asynccontextmanager
async def stage(
    people: People, model: Model, folder: Path
) -> AsyncGenerator[tuple[Stage, Ours, Floor, Floor, Floor], None]:
    """Five rooms for each bot: ours, and the floor that is warm, starts per message, or streams. None is started."""
    anna = await people.person()
    bots = {name: people.account(name) for name in ("ours", "floor", "cold", "stream")}
    rooms: dict[str, list[str]] = {}
    for name, account in bots.items():
        player = await people.play(account)
        rooms[name] = [await people.room(anna, player) for _ in range(5)]
    folders = {name: folder / name for name in bots}
    for each in folders.values():
        each.mkdir()
        own(each)
    yield (
        Stage(anna, rooms),
        Ours(folders["ours"], people, model, rooms["ours"], bots["ours"], user=anna.id),
        Floor(folders["floor"], people, model, rooms["floor"], bots["floor"]),
        Floor(folders["cold"], people, model, rooms["cold"], bots["cold"], flag="--process-per-message"),
        Floor(folders["stream"], people, model, rooms["stream"], bots["stream"], flag="--stream"),
    )


async def idle(process: psutil.Process, seconds: float, wait: Callable[[float], object]) -> tuple[float, float]:
    """Resident MiB, and CPU in percent of one core, of a bot that has nothing to do for `seconds`."""
    before = process.cpu_times()
    await asyncio.to_thread(wait, seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return process.memory_info().rss / 2**20, max(0.0, used) / seconds * 100


async def quiet(patience: float) -> bool:
    """Wait until the machine has had next to nothing to do for a moment. False if it has not come to that."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        before = psutil.cpu_times()
        await asyncio.sleep(GLANCE_SECONDS)
        after = psutil.cpu_times()
        idle_share = (after.idle - before.idle) / (sum(after) - sum(before))
        if idle_share > IDLE:
            return True
    return False


def load() -> str:
    """How busy the machine is, for the reader of the numbers."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())
