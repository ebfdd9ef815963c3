"""`aiagentchat why …` as an operator types it."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.app.owner import own
from aiagentchat.cli.main import app
from aiagentchat.cli.why.command import event_id, problem_of
from aiagentchat.core.access import Grant, Role
from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.commands import Command, CommandState, TurnRecord
from aiagentchat.core.effects import (
    AcceptCommand,
    DecideApproval,
    EraseText,
    GiveRole,
    LeaveRoom,
    NoteDeed,
    PutParcel,
    RequestStop,
)
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, TxnId, UserId, txn_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Parcel
from aiagentchat.render.marks import accepted
from aiagentchat.render.message import message
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import DEVICE, SESSION
from tests.fakes.ledgers import fresh_ledger
from tests.unit.test_app_live import GOOD

ROOM = RoomId("!abc:localhost")
YOU, EVE, VERA = UserId("@you:localhost"), UserId("@eve:localhost"), UserId("@vera:localhost")
NOW = round(time.time() * 1000) - 600_000
ASKED = EventId("$asked")
SECRET = "ghp_" + "aB3" * 12
TEXT = f"make tea with {SECRET}"

Happening = Callable[[Ledger], Awaitable[None]]


def said(event: str = ASKED, body: str = TEXT, **more: Any) -> Incoming:
    values = {"room": ROOM, "sender": YOU, "sent_at": NOW - 1_500, "kind": Kind.TEXT, **more}
    return Incoming(event=EventId(event), body=body, **values)


def command(event: str = ASKED, **more: Any) -> Command:
    values = {"room": ROOM, "sender": YOU, "text": TEXT, "session": SESSION, "queued_at": NOW, **more}
    return Command(event=EventId(event), **values)


def words(name: str, text: str = "Tea is ready.", **more: Any) -> Parcel:
    values = {"room": ROOM, "content": message(text, notice=False), "command": ASKED, **more}
    return Parcel(txn=TxnId(name), **values)


async def take(ledger: Ledger, incoming: Incoming, *effects: Any, at: int = NOW) -> None:
    """It comes, and is routed to these effects."""
    await ledger.inbox.take_in("token", [incoming], at)
    assert await ledger.inbox.settle(incoming.event, effects, at)


async def accept(ledger: Ledger, asked: Command | None = None) -> None:
    asked = asked or command()
    await take(
        ledger, said(asked.event, sender=asked.sender), AcceptCommand(asked), PutParcel(accepted(asked.event, ROOM))
    )


async def run(ledger: Ledger, state: CommandState | None = None, *parcels: Parcel, event: str = ASKED) -> None:
    """It is accepted and runs, to this end."""
    await accept(ledger, command(event))
    assert await ledger.commands.start(EventId(event), NOW + 2_000)
    if state is not None:
        record = TurnRecord(duration_ms=61_000, cost_micro_usd=13_200)
        assert await ledger.commands.finish(EventId(event), state, record, list(parcels), NOW + 63_000)


async def send(ledger: Ledger, at: int = NOW + 64_000) -> None:
    """Everything that may be sent leaves."""
    while (attempt := await ledger.outbox.claim(at, device=DEVICE)) is not None:
        await ledger.outbox.sent(attempt.parcel.txn, EventId(f"$sent-{attempt.parcel.txn}"), at)


class Place:
    """Settings and a database, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.yaml"
        self.config.write_text(GOOD)
        self.data = folder / "data"
        self.data.mkdir()

    def happens(self, *happenings: Happening) -> None:
        async def all_of_it() -> None:
            async with fresh_ledger(self.data / "aiagentchat.db") as ledger:
                for happening in happenings:
                    await happening(ledger)

        asyncio.run(all_of_it())

    def why(self, event: str = ASKED, *words: str) -> Result:
        return CliRunner().invoke(app, ["why", event, *words, "--config", str(self.config)])

    def verdict(self, event: str = ASKED, *, lives: bool = True) -> str:
        return str(self.told(event, lives=lives)["verdict"])

    def told(self, event: str = ASKED, *words: str, lives: bool = True) -> dict[str, Any]:
        if lives:
            with own(self.data):
                result = self.why(event, "--json", *words)
        else:
            result = self.why(event, "--json", *words)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.output)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ── what became of a command ──────────────────────────────────────────────────────────────────────────────────────


