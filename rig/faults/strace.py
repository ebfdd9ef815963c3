"""System calls that fail on purpose: strace attached to the daemon for a moment."""

import asyncio
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ATTACH_WITHIN = 5.0
DETACH_WITHIN = 10.0


class Injection:
    """What strace has done so far."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def hits(self) -> int:
        """How many calls were made to fail. Known for certain only behind the block."""
        return self._log.read_text("utf-8", "replace").count("(INJECTED)") if self._log.exists() else 0


@asynccontextmanager
async def injected(pid: int, paths: Sequence[Path], calls: Sequence[str], what: str) -> AsyncGenerator[Injection, None]:
    """While the block runs, `calls` of process `pid` on `paths` suffer `what`, e.g. `error=ENOSPC`."""
    log = paths[0].with_name("strace.log")
    log.unlink(missing_ok=True)
    traced = ",".join(calls)
    argv = ["strace", "-f", "-p", str(pid), *(word for path in paths for word in ("-P", str(path)))]
    argv += ["-e", f"trace={traced}", "-e", f"inject={traced}:{what}", "-o", str(log)]
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(ATTACH_WITHIN):
            await process.stderr.readline()  # "Process N attached", or why not
        yield Injection(log)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(DETACH_WITHIN):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


@functools.cache
def hindrance() -> str:
    """Why strace cannot attach here, "" when it can: found out by trying."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    with subprocess.Popen(["sleep", "30"]) as sleeper:
        try:
            done = subprocess.run(
                ["timeout", "-s", "INT", "0.5", "strace", "-p", str(sleeper.pid), "-o", os.devnull],
                check=False,
                capture_output=True,
                text=True,
                timeout=ATTACH_WITHIN,
            )
        finally:
            sleeper.kill()
    return "" if "attached" in done.stderr else f"strace cannot attach to a process: {done.stderr.strip()[-200:]}"
