"""/export: whose words are in the file, and whose are not."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.effects import EraseText
from aiagentchat.core.ids import EventId, SessionId, message_uuid
from aiagentchat.core.messages import Incoming
from aiagentchat.core.transcripts import Part, Piece, Transcript
from aiagentchat.render import session_words
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.export import told_in
from tests.fakes.front import Front, open_front
from tests.fakes.people import ROOM, command, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def asked(event: EventId, text: str = "as the agent has it", attempt: int = 0) -> Piece:
    return Piece(part=Part.ASKED, text=text, uuid=message_uuid(event, attempt))


def said(text: str) -> Piece:
    return Piece(part=Part.SAID, text=text)


def keep(front: Front, pieces: Sequence[Piece] | None, *, is_cut: bool = False) -> None:
    """This is what the agent has written down."""

    async def transcript(_: RoomSettings, __: SessionId) -> Transcript | None:
        return None if pieces is None else Transcript(pieces=pieces, is_cut=is_cut)

    front.desk = replace(front.desk, transcript=transcript)
    front.use(catalog(front.desk))


async def done(front: Front, *messages: Incoming) -> None:
    for each in messages:
        await front.hear(each)
        assert await front.ledger.commands.start(each.event, 1)
        assert await front.ledger.commands.finish(each.event, CommandState.DONE, TurnRecord(), [], 2)
    await front.deliver()


async def exported(front: Front) -> str:
    await front.hear(typed("/export", thread=EventId("$root")))
    attempt = await front.ledger.outbox.claim(front.clock.now_ms(), device="D")
    assert attempt is not None
    parcel = attempt.parcel
    file = await front.ledger.outbox.attachment(parcel.txn)
    assert file is not None
    assert parcel.thread == "$root"
    assert parcel.content["info"] == {"mimetype": "text/markdown", "size": len(file.data)}
    return file.data.decode()


async def test_there_is_no_file_before_anything_was_said(front: Front) -> None:
    assert await front.told(typed("/export")) == [session_words.NOTHING_TO_EXPORT]


async def test_where_nothing_is_written_down_that_is_said(front: Front) -> None:
    await done(front, typed("tea"))

    assert await front.told(typed("/export")) == [session_words.NO_TRANSCRIPT]


async def test_a_record_without_any_of_our_turns_makes_no_file(front: Front) -> None:
    await done(front, typed("tea"))
    keep(front, [asked(EventId("$strange")), said("So.")])

    assert await front.told(typed("/export")) == [session_words.NOTHING_TO_EXPORT]


async def test_the_file_has_what_was_asked_and_said(front: Front) -> None:
    tea = typed("make tea")
    await done(front, tea)
    keep(front, [asked(tea.event), said("Tea is ready.")])
    file = await exported(front)

    assert file.startswith("# make-tea\n")
    assert "## `@anna:hs`" in file
    assert "make tea" in file
    assert "as the agent has it" not in file
    assert file.endswith("Tea is ready.\n")


async def test_what_was_deleted_from_the_room_is_not_in_the_file(front: Front) -> None:
    tea, soup = typed("make tea"), typed("my password is x")
    await done(front, tea, soup)
    keep(front, [asked(tea.event), said("Tea."), asked(soup.event, "my password is x"), said("x it is."), said("y")])
    await front.ledger.inbox.take_in(None, [typed("-", event=EventId("$1"))], 3)
    await front.ledger.inbox.settle(EventId("$1"), [EraseText(soup.event, ROOM)], 3)
    file = await exported(front)

    assert "password" not in file
    assert "x it is" not in file
    assert "1 turn was deleted" in file
    assert "Tea." in file


# ── which piece is whose ──

ONE, TWO = command("one", event=EventId("$one")), command("", event=EventId("$two"))


def test_a_text_that_the_ledger_has_erased_is_the_agents() -> None:
    told = told_in([asked(ONE.event), said("1"), asked(TWO.event, "two"), said("2")], [ONE, TWO], ())

    assert [(turn.asked, [piece.text for piece in turn.pieces]) for turn in told.turns] == [
        ("one", ["1"]),
        ("two", ["2"]),
    ]
    assert (told.left_out, told.is_cut) == (0, False)


def test_a_command_that_was_asked_again_is_one_turn() -> None:
    told = told_in([asked(ONE.event), said("1"), asked(ONE.event, attempt=1), said("and more")], [ONE], ())

    assert [[piece.text for piece in turn.pieces] for turn in told.turns] == [["1", "and more"]]


def test_what_the_agent_asks_itself_in_between_is_left_away_and_the_answer_is_not() -> None:
    told = told_in([asked(ONE.event), asked(EventId("$its-own"), "Go on."), said("1")], [ONE], ())

    assert [[piece.text for piece in turn.pieces] for turn in told.turns] == [["1"]]
    assert not told.is_cut


def test_what_comes_before_all_that_is_known_is_left_out_as_a_missing_beginning() -> None:
    told = told_in([said("0"), asked(EventId("$old")), said("old"), asked(ONE.event), said("1")], [ONE], ())

    assert [[piece.text for piece in turn.pieces] for turn in told.turns] == [["1"]]
    assert told.is_cut


def test_what_follows_from_a_deleted_message_is_left_out() -> None:
    told = told_in([asked(ONE.event), said("1"), asked(TWO.event), said("2")], [ONE, TWO], {ONE.event})

    assert [[piece.text for piece in turn.pieces] for turn in told.turns] == [["2"]]
    assert (told.left_out, told.is_cut) == (1, False)
