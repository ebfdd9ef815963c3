"""A look at the file before anything is done with it."""

from pathlib import Path

import aiosqlite
import structlog

from aiagentchat.store.files import size
from aiagentchat.store.queries import statements
from aiagentchat.store.sqlite_errors import damaged

CHECK_BYTES = 256 * 1024 * 1024
"""A larger file is not read whole at the start: this one takes about a second, on a slow disk some."""

_DATABASE = statements("database")

log = structlog.get_logger(__name__)


async def require_sound(connection: aiosqlite.Connection, path: Path) -> None:
    """Raises `StoreCorrupt` for a damaged file, and what sqlite3 raises. Writes nothing.

    In a file that is larger than CHECK_BYTES, damage is found when what is damaged is read.
    """
    if (length := size(path)) > CHECK_BYTES:
        log.warning("store.not_checked", bytes=length)
        return
    problems = [row["problem"] for row in await connection.execute_fetchall(_DATABASE["quick_check"])]
    if problems != ["ok"]:
        raise damaged(path, problems[0])