def test_the_life_of_an_answered_command_is_a_table_in_the_order_of_time(place: Place) -> None:
    async def life(ledger: Ledger) -> None:
        await run(ledger, CommandState.DONE, words("one"))
        await send(ledger)

    place.happens(life)
    result = place.why()

    lines = result.output.splitlines()
    shown = [match[1] for line in lines if (match := re.match(r"\d{4}-\S+ \S+ +(?:\+\S+ \S+)* +(\w+(?: in)?)", line))]
    assert result.exit_code == 0
    assert lines[0] == "$asked in backend, by @you:localhost"
    assert shown[:5] == ["sent", "taken in", "routed", "queued", "started"]
    assert lines[-1] == "Answered: the first words were in the room 1 min 04 s after it came."


def test_no_text_of_anybody_is_printed_unless_it_is_asked_for(place: Place) -> None:
    async def life(ledger: Ledger) -> None:
        await run(ledger, CommandState.DONE, words("one"))
        await send(ledger)

    place.happens(life)
    quiet = place.why().output + place.why(ASKED, "--json").output
    loud = place.why(ASKED, "--content").output + place.why(ASKED, "--json", "--content").output

    assert "tea" not in quiet.lower()
    assert loud.count("make tea with") == 2
    assert loud.count("Tea is ready.") == 2
    assert "aB3aB3" not in loud


def test_machines_read_one_object(place: Place) -> None:
    async def life(ledger: Ledger) -> None:
        await run(ledger, CommandState.DONE, words("one"), words("one-more", edits=TxnId("one")))
        await send(ledger)

    place.happens(life)
    told = place.told()

    assert {key: told[key] for key in ("id", "known", "room", "sender", "command", "state", "answered")} == {
        "id": ASKED,
        "known": True,
        "room": ROOM,
        "sender": YOU,
        "command": ASKED,
        "state": "done",
        "answered": True,
    }
    rows = [(row["at"] - NOW, row["what"], row["more"]) for row in told["rows"]]
    assert rows == [
        (-1_500, "sent", "text by @you:localhost, by the homeserver's clock"),
        (0, "taken in", "written down"),
        (0, "routed", "a command"),
        (0, "queued", ""),
        (2_000, "started", "after 2.0 s in the queue"),
        (63_000, "done", "1 min 01 s, $0.0132"),
        *rows[6:],
    ]
    assert {what for _, what, _ in rows[6:]} == {"reaction", "message", "edits"}


async def _queued(ledger: Ledger) -> None:
    await accept(ledger)


async def _behind(ledger: Ledger) -> None:
    await run(ledger, event="$first")
    await accept(ledger, command("$second"))
    await accept(ledger)


async def _behind_waiting(ledger: Ledger) -> None:
    await accept(ledger, command("$first"))
    await accept(ledger)


async def _left(ledger: Ledger) -> None:
    await accept(ledger)
    await take(ledger, said("$left", kind=Kind.LEFT), LeaveRoom(ROOM, EVE))


async def _held(ledger: Ledger) -> None:
    await accept(ledger, command(held_until=round(time.time() * 1000) + 60_000))


async def _running(ledger: Ledger) -> None:
    await run(ledger)


def _approval() -> Approval:
    return Approval(
        id=ApprovalId("q1"),
        room=ROOM,
        command=ASKED,
        tool="Bash",
        expires_at=round(time.time() * 1000) + 600_000,
        digest="d",
        shown="rm",
    )


async def _asking(ledger: Ledger) -> None:
    await run(ledger)
    await ledger.approvals.ask(_approval(), [words("question", approval=ApprovalId("q1"))], NOW + 5_000)


async def _rejected(ledger: Ledger) -> None:
    await take(ledger, said(), AcceptCommand(command(state=CommandState.REJECTED)))


async def _stopped_waiting(ledger: Ledger) -> None:
    await accept(ledger)
    await take(ledger, said("$stop", sender=EVE), RequestStop(ASKED, EVE))


