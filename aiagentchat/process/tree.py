"""One supervised process tree: a command under the shim, with its pipes.

When `gone` is set, every process that the command ever started has ended. That also holds after `kill -9` of this
process: the shim sees its control pipe close.
"""

import asyncio
import contextlib
import errno
import os
import re
import stat
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

import psutil
import structlog

from aiagentchat.core.isolation import RunLimits
from aiagentchat.process.cgroup import Cgroup
from aiagentchat.process.children import children
from aiagentchat.process.lines import TooLong, lines
from aiagentchat.process.posts import END_SECONDS, Post

MAX_LINE_BYTES = 32 * 2**20
"""The longest line that is handed on; tool results carry base64, so it is generous."""
STDERR_LINES = 50
"""How many lines of stderr are kept to explain an early end."""
STDERR_LINE_BYTES = 4_096
STATUS_LINE_BYTES = 256
SWEEP_SECONDS = 3.0
"""How long the shim may take for a sweep; its own limit is 2 s."""
WRITE_SECONDS = 30.0
"""How long the command may leave its stdin unread."""
_PAUSE = 0.002

log = structlog.get_logger(__name__)


class Tree:
    """A running command and everything it starts. Use `start`, then `serve` it until it returns."""

    def __init__(self, post: Post, mark: str, cgroup: Cgroup | None) -> None:
        self._post = post
        self._mark = mark
        self._cgroup = cgroup
        self._proven = False
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._swept: asyncio.Queue[bool] = asyncio.Queue()
        self._kept: asyncio.Queue[bool] = asyncio.Queue()
        self.on_limit: Callable[[str, int], None] = lambda _name, _value: None
        """Told once per watch that a limit of the run (`RunLimits`) is reached, and by how much."""
        self.on_growth: Callable[[int], None] = lambda _size: None
        """Told how long a line of stdout is that has not ended yet. To be set before `lines` is read."""
        self._no_reader = asyncio.Event()
        """Set while nobody reads `lines`: before, or when they were read to their end."""
        self._no_reader.set()
        self.gone = asyncio.Event()
        self.pid: int | None = None
        self.exit_code: int | None = None

    @classmethod
    async def start(  # noqa: PLR0913 - all that is different between two trees, in the one place that says it
        cls,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        mark: str = "",
        uid: int | None = None,
        stop_fd: int | None = None,
        limits: RunLimits | None = None,
        cgroup: Cgroup | None = None,
        post: Post | None = None,
    ) -> "Tree":
        """Start `command` under the shim. OSError if python or the folder is missing.

        `mark` names a variable of `env` that no other tree shares the value of. With `uid` the command becomes that
        user. With `stop_fd` it finds a pipe there, and `interrupt` is a byte in it. With `cgroup`, which must outlast
        the tree, everything that it starts is in that. With `post` that shim is used, if it lives still.
        """
        _must_be_folder(cwd)
        job = {
            "command": list(command),
            "env": dict(env),
            "cwd": str(cwd),
            "cgroup": str(cgroup.path) if cgroup else "",
            "options": _options(uid, stop_fd, limits),
        }
        if post is not None and not post.lives:
            post.end()
            await post.let_go()
            post = None
        if post is None:
            post = await Post.start({name: env[name] for name in (mark, "HOME") if name in env})
        try:
            post.give(job)
        except OSError:
            post.end()
            await post.let_go()
            raise
        return cls(post, f"{mark}={env[mark]}" if mark else "", cgroup)

    async def serve(self) -> None:
        """Keep the tree until nothing of it is left. Cancelling this ends the tree first."""
        try:
            async with asyncio.TaskGroup() as group:
                stderr = group.create_task(self._read_stderr(), name="tree stderr")
                await self._read_status()
                await self._read_to_the_end(stderr)
        finally:
            self.end()
            # Not asyncio.timeout: before Python 3.11.3 it does not end as TimeoutError in a task that was cancelled.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._read_status(), END_SECONDS)
            if not self.gone.is_set():
                log.error("process.stuck", pid=self.pid)
            else:
                await self._post.let_go()

    async def _read_to_the_end(self, stderr: "asyncio.Task[None]") -> None:
        """What the tree wrote last may still be in its pipes; and a stranger may hold them open for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._no_reader.wait()
                await asyncio.wait([stderr])
        await self._post.let_go()

    async def lines(self) -> AsyncGenerator[bytes | TooLong, None]:
        """The command's stdout."""
        self._no_reader.clear()
        try:
            async for line in lines(self._post.stdout, most=MAX_LINE_BYTES, growing=self.on_growth):
                yield line
        finally:
            self._no_reader.set()

    async def write(self, line: bytes) -> bool:
        """Give the command a line. False if it no longer reads."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                self._post.stdin.write(line + b"\n")
                await self._post.stdin.drain()
        except (ConnectionError, TimeoutError, RuntimeError):
            return False
        return True

    def interrupt(self) -> None:
        """SIGINT to the main process."""
        self._post.order(b"i")

    async def keep(self) -> bool:
        """What runs now is the run itself: sweeps leave it alone. False if the shim does not confirm it."""
        self._post.order(b"k")
        return await _word(self._kept)

    def watch(self) -> None:
        """From now on, until the next sweep: look at the limits, and let what is not kept come last."""
        self._post.order(b"w")

    async def sweep(self) -> bool:
        """End everything but what is kept, and the main process. False if that could not be proven."""
        self._post.order(b"s")
        return await _word(self._swept)

    def end(self) -> None:
        """End the whole tree, at once. `gone` is set when it has."""
        self._post.end()

    async def wait_gone(self, within: float) -> bool:
        """Whether nothing of the tree is left, after at most `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.gone.wait()
        return self.gone.is_set()

    @property
    def last_words(self) -> str:
        """The end of stderr, for the log and for recognising why it did not start."""
        return "\n".join(self._stderr)

    async def _read_stderr(self) -> None:
        assert self._post.process.stderr is not None
        async for line in lines(self._post.process.stderr, most=STDERR_LINE_BYTES):
            if isinstance(line, bytes):
                self._stderr.append(line.decode("utf-8", "replace"))

    async def _read_status(self) -> None:
        async for line in lines(self._post.status, most=STATUS_LINE_BYTES):
            # Whoever runs as our user can write into the shim's pipes, too.
            if isinstance(line, bytes) and (said := re.fullmatch(rb"(\w+) (-?\d{1,9})", line)):
                self._note(said[1].decode(), int(said[2]))
        if self.gone.is_set() or self._proven or await self._mop_up():
            self.gone.set()
        for waiting in (self._swept, self._kept):
            waiting.put_nowait(False)  # nobody will answer any more

    async def _mop_up(self) -> bool:
        """Somebody killed the shim: end whoever carries the tree's mark, which is less than the shim could do."""
        log.error("process.shim_killed", pid=self.pid)
        if self._cgroup is not None:
            self._cgroup.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while not self._is_mopped():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_PAUSE)
                return True
        return False

    def _is_mopped(self) -> bool:
        """Whether nobody was left to be ended.

        What was the shim's child is ours now, if we are a subreaper; but not before the shim is reaped, although its
        pipes are closed earlier. What carries the mark is its too; that is looked for last, as it reads all of /proc.
        """
        if self._post.process.returncode is None or any(children.end_strangers()) or not children.are_certain:
            return False
        return not _kill(_marked(self._mark))

    def _note(self, word: str, number: int) -> None:
        match word:
            case "started":
                self.pid = number
            case "swept":
                if number > 0:
                    log.info("process.swept", count=number)
                self._swept.put_nowait(number >= 0)
            case "kept":
                self._kept.put_nowait(True)
            case "memory" | "processes":
                self.on_limit(word, number)
            case "exit":
                self.exit_code = number
            case "failed":
                self.exit_code, self._proven = 127, True
            case "clean":
                self._proven = True
            case _:
                pass


async def _word(queue: "asyncio.Queue[bool]") -> bool:
    """What the shim says to an order; False if it says nothing."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SWEEP_SECONDS):
            return await queue.get()
    return False


def _must_be_folder(path: Path) -> None:
    if not stat.S_ISDIR(path.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _options(uid: int | None, stop_fd: int | None, limits: RunLimits | None) -> dict[str, int]:
    numbers: dict[str, int | None] = {"uid": uid, "stop": stop_fd}
    if limits is not None:
        numbers |= {"memory": limits.memory or None, "processes": limits.processes or None}
        numbers |= {"behind": 1 if limits.niceness else None}
    return {name: value for name, value in numbers.items() if value is not None}


def _marked(mark: str) -> list[psutil.Process]:
    name, _, value = mark.partition("=")
    return [process for process in psutil.process_iter() if name and _environ(process).get(name) == value]


def _kill(processes: Sequence[psutil.Process]) -> int:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return len(processes)


def _environ(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.Error, OSError):
        return {}
