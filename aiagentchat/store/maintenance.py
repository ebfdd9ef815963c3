"""What an operator does with the database's file: copy it, look through it, shrink it. No daemon is needed for it.

Copying and looking work while a daemon writes. Shrinking does not: whoever calls owns the data_dir.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aiagentchat.core.audit import AuditKind, AuditLine, Deed
from aiagentchat.core.errors import StoreError, StoreFromFuture
from aiagentchat.core.ids import RoomId
from aiagentchat.store.audit import row_of
from aiagentchat.store.files import PRIVATE, files_of, size
from aiagentchat.store.invariants import broken
from aiagentchat.store.migrate import newest
from aiagentchat.store.queries import statements
from aiagentchat.store.sqlite_errors import damaged, translated

BUSY_SECONDS = 5.0
"""How long another process that writes is waited for."""

_AUDIT = statements("audit")
_DATABASE = statements("database")
_GRANTS = statements("grants")
_HISTORY = statements("history")
_MADE_ROOMS = statements("made_rooms")


def back_up(path: Path, target: Path, *, force: bool) -> int:
    """Copy the database at `path` to `target`, all of one moment, while others write; how many bytes that are.

    The copy was read through, only its owner can read it, and it is there whole or not at all. Raises `StoreError`,
    also when `target` is there already and may not be replaced, and `StoreCorrupt` for a database that is damaged.
    """
    require(path)
    if target.resolve() in {file.resolve() for file in files_of(path)}:
        raise StoreError(f"{target} is the database itself: name another file.")
    with _reserved(target, force=force) as fresh:
        _copy(path, fresh, target)
        return fresh.stat().st_size


def look_through(path: Path) -> list[str]:
    """What is wrong with the rows: nothing, as a rule. Works while others write.

    Raises `StoreCorrupt` for a database that is damaged, `StoreFromFuture` for one of a newer version, and
    `StoreError`.
    """
    with _opened(path) as connection:
        connection.execute("BEGIN")  # one moment for everything
        [version] = connection.execute(_DATABASE["version"]).fetchone()
        problems = [problem for (problem,) in connection.execute(_DATABASE["integrity_check"])]
        if problems != ["ok"]:
            raise damaged(path, "; ".join(problems))
        if version > newest():
            raise StoreFromFuture(f"The database {path} is sound, but of a newer version: check it with that program.")
        if version < newest():
            return []  # the rows do not have today's columns; the next start brings them
        return list(broken(connection))


def shrink(path: Path) -> tuple[int, int]:
    """Give the space of what was pruned back to the disk, and index the history anew; bytes before and after.

    Nobody else may use the database meanwhile. Raises `StoreError`.
    """
    with _opened(path) as connection:
        before = size(path)
        [version] = connection.execute(_DATABASE["version"]).fetchone()
        if version == newest():
            connection.execute(_HISTORY["rebuild"])
        connection.execute(_DATABASE["vacuum"])
        connection.execute(_DATABASE["checkpoint"])
        return before, size(path)


def unmake_room(path: Path, room: RoomId, now: int) -> None:
    """Take a room away that was made in chat, with what was given there, also while a daemon runs: at its next reload
    it leaves the room.

    Raises `StoreError`.
    """
    with _opened(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_MADE_ROOMS["leave_now"], {"room": room})
        connection.execute(_MADE_ROOMS["unmake"], {"room": room})
        taken = connection.execute(_GRANTS["take_all"], {"room": room}).rowcount
        deed = Deed(kind=AuditKind.ROOM_UNMADE, room=room, detail={"grants": taken})
        connection.execute(_AUDIT["write"], row_of(AuditLine(at=now, deed=deed)))
        connection.execute("COMMIT")


def _copy(path: Path, fresh: Path, target: Path) -> None:
    with _opened(path) as source:
        source.execute(_DATABASE["version"]).fetchall()  # whatever is wrong below, it is not that this is no database
        try:
            with closing(sqlite3.connect(fresh, isolation_level=None)) as copy:
                source.backup(copy)  # in one step: it holds nobody up, and nobody makes it begin again
                copy.executescript(_DATABASE["one_file"])
                [problem] = copy.execute(_DATABASE["quick_check"]).fetchone()
        except sqlite3.Error as error:
            raise _not_made(target, str(error)) from error
    if problem != "ok":
        raise damaged(path, str(problem))
    with fresh.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, which must be there. Raises `StoreError` for what sqlite3 raises."""
    require(path)
    with translated(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        with closing(connection):
            connection.executescript(_DATABASE["distrust"])
            yield connection


def require(path: Path) -> None:
    """Raises `StoreError` where there is no database."""
    if not path.is_file():
        raise StoreError(f"There is no database at {path}: the daemon makes it when it starts; is this its config?")


@contextmanager
def _reserved(target: Path, *, force: bool) -> Iterator[Path]:
    """A file beside `target` that takes its place in the end. Without `force`, `target` is ours from the beginning."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    reserved = not force
    try:
        if reserved:
            _create(target)
        try:
            fresh.unlink(missing_ok=True)
            _create(fresh)
            yield fresh
            fresh.replace(target)
            reserved = False
        finally:
            fresh.unlink(missing_ok=True)
            if reserved:
                target.unlink(missing_ok=True)
    except FileExistsError as error:
        raise StoreError(f"{target} is there already: name another file, or add --force to replace it.") from error
    except OSError as error:
        raise _not_made(target, error.strerror) from error


def _not_made(target: Path, why: str | None) -> StoreError:
    return StoreError(f"The backup {target} was not made: {why}. Nothing was left behind.")


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, PRIVATE))
