"""What time alone asks for while a turn runs: the room is warned before the end, and told of a long silence, and of how
long it takes when there is nothing to show.

The end itself is the turn's to make. What somebody has set with /timeout is taken up from the ledger at each look, so
that it holds however the word of it came, and whoever runs the turn.
"""

import structlog

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Commands, Outbox
from aiagentchat.core.ports.voice import Sink
from aiagentchat.execute.deadlines import LastMinute, Patience, Silence, TurnClock
from aiagentchat.render import words
from aiagentchat.render.message import message

log = structlog.get_logger(__name__)


class Timekeeper:
    """Keeps the time of one turn, and tells the room about it."""

    def __init__(
        self,
        command: Command,
        turn_clock: TurnClock,
        sink: Sink,
        *,
        commands: Commands,
        outbox: Outbox,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._command = command
        self._turn_clock = turn_clock
        self._sink = sink
        self._commands = commands
        self._outbox = outbox
        self._clock = clock
        self._last_minute = LastMinute(patience.warning)
        self._silence = Silence(patience.silence)
        self._quiet = Silence(patience.quiet)
        self.noise()

    def noise(self) -> None:
        """The agent gave a sign of life, or was kept waiting until now."""
        self._silence.noise(self._turn_clock.elapsed(self._clock.monotonic()))

    def seen(self) -> None:
        """There is something new to show."""
        self._quiet.noise(self._turn_clock.elapsed(self._clock.monotonic()))

    async def look(self, now: float) -> None:
        """Take up what was set, and tell what is to be told at this moment (monotonic)."""
        limit = await self._commands.time_limit(self._command.event)
        if limit is not None and limit != self._turn_clock.limit:
            log.info("turn.time_set", limit_s=limit)
            self._turn_clock.limit = float(limit)
        if self._turn_clock.left(now) is None:
            return
        elapsed = self._turn_clock.elapsed(now)
        left = self._last_minute.take(self._turn_clock.limit, elapsed)
        if left is not None:
            await self._outbox.put([self._warning(left)], self._clock.now_ms())
        silent, quiet = self._silence.take(elapsed), self._quiet.take(elapsed)
        if silent is not None:
            self._sink.progress(words.still_working(silent))
        elif quiet is not None and not self._silence.is_told:
            self._sink.progress(words.working(elapsed))

    def next_look(self) -> float | None:
        """In how many seconds there is something to tell; None while the clock stands still."""
        now = self._clock.monotonic()
        if self._turn_clock.left(now) is None:
            return None
        warning = self._last_minute.due(self._turn_clock.limit)
        silence = min(self._silence.due(), self._quiet.due())
        due = silence if warning is None else min(warning, silence)
        return max(0.0, due - self._turn_clock.elapsed(now))

    def _warning(self, left: float) -> Parcel:
        return Parcel(
            # One for each end: a turn that goes on in another run does not say it twice.
            txn=txn_id(self._command.event, "last minute", str(round(self._turn_clock.limit))),
            room=self._command.room,
            content=message(words.last_minute(left), notice=True),
            command=self._command.event,
        )
