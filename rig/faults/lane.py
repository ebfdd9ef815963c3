"""A lane: a homeserver, the proxy before it, a daemon, people who type, and what is needed to judge them.

Lanes share nothing, so several run side by side.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import string
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from rig.conversation import Event
from rig.faults import run_log
from rig.faults.evidence import hear
from rig.faults.oracle import Violation, judge, judge_seals
from rig.faults.prompts import prompt
from rig.faults.proxy import FaultProxy
from rig.faults.typist import Typist
from rig.faults.victim import Victim
from rig.homeserver import Homeserver
from rig.js_people import js_people
from rig.matrix_client import MatrixUser
from rig.people import People, people
from rig.setup import js_client

ROOMS = 3
QUIET_WITHIN = 150.0
"""Seconds, after the last fault, until everything that was typed must have come to its end. The daemon waits up to a
minute between two tries."""
LOOK_AGAIN = 5.0
"""How often a daemon that should run is looked after meanwhile."""
SETTLE_WITHIN = 60.0
FENCE_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the lanes of a run have in common."""

    seed: int
    package: Path | None = None
    """Where the daemon's code comes from, if it is not what is installed."""
    encrypted: bool = False
    """The rooms are, and people type at Element's engine, which is strict."""


@dataclass(slots=True, kw_only=True)
class Lane:
    """Made by `open_lane`."""

    name: str
    folder: Path
    random: random.Random
    homeserver: Homeserver
    proxy: FaultProxy
    victim: Victim
    typist: Typist
    bot: str
    encrypted: bool = False
    evidence: list[Path] = field(default_factory=list)
    """Folders that were kept because of a violation."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """What became of the messages that were judged."""
    complaints: list[Violation] = field(default_factory=list)
    """What a fault has seen itself, for the next judgement."""
    _judged: dict[str, str] = field(default_factory=dict)
    """The newest event of each room that was judged."""

    @property
    def anna(self) -> MatrixUser:
        """The person who types."""
        return self.typist.person

    @property
    def rooms(self) -> Sequence[str]:
        """Where she types."""
        return self.typist.rooms

    async def serve(self) -> None:
        """See that everything runs: the homeserver, the daemon, nothing armed."""
        self.proxy.disarm()
        await asyncio.to_thread(self.homeserver.start)
        await self.victim.launch()

    async def kill_homeserver(self) -> None:
        """SIGKILL, and its end."""
        if self.homeserver.pid is not None:
            os.killpg(self.homeserver.pid, signal.SIGKILL)
        await asyncio.to_thread(self.homeserver.stop)

    def complain(self, invariant: str, seen: str) -> None:
        """Something is wrong that no timeline shows."""
        self.complaints.append(Violation(invariant=invariant, room="any", event="none", seen=seen))

    async def judge(self) -> list[Violation]:
        """Let it become quiet, type a last message into each room, and say everything that is wrong since last time."""
        await self.typist.pause()
        if await self._become_quiet():  # what comes late stands before the answer to a message that comes later
            for room in self.rooms:
                await self.typist.type(room, lambda name: prompt(name, FENCE_WORDS))
            await self._become_quiet()
        as_sent = {room: await self._news_of(room) for room in self.rooms}
        timelines = {room: await self.anna.in_clear(events) for room, events in as_sent.items()}
        log = run_log.read(self.victim.run_log)
        found, self.complaints = self.complaints, []
        found += [violation for room, events in timelines.items() for violation in judge(room, events, self.bot, log)]
        if self.encrypted:
            found += [
                each for room in self.rooms for each in judge_seals(room, as_sent[room], timelines[room], self.bot)
            ]
        for events in timelines.values():
            self.outcomes.update(typed.outcome for typed in hear(events, self.bot).typed)
        if found:
            self._keep(found, timelines)
        self._judged |= {room: events[-1]["event_id"] for room, events in timelines.items() if events}
        self.typist.give_up()
        self.victim.forget_lines()
        self.typist.go_on()
        return found

    async def _become_quiet(self) -> bool:
        """Until all has ended. False when that takes too long: what did not end is for the oracle to find."""
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_WITHIN):
                await self.serve()
                while not await self.typist.until_quiet(LOOK_AGAIN):
                    await self.serve()
                return True
        return False

    async def _news_of(self, room: str) -> list[Event]:
        """The timeline behind the last event that was judged, as the homeserver has it now, oldest first."""
        newest_first: list[Event] = []
        query = {"dir": "b", "limit": "200"}
        while True:
            page = await self.anna.request("GET", f"/rooms/{quote(room)}/messages", **query)
            for event in page["chunk"]:
                if event["event_id"] == self._judged.get(room):
                    return newest_first[::-1]
                newest_first.append(event)
            if "end" not in page:
                return newest_first[::-1]
            query["from"] = page["end"]

    def _keep(self, found: Sequence[Violation], timelines: dict[str, list[Event]]) -> None:
        where = self.folder / f"evidence-{len(self.evidence) + 1}"
        where.mkdir()
        where.joinpath("violations.txt").write_text("".join(f"{each}\n" for each in found), "utf-8")
        for number, (room, events) in enumerate(timelines.items()):
            timeline = json.dumps({"room": room, "events": events}, indent=1, ensure_ascii=False)
            where.joinpath(f"timeline-{number}.json").write_text(timeline, "utf-8")
        for file in (*self.victim.data_dir.glob("aiagentchat.db*"), self.victim.log, self.victim.run_log):
            shutil.copy(file, where)
        self.evidence.append(where)


@asynccontextmanager
async def open_lane(number: int, folder: Path, setting: Setting) -> AsyncGenerator[Lane, None]:
    """A lane with a daemon that has settled in and people who type."""
    name = string.ascii_lowercase[number]
    chance = random.Random(f"{setting.seed} {name}")  # noqa: S311 - to be repeated, not to be secret
    async with AsyncExitStack() as stack:
        homeserver = Homeserver(folder / "homeserver")
        stack.callback(homeserver.close)
        await asyncio.to_thread(homeserver.start)
        proxy = await stack.enter_async_context(FaultProxy(homeserver.port))
        present = await stack.enter_async_context(people(homeserver))
        anna = await _person(present, folder, stack) if setting.encrypted else await present.person()
        account = present.account()
        rooms = [await present.room(anna, account) for _ in range(ROOMS)]
        victim = Victim(folder / "daemon", proxy.url, account, rooms, user=anna.id, package=setting.package)
        stack.push_async_callback(_end, victim)
        typist = Typist(anna, rooms, account.user_id, prefix=name, seed=chance)
        lane = Lane(
            name=name,
            folder=folder,
            random=chance,
            homeserver=homeserver,
            proxy=proxy,
            victim=victim,
            typist=typist,
            bot=account.user_id,
            encrypted=setting.encrypted,
        )
        await victim.launch()
        await victim.until_line("sync.first")
        await _settle_in(anna, account.user_id, rooms)
        async with asyncio.TaskGroup() as group:
            typing = group.create_task(typist.keep_typing(), name=f"people of lane {name}")
            typist.go_on()
            yield lane
            typing.cancel()


async def _person(present: People, folder: Path, stack: AsyncExitStack) -> MatrixUser:
    node = await asyncio.to_thread(js_client)
    elements = await stack.enter_async_context(js_people(present, node, folder / "elements"))
    return await elements.person()


async def _settle_in(anna: MatrixUser, bot: str, rooms: Sequence[str]) -> None:
    def has_joined(room: str) -> bool:
        return any(
            event["type"] == "m.room.member" and event["state_key"] == bot and event["content"]["membership"] == "join"
            for event in anna.events(room)
        )

    await anna.until(lambda: all(map(has_joined, rooms)), timeout=SETTLE_WITHIN, what="the daemon to join")


async def _end(victim: Victim) -> None:
    if victim.is_alive:
        await victim.stop()