async def _stopped_running(ledger: Ledger) -> None:
    await run(ledger)
    await take(ledger, said("$stop", sender=EVE), RequestStop(ASKED, EVE))
    await ledger.commands.finish(ASKED, CommandState.CANCELLED, TurnRecord(), [], NOW + 9_000)


async def _before_we_came(ledger: Ledger) -> None:
    deed = Deed(kind=AuditKind.REFUSED, room=ROOM, actor=EVE, subject=ASKED, detail={"what": "before"})
    await ledger.audit.write(deed, NOW)


async def _taken_back(ledger: Ledger) -> None:
    await accept(ledger)
    await take(ledger, said("$gone", kind=Kind.REDACTION, sender=EVE), EraseText(ASKED, ROOM), RequestStop(ASKED, EVE))


async def _turned_away(ledger: Ledger) -> None:
    await accept(ledger)
    await ledger.commands.turn_away(ASKED, [], NOW + 1_000)


def _ends(state: CommandState) -> Happening:
    async def end(ledger: Ledger) -> None:
        await run(ledger, state, words("last"))
        await send(ledger)

    return end


async def _unsent(ledger: Ledger) -> None:
    await run(ledger, CommandState.DONE, words("one"), words("two"))


async def _given_up(ledger: Ledger) -> None:
    await run(ledger, CommandState.DONE, words("one"))
    await ledger.outbox.give_up(TxnId("one"), "M_FORBIDDEN", NOW + 70_000)


async def _pruned(ledger: Ledger) -> None:
    await run(ledger, CommandState.DONE)


@pytest.mark.parametrize(
    ("happening", "sentence"),
    [
        pytest.param(_queued, "Not answered yet because it waits for a turn: all of max_parallel_turns", id="queued"),
        pytest.param(_behind, "because the turn of $first runs in its room, and 1 other before it", id="busy room"),
        pytest.param(_behind_waiting, "because 1 command of its room wait before it", id="others wait"),
        pytest.param(_left, "because the daemon is not in the room any more", id="we have left"),
        pytest.param(_held, "because what its sender types next may belong to it", id="held"),
        pytest.param(_running, "because its turn runs, since", id="running"),
        pytest.param(_asking, "because its turn waits for an answer of the room about Bash, for", id="asking"),
        pytest.param(_rejected, "Not answered because too many messages waited", id="rejected"),
        pytest.param(_stopped_waiting, "because @eve:localhost stopped it while it waited.", id="stopped in the queue"),
        pytest.param(_stopped_running, "because @eve:localhost stopped it in its turn.", id="stopped in its turn"),
        pytest.param(_taken_back, "because it was deleted from the room by @eve:localhost.", id="deleted"),
        pytest.param(_before_we_came, "because it was said before the daemon came into the room", id="before we came"),
        pytest.param(_turned_away, "because it was turned away when its turn came", id="turned away"),
        pytest.param(_ends(CommandState.FAILED), "its turn failed. The room reads why in $sent-last.", id="failed"),
        pytest.param(_ends(CommandState.TIMED_OUT), "took longer than it may (timeout): 1 min 01 s", id="timed out"),
        pytest.param(_ends(CommandState.INTERRUPTED), "the daemon ended in its turn", id="interrupted"),
        pytest.param(_ends(CommandState.CANCELLED), "its turn ended by itself", id="ended by itself"),
        pytest.param(_ends(CommandState.DONE), "Answered: the first words were in the room 1 min 04 s", id="done"),
        pytest.param(_unsent, "because 2 parcels of the answer wait to be sent since", id="not sent yet"),
        pytest.param(_given_up, "the homeserver does not take the answer: M_FORBIDDEN.", id="given up"),
        pytest.param(_pruned, "Answered; what was sent is not kept any more.", id="sent long ago"),
    ],
)
def test_one_sentence_says_why(place: Place, happening: Happening, sentence: str) -> None:
    place.happens(happening)

    assert sentence in place.verdict()


@pytest.mark.parametrize(
    ("happening", "sentence"),
    [
        pytest.param(_queued, "it waits, and no daemon runs on this data_dir", id="queued"),
        pytest.param(_running, "the daemon ended in its turn, which began", id="running"),
        pytest.param(_unsent, "2 parcels of the answer wait since", id="not sent yet"),
    ],
)
def test_without_a_daemon_that_is_the_reason(place: Place, happening: Happening, sentence: str) -> None:
    place.happens(happening)

    assert sentence in place.verdict(lives=False)


