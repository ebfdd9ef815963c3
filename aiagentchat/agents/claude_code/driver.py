"""Drives one CLI process per run, over stream-json on stdin and stdout.

The one stop ladder, from polite to final, used for every end (a stop, a timeout, an idle run, the daemon's own end):

    interrupt 5 s → end_session 2 s → SIGINT 3 s → end of the tree
"""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
    workspace_of,
)
from aiagentchat.agents.claude_code.room_tools import RoomTools
from aiagentchat.agents.claude_code.speaking import Peers, Speaking
from aiagentchat.agents.claude_code.translate import COST, IN_USE, NOT_FOUND, Translator
from aiagentchat.core.agent_events import (
    AgentEvent,
    ApprovalAsked,
    ApprovalWithdrawn,
    Ending,
    FileOffered,
    Folded,
    HostBlocked,
    LimitReached,
    NotFolded,
    TurnEnded,
    TurnStarted,
    Unrecognised,
)
from aiagentchat.core.approvals import LEAVE_PLAN
from aiagentchat.core.errors import AgentDied, AgentError, AgentUnavailable, NotOpened, SessionInUse, SessionNotFound
from aiagentchat.core.ids import RunId
from aiagentchat.core.ports.agent import Prompt, RunSpec
from aiagentchat.egress.gate import Gate
from aiagentchat.egress.internet import Internet
from aiagentchat.process.cgroup import Cgroup, Subtree
from aiagentchat.process.leftovers import MARKER
from aiagentchat.process.lines import TooLong
from aiagentchat.process.posts import END_SECONDS, Posts
from aiagentchat.process.sandbox.enclose import STOP_FD, enclose
from aiagentchat.process.sandbox.marks import marked
from aiagentchat.process.tree import Tree
from aiagentchat.render import file_words, words

INTERRUPT_SECONDS = 5.0
END_SESSION_SECONDS = 2.0
SIGINT_SECONDS = 3.0
START_SECONDS = 20.0
"""How long the process may take to be started, and then to answer; what it does with a prompt is the turn's time."""
MOST_OFFERED = 4
"""Files that the agent may offer at the same moment."""
MAX_EVENTS_WAITING = 256
"""Events of a turn that are read but not yet taken; beyond it the CLI waits on its pipe."""

