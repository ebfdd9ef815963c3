"""Shims that wait for their job: one is always ready, so that a first message does not wait for Python to start.

A shim reads what it is to run from its control pipe (`shim.py`); until then it is nobody's, and ends when the pipe
closes. It takes a tenth of what a person notices to start one, and the next run is seldom due at once.
"""

import asyncio
import contextlib
import fcntl
import marshal
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from aiagentchat.core.ids import RunId, new_run_id
from aiagentchat.process import shim
from aiagentchat.process.children import children
from aiagentchat.process.leftovers import MARKER

MAX_JOB_BYTES = 2**20
"""How much a pipe can be made to hold (`man 7 pipe`, pipe-max-size): all of a job at once, so that nobody waits for a
shim that does not read. The kernel takes not much more as arguments and environment of a program."""
REFILL_SECONDS = 1.0
"""A new one is not started beside the run that took the last one, which has somebody waiting for it."""
END_SECONDS = 5.0
"""How long a shim that has ended may take to be reaped."""
_PAUSE = 0.002
_PIPE_BYTES = 65_536
_PACKAGE = Path(shim.__file__).parents[1]
_PYTHON = os.path.realpath(sys.executable)
_BOOT = "import sys; sys.path.append(sys.argv[1]); from process.shim import main; main()"

log = structlog.get_logger(__name__)


class Post:
    """A shim with its pipes. Use `start`.

    The command's stdin and stdout are sockets. Pipes could be opened anew by whatever else runs there, through
    /proc/PID/fd: then it would speak to us in the command's name, or take what we say to it. A socket cannot (ENXIO).
    """

    def __init__(
        self, process: asyncio.subprocess.Process, control: int, status: asyncio.StreamReader, ends: "_Ends"
    ) -> None:
        self.process = process
        self.status = status
        """What the shim says, line by line."""
        self.stdin = ends.stdin
        self.stdout = ends.stdout
        self._ends = ends
        self._control: int | None = control

    @classmethod
    async def start(cls, env: Mapping[str, str]) -> "Post":
        """Start a shim; `env` is what its own environment has, for those who look for it. OSError without Python."""
        async with _Ends.opened() as (ends, stdin, stdout):
            control_read, control_write = os.pipe()
            status_read, status_write = os.pipe()
            try:
                process = await children.start(
                    *(_PYTHON, "-ISE", "-c", _BOOT, str(_PACKAGE), str(control_read), str(status_write)),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=(control_read, status_write),
                    env=dict(env),
                    cwd="/",
                    start_new_session=True,
                )
            except BaseException:
                os.close(control_write)
                os.close(status_read)
                raise
            finally:
                os.close(control_read)
                os.close(status_write)
            reader = asyncio.StreamReader()
            try:
                await asyncio.get_running_loop().connect_read_pipe(
                    lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(status_read, "rb")
                )
            except BaseException:
                os.close(control_write)  # the shim ends with it
                raise
        return cls(process, control_write, reader, ends)

    @property
    def lives(self) -> bool:
        """Whether it can be given something."""
        return self._control is not None and self.process.returncode is None

    def give(self, job: Mapping[str, Any]) -> None:
        """Give it what it is to run, once (`shim.Job`). OSError if it is gone, or the job is too large for a pipe."""
        if self._control is None:
            raise BrokenPipeError("the shim was ended")
        data = marshal.dumps(dict(job))
        data = len(data).to_bytes(shim.LENGTH_BYTES, "big") + data
        if len(data) > MAX_JOB_BYTES:
            raise OSError(f"a command of {len(data)} bytes with its environment, of which {MAX_JOB_BYTES} are taken")
        if len(data) > _PIPE_BYTES:
            fcntl.fcntl(self._control, fcntl.F_SETPIPE_SZ, len(data))
        os.set_blocking(self._control, False)  # it is alone with an empty pipe: all of it is taken, or nothing
        if os.write(self._control, data) != len(data):
            raise OSError("the shim's pipe takes no more")

    def order(self, byte: bytes) -> None:
        """One of the orders that a shim knows. Nothing happens when it is gone."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                os.write(self._control, byte)

    def end(self) -> None:
        """It ends what it runs, all of it, and itself."""
        if self._control is not None:
            os.close(self._control)
            self._control = None

    async def let_go(self) -> None:
        """Reap it and close the pipes. Only when it has nothing left: closing the transport kills a living shim."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while self.process.returncode is None:  # noqa: ASYNC110 - `Process.wait` waits for the pipes, too
                    await asyncio.sleep(_PAUSE)
                children.ended(self.process)
                self.process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
                await self._ends.closed()


