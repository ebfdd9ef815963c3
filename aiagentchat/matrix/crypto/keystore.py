"""The file that the keys are in: nio's store, written in whole steps, and with what nio does not remember.

nio writes each key in a transaction of its own and waits for the disk each time. Here a step is one transaction, whose
commit is waited for beside the loop. What was received is remembered, too: a message that is told again after a crash
would not open a second time, and a message of a room that comes once more under another id must be known as a replay.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nio.crypto.sessions import InboundGroupSession
from nio.store.database import SqliteStore
from peewee import PeeweeException, SqliteDatabase

from aiagentchat.core.errors import StoreError
from aiagentchat.core.ids import RoomId, UserId

MOST_HEARD = 5000
"""To-device messages that are known again: more than come between two commits of the sync token."""
MOST_WITHHELD = 5000
"""Keys of which is remembered why they were not given."""

_TABLES = """
CREATE TABLE IF NOT EXISTS heard (place INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS said (
    session_id TEXT NOT NULL, message_index INTEGER NOT NULL, event_id TEXT NOT NULL,
    PRIMARY KEY (session_id, message_index)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS withheld (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    room_id TEXT NOT NULL, session_id TEXT NOT NULL, sender TEXT NOT NULL, code TEXT NOT NULL,
    UNIQUE (room_id, session_id, sender));
CREATE INDEX IF NOT EXISTS sessions_of_a_device ON megolminboundsessions (sender_key);
"""
_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


class KeyStore(SqliteStore):
    """Made by `open_key_store`."""

    def __post_init__(self) -> None:
        """Open it."""
        super().__post_init__()
        self._lock = asyncio.Lock()
        self.on_failed: Callable[[], None] = lambda: None
        """Called when a step was taken back."""
        for table in _TABLES.split(";\n"):
            self.database.execute_sql(table)

    def _create_database(self) -> SqliteDatabase:
        # One connection, used by one thread after the other: the commit has one of its own.
        return SqliteDatabase(self.database_path, pragmas=_PRAGMAS, thread_safe=False, check_same_thread=False)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """What is written in the block is there when it ends, all of it, also if it ends by an error of the caller's.

        What is in memory has moved on by then, and must not be ahead of the file: where it cannot be written, memory
        goes back to what the file has (`on_failed`). Raises StoreError.
        """
        async with self._lock:
            transaction = self.database.transaction()
            try:
                transaction.__enter__()
                try:
                    yield
                except PeeweeException as error:
                    transaction.__exit__(type(error), error, None)  # back
                    raise
                except BaseException:
                    await _to_its_end(asyncio.get_running_loop().run_in_executor(None, _commit, transaction))
                    raise
                await _to_its_end(asyncio.get_running_loop().run_in_executor(None, _commit, transaction))
            except PeeweeException as error:
                self.on_failed()
                raise StoreError(f"the keys in {self.database_path} cannot be written: {error}") from error

    async def close(self) -> None:
        """No more."""
        async with self._lock:
            self.database.close()

    def save_inbound_group_session(self, session: InboundGroupSession) -> None:
        """A key of a room, apart from the copies of others who have it. In a step.

        nio has one place for each session id, in which whoever gives a key away as their own would replace its maker's.
        """
        self.forget_session(session)
        place, pickled = _place(session), session.pickle(self.pickle_key)
        self.database.execute_sql(
            "INSERT INTO megolminboundsessions (session_id, account_id, sender_key, fp_key, room_id, session)"
            " SELECT ?, id, ?, ?, ?, ? FROM accounts WHERE user_id = ? AND device_id = ?",
            (place, session.sender_key, session.ed25519, session.room_id, pickled, self.user_id, self.device_id),
        )
        for link in session.forwarding_chain:
            self.database.execute_sql(
                "INSERT OR IGNORE INTO forwardedchains (sender_key, session_id) VALUES (?, ?)", (link, place)
            )

    def forget_session(self, session: InboundGroupSession) -> None:
        """A key of a room, with its chain. In a step."""
        self.database.execute_sql(
            # By its id alone it stood there once.
            "DELETE FROM megolminboundsessions WHERE session_id IN (?, ?) AND sender_key = ? AND room_id = ?",
            (_place(session), session.id, session.sender_key, session.room_id),
        )

    def sessions_beyond(self, sender_key: str, most: int, *, besides: str) -> list[tuple[str, str]]:
        """Room and id of all keys of a device but the last `most` that came, not counting what came from `besides`."""
        [[count]] = self.database.execute_sql(
            "SELECT count(*) FROM megolminboundsessions WHERE sender_key = ?", (sender_key,)
        ).fetchall()
        if count <= most:
            return []
        rows = self.database.execute_sql(
            "SELECT room_id, session_id FROM megolminboundsessions AS kept WHERE sender_key = ? AND NOT EXISTS ("
            "SELECT 1 FROM forwardedchains AS chain WHERE chain.session_id = kept.session_id AND chain.sender_key = ?)"
            " ORDER BY rowid DESC LIMIT -1 OFFSET ?",
            (sender_key, besides, most),
        ).fetchall()
        return [(room, place.partition(" ")[0]) for room, place in rows]

    # --- what was received

    def is_heard(self, message: str) -> bool:
        """Whether this to-device message came before; from now on it did. In a step."""
        digest = hashlib.sha256(message.encode("utf-8", "replace")).digest()
        self.database.execute_sql("INSERT OR IGNORE INTO heard (digest) VALUES (?)", (digest,))
        [[fresh]] = self.database.execute_sql("SELECT changes()").fetchall()
        if fresh:
            self.database.execute_sql(
                "DELETE FROM heard WHERE place <= (SELECT max(place) FROM heard) - ?", (MOST_HEARD,)
            )
        return not fresh

    def said_as(self, session: str, index: int) -> str | None:
        """The event that this message of a session was."""
        rows = self.database.execute_sql(
            # The session's id alone stood there once, before it was known whose copy of the key it was.
            "SELECT event_id FROM said WHERE session_id IN (?, ?) AND message_index = ?",
            (session, session.partition(" ")[0], index),
        ).fetchall()
        return str(rows[0][0]) if rows else None

    def keep_said(self, said: Iterable[tuple[str, int, str]]) -> None:
        """Session, index and event of messages. In a step."""
        for row in said:
            self.database.execute_sql("INSERT OR IGNORE INTO said VALUES (?, ?, ?)", row)

    def forget_said(self, session: InboundGroupSession) -> None:
        """What was said with this copy of a session. In a step."""
        self.database.execute_sql("DELETE FROM said WHERE session_id = ?", (f"{session.id} {session.sender_key}",))

    def keep_withheld(self, room: str, session: str, sender: str, code: str) -> None:
        """Why `sender` does not give a key; an empty session stands for all. In a step."""
        self.database.execute_sql(
            "INSERT OR REPLACE INTO withheld (room_id, session_id, sender, code) VALUES (?, ?, ?, ?)",
            (room, session, sender, code),
        )
        self.database.execute_sql(
            "DELETE FROM withheld WHERE place <= (SELECT max(place) FROM withheld) - ?", (MOST_WITHHELD,)
        )

    def withheld(self, room: RoomId, session: str, sender: UserId) -> str | None:
        """Why `sender` did not give the key, as far as was said."""
        rows = self.database.execute_sql(
            "SELECT code FROM withheld WHERE sender = ? AND room_id IN (?, '') AND session_id IN (?, '')"
            " ORDER BY session_id = '' LIMIT 1",
            (sender, room, session),
        ).fetchall()
        return str(rows[0][0]) if rows else None


def file_of(folder: Path, user: str, device: str) -> Path:
    """Where the keys of a device are: a name that any device id can have."""
    name = f"{user}\0{device}".encode()
    return folder / f"{hashlib.sha256(name).hexdigest()[:32]}.db"


def open_key_store(file: Path, user: str, device: str, pickle_key: str) -> KeyStore:
    """The store in `file`, made if it is not there, for nobody else to read. Raises OSError and PeeweeException."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # What SQLite puts beside it has the mode of the file.
        os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
    finally:
        os.close(descriptor)
    return KeyStore(user, device, str(file.parent), pickle_key, file.name)


def _place(session: InboundGroupSession) -> str:
    return f"{session.id} {session.sender_key} {session.room_id}"


def _commit(transaction: Any) -> None:  # noqa: ANN401 - peewee has no types
    transaction.__exit__(None, None, None)


async def _to_its_end(work: "asyncio.Future[None]") -> None:
    """Wait for it, also when cancelled: whoever comes next must not find it half done."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise
