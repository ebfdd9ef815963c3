"""Trials with the whole daemon: people in a room of a real Synapse, the real CLI, a torture tree in its Bash tool."""

import asyncio
import secrets
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.agents.claude_code import driver
from aiagentchat.execute.runs import SHUTDOWN_SECONDS
from rig.daemon import Daemon
from rig.homeserver import Homeserver
from rig.matrix_client import MatrixUser
from rig.model import Model, model_thread
from rig.people import people
from rig.script import Step, script
from rig.torture import census, ends, init, tree
from rig.torture.census import Judge, Scene, Seen
from rig.torture.ends import SLACK, End
from rig.torture.growing import PYTHON, TrialFailed, command, grown
from rig.torture.plan import Outcome
from rig.unprivileged import own

TIMEOUT = 6
"""Seconds of a turn in the room where it is to run out of them."""
LADDER = driver.INTERRUPT_SECONDS + driver.END_SESSION_SECONDS + driver.SIGINT_SECONDS
OVER = {"✅", "❌", "⏱️", "🛑", "⚠️"}
"""The reactions that end a command."""
ENDED_WITHIN = 60.0


class Watched(Daemon):
    """A daemon below a process that stands for the first one."""

    @property
    def init(self) -> int:
        """That process; there is one as long as anything is left."""
        return super().pid

    @property
    def pid(self) -> int:
        """The daemon: nobody there is older."""
        return min(census.children(self.init), key=lambda each: each.born).pid

    @property
    def is_up(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None


@dataclass(slots=True, kw_only=True)
class House:
    """A daemon, two rooms (in the second one turns run out of time), and somebody who types."""

    anna: MatrixUser
    bot: str
    rooms: list[str]
    daemon: Watched
    model: Model
    lives: int = 0

    async def up(self) -> None:
        """See that the daemon runs."""
        if not self.daemon.is_up:
            await self.daemon.start(until="daemon.ready" if self.lives else "sync.first")
            self.lives += 1

    async def settle_in(self) -> None:
        """Until it has joined the rooms."""
        for room in self.rooms:
            await self.anna.until_event(
                room,
                lambda event: (
                    event["type"] == "m.room.member"
                    and event["state_key"] == self.bot
                    and event["content"]["membership"] == "join"
                ),
            )

    async def close(self) -> None:
        """End the daemon, and everything else that is there."""
        while self.daemon.is_up:
            for each in census.below(self.daemon.init):
                with suppress(TrialFailed):
                    ends.kill(each.pid)
            await asyncio.sleep(census.LOOK_EVERY)

    async def mark(self, room: str, event: str) -> str:
        """Wait until a message is over; the reaction that says how."""

        def found() -> str:
            reactions = self.anna.reactions(room, event)
            return next((key for key, who in reactions.items() if key in OVER and self.bot in who), "")

        return await self.anna.until(found, timeout=ENDED_WITHIN, what=f"the end of {event}")

    async def says(self, room: str, text: str) -> None:
        """A message that is answered."""
        event = await self.anna.send(room, script(text, Step(text="Here I am.")))
        if (how := await self.mark(room, event)) != "✅":
            raise TrialFailed(f"{text!r} came to {how}")


MARKS = {"timeout": "⏱️", "stop": "🛑", "leave": "✅", "term": "⚠️", "kill": "❌"}
"""How a message ends that was ended so; when the daemon is killed the next life reports it."""


class Trial:
    """One end of one tree."""

    def __init__(self, house: House, end: End) -> None:
        self._house = house
        self._end = end
        self._word = secrets.token_hex(8)
        self._index = int(end.how == "timeout")
        self._room = house.rooms[self._index]
        self._workspace = house.daemon.workspaces / f"room{self._index}"
        self._wrong: list[str] = []

    async def go(self) -> Outcome:
        """Let it happen, look, and read in the room what came of it."""
        house = self._house
        await house.up()
        await house.says(self._room, f"hello {self._word}")
        links = ends.chain(house.daemon.pid, of=str(self._workspace))
        before = len(house.daemon.lines())
        judge = self._judge(links)
        event = await self._grow()
        verdict = await (await self._strike(judge, links, before)).verdict()
        return Outcome(verdict=verdict, again=await self._go_on(event, links), wrong=tuple(self._wrong))

    def _judge(self, links: Sequence[Seen]) -> Judge:
        """Who may stay is who is there before it begins."""
        house, end = self._house, self._end
        scene = Scene((house.daemon.init,), (str(house.daemon.folder), self._word))
        there = {each.identity for each in scene.left()}
        run = {each.identity for each in (links[0], *census.below(links[0].pid))}
        if end.stays == "nobody":  # on SIGTERM the daemon still tells the room, when nothing runs any more
            there = {each for each in there if end.how == "term" and each[0] == house.daemon.pid}
        return Judge(scene=scene, spared=there - run if end.stays == "owner" else there, within=SLACK)

    async def _grow(self) -> str:
        program = self._workspace / "tree.py"
        shutil.copyfile(tree.__file__, program)
        own(program)
        tool = {"command": shlex.join(command(program, self._word, leave=self._end.how == "leave"))}
        steps = (Step(text="On it.", tool="Bash", input=tool), Step(text="Done."))
        return await self._house.anna.send(self._room, script(f"grow {self._word}", *steps))

    async def _strike(self, judge: Judge, links: Sequence[Seen], before: int) -> Judge:
        """Let the end begin; the judge, with the time that it may take."""
        daemon, end = self._house.daemon, self._end
        if end.how == "leave":
            await daemon.until_line("turn.ended", skip=before)
            return judge.from_now(SLACK)
        await daemon.until_line("turn.started", skip=before)
        timed_out = judge.from_now(LADDER + SLACK, later=TIMEOUT)
        await grown(daemon.pid, self._word)
        match end.how:
            case "timeout":
                return timed_out
            case "stop":
                await self._house.anna.send(self._room, "/stop")
                return judge.from_now(LADDER + SLACK)
            case "term":
                daemon.send_signal(signal.SIGTERM)
                return judge.from_now(SHUTDOWN_SECONDS + SLACK)
            case _:
                judge = judge.from_now(SLACK)
                ends.kill(ends.victim(end.victim, links) if end.victim else daemon.pid)
                return judge

    async def _go_on(self, event: str, links: Sequence[Seen]) -> float | None:
        """The room must be told, and the next message answered; the seconds until a warm run passed that on."""
        house, end = self._house, self._end
        if end.stays == "nobody":
            await house.daemon.wait()
            await house.up()
        expected = "⚠️" if end.stays == "nobody" else MARKS[end.how]
        if (how := await house.mark(self._room, event)) != expected:
            self._wrong.append(f"the message ended with {how}, not {expected}")
        stayed = all(census.look_at(link.pid) == link for link in links)
        if end.stays == "run" and not stayed:
            self._wrong.append("the run did not stay")
        began = time.monotonic()
        await house.says(self._room, f"again {self._word}")
        return house.model.requests(f"again {self._word}")[0].at - began if stayed else None


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A homeserver, a model, somebody who types, and a daemon that is started when it is needed."""
    with Homeserver(folder / "homeserver") as homeserver, model_thread() as model:
        async with people(homeserver) as present:
            anna, account = await present.person(), present.account()
            rooms = [await present.room(anna, account) for _ in range(2)]
            place = own(Path(tempfile.mkdtemp(dir=folder)))  # a word that nobody else has in argv or environment
            daemon = Watched(
                place,
                homeserver.url,
                account,
                [
                    {"id": rooms[0], "name": "room0", "allow": ["Bash"]},
                    {"id": rooms[1], "name": "room1", "allow": ["Bash"], "timeout": TIMEOUT},
                ],
                model_url=model.url,
                users=[anna.id],
            )
            daemon.before = (PYTHON, "-ISE", str(init.__file__), *daemon.before)
            made = House(anna=anna, bot=account.user_id, rooms=rooms, daemon=daemon, model=model)
            try:
                await made.up()
                await made.settle_in()
                yield made
            finally:
                await made.close()
