"""An agent that plays what it is told to: the Agent port without a process, held by tests/contract/test_agent.py."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from aiagentchat.core.agent_events import (
    SEND_FILE,
    AgentEvent,
    ApprovalAsked,
    ApprovalWithdrawn,
    Ending,
    FileOffered,
    Folded,
    NotFolded,
    TextBlockEnded,
    TextDelta,
    ToolUsed,
    TurnEnded,
    TurnStarted,
)
from aiagentchat.core.errors import AgentDied, AgentUnavailable, SessionInUse, SessionNotFound
from aiagentchat.core.ids import RunId, SessionId, new_run_id
from aiagentchat.core.ports.agent import Prompt, RunSpec
from rig.fake_cli import pieces, steps_in


@dataclass(frozen=True, slots=True)
class Say:
    """Text, in pieces."""

    text: str
    piece: int = 2000


@dataclass(frozen=True, slots=True)
class Emit:
    """These events, as they are."""

    events: tuple[AgentEvent, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A tool that needs approval. `touch NAME` is the one thing that it can really do."""

    tool: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing, until somebody ends the turn."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, until the test goes on."""

    gate: asyncio.Event


@dataclass(frozen=True, slots=True)
class Reach:
    """Tell the test that the turn has come this far."""

    here: asyncio.Event


@dataclass(frozen=True, slots=True)
class Fail:
    """The process ends, for this reason."""

    error: Exception


@dataclass(frozen=True, slots=True)
class End:
    """The end of the turn, when it is not simply completed."""

    ended: TurnEnded


@dataclass(frozen=True, slots=True)
class Offer:
    """A file for the room; the turn goes on when it is known what has come of it."""

    path: str
    caption: str = ""


Step: TypeAlias = Offer | Say | Emit | Use | Hang | Wait | Reach | Fail | End


def written(prompt: Prompt) -> list[Step]:
    """What the script in the prompt says (`rig.script`)."""
    return [step for raw in steps_in(prompt.text) for step in _read(raw)]


def _read(raw: Mapping[str, Any]) -> Iterator[Step]:
    if raw.get("text"):
        yield Say(raw["text"], raw.get("chunk") or 2000)
    if raw.get("tool") == SEND_FILE:
        yield Offer(**raw.get("input", {}))
    elif raw.get("tool"):
        yield Use(raw["tool"], raw.get("input", {}))
    if raw.get("hang"):
        yield Hang()


class _Stopped(Exception):
    """The turn was ended."""


