"""Where the log is read from: a file, the standard input, or the journal of systemd. Lines come as they are."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import IO

from aiagentchat.core.errors import AppError

LOOK_SECONDS = 0.5
"""How often it is looked whether a file that is followed has grown."""
LEAVE_SECONDS = 2.0
NO_ENTRIES = "-- No entries --"
"""What journalctl may say in the place of lines."""


def pause() -> None:
    """Between two looks at a file."""
    time.sleep(LOOK_SECONDS)


def lines_of(stream: IO[bytes]) -> Iterator[str]:
    """Every line until the end."""
    for raw in stream:
        yield raw.decode("utf-8", "replace")


def file_lines(path: Path, *, follow: bool, from_begin: bool, wait: Callable[[], None] = pause) -> Iterator[str]:
    """The lines of a file; with `follow` also what comes, across rotation, until interrupted. Raises AppError."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise AppError(f"The log {path} cannot be read: {error.strerror}.") from None
    rest = b""
    if follow and not from_begin:
        stream.seek(0, 2)
    while True:
        with stream:
            while True:
                raw = stream.readline()
                if raw.endswith(b"\n") or (raw and not follow):
                    yield (rest + raw).decode("utf-8", "replace")
                    rest = b""
                    continue
                rest += raw  # half of a line: its other half comes
                if raw:
                    continue
                if not follow:
                    return
                if _is_another(path, stream):
                    break
                wait()
        stream, rest = path.open("rb"), b""


def _is_another(path: Path, stream: IO[bytes]) -> bool:
    """Whether there is a new file of the name, or the old one was emptied."""
    try:
        now = path.stat()
    except OSError:
        return False  # between two files
    with_us = Path(f"/proc/self/fd/{stream.fileno()}").stat()
    return now.st_ino != with_us.st_ino or now.st_size < stream.tell()


def journal_lines(unit: str, *, follow: bool, since: int) -> Iterator[str]:
    """What a unit of systemd has written. Raises AppError."""
    program = which("journalctl")
    if program is None:
        raise AppError(
            "There is no journalctl here: name the file that holds the log, or - for the standard input, as in "
            "docker compose logs --no-log-prefix --follow aiagentchat | aiagentchat logs -"
        )
    wish = [f"--since=@{since // 1000}"] if since else ["--lines=0" if follow else "--lines=all"]
    wish += ["--follow"] if follow else []
    with subprocess.Popen(  # noqa: S603 - no shell, and the unit is one argument
        [program, f"--unit={unit}", "--output=cat", "--no-pager", *wish], stdout=subprocess.PIPE
    ) as journal:
        assert journal.stdout is not None
        is_empty = True
        try:
            for line in lines_of(journal.stdout):
                if line.strip() != NO_ENTRIES:
                    is_empty = False
                    yield line
            if code := journal.wait():
                raise AppError(f"journalctl has ended with exit code {code}; what it says stands above.")
            if is_empty and not since:
                raise AppError(
                    f"The journal has nothing of the unit {unit} that you may read: it is another one (--unit), or you "
                    "are neither root nor in the group systemd-journal. Where no systemd runs the daemon, name the "
                    "file with its log, or - for the standard input."
                )
        finally:
            journal.terminate()
            try:
                journal.wait(LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                journal.kill()