def test_what_was_asked_and_decided_is_told(place: Place) -> None:
    async def decided(ledger: Ledger) -> None:
        await _asking(ledger)
        yes = DecideApproval(approval=ApprovalId("q1"), state=ApprovalState.ALLOWED, by=YOU)
        await take(ledger, said("$yes", "yes"), yes, at=NOW + 9_000)

    place.happens(decided)
    rows = [(row["at"] - NOW, row["what"], row["more"]) for row in place.told()["rows"]]

    assert (5_000, "asked the room", "tool: Bash, question q1") in rows
    [approved] = [row for row in rows if row[1] == "approved"]
    assert approved[0] == 9_000
    assert approved[2].startswith("by @you:localhost")


def test_a_retry_is_named(place: Place) -> None:
    async def retried(ledger: Ledger) -> None:
        await run(ledger, CommandState.INTERRUPTED)
        await take(ledger, said("$again", "/retry"), AcceptCommand(command("$again", origin=ASKED)))

    place.happens(retried)

    assert "It was taken up again by $again." in place.verdict()
    assert any(row["more"] == "takes up $asked again" for row in place.told("$again")["rows"])


@pytest.mark.parametrize("event", ["$sent-one", "q1", ASKED])
def test_an_answer_and_a_question_lead_to_their_command(place: Place, event: str) -> None:
    async def life(ledger: Ledger) -> None:
        await _asking(ledger)
        await ledger.commands.finish(ASKED, CommandState.DONE, TurnRecord(), [words("one")], NOW + 8_000)
        await send(ledger)

    place.happens(life)

    assert place.told(event)["command"] == ASKED


# ── what became of what is no command ─────────────────────────────────────────────────────────────────────────────


def _refused(event: Incoming, what: str) -> NoteDeed:
    return NoteDeed(
        Deed(kind=AuditKind.REFUSED, room=ROOM, actor=event.sender, subject=event.event, detail={"what": what})
    )


def _reply_to(event: Incoming, command: EventId | None = None) -> Parcel:
    content = message("I am the answer.", notice=True, reply_to=event.event)
    return Parcel(txn=txn_id(event.event, "reply", "0"), room=ROOM, content=content, command=command)


@pytest.mark.parametrize(
    ("event", "effects", "sentence"),
    [
        pytest.param(
            said(sender=EVE),
            lambda event: [_refused(event, "message")],
            "because @eve:localhost may not do that there (message)",
            id="refused",
        ),
        pytest.param(said(body="/status"), lambda event: [PutParcel(_reply_to(event))], "Answered: ", id="bot command"),
        pytest.param(said(body="/status"), lambda _: [], "it calls /status, which the daemon answers", id="no reply"),
        pytest.param(said(kind=Kind.REACTION, body="👍"), lambda _: [], "what is a reaction has no answer", id="tap"),
        pytest.param(said(sender=EVE), lambda _: [], "it is ignored: the sender is not allowed", id="a stranger"),
        pytest.param(said(body="@claude: hi", sender=EVE), lambda _: [], "@eve:localhost may not use", id="addressed"),
        pytest.param(said(), lambda _: [], "it would be a command", id="others were the settings"),
        pytest.param(said(body=""), lambda _: [], "it may have answered a question", id="its text is gone"),
        pytest.param(said(room=RoomId("!gone:x")), lambda _: [], "its room is not one of ours", id="another room"),
        pytest.param(
            said(sender=EVE, by_agent=True), lambda _: [], "because a program has written it", id="of a program"
        ),
        pytest.param(
            said(sender=EVE, by_agent=True),
            lambda event: [_refused(event, "hops")],
            "what a program asked for was turned away (hops)",
            id="a program that may not",
        ),
        pytest.param(
            said(sender=VERA),
            lambda _: [
                GiveRole(Grant(room=ROOM, user=VERA, role=Role.VIEWER, by=YOU, given_at=NOW)),
            ],
            "@vera:localhost may look, and not ask",
            id="a viewer",
        ),
    ],
)
def test_what_is_no_command_has_a_reason_too(
    place: Place, event: Incoming, effects: Callable[[Incoming], list[Any]], sentence: str
) -> None:
    async def happening(ledger: Ledger) -> None:
        await take(ledger, event, *effects(event))
        await send(ledger, NOW + 1_000)

    place.happens(happening)

    assert sentence in place.verdict()


