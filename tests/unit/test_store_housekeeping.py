"""What is over is forgotten after a while, and nothing that is not over."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.access import Grant, Role
from aiagentchat.core.approvals import Approval, ApprovalKind, ApprovalState, Rule
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import (
    AcceptCommand,
    CountRefusal,
    DecideApproval,
    GiveRole,
    LeaveRoom,
    NewSession,
    OpenApproval,
    OpenTask,
    PutParcel,
)
from aiagentchat.core.ids import ApprovalId, EventId, MessageId, SessionId, TaskId, TxnId, UserId
from aiagentchat.core.messages import Kind
from aiagentchat.core.meta import Address
from aiagentchat.core.tasks import Ours, Task, TaskState
from aiagentchat.store import housekeeping
from aiagentchat.store.database import open_database
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    DEVICE,
    NOW,
    OTHER_SESSION,
    ROOM,
    SESSION,
    accept,
    command,
    command_in,
    incoming,
    parcel,
    settle,
    waiting_texts,
)
from tests.fakes.ledgers import fresh_ledger

A, B = EventId("$a"), EventId("$b")
LATER = NOW + 1
YEARS = NOW + 10_000 * 24 * 3_600_000
SECRET = "correct horse battery staple"
ASKED = Approval(id=ApprovalId("a1"), room=ROOM, command=A, tool="Bash", expires_at=NOW, shown=SECRET)
NOTHING = {"questions": 0, "parcels": 0, "commands": 0, "events": 0, "sessions": 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with fresh_ledger(path) as opened:
        yield opened


async def _answered(ledger: Ledger) -> None:
    """A command that asked a question, was answered and has ended, in a conversation that is over."""
    asked = replace(command(A), text=SECRET)
    unread = replace(incoming("$odd", SECRET), kind=Kind.MALFORMED, raw=SECRET)
    await ledger.inbox.take_in("t", [incoming(A, SECRET), unread], NOW)
    await ledger.inbox.settle(unread.event, [], NOW)
    await ledger.inbox.settle(A, [AcceptCommand(asked), PutParcel(parcel("eyes", SECRET))], NOW)
    await ledger.sessions.mark_begun(SESSION, NOW)
    await ledger.commands.start(A, NOW)
    await ledger.approvals.ask(ASKED, [parcel("q", SECRET)], NOW)
    no = DecideApproval(approval=ASKED.id, state=ApprovalState.DENIED, by=ANNA, reason=SECRET)
    await settle(ledger, no, event="$no")
    await ledger.commands.finish(A, CommandState.DONE, TurnRecord(), [parcel("p", SECRET)], NOW)
    await waiting_texts(ledger)
    await settle(ledger, NewSession(ROOM, OTHER_SESSION), CountRefusal(ROOM, "2023-11-14"), event="$new")


async def test_the_text_goes_first_and_the_row_stays(ledger: Ledger) -> None:
    await _answered(ledger)

    assert await ledger.housekeeping.erase(LATER) == 9
    event, kept, question = (
        await ledger.inbox.get(A),
        await ledger.commands.get(A),
        await ledger.approvals.get(ASKED.id),
    )
    assert event == incoming(A, "")
    assert kept == replace(command(A), text="", state=CommandState.DONE, started_at=NOW)
    assert question == replace(ASKED, shown="", state=ApprovalState.DENIED, decided_by=ANNA)
    sent = await ledger.outbox.parcel_of(EventId("$sent-p"))
    assert sent is not None
    assert sent.content == {}
    assert await ledger.inbox.get(EventId("$odd")) == replace(incoming("$odd", ""), kind=Kind.MALFORMED)
    assert await ledger.housekeeping.erase(LATER) == 0


async def test_the_row_goes_later_and_a_later_sync_changes_nothing_else(ledger: Ledger) -> None:
    await _answered(ledger)

    pruned = await ledger.housekeeping.prune(LATER)
    assert pruned == {"questions": 1, "parcels": 3, "commands": 1, "events": 4, "sessions": 1}
    assert await ledger.inbox.get(A) is None
    assert await ledger.commands.get(A) is None
    assert await ledger.approvals.get(ASKED.id) is None
    assert await ledger.outbox.event_of(TxnId("p")) is None
    assert not await ledger.sessions.begun(SESSION)
    assert await ledger.sessions.current(ROOM) == OTHER_SESSION
    assert await ledger.inbox.token() == "token"
    assert await ledger.housekeeping.prune(LATER) == NOTHING


async def test_nothing_goes_before_its_time(ledger: Ledger) -> None:
    await _answered(ledger)

    assert await ledger.housekeeping.erase(NOW) == 0
    assert await ledger.housekeeping.prune(NOW) == NOTHING
    assert await ledger.rooms.refusals(ROOM, "2023-11-14") == 1


async def test_refusals_are_forgotten_with_their_day(ledger: Ledger) -> None:
    today = CountRefusal(ROOM, "2023-11-14")  # the day of NOW
    await settle(ledger, today, CountRefusal(ROOM, "2023-11-13"))
    await ledger.housekeeping.prune(NOW)

    assert await ledger.rooms.refusals(ROOM, "2023-11-14") == 1
    assert await ledger.rooms.refusals(ROOM, "2023-11-13") == 0


async def test_rules_go_with_the_last_that_is_known_of_their_conversation(ledger: Ledger) -> None:
    for session in (SESSION, OTHER_SESSION):
        rule = Rule(session=session, digest="rule", shown="`x`")
        asked = replace(ASKED, id=ApprovalId(session), rule=rule)
        await ledger.approvals.ask(asked, [], NOW)
        decided = DecideApproval(approval=asked.id, state=ApprovalState.ALLOWED, by=ANNA, always=True)
        await settle(ledger, decided, event=f"$answer-{session}")
    await accept(ledger, command("$here"))
    await ledger.housekeeping.prune(LATER)

    assert [rule.session for rule in await ledger.approvals.rules(ROOM)] == [SESSION]


async def test_grants_are_forgotten_long_after_they_have_ended(ledger: Ledger) -> None:
    grant = Grant(room=ROOM, user=ANNA, role=Role.USER, by=ANNA, given_at=NOW)
    old, last = (
        replace(grant, user=UserId("@old:hs"), until=NOW - 1),
        replace(grant, user=UserId("@last:hs"), until=NOW),
    )
    await settle(ledger, *map(GiveRole, (grant, old, last)))
    await ledger.housekeeping.prune(NOW)

    assert await ledger.grants.in_room(ROOM, NOW - 2) == [grant, last]


async def _not_routed(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t", [incoming(A, SECRET)], NOW)


async def _queued(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t", [incoming(A, SECRET)], NOW)
    await ledger.inbox.settle(A, [AcceptCommand(replace(command(A), text=SECRET)), LeaveRoom(ROOM, ANNA)], NOW)


async def _running_and_speaking(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await ledger.commands.start(A, NOW)
    await ledger.outbox.put([replace(parcel("p", SECRET), command=A)], NOW)
    await waiting_texts(ledger)


async def _asked_whether_to_go_on(ledger: Ledger) -> None:
    await accept(ledger, replace(command(A), text=SECRET))
    await ledger.commands.start(A, NOW)
    resume = replace(ASKED, kind=ApprovalKind.RESUME, expires_at=YEARS)
    shown = replace(parcel("q", SECRET), approval=ASKED.id)
    await ledger.commands.interrupt(A, resume, TurnRecord(), [shown], NOW)
    await waiting_texts(ledger)


async def _offered(ledger: Ledger) -> None:
    offer = replace(ASKED, kind=ApprovalKind.OFFER, expires_at=YEARS, events=(A, B))
    await ledger.inbox.take_in("t", [incoming(A, SECRET), incoming(B, SECRET)], NOW)
    await ledger.inbox.settle(A, [], NOW)
    await ledger.inbox.settle(B, [OpenApproval(offer)], NOW)


async def _not_sent(ledger: Ledger) -> None:
    """The end of a command whose room we have left."""
    event = await command_in(ledger, CommandState.RUNNING)
    await ledger.commands.finish(
        event, CommandState.DONE, TurnRecord(), [replace(parcel("p", SECRET), command=event)], NOW
    )


async def _on_its_way(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p", SECRET)], NOW)
    await ledger.outbox.claim(NOW, device=DEVICE)


async def _edited_later(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p", SECRET)], NOW)
    await waiting_texts(ledger)
    await ledger.outbox.put([parcel("e", SECRET, edits="p")], NOW)


async def _taken_up_again(ledger: Ledger) -> None:
    await accept(ledger, replace(command(A), text=SECRET))
    await ledger.commands.start(A, NOW)
    await ledger.commands.finish(A, CommandState.FAILED, TurnRecord(), [], NOW)
    await accept(ledger, replace(command(B), origin=A, text=SECRET))


@pytest.mark.parametrize(
    "unfinished",
    [
        pytest.param(_not_routed, id="an event that is not routed"),
        pytest.param(_queued, id="a command that waits, in a room that we have left"),
        pytest.param(_running_and_speaking, id="a command that runs, and what it has said"),
        pytest.param(_asked_whether_to_go_on, id="what an open question is about"),
        pytest.param(_offered, id="messages that may still be run"),
        pytest.param(_not_sent, id="a command whose answer is not sent"),
        pytest.param(_on_its_way, id="a parcel that was claimed"),
        pytest.param(_edited_later, id="a message that an edit waits for"),
        pytest.param(_taken_up_again, id="a command that is taken up again"),
    ],
)
async def test_what_something_unfinished_refers_to_stays_however_old(
    ledger: Ledger, path: Path, unfinished: Callable[[Ledger], Awaitable[None]]
) -> None:
    await unfinished(ledger)
    before = _kept(path)
    await ledger.housekeeping.erase(YEARS)
    await ledger.housekeeping.prune(YEARS)

    assert _kept(path) == before
    assert before["texts"] > 0


async def test_the_conversation_of_a_room_stays_and_so_does_one_that_a_command_waits_for(ledger: Ledger) -> None:
    await accept(ledger, command(A, session=SESSION))
    await settle(ledger, NewSession(ROOM, OTHER_SESSION))
    over = SessionId("5e551011-0000-4000-8000-000000000009")
    for session in (SESSION, OTHER_SESSION, over):
        await ledger.sessions.mark_begun(session, NOW)

    assert (await ledger.housekeeping.prune(YEARS))["sessions"] == 1
    assert [await ledger.sessions.begun(session) for session in (SESSION, OTHER_SESSION, over)] == [True, True, False]


@pytest.mark.parametrize("kind", ApprovalKind)
async def test_a_question_of_our_own_that_nobody_answered_in_time_is_closed(ledger: Ledger, kind: ApprovalKind) -> None:
    asked = replace(ASKED, kind=kind, events=(A,))
    await settle(ledger, OpenApproval(asked))
    assert await ledger.housekeeping.expire(ASKED.expires_at) == 0

    ours = not kind.in_turn
    assert await ledger.housekeeping.expire(ASKED.expires_at + 1) == int(ours)
    assert await ledger.approvals.open_in(ROOM) == ([] if ours else [asked])
    assert (await ledger.housekeeping.prune(LATER))["questions"] == int(ours)


async def test_a_parcel_that_was_overtaken_in_an_earlier_version_goes_by_the_time_that_it_was_put(
    ledger: Ledger, path: Path
) -> None:
    await ledger.outbox.put([parcel("p")], NOW)
    await waiting_texts(ledger)
    _run(path, "UPDATE outbox SET state = 'superseded', ended_at = NULL")

    assert (await ledger.housekeeping.prune(NOW))["parcels"] == 0
    assert (await ledger.housekeeping.prune(LATER))["parcels"] == 1


async def test_no_transaction_changes_more_rows_than_it_may(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "MOST_ROWS", 3)
    statements: list[str] = []
    async with open_database(path) as database:
        for number in range(7):
            await database.run("INSERT INTO sessions (session_id, made_at, used_at) VALUES (:id, 0, 0)", id=str(number))
        await database._connection.set_trace_callback(statements.append)

        assert (await housekeeping.Housekeeping(database).prune(LATER))["sessions"] == 7
    assert statements.count("COMMIT") == 12 + 3  # twelve kinds of which there was nothing; 3 rows, 3 rows and 1


async def test_what_was_erased_is_in_no_file_any_more(ledger: Ledger, path: Path) -> None:
    await _answered(ledger)
    await ledger.housekeeping.checkpoint()
    assert SECRET.encode() in _bytes(path)
    await ledger.housekeeping.erase(LATER)

    assert await ledger.housekeeping.checkpoint()
    assert SECRET.encode() not in _bytes(path)


async def test_what_was_pruned_is_in_no_file_any_more(ledger: Ledger, path: Path) -> None:
    await _answered(ledger)
    await ledger.housekeeping.prune(LATER)

    assert await ledger.housekeeping.checkpoint()
    assert SECRET.encode() not in _bytes(path)


async def test_the_log_is_emptied_unless_somebody_reads(ledger: Ledger, path: Path) -> None:
    await _answered(ledger)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM commands").fetchall()
    await settle(ledger, event="$more")

    assert not await ledger.housekeeping.checkpoint()
    other.close()
    assert await ledger.housekeeping.checkpoint()
    assert _log_size(path) == 0


def _kept(path: Path) -> dict[str, int]:
    """How many rows there are of what people wait for, and how many texts anywhere."""
    connection = sqlite3.connect(path)
    dump = "\n".join(connection.iterdump())
    rows = {
        table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        for table in ("commands", "outbox", "approvals")
    }
    connection.close()
    return {**rows, "texts": dump.count(SECRET)}


def _run(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def _bytes(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def _log_size(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


async def test_what_was_sent_for_others_is_erased_and_pruned_but_not_what_is_still_to_be_sent(
    ledger: Ledger, path: Path
) -> None:
    with sqlite3.connect(path) as connection:
        for name, state in (("m1", "answered"), ("m2", "accepted"), ("m3", "sent")):
            connection.execute(
                "INSERT INTO messages (id, room_id, caller, digest, kind, body, meta, txn_id, state, answer,"
                " accepted_at) VALUES (?, ?, 'ci', 'd', 'task', ?, '{}', ?, ?, ?, ?)",
                (name, ROOM, SECRET, name, state, SECRET, NOW),
            )
            connection.execute("INSERT INTO message_parts VALUES (?, 0, ?, ?, 1, 0)", (name, f"${name}", SECRET))
    connection.close()

    assert await ledger.housekeeping.erase(NOW) == 0
    assert await ledger.housekeeping.erase(LATER) == 2
    assert _rows(path, "SELECT id FROM messages WHERE body <> '' OR answer <> ''") == [("m2",)]
    assert _rows(path, "SELECT message FROM message_parts WHERE body <> ''") == [("m2",)]
    await ledger.housekeeping.prune(LATER)
    assert _rows(path, "SELECT id FROM messages") == [("m2",)]
    assert _rows(path, "SELECT message FROM message_parts") == [("m2",)]


def _rows(path: Path, sql: str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


async def test_a_task_that_is_over_is_forgotten_and_one_that_is_open_is_not_unless_it_is_others(
    path: Path, ledger: Ledger
) -> None:
    def task(name: str, state: TaskState, ours: Ours = Ours.TAKEN) -> OpenTask:
        who = Address(ANNA)
        return OpenTask(
            Task(
                id=TaskId(name),
                room=ROOM,
                thread=None,
                title=SECRET,
                by=who,
                to=who,
                ours=ours,
                state=state,
                changed_at=NOW,
                message=MessageId(name),
            )
        )

    given = [
        task("over", TaskState.DONE),
        task("open", TaskState.WORKING),
        task("watched", TaskState.WORKING, Ours.WATCHED),
    ]
    await ledger.tasks.change(given, NOW)
    kept = housekeeping.Housekeeping
    async with open_database(path) as database:
        assert await kept(database).erase(NOW) == 0
        assert await kept(database).erase(LATER) == 2
        assert [each.title for each in await ledger.tasks.listed([ROOM], everything=True)] == ["", SECRET, ""]
        await kept(database).prune(LATER)

    assert [each.id for each in await ledger.tasks.listed([ROOM], everything=True)] == ["open"]
