"""The SQL files: every statement is explained, used, and served by an index."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiosql
import pytest

import aiagentchat.store
from aiagentchat.store.queries import statements

STORE = Path(aiagentchat.store.__file__).parent
TABLES = sorted(file.stem for file in (STORE / "sql").glob("*.sql"))
FEW_ROWS = {
    "accounts.logins",
    "gateway_tokens.forget",
    "gateway_tokens.valid",
    "glance.slugs",
    "glance.where_we_are",
    "guards.halts",
    "history.newest",
    "history.take_place",
    "housekeeping.prune_agent_turns",
    "made_rooms.made",
    "made_rooms.waiting",
    "keyring.encrypted_rooms",
    "rooms.slugs",
    "rooms.uids",
    "runs.left",
    "seals.forget_told",
    "housekeeping.prune_rules",
    "housekeeping.prune_sessions",
    "housekeeping.prune_refusals",
}
"""Statements that may read their whole table, because it has a few rows for each room and not one for each message, or
one for each table.
"""

BY_HAND = {"life.lines", "life.parcels", "life.task"}
"""Statements that may, because an operator runs them once, beside the daemon."""

WHOLE = {"database", "invariants"}
"""Files whose statements are there to read everything, or no table at all."""


@pytest.fixture(scope="module")
def empty() -> Iterator[sqlite3.Connection]:
    """A database with every table, in which nothing is changed."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in sorted((STORE / "migrations").glob("*.sql")):
            connection.executescript(migration.read_text(encoding="utf-8"))
        yield connection


def test_the_code_uses_exactly_the_statements_there_are() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in STORE.glob("*.py"))
    used = {f"{table.lower()}.{name}" for table, name in re.findall(r"_([A-Z_]+)\[\"(\w+)\"\]", source)}

    assert used == {f"{table}.{name}" for table in TABLES for name in statements(table)}


@pytest.mark.parametrize("table", TABLES)
def test_loading_the_statements_says_nothing(table: str, caplog: pytest.LogCaptureFixture) -> None:
    statements.cache_clear()

    assert statements(table)
    assert caplog.text == ""


@pytest.mark.parametrize("table", TABLES)
def test_every_statement_has_a_sentence(table: str) -> None:
    queries = aiosql.from_path(STORE / "sql" / f"{table}.sql", "aiosqlite", mandatory_parameters=False)
    bare = [name for name in queries.available_queries if not (getattr(queries, name).__doc__ or "").endswith(".")]

    assert bare == []


@pytest.mark.parametrize(
    "statement",
    sorted(
        f"{table}.{name}"
        for table in TABLES
        for name in statements(table)
        if table not in WHOLE and f"{table}.{name}" not in FEW_ROWS | BY_HAND
    ),
)
def test_no_statement_reads_a_whole_table(empty: sqlite3.Connection, statement: str) -> None:
    table, _, name = statement.partition(".")
    anything: defaultdict[str, str] = defaultdict(str)
    plan = [row[3] for row in empty.execute(f"EXPLAIN QUERY PLAN {statements(table)[name]}", anything)]
    made = {step.split()[1] for step in plan if step.startswith(("CO-ROUTINE ", "MATERIALIZE "))}
    scanned = [step.removeprefix("SCAN ") for step in plan if re.fullmatch(r"SCAN (?!CONSTANT ROW)\w+", step)]
    assert [name for name in scanned if name not in made] == []
