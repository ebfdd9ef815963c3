"""What a supervisor is told: systemd's protocol of readiness and watchdog, a few words on a socket of datagrams.

The daemon is ready when it has heard its homeserver once. From then on it says that it lives for as long as its loop
turns and its hearing goes on; a homeserver that does not answer is no reason to be silent, because starting again would
not help. Without a socket in the environment nothing is said at all.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from aiagentchat.core.health import SyncHealth
from aiagentchat.core.ports.clock import Clock

STUCK_SECONDS = 600.0
"""So long a sync may neither succeed nor fail. One waits for 140 s at most; then there may be much to write down."""
EXTENSION_SECONDS = 60.0
"""So much more time the start asks for, again and again, while it waits for the homeserver or fetches a program."""
START_LOOK_SECONDS, LOOK_SECONDS = 0.5, 20.0
"""How often it is looked how things are: before the homeserver was heard, and afterwards. A watchdog may want it more
often."""

log = structlog.get_logger(__name__)


class Supervisor:
    """Whoever started us and wants to hear from us; nobody, if the environment names none."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._failed = False
        self.watchdog = _watchdog(environ, pid)
        """How long (seconds) it waits for a sign of life; None if it wants none."""

    @property
    def listens(self) -> bool:
        """Whether there is anybody."""
        return self._address is not None

    def tell(self, *lines: str) -> None:
        """Say it at once, or not at all: a supervisor that does not listen ends no daemon, and holds up none."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("supervisor.not_told", error=error.strerror or type(error).__name__)
            self._failed = True


@dataclass(slots=True)
class Pulse:
    """Whether the hearing goes on: each sync that succeeds or fails shows that it does."""

    _seen: SyncHealth | None = None
    _moved_at: float = 0.0

    def beats(self, sync: SyncHealth, now: float) -> bool:
        """Whether it has moved in the last `STUCK_SECONDS`."""
        if sync != self._seen:
            self._seen, self._moved_at = sync, now
        return now - self._moved_at <= STUCK_SECONDS


def status(sync: SyncHealth, *, is_draining: bool) -> str:
    """How things are, for whoever asks the supervisor."""
    if is_draining:
        return "Finishes what runs, and begins nothing new"
    if sync.heard_at is None:
        return "Waits for the homeserver"
    if sync.failures:
        return f"Serves, but the homeserver has not answered {sync.failures} times in a row"
    return "Serves"


async def ask_for_time(supervisor: Supervisor, clock: Clock) -> None:
    """Until cancelled: a start that waits for its homeserver is not taken for one that hangs."""
    while supervisor.listens:
        _ask_for_time(supervisor, SyncHealth())
        await clock.sleep(LOOK_SECONDS)


async def report(
    supervisor: Supervisor, sync: Callable[[], SyncHealth], is_draining: Callable[[], bool], clock: Clock
) -> None:
    """Until cancelled: say when the homeserver was heard first, then that we live, and with the end that we end."""
    if not supervisor.listens:
        return
    try:
        while sync().heard_at is None:
            _ask_for_time(supervisor, sync())
            await clock.sleep(START_LOOK_SECONDS)
        supervisor.tell("READY=1")
        await _give_signs_of_life(supervisor, sync, is_draining, clock)
    finally:
        supervisor.tell("STOPPING=1", "STATUS=Ends")


async def _give_signs_of_life(
    supervisor: Supervisor, sync: Callable[[], SyncHealth], is_draining: Callable[[], bool], clock: Clock
) -> None:
    look = LOOK_SECONDS if supervisor.watchdog is None else min(LOOK_SECONDS, supervisor.watchdog / 3)
    pulse = Pulse()
    while pulse.beats(sync(), clock.monotonic()):
        signs = [] if supervisor.watchdog is None else ["WATCHDOG=1"]
        supervisor.tell(*signs, f"STATUS={status(sync(), is_draining=is_draining())}")
        await clock.sleep(look)
    log.error("supervisor.sync_stuck", seconds=round(STUCK_SECONDS))
    supervisor.tell(f"STATUS=Has not heard anything of a sync for more than {STUCK_SECONDS:.0f} s")
    await asyncio.Event().wait()  # from here on it is the watchdog's to act


def more_time(supervisor: Supervisor, doing: str) -> None:
    """Ask for it once, and say for what."""
    supervisor.tell(f"EXTEND_TIMEOUT_USEC={EXTENSION_SECONDS * 1_000_000:.0f}", f"STATUS={doing}")


def _ask_for_time(supervisor: Supervisor, sync: SyncHealth) -> None:
    more_time(supervisor, status(sync, is_draining=False))


def _address(name: str) -> str | None:
    """The socket; its name begins with @ where it has no place in the file system."""
    if name.startswith("/"):
        return name
    return f"\0{name[1:]}" if name.startswith("@") and len(name) > 1 else None


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    microseconds, whom = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (microseconds.isascii() and microseconds.isdigit() and int(microseconds)) or whom not in ("", str(pid)):
        return None
    return int(microseconds) / 1_000_000
