"""How much one run may ask of its way out, and how much it did."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run that is broken, or hostile, cannot exceed."""

    header_bytes: int = 64 * 1024
    """The head of a request, or of another host's answer."""
    body_bytes: int = 32 * 2**20
    """A request to the model; the Messages API takes no more either."""
    room_bytes: int = 2**20
    """A request to the tools of the room: a path, a caption."""
    header_seconds: float = 30.0
    """From the first byte of a request to the end of its head."""
    idle_seconds: float = 900.0
    """Without a byte in either direction. The CLI gives up after 600 s, and should be the first to do so."""
    connect_seconds: float = 30.0
    """For finding a host, and for reaching it."""
    linger_seconds: float = 2.0
    """How long somebody is heard out who still speaks although he has got his answer."""
    connections: int = 64
    """At once. Whoever comes then is told so and sent away."""
    requests_per_second: float = 200.0
    """Over all connections together, in the long run; and as many new connections. Whoever comes more often waits: each
    of them, also one that is refused, takes time of the daemon, which all rooms share."""
    requests_at_once: int = 400
    """So many may come together after a quiet time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What went through the way out of a run so far."""

    bytes_in: int = 0
    """To the run."""
    bytes_out: int = 0
    """From the run."""
    requests: int = 0
    """Every one, also those that were refused."""
    blocked: int = 0
    """Those for a host that is not reached."""


class Pace:
    """How often something may be done: a bucket of permits that fills as time passes. It is told the time (seconds)."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self._per_second = per_second
        self._most = float(at_once)
        self._left = float(at_once)
        self._seen: float | None = None

    def take(self, now: float) -> float:
        """One more. For how many seconds it waits first, behind those that wait already."""
        if self._seen is not None:
            self._left = min(self._most, self._left + (now - self._seen) * self._per_second)
        self._seen = now
        self._left -= 1
        return max(0.0, -self._left / self._per_second)
