"""The clock of a turn. Pure: it is told the time.

The wall clock is final, and stands still while an approval waits: a person may take an hour to look at the phone.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class TurnClock:
    """Measures one turn against its limit. All times are monotonic seconds."""

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
