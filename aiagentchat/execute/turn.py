"""Runs one turn to its end, whatever the agent, the room and the clock do meanwhile.

Five things go on at once: the agent's events are taken as they come (`_pump`), the sink says them window by window, the
watch looks after stops, approvals and the clock, the room's folders are measured, and what is typed with /now is given
to the agent. The watch acts on early ends; the pump alone sees the end.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from aiagentchat.core.agent_events import (
    SEEN_IN_THE_ROOM,
    AgentEvent,
    ApiRetry,
    ApprovalAsked,
    ApprovalWithdrawn,
    CostSoFar,
    Ending,
    Failure,
    FileOffered,
    Folded,
    HostBlocked,
    LimitReached,
    PlanChanged,
    TextBlockEnded,
    TextDelta,
    TextRetracted,
    Thought,
    ToolUsed,
    TurnEnded,
    TurnStarted,
    Unrecognised,
    UsageLimited,
)
from aiagentchat.core.changes import Changed
from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.errors import AgentDied, AgentError, SessionInUse, SessionNotFound
from aiagentchat.core.ids import SessionId, is_session_id, message_uuid, txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.agent import AgentRun, Prompt
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Approvals, Changes, Commands, Outbox, Rooms, Sessions, Spending
from aiagentchat.core.ports.tasks import Tasks
from aiagentchat.execute.asking import SHOWN_AS_QUESTIONS, Manner, Questions
from aiagentchat.execute.deadlines import Patience, TurnClock
from aiagentchat.execute.output import Output
from aiagentchat.execute.sending import Sending
from aiagentchat.execute.steering import Steering
from aiagentchat.execute.watch import Timekeeper
from aiagentchat.render import session_words, spending, words
from aiagentchat.render.message import message
from aiagentchat.render.tools import tool_line

MOST_HOSTS = 3
"""So many hosts that were refused are named in one turn; of the rest it is said that there are more."""
MOST_SESSIONS = 4
"""Conversations that the agent may say to be in, in one turn."""
MOST_WARNINGS = 20
"""Requests to the model that failed, and usage limits that were met, which the log has one by one, in one turn."""
LONGEST_NAP = 30.0
"""The watch looks at least this often, also when nobody rings."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledgers:
    """The tables that a turn reads and writes."""

    commands: Commands
    approvals: Approvals
    sessions: Sessions
    outbox: Outbox
    rooms: Rooms
    spending: Spending
    changes: Changes
    tasks: Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take, in seconds; how much; and who says so."""

    turn: TurnClock
    asking: Manner
    file: int = 25
    """MiB of a file that the agent may send."""
    small: Callable[[bytes], Awaitable[bytes | None]] | None = None
    """Makes the thumbnail of a picture that it sends; None: nobody does."""
    outgrown: Callable[[], Awaitable[LimitReached]] | None = None
    """Returns when the room's folders have become too large; None: nobody looks."""
    at_the_end: Callable[[], Awaitable[LimitReached | None]] | None = None
    """Looks once more, in no time."""
    first_look: Callable[[], Awaitable[None]] | None = None
    """Sees to it that there is something to compare the workspace with, beside a turn that uses tools."""
    changed: Callable[[], Awaitable[Changed | None]] | None = None
    """Looks at what has changed there."""
    budget: int = 0
    """Micro-USD that the command may cost; 0: whatever it does."""
    spent: int = 0
    """What its turns before this one have cost."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a turn came out."""

    state: CommandState
    words: str = ""
    """The sentence that the room reads about it; empty when the answer says it all."""
    record: TurnRecord = field(default_factory=TurnRecord)
    session: SessionId | None = None
    """The conversation that it was said in, when it is not the command's own any more."""
    limited: UsageLimited | None = None
    """Set when it failed because the account's usage limit is reached, and would go on when that is lifted."""
    empty: bool = False
    """Whether the agent came to a good end and has neither said nor done anything."""
    changed: Changed | None = None
    """What it has changed in the workspace, if anybody could say."""
    limit: str = ""
    """Which limit of the run (a field of `RunLimits`) has ended it."""
    answer: str = ""
    """How what the agent has said begins, for the log."""
    goes_on: bool = False
    """Whether the agent does next by itself what it was given and has not read in the turn."""
    first_text: float | None = None
    """Seconds of the turn's clock at its first words; None: there were none."""