_MIB = 2**20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a run is started."""

    argv: Sequence[str]
    env: Mapping[str, str]
    make_gate: Callable[[Callable[[str], None], RoomTools], Gate]
    """The way out; told whom to tell which host was refused, and who answers for the tools of the room."""
    posts: Posts
    """Where a shim may wait for it."""
    cgroups: Subtree | None = None
    peers: Peers | None = None
    """Whom it can speak with; None: with nobody."""


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
        """Of the turn that the CLI works on, as far as we know."""
        self._answered = True
        """Whether the CLI has come to the end of that turn: what it is given now is a turn of its own."""
        self._unread: dict[str, None] = {}
        """The uuids of what was given to the turn and not read in it (yet), in order."""
        self._ahead: dict[str, asyncio.Queue[AgentEvent | None]] = {}
        """What the CLI has gone on with by itself, and nobody follows yet."""
        self._noticed: list[AgentEvent] = []
        """What was noticed beside the lines of the CLI while the turn could take no more events."""
        self._kept = False
        """Whether it is known what belongs to the run, so that a sweep can spare it."""
        self._wrote_too_much = False
        self._translator = Translator()
        self._asked: dict[str, ApprovalAsked] = {}
        self._offered: dict[str, asyncio.Future[tuple[str, bool]]] = {}
        """Files that the agent wants to have sent, and waits."""
        self._permits: dict[str, asyncio.Future[tuple[bool, str]]] = {}
        """What we have asked the room for it."""
        self._speaking = Speaking(launch.peers, spec, self._permit)
        self._mode_changed = False
        """Whether it may ask about less, or other things, than the room's permission mode says."""
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
        tools = RoomTools(self._offer, self._speaking)
        gate = self._launch.make_gate(lambda host: self._notice(HostBlocked(host)), tools)
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
                    post=self._launch.posts.take(self._id),
                )
                self._tree.on_limit = self._limit_reached
                self._tree.on_growth = self._look_at_output
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
        follows = prompt.uuid in self._ahead
        events = self._ahead.pop(prompt.uuid) if follows else self._expect(prompt.uuid)
        ended = False
        self._speaking.begin(prompt)
        try:
            await self._wait(self._ready)
            if self._stop_asked and self.alive:
                ended = True
                yield TurnEnded(ending=Ending.INTERRUPTED)
                return
            if self._tree is not None:
                self._tree.watch()
                await self._ask_cost(self._tree, self._translator, at_the_beginning=True)
            if self._tree is None or not (follows or await self._tree.write(self._lines_of(prompt))):
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
            if self._events is events:  # else the CLI is at work on the next one already
                self._events = None
                self._noticed.clear()
                self._asked.clear()
            self._idle.set()
            await self._decline()
            _empty(events)

    async def _decline(self) -> None:
        """No turn runs any more: whoever waits for what the room says to it is told so."""
        self._speaking.end()
        for request in [*self._permits]:
            await self.answer(request, allow=False)
        for request in [*self._offered]:
            await self.reply(request, file_words.NO_TURN, failed=True)

    async def fold(self, prompt: Prompt) -> bool:
        """Give it to the running turn. What is written at its very end becomes a turn of its own."""
        if self._idle.is_set() or self._answered or self._stop_asked or self._tree is None:
            return False
        self._unread[prompt.uuid] = None  # first: it may have been read before we come back
        return await self._tree.write(wire.user(prompt))

    def _lines_of(self, prompt: Prompt) -> bytes:
        """The prompt. A turn begins in the room's own permission mode, whatever was allowed in the one before."""
        lines = [wire.user(prompt)]
        if self._mode_changed:
            self._mode_changed = False
            lines.insert(0, wire.set_permission_mode(self._request(), self._spec.permission_mode))
        return b"\n".join(lines)

    async def answer(
        self,
        request: str,
        *,
        allow: bool,
        reason: str = "",
        used: Mapping[str, Any] | None = None,
        accept_edits: bool = False,
    ) -> None:
        """Answer an `ApprovalAsked`; an unknown or withdrawn one is ignored."""
        permit = self._permits.pop(request, None)
        if permit is not None and not permit.done():
            permit.set_result((allow, reason))
        asked = self._asked.pop(request, None)
        if asked is None or self._tree is None:
            return
        if allow and (accept_edits or asked.tool == LEAVE_PLAN):
            self._mode_changed = True
        line = wire.permission(
            request,
            allow=allow,
            reason=reason,
            tool_input=asked.input if used is None else used,
            accept_edits=accept_edits,
        )
        await self._tree.write(line)

    async def reply(self, request: str, text: str, *, failed: bool = False) -> None:
        """Tell the agent what has come of a `FileOffered`; an unknown one is ignored."""
        waiting = self._offered.pop(request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result((text, failed))

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
        if self._unread or self._ahead:
            return False  # it is at work on what nobody follows
        return self._tree is not None and self.alive and self._kept and await self._tree.sweep()

    async def close(self) -> None:
        """Go down the stop ladder."""
        await self._wait(self._started)
        await self.stop()
        if self._tree is not None and not self._over.is_set():
            await self._leave(self._tree)

    async def _leave(self, tree: Tree) -> None:
        self._leaving = True
        if self._idle.is_set() and self._ahead:
            # It is at work on what it was given at the end of the last turn.
            self._abandoned, self._events = True, None
            while self._ahead:
                _empty(self._ahead.popitem()[1])
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
        async with aclosing(tree.lines()) as lines:
            await self._follow(tree, lines)

    async def _follow(self, tree: Tree, lines: AsyncIterator[bytes | TooLong]) -> None:
        async for line in lines:
            if not self._ready.is_set():
                # It has answered `initialize` and has been asked nothing: what runs now is its own, and not the room's.
                self._kept = await tree.keep()
                self._ready.set()
            # From a line to its events nothing waits, so a turn sees the events of its own lines only.
            translator = self._translator
            events = translator.too_long(line.bytes) if isinstance(line, TooLong) else translator.line(line)
            self._look_at_output()
            if self._wrote_too_much:
                return
            for event in events:
                if isinstance(event, Folded | NotFolded) and self._unread.pop(event.uuid, self) is self:
                    continue  # it was said before
                self._note(event)
                waiting = self._events
                if isinstance(event, TurnEnded):
                    self._look_ahead()  # before anybody knows of the end
                if waiting is not None:
                    await waiting.put(event)
            while translator.declined:
                await tree.write(wire.unsupported(translator.declined.pop()))
            await self._ask_cost(tree, translator)

    async def _ask_cost(self, tree: Tree, translator: Translator, *, at_the_beginning: bool = False) -> None:
        """Only of a run that has a budget, and while a turn runs."""
        if self._spec.tells_cost and self._events is not None and (at_the_beginning or translator.wants_cost):
            translator.cost_asked()
            await tree.write(wire.usage(self._request(COST)))

    def _expect(self, uuid: str) -> asyncio.Queue[AgentEvent | None]:
        """The CLI works on this from here on."""
        self._answered = False
        self._translator = Translator(uuid)
        self._events = asyncio.Queue(MAX_EVENTS_WAITING)
        return self._events

    def _look_ahead(self) -> None:
        """The turn is over. With something unread the CLI goes on at once, and somebody will follow that."""
        if self._answered:
            return  # it is told of more than once
        self._answered = True
        if self._unread:
            uuid = next(iter(self._unread))
            del self._unread[uuid]
            self._noticed.clear()
            self._asked.clear()
            self._ahead[uuid] = self._expect(uuid)

    def _note(self, event: AgentEvent) -> None:
        match event:
            case ApprovalAsked(request):
                self._asked[request] = event
            case TurnStarted():
                self._begun = True
            case Unrecognised(kind) if self._translator.is_news(kind):
                log.info("agent.unrecognised", kind=kind, room=self._spec.room, run=self.id)
            case _:
                pass

    def _look_at_output(self, more: int = 0) -> None:
        """End the run when the turn has written more than it may, with `more` bytes of a line that still comes."""
        most = self._spec.limits.output
        if 0 < most * _MIB < self._translator.read + more and not self._wrote_too_much:
            # Whoever writes so much does not stop because he is asked to, and each line takes time.
            self._wrote_too_much = True
            self._notice(LimitReached("output", most))
            if self._tree is not None:
                self._tree.end()

    def _limit_reached(self, limit: str, _: int) -> None:
        self._notice(LimitReached(limit, getattr(self._spec.limits, limit)))

    async def _offer(self, path: str, caption: str) -> tuple[str, bool]:
        """A file for the room. Whoever asks in the room's name, and whenever, only the running turn takes it."""
        if self._events is None or len(self._offered) >= MOST_OFFERED:
            return file_words.NO_TURN if self._events is None else file_words.ONE_BY_ONE, True
        request = self._request()
        waiting: asyncio.Future[tuple[str, bool]] = asyncio.get_running_loop().create_future()
        self._offered[request] = waiting
        self._notice(FileOffered(request, path, caption))
        try:
            return await waiting
        finally:
            self._offered.pop(request, None)

    async def _permit(self, tool: str, used: Mapping[str, Any]) -> tuple[bool, str]:
        """Ask the room whether the run may use one of our tools so."""
        request = self._request()
        waiting: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        self._permits[request] = waiting
        self._notice(ApprovalAsked(request, tool, used))
        try:
            return await waiting
        finally:
            if self._permits.pop(request, None) is not None:
                self._notice(ApprovalWithdrawn(request))  # whoever has called does not wait for it any more

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

    def _request(self, kind: str = "-") -> str:
        self._requests += 1
        return f"{self.id}{kind}{self._requests}"


def _empty(events: asyncio.Queue[AgentEvent | None]) -> None:
    """A reader that waits for a place in it goes on."""
    while not events.empty():
        events.get_nowait()


class ClaudeCode:
    """The Agent behind rooms whose agent is of type claude-code."""

    def __init__(
        self,
        name: str,
        *,
        environ: Mapping[str, str],
        credentials: Callable[[], Mapping[str, str]],
        quarters: Quarters,
        posts: Posts | None = None,
        peers: Peers | None = None,
    ) -> None:
        self._name = name
        self._environ = environ
        self._credentials = credentials
        self._quarters = quarters
        self._posts = posts or Posts()  # which has none ready while nobody serves it
        self._peers = peers
        self._examiner = binary.Examiner()

    async def glance(self) -> binary.Binary:
        """As `binary`, for who watches: soon, and a program that has failed is not started again at each look."""
        return await self._examiner.examine(self._found(), kept=binary.KEPT_SECONDS, within=binary.GLANCE_SECONDS)

    async def binary(self) -> binary.Binary:
        """The CLI, asked for its version again when its file has changed. Raises AgentUnavailable."""
        return await self._examiner.examine(self._found())

    def _found(self) -> Path:
        return binary.find(self._name, self._environ, self._quarters.data_dir)

    async def open(self, spec: RunSpec) -> ClaudeRun:
        """A run for `spec`. Raises AgentUnavailable when binary, key or the room's folder is missing."""
        found = await self.binary()
        credentials = self._credentials()
        if not has_key(credentials):
            raise AgentUnavailable("no Anthropic credential is set", human=words.NO_KEY)
        run, token = self._posts.promise(), new_token(credentials)
        socket = self._quarters.gates / f"{run[:12]}.sock"
        cell = cell_of(spec, found.path, socket)
        try:
            prepare(spec, cell)
        except (NotOpened, OSError) as error:
            raise AgentUnavailable(f"cannot prepare {spec.home}: {error}", human=words.NOT_STARTED) from error
        try:
            cell = replace(cell, marks=marked((*cell.mounts, *workspace_of(spec))))
        except OSError as error:
            is_mount = error.filename != spec.workspace
            raise AgentUnavailable(
                f"folder {error.filename}: not where it was when config.yaml was read: {error.strerror}",
                human=words.mount_moved(str(error.filename)) if is_mount else words.NO_WORKSPACE,
            ) from error
        path = self._environ.get("PATH", os.defpath)
        in_room = self._quarters.subscription_in_room
        variables = held(credentials, token, subscription_in_room=in_room)

        def make_gate(on_blocked: Callable[[str], None], tools: RoomTools) -> Gate:
            return Gate(
                socket=socket,
                token=token,
                upstream=lambda: upstream(self._credentials(), subscription_in_room=in_room),
                network=spec.network,
                hosts=spec.network_hosts,
                on_blocked=on_blocked,
                outside=Internet(),
                uid=spec.uid,
                room=tools.answer,
            )

        argv = command.argv(found.path, str(settings_file(spec)), spec)
        launch = Launch(
            argv=enclose(self._quarters.isolation, cell, argv),
            env=command.environment(spec, run, path=path, credentials=variables),
            make_gate=make_gate,
            posts=self._posts,
            cgroups=self._quarters.cgroups,
            peers=self._peers,
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
            str(spec.mounts),
            str(spec.limits),
            str(spec.tells_cost),
            str((spec.network, spec.network_hosts)),
            str((spec.speaks, spec.reaches)),
            self._quarters.isolation,
        ]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
