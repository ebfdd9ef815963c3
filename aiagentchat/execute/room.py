"""One room's executor: takes the room's commands in order, one turn after the other, and ends when there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import assert_never

import structlog
from structlog.contextvars import bound_contextvars

from aiagentchat.config.settings import GitIdentity, RoomSettings, Settings
from aiagentchat.core.access import Hindrance
from aiagentchat.core.agent_events import LimitReached, UsageLimited
from aiagentchat.core.changes import Changed, LastChange
from aiagentchat.core.commands import Command, CommandState, TurnRecord, TurnTime
from aiagentchat.core.errors import AgentDied, AgentError, NotOpened
from aiagentchat.core.ids import (
    InstanceName,
    RoomId,
    SessionId,
    UserId,
    is_session_id,
    message_uuid,
    new_session_id,
    txn_id,
)
from aiagentchat.core.isolation import Held
from aiagentchat.core.log_content import Said
from aiagentchat.core.meta import Address
from aiagentchat.core.meters import EndedTurn, OnTurnEnded, nobody_counts
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.access import Doors
from aiagentchat.core.ports.agent import Agent, AgentRun, Mounted, Prompt, RunSpec
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.matrix import Media
from aiagentchat.core.ports.post import Post
from aiagentchat.core.ports.voice import Signals, Sink, Voice
from aiagentchat.core.redact import Redacting, shapes_only
from aiagentchat.core.spending import Span, first_day, is_nearly_used_up
from aiagentchat.execute.admission import ASK_AGAIN, ASK_FOR, Admission, Unknown
from aiagentchat.execute.asking import Manner
from aiagentchat.execute.changes import Differ
from aiagentchat.execute.deadlines import Patience, TurnClock
from aiagentchat.execute.fetching import Fetcher, NotFetchedError, StoppedError
from aiagentchat.execute.instructions import instructions
from aiagentchat.execute.mending import Mending, Remedy
from aiagentchat.execute.meter import Meter
from aiagentchat.execute.output import Output
from aiagentchat.execute.places import Places
from aiagentchat.execute.rests import Rests
from aiagentchat.execute.runs import Runs
from aiagentchat.execute.steering import Given, Steering
from aiagentchat.execute.thumbnails import Thumbnailer
from aiagentchat.execute.turn import LONGEST_NAP, Ledgers, Limits, Outcome, Turn
from aiagentchat.execute.usage_limit import MOST_WAIT_SECONDS, wait_until
from aiagentchat.process import custom_commands
from aiagentchat.render import file_words, guard_words, session_words, spending, steering_words, task_words, words
from aiagentchat.render.agent_words import signed
from aiagentchat.render.marks import mark, mark_for_people
from aiagentchat.render.message import message

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What every room's executor needs."""

    ledgers: Ledgers
    runs: Runs
    agents: Mapping[str, Agent]
    places: Places
    meter: Meter
    rests: Rests
    voice: Voice
    signals: Signals
    settings: Callable[[], Settings]
    clock: Clock
    held: Held
    """What runs are kept in."""
    doors: Doors
    """Who may start a turn, when one is about to start."""
    subscription_in_room: Callable[[], bool] = lambda: False
    """Whether runs hold the subscription's token."""
    is_billed: Callable[[], bool] = lambda: True
    """Whether the API's prices are paid; under a subscription they are not."""
    warned: set[tuple[RoomId, str]] = field(default_factory=set)
    """Rooms that were told, in this life, and of what."""
    unknown: Unknown = field(default_factory=dict)
    """What waits because it is not known whether it may start."""
    redacting: Redacting = shapes_only
    """Who hides secrets in what a turn says."""
    media: Media | None = None
    """Where files that came with a command are fetched; None: nowhere."""
    patience: Patience = field(default_factory=Patience)
    differ: Differ | None = None
    """Who looks at what a turn has changed; None: nobody."""
    instance: InstanceName | None = None
    """What other agents know us by."""
    is_registered: Callable[[Address], bool] = lambda _: True
    """Whether an account has registered an instance so."""
    post: Post | None = None
    """Who tells other agents that we begin with what they have sent."""
    thumbnailer: Thumbnailer | None = None
    """Who makes small pictures of large ones; None: nobody."""
    on_turn_ended: OnTurnEnded = nobody_counts
    """Who counts turns."""

    async def wants_words(self, room: RoomId) -> bool:
        """Whether questions are answered in words alone there; of a room that is not ours (any more): yes."""
        settings = self.settings().room(room)
        return settings is None or settings.wants_words(encrypted=await self.ledgers.rooms.is_encrypted(room))


