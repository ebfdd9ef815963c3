"""Where the CLI is, and whether it is one that we know how to drive."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from aiagentchat.agents.claude_code.fetched import pinned, place
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.process.children import children
from aiagentchat.render import words

MINIMUM = (2, 1, 197)
"""The oldest version that the protocol was measured on."""
MEASURED = (2, 1, 329)
"""The version that the tests run."""
VERSION_SECONDS = 20.0
GLANCE_SECONDS, KEPT_SECONDS = 4.0, 60.0
"""For who only watches: how long it waits for a version, and takes a failure for what would be said now."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A CLI that can be started."""

    path: Path
    version: tuple[int, int, int]


def find(name: str, environ: Mapping[str, str], data_dir: Path | None = None) -> Path:
    """The file for `name`: a path, a program on PATH, the binary inside an installed claude-agent-sdk wheel, or the one
    that was fetched into `data_dir`.

    Raises AgentUnavailable.
    """
    if os.sep in name:
        path = Path(name).expanduser()
        if path.is_file() and os.access(path, os.X_OK):
            return path.resolve()
        raise AgentUnavailable(f"agent binary {name!r} is not an executable file", human=words.NO_BINARY)
    if found := shutil.which(name, path=environ.get("PATH", os.defpath)):
        return Path(found).resolve()
    if (bundled := _bundled()) is not None:
        return bundled
    if data_dir is not None and os.access(fetched := place(data_dir), os.X_OK):
        return fetched
    raise AgentUnavailable(
        f"agent binary {name!r} is neither on PATH nor in an installed claude-agent-sdk; "
        f"try: aiagentchat fetch-cli, or pip install --no-deps claude-agent-sdk=={pinned()}",
        human=words.NO_BINARY,
    )


def _bundled() -> Path | None:
    try:
        files = metadata.files("claude-agent-sdk") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if str(file).endswith("_bundled/claude"):
            path = Path(str(file.locate()))
            return path if path.is_file() else None  # what was installed may be half removed, or just be replaced
    return None


def readable_for(path: Path) -> tuple[Path, ...]:
    """What a run must be able to read for the binary to start: a program itself, a script also what is beside it."""
    try:
        with path.open("rb") as file:
            is_script = file.read(2) == b"#!"
    except OSError:
        is_script = False
    return (path.parent,) if is_script else (path,)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a program has said, or why it has not."""

    path: Path
    changed: float
    said: Binary | AgentUnavailable
    at: float
    within: float
    """How long it had for its answer."""

    def is_known(self, since: float, within: float, *, kept: float) -> bool:
        """Whether it need not be asked again: a failure of who had less time than we give it says nothing to us."""
        if isinstance(self.said, Binary):
            return True
        return self.at >= since - kept and (kept > 0 or self.within >= within)


class Examiner:
    """Asks a program for its version when it is another one than before, or has failed; one question at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: _Answer | None = None
        self._one = asyncio.Lock()

    async def examine(self, path: Path, *, kept: float = 0.0, within: float | None = None) -> Binary:
        """What is known of it. Raises AgentUnavailable, also for a failure that is at most `kept` seconds old.

        It gets `within` seconds for its answer.
        """
        began, changed = self._now(), _changed(path)
        patience = VERSION_SECONDS if within is None else within
        async with self._one:
            last = self._last
            is_same = last is not None and (last.path, last.changed) == (path, changed)
            if last is None or not is_same or not last.is_known(began, patience, kept=kept):
                last = self._last = await self._ask(path, changed, patience)
        if isinstance(last.said, Binary):
            return last.said
        raise last.said.with_traceback(None)

    async def _ask(self, path: Path, changed: float, within: float) -> _Answer:
        try:
            said: Binary | AgentUnavailable = await check(path, within)
        except AgentUnavailable as error:
            said = error
        return _Answer(path, changed, said, self._now(), within)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise AgentUnavailable(f"{path} cannot be looked at: {error.strerror}", human=words.NO_BINARY) from error


async def check(path: Path, within: float | None = None) -> Binary:
    """Ask the binary for its version. Raises AgentUnavailable if it has none, or one that is too old."""
    said = await _ask_version(path, VERSION_SECONDS if within is None else within)
    match = re.match(r"\s*(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        raise AgentUnavailable(
            f"{path} --version said {said[:80]!r}, which is no Claude Code version", human=words.NO_BINARY
        )
    version = (int(match[1]), int(match[2]), int(match[3]))
    if version < MINIMUM:
        raise AgentUnavailable(
            f"{path} is version {_dotted(version)}; at least {_dotted(MINIMUM)} is needed: update Claude Code",
            human=words.too_old(_dotted(version)),
        )
    return Binary(path, version)


async def _ask_version(path: Path, within: float) -> str:
    try:
        process = await children.start(
            str(path),
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # An empty HOME: with none it would look into the account's own.
            env={"PATH": os.defpath, "HOME": "/nonexistent", "CLAUDE_CONFIG_DIR": "/nonexistent"},
            start_new_session=True,  # so that what it starts can be ended with it
        )
    except OSError as error:
        raise AgentUnavailable(f"{path} cannot be started: {error.strerror}", human=words.NO_BINARY) from error
    try:
        async with asyncio.timeout(within):
            out, _ = await process.communicate()
    except TimeoutError as error:
        raise AgentUnavailable(f"{path} --version did not answer in {within:.0f} s", human=words.NO_BINARY) from error
    finally:
        if process.returncode is None:  # not answered in time, or not waited for any more
            os.killpg(process.pid, signal.SIGKILL)  # it is not reaped, so the number is still its own
            with contextlib.suppress(TimeoutError):  # who has left its session may hold its stdout
                await asyncio.wait_for(process.wait(), 1.0)
        children.ended(process)
    return out.decode("utf-8", "replace")


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
