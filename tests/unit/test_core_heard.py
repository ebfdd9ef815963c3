"""What of the events of a room is kept to be found again, and how it reads."""

from dataclasses import replace

import pytest

from aiagentchat.core.files import MediaFile
from aiagentchat.core.heard import Echo, Edited, Spoken, TakenBack, heard, said_in
from aiagentchat.core.ids import EventId, MessageId, RoomId, TxnId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta, NoMeta
from tests.fakes.people import ANNA, BEN, ME, ROOM, event, typed

META = Meta(id=MessageId("m1"))
PICTURE = MediaFile(name="cat.png", mime="image/png", size=3, url="mxc://hs/cat")
MINE = TxnId("txn")


def always(_room: RoomId, _encrypted: bool) -> bool:
    return True


def spoken(*events: Incoming) -> list[Spoken]:
    return [each for each in heard(events, always) if isinstance(each, Spoken)]


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.NOTICE])
def test_what_somebody_says_is_kept_as_what_it_is(kind: Kind) -> None:
    said = event(kind, "hello", sender=ANNA, thread=EventId("$root"), target=EventId("$before"), sent_at=7)
    [kept] = spoken(said)

    assert (kept.event, kept.room, kept.txn) == (said.event, ROOM, None)
    assert (kept.said.kind, kept.said.body, kept.said.sender, kept.said.sent_at) == (kind.value, "hello", ANNA, 7)
    assert (kept.said.thread, kept.said.reply_to, kept.said.by_agent) == ("$root", "$before", False)


@pytest.mark.parametrize(
    ("file", "caption", "body"),
    [(PICTURE, "", "cat.png"), (PICTURE, "our cat", "cat.png\nour cat"), (None, "our cat", "our cat")],
)
def test_a_file_is_kept_by_its_name_and_what_is_said_about_it(file: MediaFile | None, caption: str, body: str) -> None:
    [kept] = spoken(event(Kind.FILE, caption, file=file))

    assert (kept.said.kind, kept.said.body) == ("file", body)


@pytest.mark.parametrize(
    "nothing",
    [
        event(Kind.TEXT, ""),
        event(Kind.EDIT, "new"),
        event(Kind.EDIT, "", target=EventId("$said")),
        event(Kind.REACTION, "👍", target=EventId("$said")),
        event(Kind.REDACTION),
        event(Kind.SEALED, "session"),
        event(Kind.FORGED, "not by us"),
        event(Kind.JOINED),
    ],
)
def test_what_says_nothing_is_not_kept(nothing: Incoming) -> None:
    assert heard([nothing], always) == []


def test_what_is_said_where_nothing_is_kept_is_not_kept() -> None:
    plain, sealed = typed("plain"), replace(typed("sealed"), encrypted=True)

    assert [each.event for each in heard([plain, sealed], lambda _, encrypted: not encrypted)] == [plain.event]
    assert [each.event for each in heard([plain, sealed], lambda _, encrypted: encrypted)] == [sealed.event]


def test_an_edit_says_what_its_message_reads_now() -> None:
    edit = event(Kind.EDIT, "new", target=EventId("$said"), sender=ANNA, sent_at=9, meta=META)

    assert heard([edit], always) == [
        Edited(event=edit.event, room=ROOM, target=EventId("$said"), sender=ANNA, sent_at=9, body="new", meta=META)
    ]


def test_what_is_taken_back_is_heard_of_every_room() -> None:
    redaction = event(Kind.REDACTION, target=EventId("$said"))

    assert heard([redaction], lambda *_: False) == [
        TakenBack(event=redaction.event, room=ROOM, target=EventId("$said"))
    ]


def test_an_event_of_ours_tells_that_its_parcel_is_there_wherever_it_is() -> None:
    said = replace(typed("answer", sender=ME), txn=MINE)
    tapped = event(Kind.REACTION, "✅", sender=ME, txn=MINE)

    assert heard([said, tapped], lambda *_: False) == [
        Echo(event=said.event, room=ROOM, txn=MINE),
        Echo(event=tapped.event, room=ROOM, txn=MINE),
    ]
    [kept] = spoken(said)
    assert (kept.txn, kept.said.by_agent) == (MINE, True)


@pytest.mark.parametrize(
    ("said", "meta", "by_agent"),
    [
        (event(Kind.TEXT, "x", meta=META), META, True),
        (event(Kind.TEXT, "x", meta=NoMeta("odd")), None, False),
        (event(Kind.TEXT, "x", meta=NoMeta("odd"), by_agent=True), None, True),
    ],
)
def test_what_an_agent_says_is_known_as_that(said: Incoming, meta: Meta | None, by_agent: bool) -> None:
    [kept] = spoken(said)

    assert (kept.said.meta, kept.said.by_agent) == (meta, by_agent)


def test_messages_that_are_only_looked_at_read_as_their_last_edit() -> None:
    first, second = typed("one"), typed("two")
    edits = [
        event(Kind.EDIT, "one, by him", target=first.event, sender=BEN),
        event(Kind.EDIT, "1", target=first.event, sent_at=5),
        event(Kind.EDIT, "of nothing", target=EventId("$elsewhere")),
        event(Kind.EDIT, "2", target=second.event, meta=META),
    ]
    found = said_in([first, second, *edits])

    assert [(said.body, said.position) for said in found] == [("1", 0), ("2", 0)]
    assert (found[0].edited_at, found[1].meta) == (5, META)
