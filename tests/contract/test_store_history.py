"""What was said is found as it reads now, whatever comes twice or late, and whatever somebody looks for."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from aiagentchat.core.errors import StoreError
from aiagentchat.core.exchange import Page, Said, Wanted
from aiagentchat.core.heard import Echo, Spoken, heard
from aiagentchat.core.ids import EventId, MessageId, RoomId, TxnId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Meta, MetaKind
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, BERT, NOW, OTHER_ROOM, ROOM, OpenLedger, incoming

A, B = EventId("$a"), EventId("$b")
BOTH = frozenset({ROOM, OTHER_ROOM})


async def hear(ledger: Ledger, *events: Incoming, now: int = NOW) -> None:
    """The events come by sync; the inbox keeps none of them."""
    await ledger.inbox.take_in("t", [], now, heard(events, lambda *_: True))


def edit(event: str, target: EventId, body: str, sent_at: int = NOW + 1) -> Incoming:
    return replace(incoming(event, body), kind=Kind.EDIT, target=target, sent_at=sent_at)


def redaction(target: EventId, room: RoomId = ROOM) -> Incoming:
    return replace(incoming(f"$gone-{target}", ""), kind=Kind.REDACTION, target=target, room=room)


def many(count: int, room: RoomId = ROOM) -> list[Incoming]:
    return [replace(incoming(f"${room[1]}{number}", f"number {number}"), room=room) for number in range(count)]


def bodies(page: Page) -> list[str]:
    return [said.body for said in page.messages]


async def found(ledger: Ledger, words: str) -> list[str]:
    return bodies(await ledger.history.search(Wanted(rooms=frozenset({ROOM}), words=words)))


# ── what is kept ──


async def test_a_message_comes_back_as_it_was_said(ledger: Ledger) -> None:
    meta = Meta(id=MessageId("m1"), kind=MetaKind.ANSWER, part=2, last=False)
    await hear(ledger, replace(incoming(A), target=B, thread=EventId("$root"), meta=meta))

    said = await ledger.history.get(A)
    assert said is not None
    assert (said.event, said.room, said.sender, said.sent_at, said.kind) == (A, ROOM, ANNA, NOW, "text")
    assert (said.body, said.thread, said.reply_to, said.by_agent, said.edited_at) == ("hello", "$root", B, True, None)
    assert said.meta == meta
    assert await ledger.history.get(B) is None


async def test_the_history_outlives_the_process(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await hear(first, incoming(A, "green tea"))

    async with backend(tmp_path / "ledger.db") as second:
        assert await found(second, "tea") == ["green tea"]


async def test_what_comes_twice_is_there_once(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "green tea"))
    await hear(ledger, incoming(A, "black tea"), incoming(B, "coffee"), incoming(B, "coffee"))

    assert bodies(await ledger.history.latest(ROOM, 10)) == ["green tea", "coffee"]
    assert await found(ledger, "tea") == ["green tea"]
    assert await found(ledger, "black") == []


async def test_an_edit_changes_what_is_read_and_found(ledger: Ledger) -> None:
    meta = Meta(id=MessageId("m1"))
    await hear(ledger, incoming(A, "green tea"))
    await hear(ledger, replace(edit("$e1", A, "black coffee"), meta=meta))

    [said] = (await ledger.history.latest(ROOM, 10)).messages
    assert (said.body, said.edited_at, said.meta) == ("black coffee", NOW + 1, meta)
    assert await found(ledger, "coffee") == ["black coffee"]
    assert await found(ledger, "tea") == []


async def test_a_message_and_its_edits_may_come_together(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "green"), edit("$e1", A, "green tea"), edit("$e2", A, "green tea, hot"))

    assert await found(ledger, "green") == ["green tea, hot"]


async def test_the_last_edit_counts_in_whatever_order_they_come(ledger: Ledger) -> None:
    early, late = edit("$e1", A, "early", NOW + 1), edit("$e2", A, "late", NOW + 2)
    await hear(ledger, incoming(A, "first"), late, early)
    await hear(ledger, early)

    assert bodies(await ledger.history.latest(ROOM, 10)) == ["late"]


@pytest.mark.parametrize(
    "theirs",
    [
        replace(edit("$e1", A, "changed"), sender=BERT),
        replace(edit("$e1", A, "changed"), room=OTHER_ROOM),
        edit("$e1", B, "changed"),
    ],
    ids=["somebody else", "in another room", "of nothing"],
)
async def test_only_its_sender_edits_a_message(ledger: Ledger, theirs: Incoming) -> None:
    await hear(ledger, incoming(A, "said"))
    await hear(ledger, theirs)

    assert bodies(await ledger.history.latest(ROOM, 10)) == ["said"]


async def test_what_was_deleted_is_not_found_and_stays_so(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "green tea"), incoming(B, "cake"))
    await hear(ledger, redaction(A))
    await hear(ledger, incoming(A, "green tea"), edit("$e1", A, "green tea"))

    assert bodies(await ledger.history.latest(ROOM, 10)) == ["cake"]
    assert await found(ledger, "tea") == []
    assert [(each.said.body, each.how) for each in await ledger.history.after(0, BOTH, 10)] == [
        ("cake", "message"),
        ("", "deleted"),
    ]
    said = await ledger.history.get(A)
    assert said is not None
    assert said.body == ""


async def test_who_deletes_an_edit_deletes_what_the_message_reads(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "green tea"), edit("$e1", A, "my password"))
    await hear(ledger, redaction(EventId("$e1")))

    assert bodies(await ledger.history.latest(ROOM, 10)) == []
    assert await found(ledger, "password") == []


async def test_a_redaction_of_another_room_deletes_nothing(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "green tea"))
    await hear(ledger, redaction(A, OTHER_ROOM))

    assert await found(ledger, "tea") == ["green tea"]


async def test_what_was_opened_late_comes_last(ledger: Ledger) -> None:
    sealed = replace(incoming(A, "session"), kind=Kind.SEALED, raw="{}")
    gone = replace(sealed, event=B)
    await ledger.inbox.take_in("t", [sealed, gone], NOW)
    await hear(ledger, incoming("$c", "open"))
    opened = [replace(incoming(each), encrypted=True) for each in (A, B, "$d")]
    await ledger.seals.opened(opened[:1], NOW, heard(opened[:1], lambda *_: True))
    await ledger.seals.opened(opened[:1], NOW, heard(opened, lambda *_: True))  # none of these is sealed any more
    await ledger.seals.settle([B], [], NOW, heard(opened[1:2], lambda *_: True))

    assert [said.event for said in (await ledger.history.latest(ROOM, 10)).messages] == ["$c", A, B]


# ── what is read ──


async def test_pages_lead_back_to_the_first_message(ledger: Ledger) -> None:
    await hear(ledger, *many(7), *many(3, OTHER_ROOM))
    pages, before = list[list[str]](), None
    while not pages or before is not None:
        page = await ledger.history.latest(ROOM, 3, before)
        pages.append(bodies(page))
        before = page.before

    assert pages == [["number 4", "number 5", "number 6"], ["number 1", "number 2", "number 3"], ["number 0"]]


async def test_who_follows_reads_what_comes_behind_a_place(ledger: Ledger) -> None:
    assert await ledger.history.newest() == 0
    await hear(ledger, *many(2))
    place = await ledger.history.newest()
    await hear(ledger, *many(3, OTHER_ROOM), incoming(A, "news"))

    assert await followed(ledger, place) == [("news", "message")]
    assert [each.said.room for each in await ledger.history.after(place, BOTH, 2)] == [OTHER_ROOM, OTHER_ROOM]
    assert await ledger.history.after(place, set(), 10) == []
    assert await ledger.history.after(10**30, BOTH, 10) == []


async def test_who_follows_reads_what_a_message_has_come_to_behind_all_that_was_there(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "The build"))
    place = await ledger.history.newest()
    await hear(ledger, incoming(B, "well?"))
    await hear(ledger, edit("$e1", A, "The build is", NOW + 1))
    between = await ledger.history.newest()
    await hear(ledger, edit("$e2", A, "The build is green.", NOW + 2))
    last = await ledger.history.newest()
    await hear(ledger, incoming("$c", "thanks"))

    assert await followed(ledger, place) == [
        ("well?", "message"),
        ("The build is green.", "edited"),
        ("thanks", "message"),
    ]
    assert await followed(ledger, between) == [("The build is green.", "edited"), ("thanks", "message")]
    assert await followed(ledger, last) == [("thanks", "message")]
    assert await followed(ledger, 0) == [("The build is green.", "message"), *await followed(ledger, place)]
    assert [each.said.position for each in await ledger.history.after(last, {ROOM}, 9)] == [last + 1]


async def test_an_edit_that_comes_twice_or_too_late_is_told_once(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "one"), edit("$e2", A, "three", NOW + 2))
    place = await ledger.history.newest()
    await hear(ledger, edit("$e2", A, "three", NOW + 2), edit("$e1", A, "two", NOW + 1))

    assert await ledger.history.newest() == place
    assert await followed(ledger, place) == []


async def test_an_edit_of_what_is_forgotten_gives_its_place_to_nothing_else(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "old"), now=NOW - 10)
    await hear(ledger, incoming(B, "new"))
    await hear(ledger, edit("$e1", A, "older"))
    place = await ledger.history.newest()
    await ledger.housekeeping.erase(NOW)
    await hear(ledger, incoming("$c", "newest"))

    assert await followed(ledger, place) == [("newest", "message")]


async def test_what_is_deleted_is_told_to_who_follows_and_has_no_words(ledger: Ledger) -> None:
    await hear(ledger, incoming(A, "old"), incoming(B, "new"))
    place = await ledger.history.newest()
    for event, target in (("$r1", B), ("$r2", A), ("$r3", A)):
        await hear(ledger, replace(incoming(event, ""), kind=Kind.REDACTION, target=target))
    told = await ledger.history.after(place, {ROOM}, 100)

    assert [(each.said.event, each.said.body, each.how) for each in told] == [(B, "", "deleted"), (A, "", "deleted")]
    assert [each.place for each in await ledger.history.after(told[0].place, {ROOM}, 100)] == [told[1].place]
    assert await followed(ledger, 0) == [("", "deleted"), ("", "deleted")]


async def followed(ledger: Ledger, place: int) -> list[tuple[str, str]]:
    """What somebody hears who comes back with that place, and what has happened to it."""
    return [(each.said.body, each.how) for each in await ledger.history.after(place, {ROOM}, 100)]


# ── what is looked for ──


def wanted(**more: object) -> Wanted:
    return replace(Wanted(rooms=frozenset({ROOM})), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (wanted(), ["Grüner Tee", "strong coffee, strong tea", "to you"]),
        (wanted(words="  "), ["Grüner Tee", "strong coffee, strong tea", "to you"]),
        (wanted(words="tea strong"), ["strong coffee, strong tea"]),
        (wanted(words="GRUNER"), ["Grüner Tee"]),
        (wanted(words="tea milk"), []),
        (wanted(words="!?"), []),
        (wanted(words="tea !?"), ["strong coffee, strong tea"]),
        (wanted(sender=BERT), ["strong coffee, strong tea"]),
        (wanted(sender=BERT, words="tee"), []),
        (wanted(kind=MetaKind.QUESTION), ["to you"]),
        (wanted(kind=MetaKind.QUESTION, words="you"), ["to you"]),
        (wanted(kind=MetaKind.TASK, words="you"), []),
        (wanted(since=NOW + 1), ["strong coffee, strong tea", "to you"]),
        (wanted(until=NOW + 2, since=NOW + 1, words="tea"), ["strong coffee, strong tea"]),
        (wanted(until=NOW), []),
        (wanted(thread=A), ["Grüner Tee", "to you"]),
        (wanted(thread=A, words="you"), ["to you"]),
        (wanted(thread=B), ["strong coffee, strong tea"]),
        (wanted(since=10**30), []),
        (wanted(until=10**30, since=-(10**30), words="tea"), ["strong coffee, strong tea"]),
        (wanted(before=10**30, limit=10**30), ["Grüner Tee", "strong coffee, strong tea", "to you"]),
        (wanted(before=-(10**30)), []),
        (wanted(limit=-1), ["to you"]),
        (wanted(rooms=BOTH, words="elsewhere"), ["elsewhere"]),
        (wanted(words="elsewhere"), []),
        (wanted(rooms=frozenset(), words="tea"), []),
    ],
)
async def test_a_search_finds_what_has_all_that_is_wanted(ledger: Ledger, search: Wanted, expected: list[str]) -> None:
    await hear(
        ledger,
        incoming(A, "Grüner Tee"),
        replace(incoming(B, "strong coffee, strong tea"), sender=BERT, sent_at=NOW + 1),
        replace(incoming("$c", "elsewhere"), room=OTHER_ROOM),
        replace(
            incoming("$d", "to you"), sent_at=NOW + 2, thread=A, meta=Meta(id=MessageId("m1"), kind=MetaKind.QUESTION)
        ),
    )

    assert bodies(await ledger.history.search(search)) == expected


@pytest.mark.parametrize("words", ["", "number"])
async def test_a_search_has_pages(ledger: Ledger, words: str) -> None:
    await hear(ledger, *many(5))
    first = await ledger.history.search(wanted(words=words, limit=2))
    second = await ledger.history.search(wanted(words=words, limit=2, before=first.before))
    third = await ledger.history.search(wanted(words=words, limit=2, before=second.before))

    assert [bodies(page) for page in (first, second, third)] == [
        ["number 3", "number 4"],
        ["number 1", "number 2"],
        ["number 0"],
    ]
    assert third.before is None


SYNTAX = ['"', "'", "*", "^", "(", ")", "-", "+", ":", "{", "}", "AND", "OR", "NOT", "NEAR(", "body:", "\0", "\ud800"]


@pytest.mark.parametrize("words", [*SYNTAX, " ".join(SYNTAX), 'tea" OR "', "tea*", "NOT tea", "x" * 5000, "w " * 500])
async def test_nothing_in_a_search_is_syntax(ledger: Ledger, words: str) -> None:
    await hear(ledger, incoming(A, "tea"))

    assert await found(ledger, words) in ([], ["tea"])


@given(words=st.text(max_size=40), said=st.text(min_size=1, max_size=40))
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
async def test_whatever_is_looked_for_is_no_fault(ledger: Ledger, words: str, said: str) -> None:
    await hear(ledger, incoming(f"${said}", said))
    await found(ledger, words)
    own = await found(ledger, said)

    assert own == [] or said.encode("utf-8", "replace").decode() in own


# ── who hears of it ──


async def test_all_who_listen_hear_of_a_change_and_editions_differ(ledger: Ledger) -> None:
    one, two = ledger.history.listen(), ledger.history.listen()
    editions = [ledger.history.edition(ROOM)]
    quiet = ledger.history.edition(OTHER_ROOM)

    async def changed() -> None:
        assert (await one.wait(0), await two.wait(0)) == (True, True)
        editions.append(ledger.history.edition(ROOM))

    await hear(ledger, incoming(A, "tea"))
    await changed()
    await hear(ledger, edit("$e1", A, "coffee"))
    await changed()
    await hear(ledger, redaction(A))
    await changed()
    assert len({*editions}) == 4
    assert ledger.history.edition(OTHER_ROOM) == quiet


async def test_an_echo_alone_is_no_news(ledger: Ledger) -> None:
    bell, before = ledger.history.listen(), ledger.history.edition(ROOM)
    await ledger.inbox.take_in("t", [incoming(A)], NOW, [Echo(event=B, room=ROOM, txn=TxnId("txn"))])

    assert not await bell.wait(0)
    assert ledger.history.edition(ROOM) == before


# ── what is forgotten ──


async def test_what_is_old_is_forgotten_whole(ledger: Ledger) -> None:
    await hear(ledger, *many(450), now=NOW)
    await hear(ledger, incoming(A, "number one"), now=NOW + 5)
    before = ledger.history.edition(ROOM)

    assert await ledger.housekeeping.erase(NOW + 5) == 450
    assert bodies(await ledger.history.latest(ROOM, 500)) == ["number one"]
    assert await found(ledger, "number") == ["number one"]
    assert ledger.history.edition(ROOM) != before
    await ledger.housekeeping.prune(NOW + 6)
    assert await ledger.history.get(A) is None


async def test_what_was_heard_is_there_with_the_token_or_not_at_all(backend: OpenLedger, tmp_path: Path) -> None:
    nothing = Said(
        position=0,
        event=A,
        room=ROOM,
        sender=ANNA,
        sent_at=NOW,
        kind="text",
        body=None,  # type: ignore[arg-type]
    )
    async with backend(tmp_path / "ledger.db") as ledger:
        fine = heard(many(2), lambda *_: True)
        with pytest.raises(StoreError):
            await ledger.inbox.take_in("t9", [incoming(A)], NOW, [*fine, Spoken(said=nothing)])

    async with backend(tmp_path / "ledger.db") as ledger:
        assert await ledger.inbox.token() is None
        assert await ledger.inbox.unrouted(10) == []
        assert await ledger.history.newest() == 0
