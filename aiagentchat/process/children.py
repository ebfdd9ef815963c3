"""This process's children: those that it started, and those that the kernel gave it.

The daemon is a subreaper, so that nothing of a run whose shim was killed gets away from it; as PID 1 of a container it
is one anyway. What comes to it that way is a stranger: ended if it lives, reaped if it does not. Its own children are
never touched: their exit codes belong to who started them, and a `waitpid(-1)` would steal them.

A process has one set of children, so this module holds one, too.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from aiagentchat.process.inside.syscalls import prctl

PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 60.0
"""Strangers are looked for at least this often, also when no child ends."""

log = structlog.get_logger(__name__)


class Ended(NamedTuple):
    """How many strangers there were."""

    killed: int
    reaped: int


class Children:
    """The children of this process. There is one of these, below."""

    def __init__(self) -> None:
        self._ours: set[int] = set()
        self._starting = 0
        """How many children exist, or soon will, whose pid is not known yet."""
        self._adopting = False
        """Whether strangers are ours to end: who was not asked to adopt leaves them to whom they belong."""
        self._look: asyncio.Event | None = None
        """Set when strangers may have come; None while nobody looks after them."""

    @property
    def are_certain(self) -> bool:
        """Whether every child is known. While one is being started, a stranger cannot be told from it."""
        return not self._starting

    async def start(self, *command: str, **options: Any) -> asyncio.subprocess.Process:  # noqa: ANN401 - asyncio's own
        """Start a child of ours. It is one until `ended` is told. As `asyncio.create_subprocess_exec`."""
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(*command, **options)
            self._ours.add(process.pid)
        finally:
            self._starting -= 1
            if self._look is not None:  # who came meanwhile was not seen, and may never make itself heard
                self._look.set()
        return process

    def ended(self, process: asyncio.subprocess.Process) -> None:
        """It was reaped: its number may be another's from now on."""
        self._ours.discard(process.pid)

    def adopt(self) -> None:
        """From now on orphans of our tree come to us."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._adopting = True

    def strangers(self) -> Iterator[int]:
        """Children that we did not start. None unless we `are_certain`."""
        if not self.are_certain or not self._adopting:
            return
        for file in Path("/proc/self/task").glob("*/children"):
            with contextlib.suppress(OSError):  # threads come and go
                found = map(int, file.read_text(encoding="ascii").split())
                yield from (pid for pid in found if pid not in self._ours)

    def end_strangers(self) -> "Ended":
        """Kill those that live, reap those that do not. Whose children they had come to us only then: look again."""
        killed = reaped = 0
        for pid in list(self.strangers()):
            with contextlib.suppress(OSError):  # a child that is not reaped keeps its number
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
                else:
                    reaped += 1
        return Ended(killed, reaped)

    async def look_after(self) -> None:
        """End strangers whenever one may have come. Runs until cancelled."""
        look = self._look = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, look.set)
        try:
            while True:
                if killed := self.end_strangers().killed:
                    log.warning("process.orphans_ended", count=killed)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await look.wait()
                look.clear()
        finally:
            self._look = None
            loop.remove_signal_handler(signal.SIGCHLD)


children = Children()