def test_the_answer_of_the_daemon_leads_to_what_it_answers(place: Place) -> None:
    async def happening(ledger: Ledger) -> None:
        await take(ledger, said(body="/status"), PutParcel(_reply_to(said())))
        await send(ledger)

    place.happens(happening)
    answer = f"$sent-{txn_id(ASKED, 'reply', '0')}"

    assert place.told(answer)["rows"] == place.told()["rows"]


@pytest.mark.parametrize(
    ("kind", "lives", "sentence"),
    [
        pytest.param(Kind.TEXT, True, "the power levels of its room are not known yet", id="power levels"),
        pytest.param(Kind.TEXT, False, "taken in and not routed, and no daemon runs", id="no daemon"),
        pytest.param(Kind.SEALED, True, "it is encrypted, and the key to it has not come", id="sealed"),
    ],
)
def test_what_is_not_routed_yet_says_why(place: Place, kind: Kind, lives: bool, sentence: str) -> None:
    async def happening(ledger: Ledger) -> None:
        await ledger.inbox.take_in("token", [said(kind=kind, raw="{}")], NOW)

    place.happens(happening)

    assert sentence in place.verdict(lives=lives)


def test_what_is_routed_after_others_says_so(place: Place) -> None:
    async def happening(ledger: Ledger) -> None:
        await ledger.inbox.take_in("token", [said("$before"), said()], NOW)

    place.happens(happening)

    assert "1 message of its room have to be routed before it" in place.verdict()


# ── what is not known ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_id_has_reasons_and_an_exit_code(place: Place) -> None:
    place.happens(_queued)
    result = place.why("$unknown")

    assert result.exit_code == 1
    assert "nothing is known here of $unknown" in result.output
    assert "no daemon runs on this data_dir" in result.output
    assert "the first message here came" in result.output


def test_an_unknown_id_is_an_object_for_machines(place: Place) -> None:
    place.happens()
    with own(place.data):
        result = place.why("$unknown", "--json")

    told = json.loads(result.output)
    assert (result.exit_code, told["known"], len(told["reasons"])) == (1, False, 4)


def test_without_a_database_it_says_so(place: Place) -> None:
    result = place.why()

    assert result.exit_code == 1
    assert "There is no database at" in result.output


def test_a_database_that_cannot_be_read_is_one_of_another_version_or_damaged(place: Place) -> None:
    (place.data / "aiagentchat.db").write_text("this is no database")
    result = place.why()

    assert result.exit_code == 1
    assert "of another version than this program, or damaged" in " ".join(result.output.split())


def test_an_id_of_a_room_of_version_3_may_have_slashes(place: Place) -> None:
    assert problem_of(EventId("$ab//cd+e")) == ""
    assert place.why("$ab//cd+e").exit_code == 1  # nothing is known of it


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "in single quotes"),
        ("$", "in single quotes"),
        ("!room:hs", "is a room, and no message"),
        ("#room:hs", "is a room, and no message"),
        ("@anna:hs", "is a person, and no message"),
        ("https://matrix.to/#/!room:hs", "is no link to a message"),
        ("https://example.org/$abc", "is no link to a message"),
    ],
)
def test_what_can_be_no_id_is_said_before_anything_is_looked_for(place: Place, typed: str, said: str) -> None:
    result = place.why(typed)

    assert result.exit_code == 2
    assert said in result.stderr


def test_wrong_settings_are_said(place: Place) -> None:
    place.config.write_text("rooms: 7\n")

    assert place.why().exit_code == 2


@pytest.mark.parametrize(
    "typed",
    [
        *("$abc", " $abc ", "https://matrix.to/#/!room:hs/$abc?via=hs", "https://matrix.to/#/%21room%3Ahs/%24abc"),
        "https://chat.example.org/#/room/!room:hs/$abc",
    ],
)
def test_an_id_may_be_a_link(typed: str) -> None:
    assert event_id(typed) == "$abc"
