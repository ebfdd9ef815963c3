"""That the daemon lives, and what it lacks, in a file: for whoever asks from outside where no gateway answers, because
there is none, because it could not be opened, or because the start still waits for the homeserver.

It is written in place: where the disk is full, a new file could not be.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from aiagentchat.app.owner import SIGN
from aiagentchat.core.errors import StoreError
from aiagentchat.core.ports.clock import Clock
from aiagentchat.gateway.vitals import NOT_HEARD

EVERY_SECONDS = 5.0
STALE_SECONDS = 60.0
"""A sign that is older is none."""
WITHIN_SECONDS = 10.0
"""How long it may take to find out what is missing."""
SIZE = 2048
_MOST_MISSING = 20
_MOST_TEXT = 80
_NOT_FOUND_OUT = f"what is missing could not be found out within {WITHIN_SECONDS:.0f} s"
_ENDS = "the daemon is ending"
_BROKEN = "what is missing could not be found out"
_NO_DATABASE = "the database does not answer"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sign:
    """What a daemon has said last."""

    pid: int
    age: float
    """Seconds since then."""
    missing: Sequence[str]
    """What keeps it from answering, in words."""

    @property
    def is_fresh(self) -> bool:
        """Whether a daemon that lives has given it."""
        return self.age <= STALE_SECONDS


class SignOfLife:
    """Gives it."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._file = data_dir / SIGN
        self._clock = clock
        self.missing: Callable[[], Awaitable[Sequence[str]]] = _not_heard
        """Says what is missing; set once there is somebody who knows."""
        self._failed = self._broken = False
        """Whether that was said already."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._give()
            await self._clock.sleep(EVERY_SECONDS)

    async def _give(self) -> None:
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                missing = await self.missing()
            self._broken = False
        except TimeoutError:
            missing = [_NOT_FOUND_OUT]
        except StoreError:
            missing = [_NO_DATABASE]
        except Exception:
            # What is asked may be closing at this moment. Whatever it is, nobody may end because a sign is given.
            if not self._broken:
                log.exception("life.broken")
            self._broken = True
            missing = [_BROKEN]
        try:
            await asyncio.to_thread(write, self._file, missing)
        except OSError as error:
            if not self._failed:
                log.warning("life.not_told", error=error.strerror or type(error).__name__)
            self._failed = True
        else:
            self._failed = False


def sign_of(data_dir: Path) -> Sign | None:
    """The last one that was given on this `data_dir`; None: there is none that can be read."""
    try:
        with (data_dir / SIGN).open("rb") as file:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            said = json.loads(file.read(SIZE))
        return Sign(int(said["pid"]), max(0.0, age), [str(each) for each in said["missing"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def ending() -> Sequence[str]:
    """Of a daemon that is about to end, whatever else there is."""
    return [_ENDS]


async def _not_heard() -> Sequence[str]:
    return [NOT_HEARD]


def write(file: Path, missing: Sequence[str]) -> None:
    """Give a sign. Raises OSError."""
    shown = [each[:_MOST_TEXT] for each in missing[:_MOST_MISSING]]
    said = json.dumps({"pid": os.getpid(), "missing": shown}).encode("ascii")
    while len(said) > SIZE:
        shown.pop()
        said = json.dumps({"pid": os.getpid(), "missing": shown}).encode("ascii")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(descriptor, said.ljust(SIZE), 0)
    finally:
        os.close(descriptor)
