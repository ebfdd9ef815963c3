"""An owner of runs that can be killed: what the daemon does with the agent's processes, and nothing else of it.

    python -m rig.torture.owner '{"folder": …, "isolation": …, "uid": …, "ladder": [5, 2, 3], "attempt": true}'

It says "ready", and at each {"do": "start"} it forks an owner, which says "up" and its pid; when that one is gone, the
next can be started, without the second that Python takes for the imports. An owner takes orders on stdin and answers on
stdout, one JSON object in a line each:

    {"do": "turn", "text": "…"}             a turn; says "ended" or "failed", then "settled", and who is left of a run
                                            that is over
    {"do": "turn", "text": "…", "env": {}}  the same with variables, in a run of its own
    {"do": "stop"}                          stop the turn
    {"do": "close"}                         end the run; says "closed"
    {"do": "bustle", "seconds": 0.5}        start other children meanwhile, as other rooms would; says "bustled"

SIGTERM ends it in order, as it does the daemon.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from aiagentchat.agents.claude_code import driver
from aiagentchat.agents.claude_code.driver import ClaudeCode
from aiagentchat.agents.claude_code.quarters import Quarters
from aiagentchat.app.clock import SystemClock
from aiagentchat.core.agent_events import TextDelta, TurnEnded, TurnStarted
from aiagentchat.core.errors import AgentError, IsolationRefused
from aiagentchat.core.ids import RoomId, RunId, new_session_id
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import AgentRun, Prompt, RunSpec
from aiagentchat.core.ports.ledger import RunRecord
from aiagentchat.execute.runs import Runs
from aiagentchat.process.children import children
from aiagentchat.process.give import give
from aiagentchat.process.sandbox.ladder import choose
from rig.torture import census

CREDENTIALS = {"ANTHROPIC_API_KEY": "sk-ant-offline", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
ROOM = RoomId("!torture:localhost")


class NoRecords:
    """It has no database, and no life before this one."""

    async def begun(self, record: RunRecord) -> None:
        """Nothing."""

    async def ended(self, run: RunId) -> None:
        """Nothing."""

    async def left(self) -> list[RunRecord]:
        """Nothing."""
        return []


def say(what: str, **more: object) -> None:
    """A line for whoever started us."""
    sys.stdout.write(json.dumps({"said": what, **more}) + "\n")
    sys.stdout.flush()


class Owner:
    """One room and its run."""

    def __init__(self, folder: Path, isolation: Isolation, uid: int | None) -> None:
        self.folder = folder
        self._quarters = Quarters(isolation=isolation, gates=folder / "gates")
        self._runs = Runs(records=NoRecords(), boot_id="", clock=SystemClock(), warm_ttl=600, max_warm=8)
        self._agents = {name: self._agent(name) for name in ("claude", "grower")}
        self._spec = RunSpec(
            room=ROOM,
            session=new_session_id(),
            resume=False,
            workspace=str(folder / "workspace"),
            home=str(folder / "homes" / "room"),
            instructions="",
            uid=uid,
        )
        self._run: AgentRun | None = None

    def _agent(self, name: str) -> ClaudeCode:
        return ClaudeCode(
            str(self.folder / "cli" / name),
            environ={"PATH": "/usr/bin:/bin"},
            credentials=lambda: CREDENTIALS,
            quarters=self._quarters,
        )

    def furnish(self) -> None:
        """Make the folders, as `Places` does."""
        home = Path(self._spec.home)
        for folder in (self.folder / "gates", home.parent):
            folder.mkdir(mode=0o711, exist_ok=True)
        for folder in (home, Path(self._spec.workspace)):
            folder.mkdir(mode=0o700, exist_ok=True)
            if self._spec.uid is not None:
                give(folder, self._spec.uid)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """As the daemon's executor has it."""
        async with self._runs.open():
            yield

    async def turn(self, text: str, env: Mapping[str, str] | None = None) -> None:
        """One turn, with all that the executor of a room does around it."""
        spec = self._spec if env is None else replace(self._spec, env=tuple(env.items()), session=new_session_id())
        agent = self._agents["claude" if env is None else "grower"]
        try:
            await agent.binary()  # asked for its version before, so that what comes now is the launch
            say("launching")
            self._run = await self._runs.take(agent, spec)
            said = await self._listen(self._run, Prompt(uuid=str(uuid.uuid4()), text=text))
        except AgentError as error:
            say("failed", error=type(error).__name__)
        else:
            say("ended", **said)
        await self._runs.give_back(ROOM)
        warm = self._runs.is_warm(ROOM)
        say("settled", warm=warm, left=0 if warm else len(census.below(os.getpid())))

    async def _listen(self, run: AgentRun, prompt: Prompt) -> dict[str, Any]:
        text, ending = "", ""
        async with aclosing(run.turn(prompt)) as events:
            async for event in events:
                match event:
                    case TurnStarted():
                        self._spec = replace(self._spec, resume=True)
                    case TextDelta(more):
                        text += more
                    case TurnEnded():
                        ending = event.ending.value
                    case _:
                        pass
        return {"text": text, "ending": ending}

    async def obey(self, order: Mapping[str, Any], group: asyncio.TaskGroup) -> None:
        """One order."""
        match order["do"]:
            case "turn":
                group.create_task(self.turn(order["text"], order.get("env")), name="turn")
            case "stop":
                if self._run is not None:
                    group.create_task(self._run.stop(), name="stop")
            case "bustle":
                group.create_task(_bustle(order["seconds"]), name="bustle")
            case "close":
                await self._runs.drop(ROOM)
                say("closed")


async def _bustle(seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        child = await children.start("/bin/true")
        await child.wait()
        children.ended(child)
    say("bustled")


async def _orders() -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield json.loads(line)


async def _serve(owner: Owner) -> None:
    async with asyncio.TaskGroup() as group:
        async for order in _orders():
            await owner.obey(order, group)


async def _work(owner: Owner) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with owner.open(), asyncio.TaskGroup() as group:
        serving = group.create_task(_serve(owner), name="orders")
        say("up", pid=os.getpid())
        await ended.wait()
        serving.cancel()


async def _own(asked: Mapping[str, Any]) -> None:
    children.adopt()
    folder, isolation, uid = Path(asked["folder"]), Isolation(asked["isolation"]), asked["uid"]
    driver.INTERRUPT_SECONDS, driver.END_SESSION_SECONDS, driver.SIGINT_SECONDS = asked["ladder"]
    owner = Owner(folder, isolation, uid)
    owner.furnish()
    if asked["attempt"]:
        try:
            await choose(isolation, isolation, folder=folder, uid=uid)
        except IsolationRefused as error:
            say("refused", why=str(error))
            return
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(children.look_after(), name="children")
        await _work(owner)
        looking.cancel()


def main(words: Sequence[str]) -> None:
    """Start one owner after the other, until stdin ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for what we say
    asked = json.loads(words[0])
    say("ready", pid=os.getpid())
    while line := _line():
        if json.loads(line)["do"] != "start":
            continue  # for an owner that did not live to read it
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BrokenPipeError):  # whoever asked us is gone
                asyncio.run(_own(asked))
            os._exit(0)
        os.waitpid(pid, 0)
        os.set_blocking(0, True)  # its event loop had it otherwise


def _line() -> bytes:
    """A line of stdin, and not a byte of what is for the owner."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


if __name__ == "__main__":
    main(sys.argv[1:])
