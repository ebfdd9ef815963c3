"""Drives one CLI process per run, over stream-json on stdin and stdout.

The one stop ladder, from polite to final, used for every end (a stop, a timeout, an idle run, the daemon's own end):

    interrupt 5 s → end_session 2 s → SIGINT 3 s → end of the tree
"""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.contextvars import bind_contextvars

from aiagentchat.agents.claude_code import binary, command, wire
from aiagentchat.agents.claude_code.quarters import (
    Quarters,
    cell_of,
    has_key,
    held,
    new_token,
    prepare,
    settings_file,
    upstream,
)
from aiagentchat.agents.claude_code.translate import IN_USE, NOT_FOUND, Translator
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApprovalAsked,
    Ending,
    HostBlocked,
    LimitReached,
    TurnEnded,
    TurnStarted,
    Unrecognised,
)
from aiagentchat.core.errors import AgentDied, AgentError, AgentUnavailable, NotOpened, SessionInUse, SessionNotFound
from aiagentchat.core.ids import RunId, new_run_id
from aiagentchat.core.ports.agent import Prompt, RunSpec
from aiagentchat.egress.gate import Gate
from aiagentchat.egress.internet import Internet
from aiagentchat.process.cgroup import Cgroup, Subtree
from aiagentchat.process.leftovers import MARKER
from aiagentchat.process.lines import TooLong
from aiagentchat.process.sandbox.enclose import STOP_FD, enclose
from aiagentchat.process.tree import END_SECONDS, Tree
from aiagentchat.render import words

INTERRUPT_SECONDS = 5.0
END_SESSION_SECONDS = 2.0
SIGINT_SECONDS = 3.0
START_SECONDS = 20.0
"""How long the process may take to be started, and then to answer; what it does with a prompt is the turn's time."""
MAX_EVENTS_WAITING = 256
"""Events of a turn that are read but not yet taken; beyond it the CLI waits on its pipe."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a run is started."""

    argv: Sequence[str]
    env: Mapping[str, str]
    make_gate: Callable[[Callable[[str], None]], Gate]
    """The way out; told whom to tell which host was refused."""
    cgroups: Subtree | None = None


