"""/timeout changes the time of the turn that runs, for those who may."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.commands import LONGEST_TURN, Command, TurnTime
from aiagentchat.core.ids import UserId
from aiagentchat.render import words
from aiagentchat.route.bot_commands.timeout import limit_in
from tests.fakes.front import Front, open_front
from tests.fakes.people import ADA, ANNA, OTHER, ROOM, VERA, command, typed


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def running(front: Front, *, sender: UserId = ANNA, elapsed: float = 60.0, stands: bool = False) -> Command:
    """A turn that runs, and has for so long."""
    made = command(sender=sender)
    await front.running(made)
    front.times[ROOM] = TurnTime(limit=300.0, elapsed=elapsed, stands=stands)
    return made


@pytest.mark.parametrize("body", ["/timeout", "/timeout +10m"])
async def test_where_nothing_runs_there_is_no_time_to_change(front: Front, body: str) -> None:
    await front.running(command(room=OTHER))

    assert await front.told(typed(body)) == [words.NO_TURN_TO_TIME]


@pytest.mark.parametrize(
    ("typed_", "limit"), [("+10m", 900), ("+ 90 s", 390), ("+1h", 3900), ("10m", 600), ("2H", 7200), ("61s", 61)]
)
async def test_a_turn_is_given_time(front: Front, typed_: str, limit: int) -> None:
    made = await running(front)

    assert await front.told(typed(f"/timeout {typed_}")) == [words.time_set(limit, limit - 60.0)]
    assert await front.ledger.commands.time_limit(made.event) == limit


async def test_time_adds_up_also_before_the_turn_has_heard_of_it(front: Front) -> None:
    made = await running(front)
    await front.told(typed("/timeout +10m"), typed("/timeout +10m"))

    assert await front.ledger.commands.time_limit(made.event) == 1500


async def test_a_turn_that_has_just_begun_has_the_time_of_its_room(front: Front) -> None:
    await front.running(command())

    assert await front.told(typed("/timeout")) == [words.time_left(300, 300.0, stands=False)]


@pytest.mark.parametrize("stands", [False, True])
async def test_without_a_time_it_says_what_is_left(front: Front, stands: bool) -> None:
    made = await running(front, stands=stands)

    assert await front.told(typed("/timeout")) == [words.time_left(300.0, 240.0, stands=stands)]
    assert await front.ledger.commands.time_limit(made.event) is None


@pytest.mark.parametrize(
    ("typed_", "told"),
    [
        pytest.param("soon", words.time_not_understood("soon"), id="no time"),
        pytest.param("10", words.time_not_understood("10"), id="no unit"),
        pytest.param("-10m", words.time_not_understood("-10m"), id="less than nothing"),
        pytest.param("+0m", words.time_not_understood("+0m"), id="nothing"),
        pytest.param("٣m", words.time_not_understood("٣m"), id="digits that are none here"),
        pytest.param("+168h", words.time_too_long(LONGEST_TURN), id="more than a week in all"),
        pytest.param("9999999h", words.time_too_long(LONGEST_TURN), id="far more"),
        pytest.param("60s", words.time_too_short(60.0), id="what it has taken already"),
    ],
)
async def test_what_is_no_good_time_changes_nothing_and_says_why(front: Front, typed_: str, told: str) -> None:
    made = await running(front)

    assert await front.told(typed(f"/timeout {typed_}")) == [told]
    assert await front.ledger.commands.time_limit(made.event) is None


async def test_a_week_is_not_too_much(front: Front) -> None:
    made = await running(front)
    await front.told(typed("/timeout 168h"))

    assert await front.ledger.commands.time_limit(made.event) == LONGEST_TURN


@pytest.mark.parametrize(
    ("asker", "sender", "may"),
    [
        pytest.param(ANNA, ANNA, True, id="whoever asked for it"),
        pytest.param(ADA, ANNA, True, id="an admin"),
        pytest.param(ANNA, ADA, False, id="another user"),
        pytest.param(VERA, VERA, False, id="a viewer, even if it was theirs"),
    ],
)
async def test_the_time_is_changed_by_those_who_may(front: Front, asker: UserId, sender: UserId, may: bool) -> None:
    made = await running(front, sender=sender)
    await front.told(typed("/timeout +10m", sender=asker))

    assert await front.ledger.commands.time_limit(made.event) == (900 if may else None)


async def test_who_may_not_change_it_is_told_and_may_look(front: Front) -> None:
    await running(front, sender=ADA)

    assert await front.told(typed("/timeout +10m")) == [words.NOT_YOURS_TO_TIME]
    assert await front.told(typed("/timeout")) == [words.time_left(300.0, 240.0, stands=False)]


async def test_the_next_turn_has_the_time_of_the_room_again(front: Front) -> None:
    await running(front)
    waits = command()
    await front.accepted(waits)
    await front.told(typed("/timeout +10m"))

    assert await front.ledger.commands.time_limit(waits.event) is None


@given(st.text(), st.integers(1, LONGEST_TURN))
def test_nothing_that_is_typed_makes_it_raise(text: str, before: int) -> None:
    limit = limit_in(text, before)

    assert limit is None or limit > 0