class Turn:
    """One use of a run, for one command."""

    def __init__(
        self,
        command: Command,
        run: AgentRun,
        output: Output,
        *,
        ledgers: Ledgers,
        clock: Clock,
        limits: Limits,
        nudge: asyncio.Event,
    ) -> None:
        self._command = command
        self._run = run
        self._sink = output.sink
        self._output = output
        self._ledgers = ledgers
        self._clock = clock
        self._outgrown = limits.outgrown
        self._at_the_end = limits.at_the_end
        self._first_look = limits.first_look
        self._changed = limits.changed
        self._budget = limits.budget
        self._spent = limits.spent
        self._nudge = nudge
        self._steering: Steering | None = None
        self._tools = asyncio.Event()
        """Set when it has used one, or asks whether it may."""
        self._more = asyncio.Event()
        """Set when there may be more for the agent to read in the turn."""
        self._turn_clock = limits.turn
        self._timekeeper = Timekeeper(
            command,
            limits.turn,
            output.sink,
            commands=ledgers.commands,
            outbox=ledgers.outbox,
            clock=clock,
            patience=limits.patience,
        )
        self._questions = Questions(
            command=command,
            run=run,
            output=output,
            manner=limits.asking,
            approvals=ledgers.approvals,
            outbox=ledgers.outbox,
            clock=clock,
            turn=limits.turn,
            resumed=self._timekeeper.noise,
        )
        self._sending = Sending(
            command, output, outbox=ledgers.outbox, clock=clock, most=limits.file, small=limits.small
        )
        self._limited: UsageLimited | None = None
        self._blocked: set[str] = set()
        self._verdict: Outcome | None = None
        self._taken = False
        self._used_tools = False
        self._first_text: float | None = None
        self._sessions: set[SessionId] = set()
        self._warned = 0
        self.doing = ""
        """The last tool that the agent has used, in one line."""
        self.worked = False
        """Whether the agent has said or done something for the room."""
        self.session: SessionId | None = None
        """The conversation that the agent is in, as it says; a command of its own may leave the one it was in."""
        self.lost: SessionInUse | SessionNotFound | AgentDied | None = None
        """Set when the run was lost before it took the prompt: nothing was run, so it may be tried otherwise."""

    @property
    def granted(self) -> str:
        """What was allowed before the turn began, and is not used up (`Command.granted`)."""
        return self._questions.granted

    async def go(
        self, prompt: Prompt | None = None, *, steering: Steering | None = None, follows: bool = False
    ) -> Outcome:
        """Run it, with `prompt` in place of the command's own. Never raises for what the agent or the room did.

        `follows`: the agent has begun it by itself (`AgentRun.fold`).
        """
        self._steering, self._taken = steering, follows
        asked = prompt or prompt_of(self._command)
        asked = dataclasses.replace(asked, cause=self._command.meta, thread=self._command.thread)
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._sink.serve(), name=f"sink {self._command.event}"),
                group.create_task(self._watch(), name=f"watch {self._command.event}"),
                group.create_task(self._measure(), name=f"measure {self._command.event}"),
                group.create_task(self._steer(), name=f"steer {self._command.event}"),
                group.create_task(self._look_first(), name=f"first look {self._command.event}"),
            ]
            ended = await self._pump(asked)
            for helper in helpers:
                helper.cancel()
        await self._look_back()
        outcome = self._verdict or ended
        elapsed = round(self._turn_clock.elapsed(self._clock.monotonic()) * 1000)
        changed = await self._changed() if self._changed is not None and self._used_tools else None
        record, first_text = _timed(ended.record, elapsed), self._first_text
        return dataclasses.replace(outcome, record=record, changed=changed, first_text=first_text)

    async def _pump(self, prompt: Prompt) -> Outcome:
        try:
            async with aclosing(self._run.turn(prompt)) as events:
                async for event in events:
                    self._heard(event)
                    if isinstance(event, TurnEnded):
                        return self._ended(event)
                    await self._take(event)
        except (SessionInUse, SessionNotFound) as error:
            self.lost = error
            return Outcome(state=CommandState.FAILED, words=error.human)
        except AgentError as error:
            log.warning("turn.agent_failed", error=str(error))
            if isinstance(error, AgentDied) and not self._taken and self._verdict is None:
                self.lost = error
            return Outcome(state=CommandState.FAILED, words=error.human)
        return Outcome(state=CommandState.FAILED, words=words.AGENT_DIED)

    def _heard(self, event: AgentEvent) -> None:
        if isinstance(event, HostBlocked | LimitReached):
            return  # what stands around the agent says so, and the agent may be silent, or not there yet
        self._timekeeper.noise()
        self._taken = self._taken or not isinstance(event, Unrecognised)
        self._used_tools = self._used_tools or isinstance(event, ToolUsed)
        if isinstance(event, ToolUsed | ApprovalAsked):
            self._tools.set()
        if isinstance(event, TextDelta) and self._first_text is None:
            self._first_text = self._turn_clock.elapsed(self._clock.monotonic())
        if isinstance(event, TextDelta | ToolUsed | PlanChanged):
            self._timekeeper.seen()
            self.worked = True

    def _ended(self, event: TurnEnded) -> Outcome:
        if event.ending is Ending.FAILED:
            failure = event.failure or Failure.UNKNOWN
            limited = (self._limited or UsageLimited(None)) if failure is Failure.USAGE_LIMIT else None
            told = words.failed(failure)
            return Outcome(state=CommandState.FAILED, words=told, record=event.record, limited=limited, goes_on=True)
        if event.ending is Ending.INTERRUPTED:
            return Outcome(state=CommandState.CANCELLED, words=words.ENDED_BY_ITSELF, record=event.record)
        done = session_words.OWN_DONE.get(self._command.own, "")
        empty = self._sink.silent and not self.worked and not event.text and not done
        if self._sink.silent:
            self._output.add(done or event.text or words.NO_TEXT)
            self._output.block_ended()
        return Outcome(state=CommandState.DONE, record=event.record, empty=empty, goes_on=True)

    async def _take(self, event: AgentEvent) -> None:
        match event:
            case TurnStarted(session):
                await self._in_session(session)
                self._nudge.set()  # from here on it can be given more
            case Folded(uuid) if self._steering is not None:
                self._steering.read(uuid)
            case ApprovalAsked():
                await self._questions.ask(event)
                self._nudge.set()
            case ApprovalWithdrawn(request):
                await self._questions.withdrawn(request)
            case ApiRetry():
                self._retried(event)
            case LimitReached():
                self._reached(event)
            case CostSoFar(cost):
                self._cost(self._spent + cost)
            case HostBlocked(host):
                await self._refused(host)
            case FileOffered(request, path, caption):
                told = await self._sending.send(path, caption)
                await self._run.reply(request, told.text, failed=told.failed)
            case UsageLimited():
                self._usage_limited(event)
            case _:
                self._say(event)

    async def _in_session(self, session: SessionId) -> None:
        """What the agent says to be in. Whatever else runs there may say it, too: as often, and what it likes."""
        if session == self.session or len(self._sessions) >= MOST_SESSIONS or not is_session_id(session):
            return
        self._sessions.add(session)
        self._questions.session = session
        self.session = session
        await self._ledgers.sessions.mark_begun(session, self._clock.now_ms())

    def _retried(self, retry: ApiRetry) -> None:
        if self._is_logged():
            log.warning("turn.api_retry", attempt=retry.attempt, most=retry.most, status=retry.status)
        self._sink.progress(words.api_retry(retry.status, retry.attempt, retry.most))
        if retry.status == 401:
            # It would try for minutes with a key that the API has refused.
            self._end(Outcome(state=CommandState.FAILED, words=words.failed(Failure.AUTHENTICATION)))

    def _usage_limited(self, event: UsageLimited) -> None:
        if self._is_logged():
            log.warning("turn.usage_limited", resets_at=event.resets_at)
        self._limited = event

    def _is_logged(self) -> bool:
        """The agent's program may say these as often as it likes."""
        self._warned += 1
        return self._warned <= MOST_WARNINGS

    def _say(self, event: AgentEvent) -> None:
        match event:
            case TextDelta(text):
                self._output.add(text)
            case TextBlockEnded():
                self._output.block_ended()
            case TextRetracted():
                self._output.retract()
            case ToolUsed(tool, used) if tool not in SHOWN_AS_QUESTIONS | SEEN_IN_THE_ROOM:
                self.doing = tool_line(tool, self._output.shown(used))
                self._output.tool(self.doing)
            case Thought(text):
                self._output.think(text)
            case PlanChanged():
                self._output.plan(event)
            case _:
                pass

    async def _measure(self) -> None:
        if self._outgrown is not None:
            self._reached(await self._outgrown())

    async def _look_first(self) -> None:
        if self._first_look is not None:
            await self._tools.wait()  # what only speaks changes nothing, and is not to be slowed down
            await self._first_look()

    async def _look_back(self) -> None:
        """A tool that has reached a limit may have failed at once, and the turn be over before anybody looked."""
        if self._at_the_end is not None and self._used_tools and self._verdict is None:
            reached = await self._at_the_end()
            if reached is not None:
                self._reached(reached)

    def _reached(self, event: LimitReached) -> None:
        if self._verdict is None:  # it is told again and again until the turn has ended
            log.warning("turn.limit_reached", limit=event.limit, most=event.most)
        self._end(
            Outcome(state=CommandState.FAILED, words=words.limit_reached(event.limit, event.most), limit=event.limit)
        )

    def _cost(self, spent: int) -> None:
        if 0 < self._budget <= spent:
            log.warning("turn.budget_used_up", spent=spent, most=self._budget)
            self._end(Outcome(state=CommandState.FAILED, words=spending.turn_too_dear(spent, self._budget)))

    async def _refused(self, host: str) -> None:
        """Say so, once for each host. What runs in the room chooses the names, so not for every one."""
        host = host.lower()
        if host in self._blocked or len(self._blocked) > MOST_HOSTS:
            return
        self._blocked.add(host)
        log.warning("turn.host_blocked", host=host)
        is_named = len(self._blocked) <= MOST_HOSTS
        parcel = Parcel(
            txn=txn_id(self._command.event, "blocked", host if is_named else ""),
            room=self._command.room,
            content=message(words.host_blocked(host) if is_named else words.OTHER_HOSTS_BLOCKED, notice=True),
            command=self._command.event,
        )
        await self._ledgers.outbox.put([parcel], self._clock.now_ms())

    async def _steer(self) -> None:
        """Apart from the watch: whether somebody may be heard, a homeserver may have to be asked."""
        while self._steering is not None:
            await self._more.wait()
            self._more.clear()
            if self._taken and self._verdict is None:
                await self._steering.look(self._run)

    async def _watch(self) -> None:
        while True:
            self._nudge.clear()
            now = self._clock.monotonic()  # before the ledger is asked: a stop from before the end comes first
            stopper = await self._ledgers.commands.stop_requested(self._command.event)
            if stopper is not None:
                self._end(Outcome(state=CommandState.CANCELLED, words=words.stopped(stopper)))
            self._more.set()
            await self._questions.look()
            await self._timekeeper.look(now)
            left = self._turn_clock.left(now)
            if left == 0.0:
                self._end(Outcome(state=CommandState.TIMED_OUT, words=words.timed_out(round(self._turn_clock.limit))))
            if self._verdict is not None:
                # Until the pump has seen the end: it cancels this task.
                await self._run.stop()
                await self._nap()
            else:
                await self._nap(left, self._timekeeper.next_look(), self._questions.left(now))

    def _end(self, outcome: Outcome) -> None:
        """The first reason stands; the watch acts on it."""
        self._verdict = self._verdict or outcome
        self._nudge.set()

    async def _nap(self, *ends: float | None) -> None:
        """Until somebody rings, or at the first of these ends, in seconds."""
        waits = [LONGEST_NAP, *(end for end in ends if end is not None)]
        try:
            async with asyncio.timeout(min(waits)):
                await self._nudge.wait()
        except TimeoutError:
            return


def prompt_of(command: Command, text: str | None = None) -> Prompt:
    """What the agent is asked: the command, or `text` in its place."""
    return Prompt(uuid=message_uuid(command.event), text=command.text if text is None else text, own=command.own)


def _timed(record: TurnRecord, milliseconds: int) -> TurnRecord:
    """With our own measure of time: the agent's does not count the waiting for its start."""
    return TurnRecord(
        duration_ms=milliseconds,
        cost_micro_usd=record.cost_micro_usd,
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
    )