class _Ends:
    """Our ends of the command's stdin and stdout."""

    def __init__(self, stdin: asyncio.StreamWriter, said: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self._said = said  # nothing is ever written there; it holds the transport

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> "AsyncIterator[tuple[_Ends, socket.socket, socket.socket]]":
        """With the ends that are the command's, for a child to inherit; ours are closed if the block fails."""
        pairs = [socket.socketpair() for _ in range(2)]
        # A socket goes both ways, and nobody reads here what is written to a stdin: it would fill, and the writer wait.
        pairs[0][1].shutdown(socket.SHUT_WR)
        writers: list[asyncio.StreamWriter] = []
        try:
            _, stdin = await asyncio.open_unix_connection(sock=pairs[0][0])
            writers.append(stdin)
            stdout, said = await asyncio.open_unix_connection(sock=pairs[1][0])
            writers.append(said)
            yield cls(stdin, said, stdout), pairs[0][1], pairs[1][1]
        except BaseException:
            for writer in writers:
                writer.close()
            for ours, _ in pairs[len(writers) :]:
                ours.close()
            raise
        finally:
            for _, theirs in pairs:
                theirs.close()

    def close(self) -> None:
        """Nobody speaks or listens here any more."""
        self.stdin.close()
        self._said.close()

    async def closed(self) -> None:
        """The same, and wait for it."""
        self.close()
        for writer in (self.stdin, self._said):
            with contextlib.suppress(ConnectionError):  # whoever was spoken to is gone: asyncio would complain
                await writer.wait_closed()


class Posts:
    """Keeps one shim ready. It has the id of the run that it will be for, so that what is left of it is found.

    Beside that its environment has the daemon's `data_dir`, which says whose it is.
    """

    def __init__(self, data_dir: Path | None = None, *, refill: float = REFILL_SECONDS) -> None:
        self._data_dir = data_dir
        self._refill = refill
        self._ready: tuple[RunId, Post] | None = None
        self._is_promised = False
        self._promised = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether one waits that is promised to nobody."""
        return self._ready is not None and not self._is_promised

    async def serve(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._promised.clear()
                await self._fill()
                await self._promised.wait()
                await asyncio.sleep(self._refill)
                await self._drop()  # whoever it was promised to has come to nothing
        finally:
            await self._drop()

    def promise(self) -> RunId:
        """The id for a new run. The shim that is ready has it already, if there is one, and is kept for a moment."""
        if self._ready is None or self._is_promised:
            return new_run_id()
        self._is_promised = True
        self._promised.set()
        return self._ready[0]

    def take(self, run: RunId) -> Post | None:
        """The shim that was promised to that run; None: start one."""
        if self._ready is None or self._ready[0] != run:
            return None
        (_, post), self._ready = self._ready, None
        return post

    async def _fill(self) -> None:
        run, self._is_promised = new_run_id(), False
        try:
            whose = {"AICHAT_DATA": str(self._data_dir)} if self._data_dir else {}
            self._ready = run, await Post.start({MARKER: run, **whose})
        except OSError as error:
            log.warning("process.none_ready", error=str(error))

    async def _drop(self) -> None:
        if self._ready is not None:
            (_, post), self._ready = self._ready, None
            post.end()
            await post.let_go()
