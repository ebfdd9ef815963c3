"""Whether a commit that failed took all the same.

A disk that reports a fault while a commit is on its way leaves that open, and an attempt that is made again would find
its own traces and say that there was nothing to do. So every change notes the number of its attempt in a table that
lives in the connection's memory: it is committed and rolled back together with what was changed, and costs no write.
The number that is found there after a failure is that of the last attempt that took.
"""

import aiosqlite

from aiagentchat.store.queries import statements

_DATABASE = statements("database")


class Doubt:
    """Numbers the attempts of one connection."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._attempt = 0

    async def watch(self) -> None:
        """Note every change from now on. The tables must be there. Raises what sqlite3 raises."""
        await self._connection.create_function("attempt", 0, lambda: self._attempt)
        watches = await self._connection.execute_fetchall(_DATABASE["watches"])
        await self._connection.executescript(_DATABASE["notice"] + ";\n".join(row["watch"] for row in watches))

    def next(self) -> int:
        """The number of the attempt that begins now."""
        self._attempt += 1
        return self._attempt

    async def took(self, attempt: int) -> bool:
        """Whether the changes of this attempt, the last one so far, are there. Raises what sqlite3 raises."""
        [row] = await self._connection.execute_fetchall(_DATABASE["noticed"])
        return bool(row["attempt"] == attempt)
