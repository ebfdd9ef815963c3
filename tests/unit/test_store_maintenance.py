"""Copying, looking through and shrinking the file."""

import asyncio
import resource
import sqlite3
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.errors import StoreCorrupt, StoreError, StoreFromFuture
from aiagentchat.core.exchange import Wanted
from aiagentchat.core.ids import EventId
from aiagentchat.store.files import PRIVATE
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.maintenance import back_up, look_through, shrink
from aiagentchat.store.migrate import newest
from tests.contract.store_fixtures import NOW, ROOM, accept, command, command_in, incoming, parcel, settle
from tests.fakes.ledgers import fresh_ledger

PAGE = 4096
A = EventId("$a")
TWO_RUNNING = """
DROP INDEX commands_one_running;
UPDATE commands SET state = 'running', started_at = 1;
INSERT INTO commands (event_id, room_id, sender, text, session_id, state, queued_at, started_at)
SELECT '$b', room_id, sender, text, session_id, state, 1, 1 FROM commands;
"""
ASKING = """
INSERT INTO approvals (approval_id, room_id, command, tool, expires_at, state)
VALUES ('a1', '!kitchen:example.org', '$a', 'Bash', 1, 'open');
"""
OTHER_INDEX = """
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'commands_of_session')
WHERE name = 'commands_of_room';
"""
UNINDEXED = """
INSERT INTO history (event_id, room_id, sender, sent_at, heard_at, kind, body, by_agent)
VALUES ('$h', '!kitchen:example.org', '@anna:example.org', 1, 1, 'text', 'green tea', 0);
"""
UNREADABLE = """
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 9)
INSERT INTO outbox (txn_id, room_id, type, content, state, put_at) SELECT i, '!r', 't', '', 'waiting', 1 FROM numbers;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger that nobody has open, with a command and a parcel."""
    made = tmp_path / "data" / "ledger.db"
    made.parent.mkdir()
    asyncio.run(_fill(made))
    return made


async def _fill(path: Path) -> None:
    async with fresh_ledger(path) as ledger:
        await accept(ledger, command(A))
        await ledger.outbox.put([parcel("p", "x" * 50_000), parcel("q")], NOW)


def test_a_copy_opens_as_a_ledger_with_everything_in_it(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    assert back_up(path, target, force=False) == target.stat().st_size > 50_000
    assert target.stat().st_mode & 0o777 == PRIVATE
    assert sorted(tmp_path.iterdir()) == [target, path.parent]
    assert asyncio.run(_queued(target)) == [A]


async def _queued(path: Path) -> list[EventId]:
    async with fresh_ledger(path) as ledger:
        assert await ledger.outbox.unsent() == 2
        return [each.event for each in await ledger.commands.queue(ROOM)]


async def test_a_copy_is_made_while_others_write_and_holds_nobody_up(path: Path, tmp_path: Path) -> None:
    async with fresh_ledger(path) as ledger:
        written = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(_write(ledger, written))
            await written.wait()
            for number in range(5):
                await asyncio.to_thread(back_up, path, tmp_path / f"copy-{number}.db", force=False)
            writing.cancel()

        assert ledger.health().stalls == 0
        total = (await ledger.commands.counts())[CommandState.QUEUED]
    counts = [_count(tmp_path / f"copy-{number}.db") for number in range(5)]
    assert counts == sorted(counts)
    assert 1 < counts[0] <= counts[-1] <= total


async def _write(ledger: Ledger, written: asyncio.Event) -> None:
    for number in range(1_000_000):
        event = EventId(f"${number}")
        await ledger.inbox.take_in("t", [incoming(event)], NOW)
        await accept(ledger, command(event))
        if number:
            written.set()


def _count(path: Path) -> int:
    """The commands in a copy: each was accepted together with the mark of its event."""
    connection = sqlite3.connect(path)
    [commands] = connection.execute("SELECT count(*) FROM commands").fetchone()
    [routed] = connection.execute("SELECT count(*) FROM inbox WHERE routed_at IS NOT NULL").fetchone()
    connection.close()
    assert commands == routed
    return int(commands)


def test_a_file_that_is_there_is_not_replaced_unless_that_is_wanted(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    target.chmod(0o644)

    with pytest.raises(StoreError, match=r"copy\.db is there already: .* --force"):
        back_up(path, target, force=False)
    assert target.read_text() == "precious"

    back_up(path, target, force=True)
    assert _count(target) == 1
    assert target.stat().st_mode & 0o777 == PRIVATE


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "../data/ledger.db"])
def test_the_database_is_no_place_for_its_copy(path: Path, name: str) -> None:
    before = path.read_bytes()

    with pytest.raises(StoreError, match="is the database itself"):
        back_up(path, path.parent / name, force=True)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/copy\.db was not made: No such file"):
        back_up(path, tmp_path / "missing" / "copy.db", force=False)


