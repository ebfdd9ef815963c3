"""What one person types in short succession is one command, where the room has it so."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import CallerName, EventId, MessageId
from aiagentchat.core.messages import Kind
from aiagentchat.core.meta import Address, Meta
from aiagentchat.core.parcels import REACTION
from aiagentchat.render import words
from aiagentchat.route.joining import LONGEST_MS, MOST_PARTS
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, GARDEN, KITCHEN, ME, ROOM, event, settings, typed

ASKED = Meta(id=MessageId("m1"), to=Address(ME))


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(replace(KITCHEN, debounce=1.5), GARDEN)
        yield opened


async def texts(front: Front) -> list[str]:
    return [each.text for each in await front.ledger.commands.queue(ROOM)]


async def test_what_comes_in_short_succession_is_one_command(front: Front) -> None:
    said = [typed(text) for text in ("make tea", "with milk", "no sugar")]
    for each in said:
        await front.hear(each)
        front.clock.advance(1.0)

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.text) == (said[0].event, "make tea\n\nwith milk\n\nno sugar")
    assert queued.held_until == queued.queued_at + 2_000 + 1_500


async def test_each_of_them_is_acknowledged_and_none_is_told_a_place(front: Front) -> None:
    said = [typed("make tea"), typed("with milk")]
    await front.hear(*said)

    parcels = await front.deliver()
    assert [each.type for each in parcels] == [REACTION, REACTION]
    assert [each.content["m.relates_to"]["event_id"] for each in parcels] == [each.event for each in said]
    assert {each.command for each in parcels} == {said[0].event}


async def test_what_comes_later_is_a_command_of_its_own(front: Front) -> None:
    await front.hear(typed("make tea"))
    front.clock.advance(1.5)
    await front.hear(typed("with milk"))

    assert await texts(front) == ["make tea", "with milk"]


@pytest.mark.parametrize(
    "more",
    [{"meta": ASKED, "by_agent": True}, {"meta": ASKED, "caller": CallerName("ci")}],
    ids=["agent", "caller"],
)
async def test_what_nobody_types_is_neither_held_nor_joined(front: Front, more: dict[str, Any]) -> None:
    await front.hear(typed("make tea"), typed("and cake", **more))

    held, other = await front.ledger.commands.queue(ROOM)
    assert (held.text, other.text, other.held_until) == ("make tea", "and cake", 0)


async def test_what_others_type_is_not_joined_and_comes_between(front: Front) -> None:
    await front.hear(typed("make tea"), typed("make coffee", sender=ADA), typed("with milk"))

    assert await texts(front) == ["make tea\n\nwith milk", "make coffee"]


async def test_where_the_room_does_not_have_it_each_message_is_a_command(front: Front) -> None:
    front.settings = settings()
    await front.hear(typed("make tea"), typed("with milk"))

    queue = await front.ledger.commands.queue(ROOM)
    assert [(each.text, each.held_until) for each in queue] == [("make tea", 0), ("with milk", 0)]


async def test_what_runs_is_not_joined(front: Front) -> None:
    said = typed("make tea")
    await front.hear(said)
    assert await front.ledger.commands.start(said.event, front.clock.now_ms())
    await front.hear(typed("with milk"))

    assert await texts(front) == ["make tea", "with milk"]


async def test_another_conversation_is_another_command(front: Front) -> None:
    await front.hear(typed("make tea"), typed("/new_session"), typed("with milk"))

    assert await texts(front) == ["make tea", "with milk"]


async def test_whoever_goes_on_and_on_is_answered_after_a_minute(front: Front) -> None:
    for number in range(8):
        await front.hear(typed(f"line {number}"))
        front.clock.advance(1.0)
    [queued] = await front.ledger.commands.queue(ROOM)
    assert queued.held_until < queued.queued_at + LONGEST_MS
    front.settings = settings(replace(KITCHEN, debounce=120.0), GARDEN)
    await front.hear(typed("last line"))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert queued.held_until == queued.queued_at + LONGEST_MS


async def test_a_command_has_so_many_messages_at_most(front: Front) -> None:
    await front.hear(*[typed(f"line {number}") for number in range(MOST_PARTS + 2)])

    first, second = await front.ledger.commands.queue(ROOM)
    assert first.text.count("line") == MOST_PARTS
    assert second.text == f"line {MOST_PARTS}\n\nline {MOST_PARTS + 1}"


async def test_what_is_joined_needs_no_place_in_the_queue(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, debounce=1.5), GARDEN, max_queue=1)
    await front.hear(typed("make tea"), typed("with milk"))
    await front.deliver()

    assert await texts(front) == ["make tea\n\nwith milk"]
    assert await front.told(typed("make coffee", sender=ADA)) == [words.queue_full(1)]


async def test_what_was_typed_while_nobody_listened_is_not_joined(front: Front) -> None:
    await front.hear(typed("make tea", late_ms=60_000), typed("with milk", late_ms=60_000))

    assert await texts(front) == ["make tea", "with milk"]


async def test_a_message_that_is_taken_back_leaves_the_others(front: Front) -> None:
    first, second = typed("make tea"), typed("with milk")
    await front.hear(first, second, event(Kind.REDACTION, target=first.event))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert (queued.event, queued.text) == (first.event, "with milk")
    await front.hear(event(Kind.REDACTION, target=second.event))
    assert await front.state(first.event) is CommandState.CANCELLED


async def test_taking_back_a_message_of_what_runs_ends_it(front: Front) -> None:
    first, second = typed("make tea"), typed("with milk")
    await front.hear(first, second)
    assert await front.ledger.commands.start(first.event, front.clock.now_ms())
    await front.hear(event(Kind.REDACTION, target=second.event))

    assert await front.ledger.commands.stop_requested(first.event) == ANNA


async def test_a_message_that_is_changed_changes_what_will_be_run(front: Front) -> None:
    first, second = typed("make tea"), typed("with milk")
    change = event(Kind.EDIT, "with lemon", target=second.event)
    await front.hear(first, second, change)

    assert await texts(front) == ["make tea\n\nwith lemon"]
    await front.hear(event(Kind.REDACTION, target=change.event))
    assert await texts(front) == ["make tea"]


async def test_a_stop_sign_on_any_of_them_cancels_the_command(front: Front) -> None:
    first, second = typed("make tea"), typed("with milk")
    await front.hear(first, second, event(Kind.REACTION, "🛑", target=second.event))

    assert await front.state(first.event) is CommandState.CANCELLED


async def test_what_a_message_replies_to_is_remembered(front: Front) -> None:
    await front.hear(typed("make tea"), typed("that one", target=EventId("$answer")))

    [queued] = await front.ledger.commands.queue(ROOM)
    assert queued.about == EventId("$answer")


async def test_taking_back_a_change_of_what_is_no_command_changes_nothing(front: Front) -> None:
    change = event(Kind.EDIT, "with lemon", target=EventId("$nothing"))

    assert await front.told(typed("make tea"), change, event(Kind.REDACTION, target=change.event)) == []
    assert await texts(front) == ["make tea"]