@dataclass(slots=True, kw_only=True)
class Course:
    """How far a command has come, over all its turns."""

    command: Command
    room: RoomSettings
    clock: TurnClock
    session: SessionId
    resume: bool
    prompt: Prompt
    began_at: int
    """Milliseconds since the epoch."""
    mending: Mending = field(default_factory=Mending)
    aside: SessionId | None = None
    """The conversation that could not be taken up again, and was set aside."""
    steering: Steering
    follows: bool = False
    """Whether the agent has begun it by itself."""
    waits: int = 0
    """For a usage limit."""
    used: TurnRecord = field(default_factory=TurnRecord)
    first_text: float | None = None
    """When, by its clock, the first of its turns that had any had its first words."""


class RoomExecutor:
    """Serial by construction: one of these per room at a time, and the database refuses a second running command."""

    def __init__(self, room: RoomId, workshop: Workshop) -> None:
        self.room = room
        self.nudge = asyncio.Event()
        """Set when something about this room may have changed: a stop, an answer to an approval."""
        self._shop = workshop
        self._turn_clock: TurnClock | None = None
        self._fetcher = Fetcher(workshop.media, workshop.ledgers.commands, workshop.clock, self.nudge)
        self._now: Turn | None = None
        self._admission = Admission(
            workshop.doors,
            ledgers=workshop.ledgers,
            rests=workshop.rests,
            settings=workshop.settings,
            clock=workshop.clock,
            unknown=workshop.unknown,
            instance=workshop.instance,
        )

    def turn_time(self) -> TurnTime | None:
        """How the running turn stands with its time; None while none runs."""
        clock = self._turn_clock
        if clock is None:
            return None
        now = self._shop.clock.monotonic()
        doing = "" if self._now is None else self._now.doing
        return TurnTime(limit=clock.limit, elapsed=clock.elapsed(now), stands=clock.left(now) is None, doing=doing)

    async def run(self, *, others_wait: Callable[[], bool]) -> None:
        """Until the queue is empty, or another room waits for the place."""
        commands, clock = self._shop.ledgers.commands, self._shop.clock
        while (command := await commands.next_queued(self.room, clock.now_ms())) is not None:
            with self._bound(command):
                carried = await self._execute(command)
            while carried:  # nobody else may come between: the agent is at work on it, or it runs already
                with self._bound(carried[0].command):
                    carried = await self._carry_on(*carried)
            if others_wait() or self._shop.rests.left(self.room):
                return

    def _bound(self, command: Command) -> AbstractContextManager[None]:
        return bound_contextvars(room=self.room, command=command.event, turn=message_uuid(command.event))

    async def _execute(self, command: Command) -> list[Given]:
        """Run it, if it may; what was given to its turn and was not read in it."""
        shop = self._shop
        if not await self._admission.admit(command):
            return []
        # Committed before anything is run: after a crash it is reported, never run again by itself.
        if not await shop.ledgers.commands.start(command.event, shop.clock.now_ms()):
            return []
        # As it reads now: until it was marked as started, it could be edited.
        command = await shop.ledgers.commands.get(command.event) or command
        return await self._run(command, self._steering(command))

    async def _carry_on(self, first: Given, *others: Given) -> list[Given]:
        """What was given to a turn and not read in it has a turn of its own."""
        # As it is now: the agent may have changed its conversation meanwhile.
        command = await self._shop.ledgers.commands.get(first.command.event) or first.command
        # What the agent is at work on already has begun.
        gone = None if first.is_out else await self._admission.used_up(self.room)
        hindered = None if gone is None else Outcome(state=CommandState.FAILED, words=gone)
        return await self._run(command, self._steering(command, others), follows=first.is_out, hindered=hindered)

    def _steering(self, command: Command, carried: Sequence[Given] = ()) -> Steering:
        shop = self._shop
        return Steering(
            command,
            commands=shop.ledgers.commands,
            doors=shop.doors,
            prompt_of=self._prompt_of,
            clock=shop.clock,
            carried=carried,
        )

    async def _prompt_of(self, command: Command) -> Prompt:
        """What the running turn is given: a file that cannot be had is no reason to say nothing."""
        settings = self._shop.settings()
        room = settings.room(self.room)
        plain = Prompt(uuid=message_uuid(command.event), text=command.text)
        if room is None:
            return plain
        place = await self._shop.places.of(room)
        try:
            text = custom_commands.expand(place.workspace, command.text)
        except NotOpened as error:
            log.warning("custom.not_opened", error=str(error))
            text = f"{command.text}\n\n({session_words.CUSTOM_NOT_READ})"
        try:
            made = await self._fetcher.make(command, place.workspace, settings.max_file, text=text)
        except NotFetchedError as error:
            made = replace(plain, text=f"{text}\n\n({file_words.not_fetched(error.name, error.why)})")
        return await self._quoting(command, made)

    async def _quoting(self, command: Command, prompt: Prompt) -> Prompt:
        """With what it replies to, where the agent cannot know which that is."""
        quoted = None if command.about is None else await self._shop.ledgers.commands.replied_to(command)
        return prompt if quoted is None else replace(prompt, text=steering_words.with_quotation(quoted, prompt.text))

    def _for_agent(self, command: Command, text: str) -> str:
        """The text, with who says so where that is a program."""
        return guard_words.for_agent(command, text, is_registered=self._shop.is_registered)

    async def _briefed(self, command: Command, prompt: Prompt) -> Prompt:
        """With whose task it is, if it is one's."""
        task = await self._shop.ledgers.tasks.of_command(command.event)
        if task is None or command.granted:  # what is gone on with was told before
            return prompt
        return replace(prompt, text=task_words.briefing(task, self._shop.clock.now_ms(), prompt.text))

    async def _run(
        self, command: Command, steering: Steering, *, follows: bool = False, hindered: Outcome | None = None
    ) -> list[Given]:
        shop = self._shop
        log.info("turn.started", session=command.session)
        if shop.post is not None:
            await shop.post.begun(command)
        await self._warn(command)
        sink = shop.voice.open(command)
        shop.signals.typing(self.room, True)
        try:
            outcome = hindered or await self._turn(command, sink, steering, follows=follows)
        except AgentError as error:
            log.warning("turn.not_started", error=str(error))
            outcome = Outcome(state=CommandState.FAILED, words=error.human)
        except Exception:
            # One room's fault must not end the others; the room is told, the operator finds the traceback.
            log.exception("turn.broken")
            await shop.runs.drop(self.room)  # its process may still be at work on the turn that we have left
            outcome = Outcome(state=CommandState.FAILED, words=words.BROKEN)
        finally:
            shop.signals.typing(self.room, False)
            self._turn_clock = self._now = None
        if rest := shop.rests.note(self.room, outcome.limit):
            log.warning("room.rests", seconds=rest, limit=outcome.limit)
            outcome = replace(outcome, words=f"{outcome.words} {words.rests(rest)}")
        given = await steering.given()
        carried = [each for each in given if outcome.goes_on and not each.is_read]
        await self._finish(command, sink, outcome, given, carried)
        if outcome.limit == "memory":
            await shop.runs.drop(self.room)  # what has grown may be the agent itself, and is as large in the next turn
        elif not any(each.is_out for each in carried):  # else the agent is at work on the first of them
            await shop.runs.give_back(self.room, empty=outcome.empty)
        return carried

    async def _warn(self, command: Command) -> None:
        """Once in a life: who works here must know what nothing holds back."""
        shop = self._shop
        warnings = words.warnings(shop.held, subscription_in_room=shop.subscription_in_room())
        for what, warning in warnings.items():
            if (self.room, what) not in shop.warned:
                shop.warned.add((self.room, what))
                await self._tell(command, what, warning)

    async def _turn(self, command: Command, sink: Sink, steering: Steering, *, follows: bool) -> Outcome:
        """What a command comes to: in one turn, or in more where a run was lost, or a usage limit waited for."""
        shop = self._shop
        settings = shop.settings()
        room = settings.room(self.room)
        if room is None:
            return Outcome(state=CommandState.FAILED, words=words.ROOM_NOT_CONFIGURED)
        try:
            place = await shop.places.of(room)
            text = custom_commands.expand(place.workspace, command.text)
            prompt = await self._fetcher.prompt(command, place.workspace, settings.max_file, text=text)
            prompt = replace(await self._quoting(command, prompt), own=command.own)
            prompt = replace(prompt, text=self._for_agent(command, prompt.text))
            prompt = await self._briefed(command, prompt)
        except NotFetchedError as error:
            return Outcome(state=CommandState.FAILED, words=file_words.not_fetched(error.name, error.why))
        except StoppedError as error:
            return Outcome(state=CommandState.CANCELLED, words=words.stopped(error.by))
        except NotOpened as error:
            log.warning("custom.not_opened", error=str(error))
            return Outcome(state=CommandState.FAILED, words=session_words.CUSTOM_NOT_OPENED)
        self._turn_clock = TurnClock(room.timeout, shop.clock.monotonic())
        course = Course(
            command=command,
            room=room,
            clock=self._turn_clock,
            session=command.session,
            resume=await shop.ledgers.sessions.begun(command.session),
            prompt=prompt,
            steering=steering,
            follows=follows,
            began_at=shop.clock.now_ms(),
        )
        output: Output | None = None
        try:
            while True:
                spec = await self._spec(room, course.session, resume=course.resume)
                run = await self._take(course, spec)
                name = f"{message_uuid(command.event)[:8]}.md"
                output = output or Output(sink, Path(spec.workspace), name, settings.max_output, shop.redacting)
                turn = Turn(
                    course.command,
                    run,
                    output,
                    ledgers=shop.ledgers,
                    clock=shop.clock,
                    limits=Limits(
                        turn=course.clock,
                        asking=Manner(
                            seconds=settings.approval_timeout,
                            in_words=await shop.wants_words(self.room),
                            admins=shop.doors.admins(self.room),
                            typing=partial(shop.signals.typing, self.room),
                        ),
                        file=settings.max_file,
                        outgrown=self._outgrown(room, spec),
                        at_the_end=self._at_the_end(room, spec),
                        first_look=self._first_look(spec),
                        changed=self._changed(spec, course.began_at),
                        small=None if shop.thumbnailer is None else partial(shop.thumbnailer.of, spec=spec),
                        budget=room.budget.turn,
                        spent=course.used.cost_micro_usd,
                        patience=shop.patience,
                    ),
                    nudge=self.nudge,
                )
                self._now = turn
                ended = await turn.go(course.prompt, steering=steering, follows=course.follows)
                course.follows = False
                outcome = await self._next(course, turn, ended, output)
                if outcome is not None:
                    output.close()  # what it holds back belongs to the answer
                    return replace(outcome, answer=output.gathered.text)
        finally:
            if output is not None:
                output.close()

    async def _take(self, course: Course, spec: RunSpec) -> AgentRun:
        """What the agent has begun by itself is in the run that it was given to, and in no other."""
        if not course.follows:
            return await self._shop.runs.take(self._shop.agents[course.room.agent], spec)
        run = self._shop.runs.held(self.room)
        if run is None:
            raise AgentDied("its run is gone")
        return run

    def _outgrown(self, room: RoomSettings, spec: RunSpec) -> Callable[[], Awaitable[LimitReached]] | None:
        if not (room.limits.workspace_size or room.limits.file_size):
            return None
        return partial(self._shop.meter.outgrown, _folders(spec), room.limits)

    def _at_the_end(self, room: RoomSettings, spec: RunSpec) -> Callable[[], Awaitable[LimitReached | None]]:
        return partial(self._shop.meter.at_the_end, _folders(spec), room.limits, self._shop.clock.now_ms())

    def _first_look(self, spec: RunSpec) -> Callable[[], Awaitable[None]] | None:
        differ = self._shop.differ
        return None if differ is None else partial(differ.prepare, spec, self._shop.clock.now_ms())

    def _changed(self, spec: RunSpec, since_ms: int) -> Callable[[], Awaitable[Changed | None]] | None:
        differ = self._shop.differ
        return None if differ is None else partial(differ.changed, spec, since_ms)

    async def _next(self, course: Course, turn: Turn, ended: Outcome, output: Output) -> Outcome | None:
        """What the command comes to, now that its turn has ended; None: there is another turn."""
        course.used = _sum(course.used, ended.record)
        course.first_text = ended.first_text if course.first_text is None else course.first_text
        if turn.session is not None and turn.session != course.session:
            await self._follow(course, turn.session)
        if turn.lost is not None:
            if await self._mend(course, turn.lost):
                return None
        elif ended.limited is not None:
            await self._lose(await course.steering.given())
            waited = await self._wait_for_limit(course, ended, ended.limited, output)
            if waited is None:
                await self._go_on(course, turn)
                return None
            ended = waited
        return replace(ended, session=course.session, record=course.used, first_text=course.first_text)

    async def _lose(self, given: Sequence[Given]) -> None:
        """The turn is to go on later, in another run perhaps: what it has not read is not run, and said to be so."""
        shop = self._shop
        for command in (each.command for each in given if not each.is_read):
            told = message(steering_words.NOT_READ, notice=False, reply_to=command.shown_at)
            parcels = [
                Parcel(txn=txn_id(command.event, "not read"), room=self.room, content=told, command=command.event),
                mark(command, CommandState.FAILED),
            ]
            await shop.ledgers.commands.finish(
                command.event, CommandState.FAILED, TurnRecord(), parcels, shop.clock.now_ms()
            )

    async def _mend(self, course: Course, lost: AgentError) -> bool:
        """Whether the command is tried again: nothing of it was run. What had to change is written down and told."""
        remedy = course.mending.after(lost, resume=course.resume)
        old, new = course.session, new_session_id()
        if remedy is None:
            if course.aside is not None:
                kept = await self._change_session(course, course.aside)
                await self._tell(course.command, "taken back", words.session_taken_back(kept))
            return False
        log.warning("session.mended", session=old, error=str(lost), remedy=remedy)
        await self._shop.runs.drop(self.room)
        course.resume = remedy in (Remedy.AGAIN, Remedy.RESUME)
        name = await self._session_name(old)
        match remedy:
            case Remedy.AGAIN:
                pass
            case Remedy.RESUME:
                await self._tell(course.command, "in use", words.session_resumed(name))
            case Remedy.REPLACE:
                told = words.session_replaced(name, await self._change_session(course, new))
                await self._tell(course.command, "not found", told)
            case Remedy.SET_ASIDE:
                course.aside = old
                told = words.session_set_aside(name, await self._change_session(course, new))
                await self._tell(course.command, "set aside", told)
            case _:
                assert_never(remedy)
        return True

    async def _follow(self, course: Course, new: SessionId) -> None:
        """The agent has left its conversation, because it was told to (`/agent clear`).

        What it calls the new one is not to be another room's.
        """
        await self._shop.runs.drop(self.room)  # it was opened for the old one, and is in the new one
        known = await self._shop.ledgers.sessions.get(new)
        if is_session_id(new) and (known is None or known.room == self.room):
            log.info("session.left", session=course.session, new=new)
            await self._change_session(course, new)

    async def _change_session(self, course: Course, new: SessionId) -> str:
        """The room goes on in `new`, whose name this returns."""
        await self._shop.ledgers.sessions.replace(self.room, course.session, new, self._shop.clock.now_ms())
        course.session = new
        return await self._session_name(new)

    async def _wait_for_limit(
        self, course: Course, ended: Outcome, limited: UsageLimited, output: Output
    ) -> Outcome | None:
        """Wait until the usage limit is lifted. What the command comes to if it may not wait so long, or is stopped."""
        shop, now = self._shop, self._shop.clock.now_ms()
        until = wait_until(limited.resets_at, on_limit=course.room.on_limit, waited=course.waits, now=now)
        if until is None:
            known = limited.resets_at
            return ended if known is None else replace(ended, words=words.usage_limit_reached(known, now))
        course.waits += 1
        log.info("turn.limit_waited_for", until=until, waits=course.waits)
        told = Parcel(
            txn=txn_id(course.command.event, "limit", str(course.waits)),
            room=self.room,
            content=message(words.limit_waited_for(until, now), notice=True),
            command=course.command.event,
        )
        await shop.ledgers.outbox.put([*output.break_off(), told], now)
        course.clock.pause(shop.clock.monotonic())
        shop.signals.typing(self.room, False)
        await shop.runs.give_back(self.room)  # the process may end meanwhile
        over = await self._until_it_may_go_on(course.command, until)
        shop.signals.typing(self.room, True)
        course.clock.resume(shop.clock.monotonic())
        return None if over is None else Outcome(state=CommandState.CANCELLED, words=over)

    async def _until_it_may_go_on(self, command: Command, until: int) -> str | None:
        """Wait for that moment (milliseconds). Why the command does not go on then, if it does not.

        It is a new turn, so whoever asked must be there still, as at the first (`execute/admission.py`).
        """
        shop, since = self._shop, None
        while (stopper := await self._lifted(command, until)) is None:
            hindrance = await shop.doors.hindrance(command)
            if hindrance is None:
                return None
            now = shop.clock.monotonic()
            since = now if since is None else since
            if hindrance is not Hindrance.UNKNOWN or now - since >= ASK_FOR:
                log.warning("command.turned_away", sender=command.sender, why=hindrance)
                return f"{guard_words.not_begun(command, hindrance)} {words.DONE_IS_DONE}"
            until = shop.clock.now_ms() + round(ASK_AGAIN * 1000)
        return words.stopped(stopper)

    async def _lifted(self, command: Command, until: int) -> UserId | None:
        """Wait for that moment (milliseconds). Who asked to end the command, if anybody did before."""
        clock = self._shop.clock
        latest = clock.monotonic() + MOST_WAIT_SECONDS
        while True:
            self.nudge.clear()
            stopper = await self._shop.ledgers.commands.stop_requested(command.event)
            # By the wall clock, which also goes on while the machine sleeps; one that is set back delays it by a day.
            left = min((until - clock.now_ms()) / 1000, latest - clock.monotonic())
            if stopper is not None or left <= 0:
                return stopper
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LONGEST_NAP)):
                    await self.nudge.wait()

    async def _go_on(self, course: Course, turn: Turn) -> None:
        """The limit is lifted: what was not begun is asked again, what was begun is gone on with."""
        command = course.command
        course.resume = await self._shop.ledgers.sessions.begun(course.session)
        # What was allowed for one time is not allowed for another.
        course.command = replace(command, granted=turn.granted)
        asked = self._for_agent(command, command.text)
        text = words.go_on_after_limit(asked) if turn.worked else course.prompt.text
        blocks = () if turn.worked else course.prompt.blocks
        course.prompt = Prompt(
            uuid=message_uuid(command.event, course.waits), text=text, blocks=blocks, own=command.own
        )

    async def _tell(self, command: Command, what: str, text: str) -> None:
        parcel = Parcel(
            txn=txn_id(command.event, "session", what),
            room=self.room,
            content=message(text, notice=True),
            command=command.event,
        )
        await self._shop.ledgers.outbox.put([parcel], self._shop.clock.now_ms())

    async def _spec(self, room: RoomSettings, session: SessionId, *, resume: bool) -> RunSpec:
        place = await self._shop.places.of(room)
        return RunSpec(
            room=self.room,
            session=session,
            resume=resume,
            workspace=str(place.workspace),
            workspace_source=str(place.source or ""),
            home=str(place.home),
            instructions=instructions(room, place.workspace),
            model=await self._shop.ledgers.rooms.model(self.room) or room.model,
            permission_mode=room.permission_mode,
            allow=room.allow,
            deny=room.deny,
            env=(*_git(room.git), *room.env),
            mounts=tuple(Mounted(str(each.path), each.mode, str(each.source)) for each in room.mounts),
            network=room.network,
            network_hosts=room.network_hosts,
            limits=room.limits,
            tells_cost=room.budget.turn > 0,
            uid=place.uid,
            speaks=room.exchange.tools,
            reaches=self._shop.settings().reached_from(room),
        )

    async def _finish(
        self, command: Command, sink: Sink, outcome: Outcome, given: Sequence[Given], carried: Sequence[Given]
    ) -> None:
        record = outcome.record
        if outcome.changed is not None and outcome.changed.files:
            now = self._shop.clock.now_ms()
            change = LastChange(room=self.room, command=command.event, at=now, changed=outcome.changed)
            await self._shop.ledgers.changes.keep(change)
        over = [each.command for each in given if each not in carried]
        session = await self._session_name(outcome.session or command.session)
        parcels = [
            *self._last_words(command, sink, outcome, session),
            *(marked for each in (command, *over) for marked in mark_for_people(each, outcome.state)),
        ]
        parcels += await self._budget_words(record.cost_micro_usd)
        await self._shop.ledgers.commands.finish(
            command.event,
            outcome.state,
            record,
            parcels,
            self._shop.clock.now_ms(),
            carried=[each.command.event for each in carried],
        )
        room = self._shop.settings().room(self.room)
        said = Said(outcome.answer) if room is None else Said(outcome.answer, room.log_content)
        log.info(
            "turn.ended", state=outcome.state, duration_ms=record.duration_ms, cost=record.cost_micro_usd, answer=said
        )
        self._shop.on_turn_ended(
            EndedTurn(
                room=self.room,
                agent="" if room is None else room.agent,
                state=outcome.state,
                record=record,
                first_text=outcome.first_text,
            )
        )

    async def _session_name(self, session: SessionId) -> str:
        known = await self._shop.ledgers.sessions.get(session)
        return words.short(session) if known is None else known.name

    async def _budget_words(self, cost: int) -> list[Parcel]:
        """Once a day: that most of the day's budget is gone, with the turn that has cost so much."""
        shop, now = self._shop, self._shop.clock.now_ms()
        room = shop.settings().room(self.room)
        if room is None or not room.budget.day:
            return []
        today = first_day(Span.DAY, now)
        spent = cost + (await shop.ledgers.spending.room(self.room, today)).cost_micro_usd
        if not is_nearly_used_up(room.budget, spent):
            return []
        told = message(spending.nearly_gone(spent, room.budget.day, now), notice=True)
        # A second parcel of the day with this id changes nothing.
        return [Parcel(txn=txn_id(self.room, "budget", today), room=self.room, content=told)]

    def _last_words(self, command: Command, sink: Sink, outcome: Outcome, session: str) -> list[Parcel]:
        record = outcome.record
        # What is for a program is the answer and nothing else; /cost tells people what it has cost.
        footer = (
            ""
            if command.is_of_program
            else words.footer(
                duration_ms=record.duration_ms,
                cost_micro_usd=record.cost_micro_usd,
                input_tokens=record.input_tokens,
                output_tokens=record.output_tokens,
                session=session,
                is_billed=self._shop.is_billed(),
                files_changed=None if outcome.changed is None else outcome.changed.files,
            )
        )
        try:
            return sink.close(outcome.words, footer)
        except Exception:
            # The command must come to its end all the same, or the room would wait for it until a restart.
            log.exception("answer.broken")
            txn = txn_id(command.event, "broken")
            told = message(words.BROKEN, notice=False, reply_to=command.shown_at)
            content = signed(told, command, txn, instance=self._shop.instance)
            return [Parcel(txn=txn, room=self.room, content=content, command=command.event)]


def _folders(spec: RunSpec) -> tuple[Path, Path]:
    """What counts as a room's own."""
    return Path(spec.workspace), Path(spec.home)


def _git(identity: GitIdentity) -> list[tuple[str, str]]:
    """As variables, because the room can write every file that git would read it from."""
    said = {"NAME": identity.name, "EMAIL": identity.email}
    return [
        (f"GIT_{who}_{what}", value)
        for who in ("AUTHOR", "COMMITTER")
        for what, value in said.items()
        if value is not None
    ]


def _sum(before: TurnRecord, last: TurnRecord) -> TurnRecord:
    """What several turns of a command used; they have one clock, so the last duration is that of all."""
    return TurnRecord(
        duration_ms=last.duration_ms,
        cost_micro_usd=before.cost_micro_usd + last.cost_micro_usd,
        input_tokens=before.input_tokens + last.input_tokens,
        output_tokens=before.output_tokens + last.output_tokens,
    )
