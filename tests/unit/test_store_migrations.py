"""A database of an older version keeps everything that it holds."""

import sqlite3
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalKind
from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import ApprovalId, EventId, TxnId
from aiagentchat.core.parcels import Urgency
from aiagentchat.store import migrate
from aiagentchat.store.ledger import open_ledger
from tests.contract.store_fixtures import ANNA, DEVICE, NOW, ROOM, SESSION, command, incoming

MIGRATIONS = Path(migrate.__file__).parent / "migrations"
TABLES = ("accounts", "sync_token", "inbox", "rooms", "sessions", "commands", "approvals", "outbox", "refusals")
OF_VERSION_1 = f"""
INSERT INTO accounts VALUES ('{ANNA}', 'D', 'token');
INSERT INTO sync_token VALUES (1, 't9');
INSERT INTO inbox VALUES (1, '$done', '{ROOM}', '{ANNA}', {NOW}, 'text', 'hello', NULL, '[]', {NOW}, {NOW});
INSERT INTO inbox VALUES (2, '$new', '{ROOM}', '{ANNA}', {NOW}, 'text', 'hello', NULL, '[]', {NOW}, NULL);
INSERT INTO rooms VALUES ('{ROOM}', 'kitchen', '{SESSION}');
INSERT INTO sessions VALUES ('{SESSION}', {NOW});
INSERT INTO commands VALUES (1, '$done', '{ROOM}', '{ANNA}', 'make tea', '{SESSION}', 'done', NULL, {NOW}, {NOW}, {NOW},
                             1500, 20, 300, 40);
INSERT INTO commands VALUES (2, '$cut', '{ROOM}', '{ANNA}', 'make tea', '{SESSION}', 'running', '{ANNA}', {NOW}, {NOW},
                             NULL, 0, 0, 0, 0);
INSERT INTO commands VALUES (3, '$wait', '{ROOM}', '{ANNA}', 'make tea', '{SESSION}', 'queued', NULL, {NOW}, NULL,
                             NULL, 0, 0, 0, 0);
INSERT INTO approvals VALUES (1, 'a1', '{ROOM}', '$cut', 'Bash', {NOW}, 'open', NULL, '');
INSERT INTO outbox VALUES (1, 'p1', '{ROOM}', 'm.room.message', '{{"body":"one"}}', NULL, '$done', NULL, 'sent', {NOW},
                           0, 1, '$p1', {NOW}, NULL);
INSERT INTO outbox VALUES (2, 'e1', '{ROOM}', 'm.room.message', '{{"body":"uno"}}', 'p1', '$done', NULL, 'superseded',
                           {NOW}, 0, 0, NULL, NULL, NULL);
INSERT INTO outbox VALUES (3, 'e2', '{ROOM}', 'm.room.message', '{{"body":"ein"}}', 'p1', '$done', NULL, 'claimed',
                           {NOW}, 0, 1, NULL, NULL, NULL);
INSERT INTO outbox VALUES (4, 'p2', '{ROOM}', 'm.room.message', '{{"body":"two"}}', NULL, '$done', NULL, 'waiting',
                           {NOW}, 7, 0, NULL, NULL, NULL);
INSERT INTO refusals VALUES ('{ROOM}', '2026-01-01', 2);
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "ledger.db"
    connection = sqlite3.connect(made)
    connection.executescript((MIGRATIONS / "0001_first.sql").read_text(encoding="utf-8") + OF_VERSION_1)
    connection.close()
    return made


async def test_every_row_keeps_every_value(path: Path) -> None:
    before = _rows(path)
    async with open_ledger(path) as ledger:
        login = await ledger.accounts.login(ANNA)

    after = _rows(path)
    assert login is not None
    after["accounts"][0]["access_token"] = login.access_token  # sealed, since then
    assert {table: len(rows) for table, rows in before.items()} == {table: len(rows) for table, rows in after.items()}
    for table, rows in before.items():
        kept = [{name: row[name] for name in old} for old, row in zip(rows, after[table], strict=True)]
        assert rows
        assert kept == rows


async def test_a_life_goes_on_from_it(path: Path) -> None:
    async with open_ledger(path) as ledger:
        assert await ledger.inbox.token() == "t9"
        assert await ledger.inbox.unrouted(10) == [incoming("$new")]
        assert [each.event for each in await ledger.commands.running()] == ["$cut"]
        assert await ledger.commands.stop_requested(EventId("$cut")) == ANNA
        assert await ledger.commands.next_queued(ROOM) == command("$wait")
        assert (await ledger.commands.counts())[CommandState.DONE] == 1
        assert await ledger.approvals.open_in(ROOM) == [
            Approval(
                id=ApprovalId("a1"),
                room=ROOM,
                command=EventId("$cut"),
                tool="Bash",
                expires_at=NOW,
                kind=ApprovalKind.TOOL,
            )
        ]
        assert await ledger.rooms.slug(ROOM, "renamed") == "kitchen"
        assert await ledger.sessions.begun(SESSION)


async def test_what_was_on_its_way_goes_in_its_order(path: Path) -> None:
    async with open_ledger(path) as ledger:
        await ledger.outbox.release_claims()
        first = await ledger.outbox.claim(NOW, device=DEVICE)
        assert first is not None
        assert (first.parcel.txn, first.parcel.content, first.parcel.urgency) == ("e2", {"body": "ein"}, Urgency.NEEDED)
        assert await ledger.outbox.event_of(TxnId("p1")) == "$p1"
        await ledger.outbox.sent(first.parcel.txn, EventId("$e2"), NOW)

        second = await ledger.outbox.claim(NOW, device=DEVICE)
        assert second is not None
        assert second.parcel.txn == "p2"
        assert second.tried_at is None


def _rows(path: Path) -> dict[str, list[dict[str, object]]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    rows = {
        table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")] for table in TABLES
    }
    connection.close()
    return rows