class ScriptedRun:
    """A run whose turns play the agent's plan."""

    def __init__(self, agent: "ScriptedAgent", spec: RunSpec) -> None:
        self.spec = spec
        self._id = new_run_id()
        self.prompts: list[Prompt] = []
        self.answers: list[tuple[bool, str]] = []
        self.replies: list[tuple[str, str, bool]] = []
        self.used: list[Mapping[str, Any] | None] = []
        """What each tool was to be used with, where somebody has said so."""
        self.accepts_edits: list[bool] = []
        self.settled = 0
        self.offered = 0
        self.closed = asyncio.Event()
        self.stopped = asyncio.Event()
        """Set when somebody has asked to end a turn."""
        self._agent = agent
        self._news = asyncio.Condition()
        self._started = False
        self._stopped = False
        self._left = False
        self._idle = True
        self._failed: Exception | None = None
        self._unread: list[Prompt] = []
        self._open: str | None = None
        self._verdict: bool | None = None

    @property
    def id(self) -> RunId:
        return self._id

    @property
    def alive(self) -> bool:
        return not (self.closed.is_set() or self._left)

    async def serve(self) -> None:
        known = self.spec.session in self._agent.sessions
        try:
            if known and not self.spec.resume:
                self._failed = SessionInUse("scripted")
            elif self.spec.resume and not known:
                self._failed = SessionNotFound("scripted")
            elif self._agent.unfit(self.spec):
                self._failed = AgentDied("scripted")
            else:
                await self._change(_started=True)
                await self.closed.wait()
        finally:
            self.closed.set()
            await self._change(_started=True)

    async def turn(self, prompt: Prompt) -> AsyncGenerator[AgentEvent, None]:
        self._idle = self._stopped = False
        if prompt in self._unread:
            self._unread.remove(prompt)
        else:
            self.prompts.append(prompt)
        ended = False
        try:
            async for event in self._events(prompt):
                ended = isinstance(event, TurnEnded)
                yield event
        finally:
            self._left = self._left or not ended
            self._idle = True
            await self._change()

    async def fold(self, prompt: Prompt) -> bool:
        takes = self._agent.takes_more and self.alive and not (self._idle or self._stopped)
        if takes:
            self.prompts.append(prompt)
            self._unread.append(prompt)
        self.offered += 1
        await self._change()
        return takes

    async def until_offered(self, count: int = 1) -> None:
        """Until so much was to be folded into its turns."""
        async with self._news:
            await self._news.wait_for(lambda: self.offered >= count)

    async def answer(
        self,
        request: str,
        *,
        allow: bool,
        reason: str = "",
        used: Mapping[str, Any] | None = None,
        accept_edits: bool = False,
    ) -> None:
        if request == self._open:
            self.answers.append((allow, reason))
            self.used.append(used)
            self.accepts_edits.append(accept_edits)
            await self._change(_verdict=allow, _open=None)

    async def reply(self, request: str, text: str, *, failed: bool = False) -> None:
        self.replies.append((request, text, failed))
        await self._change()

    async def stop(self) -> None:
        self.stopped.set()
        if not self._idle:
            await self._change(_stopped=True)
            async with self._news:
                await self._news.wait_for(lambda: self._idle)

    async def settle(self) -> bool:
        self.settled += 1
        return self.alive and self._agent.settles and not self._unread

    async def close(self) -> None:
        self.closed.set()
        await self._change()

    async def die(self) -> None:
        """End as a killed process does."""
        self._failed = AgentDied("scripted")
        await self.close()

    async def _events(self, prompt: Prompt) -> AsyncGenerator[AgentEvent, None]:
        try:
            await self._until(lambda: self._started)
            self._agent.sessions.add(self.spec.session)
            yield TurnStarted(self.spec.session)
            steps = list(self._agent.plan(prompt))
            while steps:
                step = steps.pop(0)
                async for event in self._play(step):
                    yield event
                    if isinstance(event, TurnEnded):
                        return
                while isinstance(step, Use) and self._unread:  # only between two requests to its model it looks
                    read = self._unread.pop(0)
                    steps = list(self._agent.plan(read))
                    yield Folded(read.uuid)
        except _Stopped:
            if self._open is not None:
                yield ApprovalWithdrawn(self._open)
            self._open = None
            while self._unread:
                yield NotFolded(self._unread.pop(0).uuid)
            yield TurnEnded(ending=Ending.INTERRUPTED)
            return
        yield TurnEnded(ending=Ending.COMPLETED)

    async def _play(self, step: Step) -> AsyncGenerator[AgentEvent, None]:
        await self._until(lambda: True)
        match step:
            case Say(text, piece):
                for part in pieces(text, piece):
                    yield TextDelta(part)
                yield TextBlockEnded()
            case Emit(events):
                for event in events:
                    yield event
            case Use() | Offer():
                async for event in self._ask(step):
                    yield event
            case Hang():
                await self._until(lambda: False)
            case Wait(gate):
                await gate.wait()
            case Reach(here):
                here.set()
            case Fail(error):
                self._failed = error
                self.closed.set()
                raise error
            case End(ended):
                yield ended

    async def _ask(self, step: Use | Offer) -> AsyncGenerator[AgentEvent, None]:
        match step:
            case Use(tool, used):
                async for event in self._use(tool, used):
                    yield event
            case Offer(path, caption):
                told = len(self.replies)
                yield FileOffered(f"offer-{told}", path, caption)
                await self._until(lambda: len(self.replies) > told)

    async def _use(self, tool: str, used: Mapping[str, Any]) -> AsyncGenerator[AgentEvent, None]:
        yield ToolUsed(tool, used)
        self._open, self._verdict = request, _ = f"request-{len(self._agent.runs)}-{len(self.answers)}", None
        yield ApprovalAsked(request, tool, used)
        await self._until(lambda: self._verdict is not None)
        self._do(str(used.get("command", "")))

    def _do(self, command: str) -> None:
        word, _, name = command.partition(" ")
        if self._verdict and word == "touch":
            Path(self.spec.workspace, name).touch()

    async def _until(self, ready: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: ready() or self._stopped or self.closed.is_set())
        if self.closed.is_set():
            raise self._failed or AgentDied("scripted")
        if self._stopped:
            raise _Stopped

    async def _change(self, **now: object) -> None:
        for name, value in now.items():
            setattr(self, name, value)
        async with self._news:
            self._news.notify_all()


class ScriptedAgent:
    """Plays `plan` in every turn; without one it plays what the prompt says."""

    def __init__(self, plan: Callable[[Prompt], Sequence[Step]] = written) -> None:
        self.plan = plan
        self.runs: list[ScriptedRun] = []
        self.sessions: set[SessionId] = set()
        """The conversations that it knows."""
        self.settles = True
        self.takes_more = True
        """Whether a turn that runs takes what is given to it."""
        self.unfit: Callable[[RunSpec], bool] = lambda _: False
        """Whose process ends before it takes a prompt."""
        self.unavailable: AgentUnavailable | None = None

    async def open(self, spec: RunSpec) -> ScriptedRun:
        run = ScriptedRun(self, spec)
        self.runs.append(run)
        return run

    async def fingerprint(self, spec: RunSpec) -> str:
        if self.unavailable is not None:
            raise self.unavailable
        return repr(dataclasses.replace(spec, resume=False))


def plays(*steps: Step) -> ScriptedAgent:
    """An agent whose every turn is these steps."""
    return ScriptedAgent(lambda _: steps)
