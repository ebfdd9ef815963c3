"""A disk that fails when the test says so: a seam in front of the real SQLite, not in its place."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

Result = TypeVar("Result")


class When(Enum):
    """Whether what was asked for is done all the same."""

    BEFORE = "before it took"
    AFTER = "after it took"


@dataclass(frozen=True, slots=True)
class Fault:
    """The next statement that begins with `words` fails."""

    words: str
    when: When = When.BEFORE
    code: int = sqlite3.SQLITE_IOERR_FSYNC


class FakeDisk:
    """Under the connections of its `factory`, the faults that are planned happen, each once and in their order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.happened = 0
        disk = self

        class Connection(sqlite3.Connection):
            """On that disk."""

            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                return disk._do(sql, lambda: sqlite3.Connection.execute(self, sql, parameters))

            def commit(self) -> None:
                disk._do("COMMIT", lambda: sqlite3.Connection.commit(self))

            def rollback(self) -> None:
                disk._do("ROLLBACK", lambda: sqlite3.Connection.rollback(self))

        self.factory: type[sqlite3.Connection] = Connection

    def plan(self, *faults: Fault) -> None:
        """Add faults to come."""
        self.faults += faults

    def _do(self, sql: str, act: Callable[[], Result]) -> Result:
        if not (self.faults and sql.startswith(self.faults[0].words)):
            return act()
        fault = self.faults.pop(0)
        self.happened += 1
        if fault.when is When.AFTER:
            act()
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = fault.code
        raise error