class ClaudeRun:
    """One process of the CLI, for one session."""

    def __init__(self, launch: Launch, spec: RunSpec, run: RunId) -> None:
        self._id = run
        self._launch = launch
        self._spec = spec
        self._tree: Tree | None = None
        self._started = asyncio.Event()
        self._ready = asyncio.Event()
        """Set when the CLI has answered; a prompt waits for it, a stop does not."""
        self._over = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._begun = False
        self._leaving = False
        self._stop_asked = False
        """Whether the turn is to end; before its prompt was given, it then never is."""
        self._abandoned = False
        """Whether the CLI still works on a turn that its caller has left."""
        self._failed: AgentError | None = None
        self._events: asyncio.Queue[AgentEvent | None] | None = None
        self._noticed: list[AgentEvent] = []
        """What was noticed beside the lines of the CLI while the turn could take no more events."""
        self._kept = False
        """Whether it is known what belongs to the run, so that a sweep can spare it."""
        self._translator = Translator()
        self._asked: dict[str, dict[str, object]] = {}
        self._requests = 0

    @property
    def id(self) -> RunId:
        """What its processes carry in their environment."""
        return self._id

    @property
    def alive(self) -> bool:
        """Whether another turn can be given to it."""
        return not (self._over.is_set() or self._leaving)

    async def serve(self) -> None:
        """Start the process, read it, and return when nothing of it is left."""
        bind_contextvars(room=self._spec.room, run=self.id)  # of this task, and all that it begets
        gate = self._launch.make_gate(lambda host: self._notice(HostBlocked(host)))
        try:
            async with gate.serving():
                with self._cgroup() as cgroup:
                    await self._start(cgroup)
                    if self._tree is not None:
                        await self._keep(self._tree)
        except OSError as error:
            self._failed = AgentUnavailable(f"no way out for the run: {error}", human=words.NOT_STARTED)
            log.error("run.not_started", error=str(error))  # noqa: TRY400 - no bug, no traceback
        finally:
            self._finish()
            traffic = gate.traffic
            log.info("run.traffic", requests=traffic.requests, sent=traffic.bytes_out, received=traffic.bytes_in)

    def _cgroup(self) -> AbstractContextManager[Cgroup | None]:
        cgroups = self._launch.cgroups
        return cgroups.cgroup(self._id, self._spec.limits) if cgroups is not None else contextlib.nullcontext()

    async def _start(self, cgroup: Cgroup | None) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                self._tree = await Tree.start(
                    self._launch.argv,
                    env=self._launch.env,
                    cwd=Path(self._spec.workspace),
                    mark=MARKER,
                    uid=self._spec.uid,
                    stop_fd=STOP_FD,
                    limits=self._spec.limits,
                    cgroup=cgroup,
                )
                self._tree.on_limit = self._limit_reached
        except (OSError, TimeoutError) as error:
            self._failed = AgentUnavailable(f"cannot start {self._launch.argv[0]}: {error}", human=words.NOT_STARTED)
            log.error("run.not_started", error=str(error))  # noqa: TRY400 - no bug, no traceback

    async def _keep(self, tree: Tree) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(tree.serve(), name=f"tree {self.id}")
                await tree.write(wire.initialize(self._request(), self._spec.instructions))
                self._started.set()
                log.info("run.started", resume=self._spec.resume, session=self._spec.session)
                await self._read(tree)
                # Without stdout it is of no use; leaving on its own takes it a moment.
                await tree.wait_gone(END_SECONDS)
                tree.end()
        finally:
            # The group has waited for the tree, so nothing is left; unless this was cancelled before `serve` began.
            tree.end()
            self._failed = self._failed or self._why(tree)
            log.info("run.ended", exit_code=tree.exit_code)

    async def turn(self, prompt: Prompt) -> AsyncGenerator[AgentEvent, None]:
        """Run one turn. Raises AgentError if the process ends before the turn does.

        A turn that its caller leaves before the end costs the run: the CLI still works on it, and what it says then
        could not be told from the next turn.
        """
        self._idle.clear()  # first of all: a stop from now on is for this turn
        self._stop_asked = False
        events = self._events = asyncio.Queue(MAX_EVENTS_WAITING)
        self._translator = Translator(prompt.uuid)
        ended = False
        try:
            await self._wait(self._ready)
            if self._stop_asked and self.alive:
                ended = True
                yield TurnEnded(ending=Ending.INTERRUPTED)
                return
            if self._tree is not None:
                self._tree.watch()
            if self._tree is None or not await self._tree.write(wire.user(prompt)):
                await self._over.wait()  # the reader sees the end of the process; its reason is better than ours
            while not ended:
                event = await events.get() if not (self._over.is_set() and events.empty()) else None
                if event is None:
                    raise self._failed or AgentDied("the process ended")
                if isinstance(event, TurnEnded) and self._translator.session_lost:
                    raise SessionNotFound(f"session {self._spec.session} is unknown to the agent")
                while self._noticed:
                    yield self._noticed.pop(0)
                ended = isinstance(event, TurnEnded)
                yield event
        finally:
            self._abandoned = not ended
            self._leaving = self._leaving or not ended
            self._events = None
            self._noticed.clear()
            self._idle.set()
            self._asked.clear()
            while not events.empty():  # a reader that waits for a place goes on
                events.get_nowait()

    async def answer(self, request: str, *, allow: bool, reason: str = "") -> None:
        """Answer an `ApprovalAsked`; an unknown or withdrawn one is ignored."""
        tool_input = self._asked.pop(request, None)
        if tool_input is not None and self._tree is not None:
            await self._tree.write(wire.permission(request, allow=allow, reason=reason, tool_input=tool_input))

    async def stop(self) -> None:
        """End the running turn; the run survives if the CLI obeys the first rung."""
        await self._wait(self._started)
        if self._idle.is_set() or self._tree is None:
            return
        self._stop_asked = True
        if not await self._rung(self._tree, wire.interrupt(self._request()), self._idle, within=INTERRUPT_SECONDS):
            await self._leave(self._tree)

    async def settle(self) -> bool:
        """End what the turn left running."""
        return self._tree is not None and self.alive and self._kept and await self._tree.sweep()

    async def close(self) -> None:
        """Go down the stop ladder."""
        await self._wait(self._started)
        await self.stop()
        if self._tree is not None and not self._over.is_set():
            await self._leave(self._tree)

    async def _leave(self, tree: Tree) -> None:
        self._leaving = True
        # Nobody sees the end of a turn that was left; uninterrupted, it would keep the CLI from leaving.
        orders = [*([wire.interrupt(self._request())] if self._abandoned else []), wire.end_session(self._request())]
        try:
            if not await self._rung(tree, b"\n".join(orders), tree.gone, within=END_SESSION_SECONDS):
                tree.interrupt()
                await tree.wait_gone(SIGINT_SECONDS)
        finally:
            tree.end()  # also when nobody waits for the rungs any more
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._over.wait()

    async def _rung(self, tree: Tree, line: bytes, reached: asyncio.Event, *, within: float) -> bool:
        """Ask politely. A process that leaves its stdin unread does not make the ladder longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await tree.write(line)
                await reached.wait()
        return reached.is_set()

    async def _wait(self, event: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await event.wait()

    async def _read(self, tree: Tree) -> None:
        async for line in tree.lines():
            if not self._ready.is_set():
                # It has answered `initialize` and has been asked nothing: what runs now is its own, and not the room's.
                self._kept = await tree.keep()
                self._ready.set()
            # From a line to its events nothing waits, so a turn sees the events of its own lines only.
            translator = self._translator
            events = translator.too_long() if isinstance(line, TooLong) else translator.line(line)
            for event in events:
                self._note(event)
                if self._events is not None:
                    await self._events.put(event)
            while translator.declined:
                await tree.write(wire.unsupported(translator.declined.pop()))

    def _note(self, event: AgentEvent) -> None:
        match event:
            case ApprovalAsked(request, _, tool_input):
                self._asked[request] = dict(tool_input)
            case TurnStarted():
                self._begun = True
            case Unrecognised(kind):
                log.info("agent.unrecognised", kind=kind, room=self._spec.room, run=self.id)
            case _:
                pass

    def _limit_reached(self, limit: str, _: int) -> None:
        self._notice(LimitReached(limit, getattr(self._spec.limits, limit)))

    def _notice(self, event: AgentEvent) -> None:
        """Something that the CLI does not say itself. Between turns nobody is there to hear it."""
        if self._events is None:
            return
        if self._events.full():
            self._noticed.append(event)
        else:
            self._events.put_nowait(event)

    def _finish(self) -> None:
        self._over.set()
        self._started.set()
        self._ready.set()
        if self._events is not None:
            with contextlib.suppress(asyncio.QueueFull):
                self._events.put_nowait(None)

    def _why(self, tree: Tree) -> AgentError:
        words = tree.last_words
        # Only of a process that has taken no prompt: the command is run again after these.
        if not self._begun and IN_USE in words:
            return SessionInUse(f"session {self._spec.session} is in use")
        if not self._begun and (NOT_FOUND in words or self._translator.session_lost):
            return SessionNotFound(f"session {self._spec.session} is unknown to the agent")
        return AgentDied(f"exit code {tree.exit_code}; stderr: {words[-500:]!r}")

    def _request(self) -> str:
        self._requests += 1
        return f"{self.id}-{self._requests}"


class ClaudeCode:
    """The Agent behind rooms whose agent is of type claude-code."""

    def __init__(
        self, name: str, *, environ: Mapping[str, str], credentials: Callable[[], Mapping[str, str]], quarters: Quarters
    ) -> None:
        self._name = name
        self._environ = environ
        self._credentials = credentials
        self._quarters = quarters
        self._checked: tuple[Path, float, binary.Binary] | None = None

    async def binary(self) -> binary.Binary:
        """The CLI, asked for its version again when its file has changed. Raises AgentUnavailable."""
        path = binary.find(self._name, self._environ)
        changed = path.stat().st_mtime
        if self._checked is None or self._checked[:2] != (path, changed):
            self._checked = path, changed, await binary.check(path)
        return self._checked[2]

    async def open(self, spec: RunSpec) -> ClaudeRun:
        """A run for `spec`. Raises AgentUnavailable when binary, key or the room's folder is missing."""
        found = await self.binary()
        credentials = self._credentials()
        if not has_key(credentials):
            raise AgentUnavailable("no Anthropic credential is set", human=words.NO_KEY)
        run, token = new_run_id(), new_token(credentials)
        socket = self._quarters.gates / f"{run[:12]}.sock"
        cell = cell_of(spec, found.path, socket)
        try:
            prepare(spec, cell)
        except (NotOpened, OSError) as error:
            raise AgentUnavailable(f"cannot prepare {spec.home}: {error}", human=words.NOT_STARTED) from error
        path = self._environ.get("PATH", os.defpath)
        in_room = self._quarters.subscription_in_room
        variables = held(credentials, token, subscription_in_room=in_room)

        def make_gate(on_blocked: Callable[[str], None]) -> Gate:
            return Gate(
                socket=socket,
                token=token,
                upstream=lambda: upstream(self._credentials(), subscription_in_room=in_room),
                network=spec.network,
                hosts=spec.network_hosts,
                on_blocked=on_blocked,
                outside=Internet(),
                uid=spec.uid,
            )

        argv = command.argv(found.path, str(settings_file(spec)), spec)
        launch = Launch(
            argv=enclose(self._quarters.isolation, cell, argv),
            env=command.environment(spec, run, path=path, credentials=variables),
            make_gate=make_gate,
            cgroups=self._quarters.cgroups,
        )
        return ClaudeRun(launch, spec, run)

    async def fingerprint(self, spec: RunSpec) -> str:
        """Changes with everything that a warm process cannot change any more."""
        found, credentials = await self.binary(), self._credentials()
        in_room = self._quarters.subscription_in_room
        parts = [
            str(found),
            *command.flags(spec.home, spec),
            spec.session,
            spec.workspace,
            command.settings(spec),
            spec.instructions,
            json.dumps(dict(spec.env), sort_keys=True),
            # A key that stays outside may be replaced at any time: its next request uses the new one.
            json.dumps(held(credentials, "", subscription_in_room=in_room) if has_key(credentials) else {}),
            str(spec.uid),
            str(spec.limits),
            str((spec.network, spec.network_hosts)),
            self._quarters.isolation,
        ]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
