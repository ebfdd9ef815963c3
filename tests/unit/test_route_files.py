"""Files that people put into a room: with a caption they are commands, without one they wait."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.files import FILES_WAIT_MS, MOST_FILES, FileKeys, MediaFile
from aiagentchat.core.ids import EventId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import MESSAGE, REACTION
from aiagentchat.render import file_words, words
from aiagentchat.route.catch_up import OFFER_AFTER_MS
from tests.fakes.front import Front, event_of, open_front
from tests.fakes.people import ADA, ANNA, OTHER, ROOM, event, settings, typed

PLAN = MediaFile(name="plan.pdf", mime="application/pdf", size=1000, url="mxc://hs/plan")
PHOTO = MediaFile(name="photo.png", mime="image/png", url="mxc://hs/photo")
KEYS = FileKeys(key="k", iv="i", sha256="s")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def sent(file: MediaFile = PLAN, caption: str = "", **more: Any) -> Incoming:
    return event(Kind.FILE, caption, file=file, **more)


async def test_a_file_with_a_caption_is_a_command(front: Front) -> None:
    said = sent(PLAN, "what is this?")
    await front.hear(said)

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.text) == (said.event, "what is this?")
    assert await front.ledger.commands.files_of(said.event) == [PLAN]
    assert [parcel.content["m.relates_to"]["key"] for parcel in await front.deliver()] == ["👀"]


async def test_a_file_without_a_caption_waits_and_its_sender_is_told_once(front: Front) -> None:
    first, second = sent(PLAN), sent(PHOTO)
    await front.hear(first, second)

    assert await front.ledger.commands.queue(ROOM) == []
    parcels = await front.deliver()
    marks = [parcel.content["m.relates_to"]["key"] for parcel in parcels if parcel.type == REACTION]
    assert marks == ["📎", "📎"]
    assert [parcel.content["body"] for parcel in parcels if parcel.type != REACTION] == [file_words.waits("plan.pdf")]
    assert front.signals.shown == [(ROOM, first.event), (ROOM, second.event)]


async def test_what_waits_goes_along_with_what_its_sender_asks_next(front: Front) -> None:
    asked = typed("compare them")
    await front.hear(sent(PLAN), sent(PHOTO), typed("/status"), typed("hello", sender=ADA), asked)
    after = typed("and now?")
    await front.hear(after)

    assert await front.ledger.commands.files_of(asked.event) == [PLAN, PHOTO]
    assert await front.ledger.commands.files_of(after.event) == []
    queue = await front.ledger.commands.queue(ROOM)
    assert [each.sender for each in queue] == [ADA, ANNA, ANNA]
    assert await front.ledger.commands.files_of(queue[0].event) == []


async def test_what_waits_in_one_room_is_not_for_another(front: Front) -> None:
    elsewhere = typed("compare them", room=OTHER)
    await front.hear(sent(PLAN), elsewhere)

    assert await front.ledger.commands.files_of(elsewhere.event) == []


async def test_the_files_of_a_caption_stay_with_it(front: Front) -> None:
    with_caption, next_one = sent(PLAN, "read this"), typed("make tea")
    await front.hear(with_caption, next_one)

    assert await front.ledger.commands.files_of(next_one.event) == []


async def test_a_caption_that_is_a_bot_command_leaves_the_file_to_the_next_message(front: Front) -> None:
    asked = typed("read it")
    assert await front.told(sent(PLAN, "/version"), asked) != []

    assert await front.ledger.commands.files_of(asked.event) == [PLAN]


async def test_a_retry_has_the_files_of_what_it_takes_up_again(front: Front) -> None:
    first = sent(PLAN, "read this")
    await front.hear(first)
    await front.ledger.commands.start(first.event, front.clock.now_ms())
    await front.ledger.commands.interrupt(first.event, None, TurnRecord(), [], front.clock.now_ms())
    again = typed("/retry")
    await front.hear(again)

    assert await front.ledger.commands.files_of(again.event) == [PLAN]


async def test_a_file_that_waited_for_a_day_is_forgotten(front: Front) -> None:
    await front.hear(sent(PLAN))
    front.clock.advance(FILES_WAIT_MS / 1000 + 1)
    asked = typed("read it")
    await front.hear(asked)

    assert await front.ledger.commands.files_of(asked.event) == []


async def test_a_file_that_says_that_it_is_too_large_is_refused_with_its_caption(front: Front) -> None:
    front.settings = settings(max_file=1)
    large = replace(PLAN, size=2**20 + 1)

    assert await front.told(sent(large, "read this")) == [file_words.too_large("plan.pdf", 2**20 + 1, 1)]
    assert await front.ledger.commands.queue(ROOM) == []
    assert await front.told(sent(replace(PLAN, size=2**20))) == [file_words.waits("plan.pdf")]


async def test_so_many_files_wait_and_no_more(front: Front) -> None:
    await front.hear(*(sent(PLAN) for _ in range(MOST_FILES)))
    await front.deliver()

    assert await front.told(sent(PHOTO)) == [file_words.too_many_wait(MOST_FILES)]
    asked = typed("read them")
    await front.hear(asked)
    assert await front.ledger.commands.files_of(asked.event) == [PLAN] * MOST_FILES


async def test_a_file_in_the_clear_is_refused_in_an_encrypted_room(front: Front) -> None:
    await front.ledger.keyring.mark_encrypted(ROOM, 1)
    in_the_clear = sent(replace(PLAN, keys=KEYS), "read this")
    assert await front.told(in_the_clear) == [words.IN_THE_CLEAR]

    assert await front.told(sent(PLAN, "read this", encrypted=True)) == [file_words.not_encrypted("plan.pdf")]
    fine = sent(replace(PLAN, keys=KEYS), "read this", encrypted=True)
    await front.hear(fine)
    assert await front.ledger.commands.files_of(fine.event) == [replace(PLAN, keys=KEYS)]


async def test_a_file_that_is_taken_back_does_not_go_along(front: Front) -> None:
    waits, asked = sent(PLAN), typed("read it")
    await front.hear(waits, event(Kind.REDACTION, target=waits.event), asked)

    assert await front.ledger.commands.files_of(asked.event) == []


async def test_a_command_that_finds_the_queue_full_leaves_the_files_to_the_next(front: Front) -> None:
    await front.hear(sent(PLAN))
    front.settings = settings(max_queue=1)
    turned_away, later = typed("too much"), typed("read it")
    await front.hear(typed("make tea", sender=ADA), turned_away)
    assert await front.state(turned_away.event) is CommandState.REJECTED
    front.settings = settings()
    await front.hear(later)

    assert await front.ledger.commands.files_of(later.event) == [PLAN]


async def test_a_file_that_came_late_is_run_with_its_caption_when_it_was_offered(front: Front) -> None:
    late = sent(PLAN, "read this", late_ms=OFFER_AFTER_MS)
    await front.hear(late)
    [offer] = [parcel for parcel in await front.deliver() if parcel.approval is not None and parcel.type == MESSAGE]
    await front.hear(event(Kind.REACTION, "✅", target=event_of(offer.txn)))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.text) == (EventId(late.event), "read this")
    assert await front.ledger.commands.files_of(queued.event) == [PLAN]


async def test_late_files_without_a_word_are_not_offered(front: Front) -> None:
    late, asked = sent(PLAN, late_ms=OFFER_AFTER_MS), typed("read it", late_ms=61_000)
    await front.hear(late, asked)

    assert await front.ledger.commands.files_of(asked.event) == [PLAN]
