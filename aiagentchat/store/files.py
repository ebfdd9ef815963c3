"""The database's files: nobody but their owner may read what people wrote."""

import os
from pathlib import Path

from aiagentchat.core.errors import StoreError

PRIVATE = 0o600
_BESIDE = ("-wal", "-shm")


def make_private(path: Path) -> None:
    """Create `path` if it is missing, and take from everybody but the owner whatever they may do with it.

    SQLite gives its -wal and -shm files the mode of the database. Raises `StoreError`.
    """
    try:
        _create(path)
        if not path.is_file():
            raise StoreError(f"{path} is not a file: move it away, or choose another data_dir.")
        for file in files_of(path):
            if file.exists() and file.stat().st_mode & 0o777 != PRIVATE:
                file.chmod(PRIVATE)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened ({error.strerror}): its folder must exist and belong to the user that runs this."
        ) from error


def files_of(path: Path) -> tuple[Path, ...]:
    """The database and what SQLite puts beside it, there or not."""
    return (path, *(path.with_name(path.name + suffix) for suffix in _BESIDE))


def size(path: Path) -> int:
    """Bytes that the database takes on the disk, with what has not been moved into it yet."""
    database, log, _ = files_of(path)
    return sum(file.stat().st_size for file in (database, log) if file.exists())


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, PRIVATE))
    except FileExistsError:
        # An existing one is not opened here: closing any descriptor of it would drop SQLite's locks on it.
        return
