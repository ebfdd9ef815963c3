"""The daemon of a lane: started, killed and started again, for as long as the lane lives."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from rig import fake_cli
from rig.daemon import Daemon
from rig.faults import run_log
from rig.homeserver import Account
from rig.unprivileged import own

MAX_QUEUE = 40
"""Much more than people type into a room while they wait, so that a full queue is a scenario of its own."""
SYNC_TIMEOUT = 10
"""Seconds of a long poll: a proxy learns only at its end that the client is gone."""
_NOTHING = "nothing"


class Victim(Daemon):
    """A daemon whose lives can be counted, with the fake CLI behind it.

    `package` is the folder from which it imports `aiagentchat`; None means the one that is installed. `run_log` is a
    file of its own unless it is said to be another's.
    """

    def __init__(
        self,
        folder: Path,
        homeserver: str,
        account: Account,
        rooms: Sequence[str],
        *,
        user: str,
        package: Path | None = None,
        run_log: Path | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.package = package
        self.run_log = run_log or folder / "shared" / "runs.jsonl"
        self.run_log.parent.mkdir(exist_ok=True)
        self.run_log.touch()
        own(folder)
        super().__init__(
            folder,
            homeserver,
            account,
            [{"id": room, "name": f"room{index}"} for index, room in enumerate(rooms)],
            model_url="http://127.0.0.1:9",
            environ={"PYTHONPATH": str(package)} if package else None,
            defaults={"users": [user], "welcome": False, "mounts": [{"path": str(self.run_log.parent), "mode": "rw"}]},
            agents={"claude": {"type": "claude-code", "binary": str(fake_cli.install(folder, run_log=self.run_log))}},
            max_parallel_turns=len(rooms),
            max_warm=len(rooms),
            max_queue=MAX_QUEUE,
            sync_timeout=SYNC_TIMEOUT,
        )
        own(folder)
        self._noted: object = None
        """The process whose end is in the run log."""
        self.lives = 0
        self.ended_by_itself: list[int] = []
        """Exit codes of the lives that nobody ended."""

    @property
    def database(self) -> Path:
        """Its database."""
        return self.data_dir / "aiagentchat.db"

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def lines_so_far(self) -> int:
        """How many lines its log has that were not forgotten."""
        return len(self._lines)

    async def launch(self) -> int:
        """Start it if it does not run, and wait for nothing. How many lines its log had before."""
        before = len(self._lines)
        if not self.is_alive:
            self._note_the_end()
            self.lives += 1
            await self.start(until=_NOTHING)
        return before

    async def launch_and_wait(self) -> None:
        """Start it if it does not run, and wait until it works. One that does not come to that is the oracle's."""
        if not self.is_alive:
            before = await self.launch()
            with suppress(AssertionError):
                await self.until_line("daemon.ready", skip=before)

    async def until_line(self, event: str, *, skip: int = 0, timeout: float = 30.0, **fields: object) -> dict[str, Any]:
        """As ever; nothing is waited for when the caller wants to see it start."""
        if event == _NOTHING:
            return {}
        return await super().until_line(event, skip=skip, timeout=timeout, **fields)

    async def until_lines(self, event: str, count: int, *, skip: int, within: float, **fields: object) -> None:
        """Wait for so many lines with this event and these fields."""
        async with asyncio.timeout(within):
            for _ in range(count):
                found = await self.until_line(event, skip=skip, timeout=within, **fields)
                skip += next(number for number, line in enumerate(self._lines[skip:], 1) if line is found)

    async def murder(self) -> None:
        """SIGKILL, if it runs, and its end; the run log tells when."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
        await self.wait()
        self._note_the_end()

    def forget_lines(self) -> None:
        """Let the lines of earlier lives go, so that a long run stays small. Only while nobody waits for one."""
        del self._lines[:]

    async def left_behind(self, seconds: float) -> list[str]:
        """Processes that this daemon's lives have started and that still run after so many seconds."""
        return await asyncio.to_thread(_left, str(self.folder), seconds)

    def _note_the_end(self) -> None:
        if self._process is None or self._noted is self._process:
            return
        self._noted = self._process
        run_log.note_death(self.run_log)
        if self._process.returncode != -signal.SIGKILL:
            self.ended_by_itself.append(self._process.returncode)

    def import_probe(self) -> list[str]:
        """An argv that does nothing but start Python and import what the daemon imports; without tidying up."""
        return [sys.executable, "-c", "import os, aiagentchat.app.build, aiagentchat.cli.run; os._exit(0)"]


def _left(marker: str, seconds: float) -> list[str]:
    until = time.monotonic() + seconds
    while (found := _processes_with(marker)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def _processes_with(marker: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and marker in str(process.environ()):
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except psutil.Error:
            continue
    return found
