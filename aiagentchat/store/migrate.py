"""Bring a database to the present schema: migrations/NNNN_what.sql in order, all that are missing in one transaction.

`PRAGMA user_version` is the number of the newest one that was applied, and is set in the same transaction. So an
upgrade that fails leaves the file as the program before it knows it.
"""

from pathlib import Path

import aiosqlite

from aiagentchat.core.errors import StoreFromFuture
from aiagentchat.store.queries import statements
from aiagentchat.store.soundness import require_sound

_FOLDER = Path(__file__).parent / "migrations"
_DATABASE = statements("database")


async def migrate(connection: aiosqlite.Connection, path: Path) -> None:
    """Look at the file, configure the connection and apply what is missing.

    Raises `StoreFromFuture` and `StoreCorrupt`, before anything was written, and what sqlite3 raises.
    """
    migrations = _migrations()
    await connection.executescript(_DATABASE["distrust"])
    [row] = await connection.execute_fetchall(_DATABASE["version"])
    version = row[0]
    if version > max(migrations):
        raise StoreFromFuture(
            f"The database {path} is of version {version}, and this program knows {max(migrations)}: run the newer "
            "program, or restore the backup that was made before the upgrade. Nothing was changed."
        )
    await require_sound(connection, path)
    await connection.executescript(_DATABASE["configure"])
    missing = [script for number, script in migrations.items() if number > version]
    if missing:
        # Where one fails, the connection is closed, and with it the transaction is gone.
        whole = "\n".join(missing)
        await connection.executescript(f"BEGIN IMMEDIATE;\n{whole}\nPRAGMA user_version = {max(migrations)};\nCOMMIT;")


def newest() -> int:
    """The version that this program works with."""
    return max(_migrations())


def _migrations() -> dict[int, str]:
    """The scripts by number, oldest first."""
    return {
        int(file.name.partition("_")[0]): file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.sql"))
    }