def test_a_copy_that_fails_leaves_nothing_behind(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "copy.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("aiagentchat.store.maintenance.BUSY_SECONDS", 0.0)

    with pytest.raises(StoreError, match="locked"):
        back_up(path, target, force=False)
    other.close()
    assert list(tmp_path.iterdir()) == [path.parent]


@pytest.mark.parametrize("act", [lambda path: back_up(path, path.with_name("c"), force=False), look_through, shrink])
def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, act: object) -> None:
    assert callable(act)

    with pytest.raises(StoreError, match="There is no database"):
        act(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("act", [lambda path: back_up(path, path.with_name("c"), force=False), look_through])
def test_a_damaged_database_is_neither_copied_nor_called_sound(path: Path, act: object) -> None:
    _scribble(path)
    assert callable(act)

    with pytest.raises(StoreCorrupt, match=r"is damaged \(.*copy a backup"):
        act(path)
    assert list(path.parent.iterdir()) == [path]


def test_an_index_that_does_not_fit_its_table_is_damage(path: Path) -> None:
    _run(path, OTHER_INDEX)

    with pytest.raises(StoreCorrupt, match=r"is damaged \(.*index"):
        look_through(path)


def test_a_copy_for_which_there_is_no_room_leaves_nothing_behind(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10 * PAGE, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"copy\.db was not made: disk I/O error\. Nothing was left behind\."):
            back_up(path, target, force=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [path.parent]
    assert look_through(path) == []


def test_what_is_no_database_is_damage(path: Path) -> None:
    path.write_bytes(b"once upon a time " * 1000)

    with pytest.raises(StoreCorrupt, match="file is not a database"):
        back_up(path, path.with_name("copy.db"), force=False)


def test_a_sound_database_has_nothing_wrong_with_it(path: Path) -> None:
    assert look_through(path) == []


@pytest.mark.parametrize("state", CommandState)
async def test_what_the_ports_have_written_is_sound(tmp_path: Path, state: CommandState) -> None:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        await command_in(ledger, state)
        await ledger.outbox.put([parcel("p"), parcel("e", edits="p")], NOW)
        await ledger.outbox.claim(NOW, device="D")
        await settle(ledger)

        assert look_through(tmp_path / "ledger.db") == []


@pytest.mark.parametrize(
    ("breach", "sentence"),
    [
        ("UPDATE commands SET state = 'done'", "commands whose state and times do not fit together: $a"),
        ("UPDATE commands SET ended_at = 1", "commands whose state and times do not fit together: $a"),
        ("UPDATE commands SET state = 'running'", "commands whose state and times do not fit together: $a"),
        (TWO_RUNNING, "rooms with more than one running command: !kitchen:example.org"),
        ("UPDATE outbox SET state = 'sent' WHERE txn_id = 'p'", "parcels whose state and event do not fit together: p"),
        (
            "UPDATE outbox SET event_id = '' WHERE txn_id = 'p'",
            "parcels whose state and event do not fit together: p",
        ),
        ("UPDATE outbox SET state = 'sent', event_id = '$p'", "events that belong to more than one parcel: $p"),
        ("UPDATE outbox SET state = 'claimed'", "rooms with more than one parcel on its way: !kitchen:example.org"),
        ("UPDATE outbox SET edits = 'p'", "messages for which more than one edit waits: p"),
        ("UPDATE outbox SET edits = 'gone' WHERE txn_id = 'q'", "edits that wait for a message that is not there: q"),
        (
            "UPDATE outbox SET edits = 'p', room_id = '!elsewhere' WHERE txn_id = 'q'",
            "edits that wait for a message that is not there: q",
        ),
        (ASKING, "open questions of turns that have ended: a1"),
        (
            "INSERT INTO agent_turns VALUES ('$odd', '!kitchen:example.org', 'a b', 1)",
            "turns of agents that belong to no command: $odd",
        ),
        (
            "INSERT INTO agent_turns VALUES ('$a', '!elsewhere', 'a b', 1)",
            "turns of agents that belong to no command: $a",
        ),
        (
            "INSERT INTO halts VALUES ('!r', 'pair', 1, '', 1), ('!s', 'room', 1, 'a b', 1), ('!t', 'so', 1, '', 1)",
            "rooms in which agents are halted without a reason: !r, !s, !t",
        ),
        (
            (
                "INSERT INTO tasks (id, room_id, title, by_user, to_user, ours, state, command, created_at, changed_at)"
                " VALUES ('t1', '!kitchen:example.org', '', '', '', 'taken', 'working', '$a', 0, 0);"
                "UPDATE commands SET state = 'cancelled', ended_at = 1"
            ),
            "tasks that do not stand where their commands do: t1",
        ),
        ("UPDATE outbox SET content = '{' WHERE txn_id = 'p'", "rows that cannot be read: p"),
        ("UPDATE inbox SET mentions = ''", "rows that cannot be read: $a"),
        (UNINDEXED, "messages of the history whose words are not indexed, or words of none: $h"),
        (
            "INSERT INTO history_words (rowid, body) VALUES (7, 'tea')",
            "messages of the history whose words are not indexed, or words of none: row 7",
        ),
        ("UPDATE inbox SET awaits = 'gone'", "messages that wait for a parcel that is not on its way: $a"),
    ],
)
def test_rows_that_break_a_rule_are_named(path: Path, breach: str, sentence: str) -> None:
    _run(path, breach)

    assert look_through(path) == [sentence]


def test_many_rows_that_break_a_rule_are_named_in_part(path: Path) -> None:
    _run(path, UNREADABLE)

    assert look_through(path) == ["rows that cannot be read: 1, 2, 3, 4, 5, and more"]


def test_of_an_older_version_only_the_file_is_looked_at_and_a_newer_one_is_left_to_its_program(path: Path) -> None:
    _run(path, "DROP VIEW outbox_heads; DROP TABLE approvals; PRAGMA user_version = 1")
    assert look_through(path) == []

    _run(path, f"PRAGMA user_version = {newest() + 1}")
    with pytest.raises(StoreFromFuture, match="sound, but of a newer version"):
        look_through(path)


def test_what_was_pruned_is_given_back_to_the_disk(path: Path) -> None:
    _run(path, "DELETE FROM outbox")

    before, after = shrink(path)
    assert before - after > 40_000
    assert after == path.stat().st_size
    assert look_through(path) == []


def test_shrinking_mends_the_index_of_the_history(path: Path) -> None:
    _run(path, UNINDEXED)
    assert look_through(path) != []

    shrink(path)
    assert look_through(path) == []
    assert asyncio.run(_found(path)) == ["green tea"]


def test_an_older_version_is_shrunk_as_it_is(path: Path) -> None:
    _run(path, "DROP TABLE history_words; PRAGMA user_version = 1")

    before, after = shrink(path)
    assert after <= before


async def _found(path: Path) -> list[str]:
    async with fresh_ledger(path) as ledger:
        page = await ledger.history.search(Wanted(rooms=frozenset({ROOM}), words="tea"))
        return [said.body for said in page.messages]


def _run(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def _scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(5 * PAGE)
        file.write(b"\xa5" * PAGE)
