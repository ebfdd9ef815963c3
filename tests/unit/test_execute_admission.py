"""A command that waited is looked at again when its turn is about to start."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.access import Hindrance
from aiagentchat.core.commands import Command, CommandState
from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import EventId, InstanceName, MessageId, UserId
from aiagentchat.core.meta import Address, Meta, MetaKind, read_meta
from aiagentchat.execute.admission import ASK_AGAIN, ASK_FOR
from aiagentchat.execute.room import RoomExecutor
from aiagentchat.render import words
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


# ── what programs have asked for ──

ASKED = Meta(id=MessageId("m1"), instance=InstanceName("laptop"), to=Address(UserId("@claude:localhost")))


def of_agent(event: str = "$1", **more: Any) -> Command:
    """Anna's account is a program's."""
    return replace(command(event), meta=replace(ASKED, **more))


async def test_a_program_reads_in_an_event_of_its_own_that_nothing_was_run(house: House) -> None:
    house.members.gone.add((ROOM, ANNA))
    await house.execute(of_agent())

    [told] = await house.send_all()
    meta = read_meta(told.content)
    assert isinstance(meta, Meta)
    assert (meta.kind, meta.in_reply_to) == (MetaKind.REFUSED, "m1")
    assert meta.to == Address(ANNA, InstanceName("laptop"))
    assert words.turned_away(ANNA, Hindrance.LEFT) in told.content["body"]
    assert await house.state("$1") is CommandState.CANCELLED


async def test_what_waited_for_too_long_by_its_own_word_is_not_begun(house: House) -> None:
    await house.execute(of_agent("$1", expires_at=NOW), of_agent("$2", expires_at=NOW + 1))

    told, *_ = await house.send_all()
    meta = read_meta(told.content)
    assert isinstance(meta, Meta)
    assert meta.kind is MetaKind.EXPIRED
    assert await house.state("$1") is CommandState.CANCELLED
    assert await house.state("$2") is CommandState.DONE


async def test_what_a_person_has_taken_up_again_is_told_to_that_person(house: House) -> None:
    again = replace(of_agent(), sender=BERT, origin=EventId("$first"))
    await house.execute(again)

    assert await house.read() == [words.turned_away(BERT, Hindrance.NOT_ALLOWED), "🛑"]


async def test_the_agent_reads_who_has_asked_and_the_message_gets_no_reactions(house: House) -> None:
    await house.execute(of_agent("$1"), command("$2"))
    [run] = house.agent.runs

    assert [prompt.text.partition("\n")[0] for prompt in run.prompts] == [
        f"[aiagentchat: a message from the agent `{ANNA}/laptop`, 0 turns of agents away from a person]",
        "make tea",
    ]
    assert [text.partition("\n")[0] for text in await house.read()] == ["Tea is ready.", "Tea is ready.", "✅"]
