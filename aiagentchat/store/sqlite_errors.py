"""The border: what sqlite3 raises becomes `StoreError`, with what the operator can do about it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiagentchat.core.errors import StoreError

_WHAT_TO_DO = {
    sqlite3.SQLITE_BUSY: "Another process is writing to it; end that process, or try again.",
    sqlite3.SQLITE_CANTOPEN: "Its folder must exist and belong to the user that runs this.",
    sqlite3.SQLITE_CORRUPT: "Restore it from a backup.",
    sqlite3.SQLITE_FULL: "Free some space on the disk.",
    sqlite3.SQLITE_NOTADB: "Move the file away, restore a backup, or choose another data_dir.",
    sqlite3.SQLITE_READONLY: "The file and its folder must belong to the user that runs this.",
}
_PRIMARY = 0xFF  # an extended code carries the primary one in its lowest byte


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise `StoreError` where sqlite3 raises anything. Its texts name tables and columns, never values."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        advice = _WHAT_TO_DO.get(code & _PRIMARY, "The log of this error is worth a bug report.")
        raise StoreError(f"The database {path} cannot be used: {error}. {advice}") from error
