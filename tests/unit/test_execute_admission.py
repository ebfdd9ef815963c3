"""A command that waited is looked at again when its turn is about to start."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.access import Hindrance
from aiagentchat.core.commands import CommandState
from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import EventId, InstanceName, MessageId, UserId
from aiagentchat.core.meta import Meta, MetaKind, read_meta
from aiagentchat.execute.admission import ASK_AGAIN, ASK_FOR
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.render import words
from aiagentchat.render.agent_words import OUT_OF_TIME
from tests.contract.store_fixtures import ANNA, BERT, NOW, ROOM, accept, command, stop
from tests.fakes.agent import Say, plays
from tests.unit.execute_house import House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, plays(Say("Tea is ready."))) as opened:
        yield opened


async def again(house: House) -> None:
    """The room's executor is started once more."""
    await RoomExecutor(ROOM, house.shop).run(others_wait=lambda: False)


async def test_what_somebody_who_has_left_had_asked_for_is_not_run(house: House) -> None:
    house.members.gone.add((ROOM, ANNA))
    await house.execute(command("$1"))

    assert await house.state("$1") is CommandState.CANCELLED
    assert await house.read() == [words.turned_away(ANNA, Hindrance.LEFT), "🛑"]
    assert house.agent.runs == []


async def test_what_somebody_who_may_not_had_asked_for_is_not_run_and_the_next_is(house: House) -> None:
    await house.execute(replace(command("$1"), sender=BERT), command("$2"))

    assert await house.state("$1") is CommandState.CANCELLED
    assert await house.state("$2") is CommandState.DONE
    assert (await house.read())[0] == words.turned_away(BERT, Hindrance.NOT_ALLOWED)


async def test_the_room_is_answered_where_it_was_asked(house: House) -> None:
    await house.execute(replace(command("$1"), sender=BERT, reply_to=EventId("$shown")))

    told, _ = await house.send_all()
    assert told.content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$shown"}}
    assert told.content["msgtype"] == "m.text"


async def test_while_the_homeserver_does_not_say_it_waits_in_its_place(house: House) -> None:
    house.members.trouble = Unreachable("nobody")
    await house.execute(command("$1"), command("$2"))

    assert [await house.state(event) for event in ("$1", "$2")] == [CommandState.QUEUED] * 2
    assert house.shop.rests.left(ROOM) == ASK_AGAIN
    assert await house.read() == []

    house.members.trouble = None
    await again(house)
    assert [await house.state(event) for event in ("$1", "$2")] == [CommandState.DONE] * 2


async def test_it_does_not_wait_for_ever(house: House) -> None:
    house.members.trouble = Unreachable("nobody")
    await house.execute(command("$1"))
    house.clock.advance(ASK_FOR - 1)
    await again(house)
    assert await house.state("$1") is CommandState.QUEUED

    house.clock.advance(1)
    await again(house)
    assert await house.state("$1") is CommandState.CANCELLED
    assert await house.read() == [words.turned_away(ANNA, Hindrance.UNKNOWN), "🛑"]


async def test_the_hour_of_one_command_is_not_that_of_the_next(house: House) -> None:
    house.members.trouble = Unreachable("nobody")
    await house.execute(command("$1"), command("$2"))
    house.clock.advance(ASK_FOR)
    await again(house)

    assert [await house.state(event) for event in ("$1", "$2")] == [CommandState.CANCELLED, CommandState.QUEUED]


async def test_what_is_taken_back_while_it_waits_counts_for_nothing(house: House) -> None:
    house.members.trouble = Unreachable("nobody")
    await house.execute(command("$1"))
    await stop(house.ledger, EventId("$1"))
    house.clock.advance(ASK_FOR)
    await accept(house.ledger, command("$2"))
    await again(house)

    assert await house.state("$2") is CommandState.QUEUED


async def test_one_that_is_taken_back_while_the_homeserver_is_asked_is_told_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leaves(room: str, user: UserId) -> bool:
        await stop(house.ledger, EventId("$1"))
        return not (room and user)

    monkeypatch.setattr(house.members, "is_in", leaves)
    await house.execute(command("$1"))

    assert await house.state("$1") is CommandState.CANCELLED
    assert await house.read() == []


AGENTS = Meta(id=MessageId("m1"), kind=MetaKind.QUESTION, expires_at=NOW)


async def test_an_agent_whose_time_is_over_is_told_that_it_was_not_begun(house: House) -> None:
    house.clock.advance(0.001)
    await house.execute(replace(command("$1"), meta=AGENTS), command("$2"))

    assert [await house.state(event) for event in ("$1", "$2")] == [CommandState.CANCELLED, CommandState.DONE]
    told, *_ = await house.send_all()
    meta = read_meta(told.content)
    assert isinstance(meta, Meta)
    assert (meta.kind, meta.in_reply_to) == (MetaKind.EXPIRED, "m1")
    assert told.content["body"] == OUT_OF_TIME


async def test_what_is_begun_in_time_is_answered(house: House) -> None:
    await house.execute(replace(command("$1"), meta=AGENTS))

    assert await house.state("$1") is CommandState.DONE


async def test_an_agent_that_may_not_is_told_so_as_a_refusal(house: House) -> None:
    await house.execute(replace(command("$1"), sender=BERT, meta=replace(AGENTS, expires_at=None)))

    [told] = await house.send_all()
    meta = read_meta(told.content)
    assert isinstance(meta, Meta)
    assert (meta.kind, meta.in_reply_to, meta.last) == (MetaKind.REFUSED, "m1", True)
    assert told.content["body"] == words.turned_away(BERT, Hindrance.NOT_ALLOWED)


async def test_what_a_person_has_taken_up_again_is_marked_for_that_person(house: House) -> None:
    again = replace(command("$1"), sender=BERT, origin=EventId("$first"), meta=replace(AGENTS, expires_at=None))
    await house.execute(again)

    assert (await house.read())[-1] == "🛑"


async def test_the_agent_reads_who_has_asked_and_the_message_gets_no_reactions(house: House) -> None:
    asked = replace(command("$1"), meta=replace(AGENTS, instance=InstanceName("laptop")))
    await house.execute(asked, command("$2"))
    [run] = house.agent.runs

    assert [prompt.text.partition("\n")[0] for prompt in run.prompts] == [
        f"[aiagentchat: a question from the agent `{ANNA}/laptop`, 0 turns of agents away from a person]",
        "make tea",
    ]
    assert [text.partition("\n")[0] for text in await house.read()] == ["Tea is ready.", "Tea is ready.", "✅"]
