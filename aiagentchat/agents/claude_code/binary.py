"""Where the CLI is, and whether it is one that we know how to drive."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping
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
            return Path(str(file.locate()))
    return None


def readable_for(path: Path) -> tuple[Path, ...]:
    """What a run must be able to read for the binary to start: a program itself, a script also what is beside it."""
    try:
        with path.open("rb") as file:
            is_script = file.read(2) == b"#!"
    except OSError:
        is_script = False
    return (path.parent,) if is_script else (path,)


async def check(path: Path) -> Binary:
    """Ask the binary for its version. Raises AgentUnavailable if it has none, or one that is too old."""
    said = await _ask_version(path)
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


async def _ask_version(path: Path) -> str:
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
        async with asyncio.timeout(VERSION_SECONDS):
            out, _ = await process.communicate()
    except TimeoutError as error:
        raise AgentUnavailable(
            f"{path} --version did not answer in {VERSION_SECONDS:.0f} s", human=words.NO_BINARY
        ) from error
    finally:
        if process.returncode is None:  # not answered in time, or not waited for any more
            os.killpg(process.pid, signal.SIGKILL)  # it is not reaped, so the number is still its own
            with contextlib.suppress(TimeoutError):  # who has left its session may hold its stdout
                await asyncio.wait_for(process.wait(), 1.0)
        children.ended(process)
    return out.decode("utf-8", "replace")


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
