"""The clocks of a turn: its end, the warning before it, and silence. Pure: they are told the time.

There are two silences: nothing is heard of the agent at all, or nothing that a room could be shown.

The wall clock is final, and stands still while somebody is waited for: a person may take an hour to look at the phone,
and a usage limit half a day to be lifted. Silence is only told, and never ends anything: a long build says nothing.
"""

from dataclasses import dataclass

WARNING_SECONDS = 60.0
"""How long before its end a turn is warned of it; a turn of no more than twice that is not."""
SILENCE_SECONDS = 120.0
"""After so much silence the room is told that the turn still works; then after 5, 10, 20, 40 … minutes of it."""
QUIET_SECONDS = 20.0
"""After so long without anything new to show the room is told how long the turn takes already; then after 50, 100,
200 … seconds."""
_SECOND_STEP = 2.5
"""The second line comes after so many times the first silence; each one after that when it has doubled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """When a room hears about the time of its turn. In seconds."""

    warning: float = WARNING_SECONDS
    silence: float = SILENCE_SECONDS
    quiet: float = QUIET_SECONDS


@dataclass(slots=True)
class TurnClock:
    """Measures one turn against its limit, which may be changed. All times are monotonic seconds."""

    limit: float
    started: float
    _stopped_at: float | None = None
    _stood: float = 0.0

    def pause(self, now: float) -> None:
        """Stand still; a second call changes nothing."""
        if self._stopped_at is None:
            self._stopped_at = now

    def resume(self, now: float) -> None:
        """Run again; without a pause it changes nothing."""
        if self._stopped_at is not None:
            self._stood += now - self._stopped_at
            self._stopped_at = None

    def elapsed(self, now: float) -> float:
        """Seconds that count."""
        until = now if self._stopped_at is None else self._stopped_at
        return until - self.started - self._stood

    def left(self, now: float) -> float | None:
        """Seconds until the limit, at least 0; None while the clock stands still."""
        return None if self._stopped_at is not None else max(0.0, self.limit - self.elapsed(now))


@dataclass(slots=True)
class LastMinute:
    """The warning before the end: once for each end that the turn is given. In seconds of the turn's clock."""

    lead: float
    _warned_of: float | None = None
    """The limit that the room was warned of."""

    def due(self, limit: float) -> float | None:
        """When the room is to be warned of this limit; None: not (again)."""
        return limit - self.lead if limit > 2 * self.lead and limit != self._warned_of else None

    def take(self, limit: float, elapsed: float) -> float | None:
        """How many seconds are left, when that is to be told now."""
        due = self.due(limit)
        if due is None or not due <= elapsed < limit:
            return None
        self._warned_of = limit
        return limit - elapsed


@dataclass(slots=True)
class Silence:
    """For how long nothing was heard (or seen) of the agent. In seconds of the turn's clock: while it stands, all is
    well."""

    first: float
    _heard: float = 0.0
    _told: int = 0

    @property
    def is_told(self) -> bool:
        """Whether the room knows of the present silence."""
        return self._told > 0

    def noise(self, elapsed: float) -> None:
        """Something was heard: a word, a tool, anything."""
        self._heard, self._told = elapsed, 0

    def due(self) -> float:
        """When the room is to be told next."""
        steps = self.first if self._told == 0 else self.first * _SECOND_STEP * 2.0 ** (self._told - 1)
        return self._heard + steps

    def take(self, elapsed: float) -> float | None:
        """For how many seconds it has been silent, when that is to be told now; each step is told once."""
        if elapsed < self.due():
            return None
        while elapsed >= self.due():
            self._told += 1
        return elapsed - self._heard
