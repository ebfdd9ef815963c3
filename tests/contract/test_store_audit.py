"""The audit: written with what it tells of, limited, never changed, and dropped only when it is old."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.audit import HOUR_MS, MOST_REFUSALS, AuditFilter, AuditKind, AuditLine, Deed
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import (
    AcceptCommand,
    DecideApproval,
    EditCommand,
    EnterRoom,
    NewSession,
    NoteDeed,
    RequestStop,
    SetTimeLimit,
)
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, UserId
from aiagentchat.core.messages import Kind
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    NOW,
    OTHER_ROOM,
    OTHER_SESSION,
    ROOM,
    OpenLedger,
    accept,
    command,
    incoming,
    settle,
)

A = EventId("$a")
EVE = UserId("@eve:example.org")
DAY = 24 * HOUR_MS


def refusal(actor: UserId = EVE, room: RoomId | None = ROOM, kind: AuditKind = AuditKind.REFUSED) -> Deed:
    return Deed(kind=kind, room=room, actor=actor, subject="$tried", detail={"what": "message"})


async def deeds(ledger: Ledger, wanted: AuditFilter | None = None) -> list[Deed]:
    return [line.deed for line in await ledger.audit.lines(wanted or AuditFilter(), limit=1000)]


async def kinds(ledger: Ledger) -> list[AuditKind]:
    return [deed.kind for deed in await deeds(ledger)]


async def test_a_line_is_written_with_what_it_tells_of(ledger: Ledger) -> None:
    await accept(ledger, command(A))

    assert await ledger.audit.lines(AuditFilter(), limit=9) == [
        AuditLine(at=NOW, deed=Deed(kind=AuditKind.ASKED, room=ROOM, actor=ANNA, subject=A))
    ]


async def test_an_event_that_comes_again_leaves_one_line(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    assert not await ledger.inbox.settle(A, [AcceptCommand(command(A))], NOW)

    assert await kinds(ledger) == [AuditKind.ASKED]


async def test_what_changed_nothing_leaves_no_line(ledger: Ledger) -> None:
    await settle(
        ledger,
        RequestStop(A, ANNA),
        SetTimeLimit(A, 60),
        EditCommand(A, "x", ANNA),
        DecideApproval(approval=ApprovalId("none"), state=ApprovalState.ALLOWED, by=ANNA),
    )

    assert await deeds(ledger) == []


async def test_a_second_answer_leaves_no_line(ledger: Ledger) -> None:
    asked = Approval(id=ApprovalId("a1"), room=ROOM, command=A, tool="Bash", expires_at=NOW)
    await ledger.approvals.ask(asked, [], NOW)
    for event, by in (("$1", ANNA), ("$2", BERT)):
        await settle(ledger, DecideApproval(approval=asked.id, state=ApprovalState.ALLOWED, by=by), event=event)

    [line] = await deeds(ledger)
    assert (line.kind, line.actor, line.detail) == (
        AuditKind.APPROVED,
        ANNA,
        {"question": "tool", "tool": "Bash", "command": A},
    )


async def test_who_stopped_whom_is_told(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await settle(ledger, RequestStop(A, BERT), event="$stop")

    [_, line] = await deeds(ledger)
    assert (line.kind, line.actor, line.subject, line.detail) == (AuditKind.STOPPED, BERT, A, {"asked_by": ANNA})


async def test_what_is_set_is_told_without_what_was_written(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    await settle(ledger, EditCommand(A, "a secret", ANNA), event="$edit")
    await ledger.commands.start(A, NOW)
    await settle(ledger, SetTimeLimit(A, 60), NewSession(ROOM, OTHER_SESSION), event="$set")

    told = await deeds(ledger)
    assert [line.kind for line in told] == [AuditKind.ASKED, AuditKind.EDITED, AuditKind.SETTING, AuditKind.SETTING]
    assert "a secret" not in str(told)


async def test_what_no_place_was_left_for_is_told(ledger: Ledger) -> None:
    await settle(ledger, AcceptCommand(replace(command(A), state=CommandState.REJECTED)), event=A)

    assert await kinds(ledger) == [AuditKind.REJECTED]


async def test_an_invite_that_was_followed_is_told(ledger: Ledger) -> None:
    invite = replace(incoming("$i"), kind=Kind.INVITE)
    await ledger.inbox.take_in("t", [invite], NOW)
    await ledger.inbox.settle(invite.event, [EnterRoom(ROOM)], NOW)

    assert await deeds(ledger) == [Deed(kind=AuditKind.INVITED, room=ROOM, actor=ANNA)]


async def test_lines_outlive_the_daemon_and_come_in_their_order(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.audit.write(Deed(kind=AuditKind.LOGGED_IN, actor=ANNA, subject="D"), NOW)
        await first.audit.write(Deed(kind=AuditKind.RELOADED), NOW - 5)

    async with backend(tmp_path / "ledger.db") as second:
        found = await second.audit.lines(AuditFilter(), limit=9)
    assert [(line.at, line.deed.kind, line.deed.room) for line in found] == [
        (NOW, AuditKind.LOGGED_IN, None),
        (NOW - 5, AuditKind.RELOADED, None),
    ]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        pytest.param(AuditFilter(), 3, id="all"),
        pytest.param(AuditFilter(room=ROOM), 2, id="of a room"),
        pytest.param(AuditFilter(actor=BERT), 1, id="of a person"),
        pytest.param(AuditFilter(kind=AuditKind.REFUSED), 2, id="of a kind"),
        pytest.param(AuditFilter(since=NOW + 1), 1, id="since then"),
        pytest.param(AuditFilter(room=ROOM, actor=BERT), 0, id="of both"),
    ],
)
async def test_only_what_is_wanted_is_given(ledger: Ledger, wanted: AuditFilter, number: int) -> None:
    await ledger.audit.write(refusal(), NOW)
    await ledger.audit.write(refusal(BERT, OTHER_ROOM), NOW)
    await ledger.audit.write(Deed(kind=AuditKind.ASKED, room=ROOM, actor=ANNA), NOW + 1)

    assert len(await deeds(ledger, wanted)) == number


async def test_of_many_lines_the_newest_are_given(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.audit.write(Deed(kind=AuditKind.RELOADED, subject=str(number)), NOW)

    assert [line.deed.subject for line in await ledger.audit.lines(AuditFilter(), limit=2)] == ["3", "4"]


async def test_a_command_that_waited_and_is_turned_away_is_told(ledger: Ledger) -> None:
    await accept(ledger, command(A))
    assert await ledger.commands.turn_away(A, [], NOW)
    assert not await ledger.commands.turn_away(A, [], NOW)

    [_, line] = await deeds(ledger)
    assert line == Deed(kind=AuditKind.REFUSED, room=ROOM, actor=ANNA, subject=A, detail={"what": "turn"})


# ── what is refused again and again ──


async def test_of_one_sender_a_room_has_so_many_refusals_an_hour_and_then_how_many_more(ledger: Ledger) -> None:
    for number in range(MOST_REFUSALS + 7):
        await settle(ledger, NoteDeed(refusal()), event=f"${number}")
    assert len(await deeds(ledger)) == MOST_REFUSALS

    later = NOW + HOUR_MS
    await ledger.audit.write(refusal(), later)

    *_, more, again = await deeds(ledger)
    assert (more.kind, more.actor, more.room) == (AuditKind.REFUSED_MORE, EVE, ROOM)
    assert more.detail == {"more": 7, "since": NOW // HOUR_MS * HOUR_MS}
    assert again.kind is AuditKind.REFUSED
    assert len(await deeds(ledger)) == MOST_REFUSALS + 2


async def test_senders_and_rooms_are_counted_for_themselves(ledger: Ledger) -> None:
    for deed in (refusal(), refusal(BERT), refusal(EVE, OTHER_ROOM)):
        for _ in range(MOST_REFUSALS + 1):
            await ledger.audit.write(deed, NOW)

    assert len(await deeds(ledger)) == 3 * MOST_REFUSALS


async def test_refused_invites_are_counted_for_whoever_sends_them(ledger: Ledger) -> None:
    for _ in range(MOST_REFUSALS + 3):
        await ledger.audit.write(refusal(room=None, kind=AuditKind.INVITE_REFUSED), NOW)
    await ledger.housekeeping.write_held(NOW + HOUR_MS)

    [*lines, more] = await deeds(ledger)
    assert [line.kind for line in lines] == [AuditKind.INVITE_REFUSED] * MOST_REFUSALS
    assert (more.room, more.detail["more"]) == (None, 3)


async def test_what_was_held_back_is_told_once(ledger: Ledger) -> None:
    for _ in range(MOST_REFUSALS + 1):
        await ledger.audit.write(refusal(), NOW)
    await ledger.housekeeping.write_held(NOW)
    assert len(await deeds(ledger)) == MOST_REFUSALS
    for _ in range(2):
        await ledger.housekeeping.write_held(NOW + HOUR_MS)

    assert (await kinds(ledger)).count(AuditKind.REFUSED_MORE) == 1


async def test_who_may_is_never_limited(ledger: Ledger) -> None:
    for number in range(3 * MOST_REFUSALS):
        await accept(ledger, command(f"${number}"))

    assert len(await deeds(ledger)) == 3 * MOST_REFUSALS


# ── never changed ──


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = '@nobody:hs'", "DELETE FROM audit", "UPDATE audit SET at = 0"]
)
async def test_a_line_is_neither_changed_nor_deleted(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    await ledger.audit.write(refusal(), NOW)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)

    with pytest.raises(sqlite3.IntegrityError, match="lines of the audit are"):
        other.execute(statement)
    other.close()
    assert await deeds(ledger) == [refusal()]


async def test_only_old_lines_are_dropped(ledger: Ledger, tmp_path: Path) -> None:
    for age in (3, 2, 1):
        await ledger.audit.write(Deed(kind=AuditKind.RELOADED, subject=str(age)), NOW - age * DAY)

    assert await ledger.housekeeping.prune_audit(NOW - 2 * DAY) == 1
    assert [deed.subject for deed in await deeds(ledger)] == ["2", "1"]
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError):
        other.execute("DELETE FROM audit")
    other.close()


async def test_many_old_lines_go_in_several_steps(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiagentchat.store.housekeeping.MOST_ROWS", 3)
    for _ in range(7):
        await ledger.audit.write(Deed(kind=AuditKind.RELOADED), NOW)

    assert await ledger.housekeeping.prune_audit(NOW + 1) == 7
    assert await deeds(ledger) == []
