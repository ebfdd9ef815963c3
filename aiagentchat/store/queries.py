"""The statements of sql/<table>.sql, by name.

aiosql reads the files; `Database` runs the text. (aiosql's own adapter opens and closes a cursor around each
statement: three hops to the connection's thread where one is enough.)
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import aiosql

_FOLDER = Path(__file__).parent / "sql"


@cache
def statements(table: str) -> Mapping[str, str]:
    """The text of every statement in sql/`table`.sql."""
    queries = aiosql.from_path(_FOLDER / f"{table}.sql", "aiosqlite", mandatory_parameters=False, encoding="utf-8")
    return {name: getattr(queries, name).sql for name in queries.available_queries if not name.endswith("_cursor")}
