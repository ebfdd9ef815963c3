"""What keeps a command from starting, long after it was accepted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.access import Grant, Hindrance, Role
from aiagentchat.core.effects import GiveRole
from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import CallerName, MessageId, RoomId, UserId
from aiagentchat.core.meta import Meta
from aiagentchat.route.doors import Doorkeeper
from tests.fakes.front import Front, open_front
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, ME, OTHER, ROOM, VERA, command, settings, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def hindrance(front: Front, sender: UserId = ANNA, room: RoomId = ROOM) -> Hindrance | None:
    return await front.doors.hindrance(command(sender=sender, room=room))


async def test_whoever_is_in_the_room_and_may_run_commands_starts(front: Front) -> None:
    assert [await hindrance(front, user) for user in (ANNA, ADA)] == [None, None]
    assert front.members.asked == [ANNA, ADA]


async def test_whoever_has_left_does_not(front: Front) -> None:
    front.members.gone.add((ROOM, ANNA))

    assert await hindrance(front) is Hindrance.LEFT
    assert await hindrance(front, room=OTHER) is None


@pytest.mark.parametrize("sender", [VERA, EVE])
async def test_whoever_may_not_run_commands_does_not_and_nobody_is_asked(front: Front, sender: UserId) -> None:
    assert await hindrance(front, sender) is Hindrance.NOT_ALLOWED
    assert front.members.asked == []


async def test_whoever_was_taken_out_of_config_yaml_does_not(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, users=frozenset()))

    assert await hindrance(front) is Hindrance.NOT_ALLOWED


async def test_a_grant_counts_for_as_long_as_it_holds(front: Front) -> None:
    now = front.clock.now_ms()
    given = typed("given")
    grant = Grant(room=ROOM, user=EVE, role=Role.USER, by=ADA, given_at=now, until=now + 1000)
    await front.take_in(given)
    await front.ledger.inbox.settle(given.event, [GiveRole(grant)], now)

    assert await hindrance(front, EVE) is None
    front.clock.advance(1)
    assert await hindrance(front, EVE) is Hindrance.NOT_ALLOWED


async def test_power_that_was_taken_counts(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, power=PowerNeeded(user=10)))
    front.members.states[ROOM] = powers({"users": {ANNA: 10}})
    assert await hindrance(front) is None

    front.members.states[ROOM] = powers({"users": {ANNA: 9}})
    assert await hindrance(front) is Hindrance.NOT_ALLOWED


async def test_power_that_nobody_knows_is_waited_for(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, power=PowerNeeded(user=0)))

    assert await hindrance(front) is Hindrance.UNKNOWN


@pytest.mark.parametrize(
    "trouble", [Unreachable("nobody"), RateLimited("429", retry_after=1), Refused("403"), LoginFailed("401")]
)
async def test_what_the_homeserver_does_not_say_is_not_known(front: Front, trouble: MatrixError) -> None:
    front.members.trouble = trouble

    assert await hindrance(front) is Hindrance.UNKNOWN


async def test_a_room_that_is_not_configured_is_for_the_turn_to_say(front: Front) -> None:
    front.settings = settings(GARDEN)

    assert await hindrance(front) is None
    assert front.doors.admins(ROOM) == ()


async def test_the_admins_are_those_whose_power_reaches(front: Front) -> None:
    everybody = UserId("@*:boss")
    room = replace(KITCHEN, admins=frozenset({ADA, ANNA, everybody}), power=PowerNeeded(admin=50))
    front.settings = settings(room)
    assert front.doors.admins(ROOM) == (everybody,)

    front.members.states[ROOM] = powers({"users": {ADA: 50}})
    assert front.doors.admins(ROOM) == (everybody, ADA)


async def test_a_caller_of_our_gateway_needs_neither_a_role_nor_to_be_here(front: Front) -> None:
    called = command(sender=ME, caller=CallerName("ci"))

    assert await front.doors.hindrance(called) is None
    assert front.members.asked == []


@pytest.mark.parametrize(("room", "expected"), [(ROOM, None), (OTHER, Hindrance.NOT_ALLOWED)])
async def test_a_caller_that_may_begin_nothing_any_more_does_not(
    front: Front, room: RoomId, expected: Hindrance | None
) -> None:
    async def may_begin(caller: CallerName, where: RoomId) -> bool:
        return (caller, where) == ("ci", ROOM)

    doors = Doorkeeper(
        settings=lambda: front.settings,
        grants=front.ledger.grants,
        members=front.members,
        clock=front.clock,
        may_begin=may_begin,
    )

    assert await doors.hindrance(command(sender=ME, room=room, caller=CallerName("ci"))) is expected


async def test_an_agent_is_looked_at_as_its_account_is(front: Front) -> None:
    asked = command(meta=Meta(id=MessageId("m1")))

    assert await front.doors.hindrance(asked) is None
    assert await front.doors.hindrance(replace(asked, sender=EVE)) is Hindrance.NOT_ALLOWED
