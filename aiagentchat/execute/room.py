"""One room's executor: takes the room's commands in order, one turn after the other, and ends when there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import structlog
from structlog.contextvars import bound_contextvars

from aiagentchat.config.settings import GitIdentity, RoomSettings, Settings
from aiagentchat.core.agent_events import LimitReached
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.errors import AgentError, SessionInUse, SessionNotFound
from aiagentchat.core.ids import RoomId, SessionId, message_uuid, new_session_id, txn_id
from aiagentchat.core.isolation import Held
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.agent import Agent, RunSpec
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.voice import Signals, Sink, Voice
from aiagentchat.core.redact import Redacting, shapes_only
from aiagentchat.execute.instructions import instructions
from aiagentchat.execute.marks import mark
from aiagentchat.execute.meter import Meter
from aiagentchat.execute.output import Output
from aiagentchat.execute.places import Places
from aiagentchat.execute.runs import Runs
from aiagentchat.execute.turn import Ledgers, Limits, Outcome, Turn
from aiagentchat.render import words
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
    voice: Voice
    signals: Signals
    settings: Callable[[], Settings]
    clock: Clock
    held: Held
    """What runs are kept in."""
    warned: set[RoomId] = field(default_factory=set)
    """Rooms that were told, in this life, what that does not hold back."""
    redacting: Redacting = shapes_only
    """Who hides secrets in what a turn says."""


class RoomExecutor:
    """Serial by construction: one of these per room at a time, and the database refuses a second running command."""

    def __init__(self, room: RoomId, workshop: Workshop) -> None:
        self.room = room
        self.nudge = asyncio.Event()
        """Set when something about this room may have changed: a stop, an answer to an approval."""
        self._shop = workshop

    async def run(self, *, others_wait: Callable[[], bool]) -> None:
        """Until the queue is empty, or another room waits for the place."""
        while (command := await self._shop.ledgers.commands.next_queued(self.room)) is not None:
            with bound_contextvars(room=self.room, command=command.event, turn=message_uuid(command.event)):
                await self._execute(command)
            if others_wait():
                return

    async def _execute(self, command: Command) -> None:
        shop = self._shop
        # Committed before anything is run: after a crash it is reported, never run again by itself.
        if not await shop.ledgers.commands.start(command.event, shop.clock.now_ms()):
            return
        # As it reads now: until it was marked as started, it could be edited.
        command = await shop.ledgers.commands.get(command.event) or command
        log.info("turn.started", session=command.session)
        await self._warn(command)
        sink = shop.voice.open(command)
        shop.signals.typing(self.room, True)
        try:
            outcome = await self._turn(command, sink)
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
        await self._finish(command, sink, outcome)
        await shop.runs.give_back(self.room)

    async def _warn(self, command: Command) -> None:
        """Once in a life: who works here must know what nothing holds back."""
        warning = words.isolation_warning(self._shop.held)
        if warning is not None and self.room not in self._shop.warned:
            self._shop.warned.add(self.room)
            await self._tell(command, "isolation", warning)

    async def _turn(self, command: Command, sink: Sink) -> Outcome:
        """One turn; a disagreement about the session is mended once each way."""
        shop = self._shop
        settings = shop.settings()
        room = settings.room(self.room)
        if room is None:
            return Outcome(state=CommandState.FAILED, words=words.ROOM_NOT_CONFIGURED)
        session = command.session
        resume = await shop.ledgers.sessions.begun(session)
        mended: set[type[Exception]] = set()
        while True:
            spec = await self._spec(room, session, resume=resume)
            run = await shop.runs.take(shop.agents[room.agent], spec)
            name = f"{message_uuid(command.event)[:8]}.md"
            output = Output(sink, Path(spec.workspace), name, settings.max_output, shop.redacting)
            turn = Turn(
                command,
                run,
                output,
                ledgers=shop.ledgers,
                clock=shop.clock,
                limits=Limits(
                    turn=room.timeout, approval=settings.approval_timeout, outgrown=self._outgrown(room, spec)
                ),
                nudge=self.nudge,
            )
            try:
                outcome = await turn.go()
            finally:
                output.close()
            if turn.lost is None or type(turn.lost) in mended:
                return replace(outcome, session=session)
            mended.add(type(turn.lost))
            await shop.runs.drop(self.room)
            session, resume = await self._mend(command, session, turn.lost)

    def _outgrown(self, room: RoomSettings, spec: RunSpec) -> Callable[[], Awaitable[LimitReached]] | None:
        if not (room.limits.workspace_size or room.limits.file_size):
            return None
        return partial(self._shop.meter.outgrown, (Path(spec.workspace), Path(spec.home)), room.limits)

    async def _mend(
        self, command: Command, session: SessionId, lost: SessionInUse | SessionNotFound
    ) -> tuple[SessionId, bool]:
        log.warning("session.mended", session=session, error=str(lost))
        if isinstance(lost, SessionInUse):
            await self._tell(command, "in use", words.session_resumed(session))
            return session, True
        fresh = new_session_id()
        await self._shop.ledgers.sessions.replace(self.room, session, fresh)
        await self._tell(command, "not found", words.session_replaced(session, fresh))
        return fresh, False

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
            home=str(place.home),
            instructions=instructions(room, place.workspace),
            model=room.model,
            permission_mode=room.permission_mode,
            allow=room.allow,
            deny=room.deny,
            env=(*_git(room.git), *room.env),
            mounts=tuple((str(mount.path), mount.mode) for mount in room.mounts),
            network=room.network,
            network_hosts=room.network_hosts,
            limits=room.limits,
            uid=place.uid,
        )

    async def _finish(self, command: Command, sink: Sink, outcome: Outcome) -> None:
        record = outcome.record
        parcels = [*self._last_words(command, sink, outcome), mark(command, outcome.state)]
        await self._shop.ledgers.commands.finish(
            command.event, outcome.state, record, parcels, self._shop.clock.now_ms()
        )
        log.info("turn.ended", state=outcome.state, duration_ms=record.duration_ms, cost=record.cost_micro_usd)

    def _last_words(self, command: Command, sink: Sink, outcome: Outcome) -> list[Parcel]:
        record = outcome.record
        footer = words.footer(
            duration_ms=record.duration_ms,
            cost_micro_usd=record.cost_micro_usd,
            input_tokens=record.input_tokens,
            output_tokens=record.output_tokens,
            session=outcome.session or command.session,
        )
        try:
            return sink.close(outcome.words, footer)
        except Exception:
            # The command must come to its end all the same, or the room would wait for it until a restart.
            log.exception("answer.broken")
            told = message(words.BROKEN, notice=False, reply_to=command.shown_at)
            return [Parcel(txn=txn_id(command.event, "broken"), room=self.room, content=told, command=command.event)]


def _git(identity: GitIdentity) -> list[tuple[str, str]]:
    """As variables, because the room can write every file that git would read it from."""
    said = {"NAME": identity.name, "EMAIL": identity.email}
    return [
        (f"GIT_{who}_{what}", value)
        for who in ("AUTHOR", "COMMITTER")
        for what, value in said.items()
        if value is not None
    ]
