"""/allow lets somebody in, for those who may, in this room, for as long as was said."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.access import Grant, Role
from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import UserId
from aiagentchat.render import away, words
from aiagentchat.render.hygiene import no_ping
from aiagentchat.route.bot_commands.allow import LONGEST_DAYS, Wish, wish_in
from aiagentchat.route.catch_up import ANNOUNCE_AFTER_MS
from tests.fakes.clock import START_MS
from tests.fakes.front import Front, open_front
from tests.fakes.members import powers
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, OTHER, ROOM, VERA, settings, typed

HOUR = 3_600_000


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


def grant(user: UserId = EVE, role: Role = Role.USER, until: int | None = None) -> Grant:
    """As Ada gives it at the beginning."""
    return Grant(room=ROOM, user=user, role=role, by=ADA, given_at=START_MS, until=until)


async def grants(front: Front) -> list[Grant]:
    return await front.ledger.grants.in_room(ROOM, front.clock.now_ms())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param("@eve:hs", grant(), id="an id alone makes a user"),
        pytest.param("@eve:hs user", grant(), id="a user"),
        pytest.param("@eve:hs viewer", grant(role=Role.VIEWER), id="a viewer"),
        pytest.param("@eve:hs for 2h", grant(until=START_MS + 2 * HOUR), id="for a while"),
        pytest.param("@eve:hs viewer  for 30 m", grant(role=Role.VIEWER, until=START_MS + HOUR // 2), id="both"),
        pytest.param("@eve:hs user for 7d", grant(until=START_MS + 7 * 24 * HOUR), id="days"),
        pytest.param("@vera:hs", grant(VERA), id="a viewer of config.yaml gets more"),
        pytest.param("@eve=1/x:[::1]:8448", grant(UserId("@eve=1/x:[::1]:8448")), id="any id"),
    ],
)
async def test_an_admin_lets_somebody_in(front: Front, arguments: str, expected: Grant) -> None:
    assert await front.told(typed(f"/allow {arguments}", sender=ADA)) == [words.allowed(expected, START_MS)]
    assert await grants(front) == [expected]


async def test_it_is_in_force_with_the_next_message(front: Front) -> None:
    said = typed("make tea", sender=EVE)

    await front.hear(typed("/allow @eve:hs", sender=ADA), said)
    assert await front.state(said.event) is CommandState.QUEUED


async def test_it_is_for_this_room_alone(front: Front) -> None:
    await front.told(typed("/allow @eve:hs", sender=ADA))

    assert await front.told(typed("/status", sender=EVE, room=OTHER)) == [words.refused(EVE, "garden")]


async def test_it_ends_by_our_clock(front: Front) -> None:
    await front.hear(typed("/allow @eve:hs for 2h", sender=ADA))
    front.clock.advance(2 * 3600 - 0.001)
    assert await front.told(typed("/version", sender=EVE)) != [words.refused(EVE, "kitchen")]

    front.clock.advance(0.001)
    assert await front.told(typed("/version", sender=EVE)) == [words.refused(EVE, "kitchen")]
    assert await grants(front) == []


async def test_it_outlives_us(tmp_path: Path) -> None:
    async with open_front(tmp_path / "other.db") as earlier:
        await earlier.hear(typed("/allow @eve:hs viewer for 2h", sender=ADA))

    async with open_front(tmp_path / "other.db") as later:
        assert await grants(later) == [grant(role=Role.VIEWER, until=START_MS + 2 * HOUR)]


async def test_the_last_word_counts(front: Front) -> None:
    await front.hear(typed("/allow @eve:hs", sender=ADA), typed("/allow @eve:hs viewer for 1h", sender=ADA))

    assert await grants(front) == [grant(role=Role.VIEWER, until=START_MS + HOUR)]


async def test_what_was_given_is_taken_back_at_once(front: Front) -> None:
    await front.told(typed("/allow @eve:hs", sender=ADA))

    assert await front.told(typed("/allow remove @eve:hs", sender=ADA)) == [words.disallowed(EVE, None)]
    assert await front.told(typed("/status", sender=EVE)) == [words.refused(EVE, "kitchen")]
    assert await grants(front) == []


async def test_what_config_yaml_says_stays(front: Front) -> None:
    await front.told(typed("/allow @vera:hs", sender=ADA))

    assert await front.told(typed("/allow remove @vera:hs", sender=ADA)) == [words.disallowed(VERA, Role.VIEWER)]
    assert await front.told(typed("/allow remove @vera:hs", sender=ADA)) == [
        words.not_allowed_before(VERA, Role.VIEWER)
    ]
    assert await front.told(typed("/allow remove @eve:hs", sender=ADA)) == [words.not_allowed_before(EVE, None)]


async def test_alone_it_lists_who_was_let_in_by_whom_and_until_when(front: Front) -> None:
    assert await front.told(typed("/allow", sender=ADA)) == [words.NO_GRANTS]
    await front.told(typed("/allow @eve:hs for 2h", sender=ADA), typed("/allow @vera:hs", sender=ADA))

    [listed] = await front.told(typed("/allow", sender=ADA))
    assert listed == words.grants_listed([grant(until=START_MS + 2 * HOUR), grant(VERA)], START_MS)
    assert "`@eve:hs`: user by `/allow` of `@ada:hs`, until 2023-11-15 00:13 UTC (in 2 h 00 min)" in listed
    assert "`@vera:hs`: user by `/allow` of `@ada:hs`, until it is taken back" in listed


@pytest.mark.parametrize("sender", [ANNA, VERA])
@pytest.mark.parametrize("body", ["/allow", "/allow @eve:hs", "/allow remove @eve:hs", "!allow @anna:hs user"])
async def test_only_admins_let_somebody_in(front: Front, sender: UserId, body: str) -> None:
    assert await front.told(typed(body, sender=sender)) == [words.only_admins("allow")]
    assert await grants(front) == []


async def test_a_stranger_does_not_let_himself_in(front: Front) -> None:
    assert await front.told(typed("/allow @eve:hs", sender=EVE)) == [words.refused(EVE, "kitchen")]
    assert await grants(front) == []


async def test_nobody_is_made_an_admin(front: Front) -> None:
    assert await front.told(typed("/allow @eve:hs admin", sender=ADA)) == [words.NOBODY_IS_MADE_ADMIN]
    assert await grants(front) == []


async def test_who_was_let_in_lets_nobody_in(front: Front) -> None:
    await front.told(typed("/allow @eve:hs", sender=ADA))

    assert await front.told(typed("/allow @mallory:hs", sender=EVE)) == [words.only_admins("allow")]


@pytest.mark.parametrize(
    ("user", "role", "has"),
    [
        pytest.param(ANNA, "user", Role.USER, id="as much"),
        pytest.param(ANNA, "viewer", Role.USER, id="less"),
        pytest.param(ADA, "user", Role.ADMIN, id="oneself"),
    ],
)
async def test_what_config_yaml_gives_already_is_not_given_again(
    front: Front, user: UserId, role: str, has: Role
) -> None:
    assert await front.told(typed(f"/allow {user} {role}", sender=ADA)) == [words.allowed_already(user, has)]
    assert await grants(front) == []


async def test_it_is_said_when_the_power_levels_leave_less_of_it(front: Front) -> None:
    front.settings = settings(replace(KITCHEN, power=PowerNeeded(user=10)), GARDEN)
    front.members.states[ROOM] = powers({"users": {ADA: 100}})

    [told] = await front.told(typed("/allow @eve:hs", sender=ADA))
    assert told == f"{words.allowed(grant(), START_MS)} {words.but_power(Role.VIEWER)}"


async def test_what_was_written_long_ago_lets_nobody_in(front: Front) -> None:
    late = typed("/allow @eve:hs", sender=ADA, late_ms=ANNOUNCE_AFTER_MS)

    assert await front.told(late) == [away.ALLOW_TOO_LATE]
    assert await grants(front) == []


async def test_taking_back_counts_however_late_it_comes(front: Front) -> None:
    await front.told(typed("/allow @eve:hs", sender=ADA))
    late = typed("/allow remove @eve:hs", sender=ADA, late_ms=ANNOUNCE_AFTER_MS)

    assert await front.told(late) == [words.disallowed(EVE, None)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param("eve", words.allow_not_understood("eve"), id="a name"),
        pytest.param("Eve (she/her)", words.allow_not_understood("Eve (she/her)"), id="a name as clients show it"),
        pytest.param("@eve", words.allow_not_a_user("@eve"), id="no server"),
        pytest.param("@*:hs", words.allow_not_a_user("@*:hs"), id="a rule on a server"),
        pytest.param("@eve:", words.allow_not_a_user("@eve:"), id="an empty server"),
        pytest.param("@\u0435ve:hs", words.allow_not_a_user("@\u0435ve:hs"), id="a letter that looks the same"),
        pytest.param("@eve:hs\u200b", words.allow_not_a_user("@eve:hs\u200b"), id="a letter that is not seen"),
        pytest.param(f"@{'e' * 255}:hs", words.allow_not_a_user(f"@{'e' * 255}:hs"), id="too long"),
        pytest.param("@eve:hs boss", words.allow_not_understood("@eve:hs boss"), id="an unknown role"),
        pytest.param("@eve:hs User", words.allow_not_understood("@eve:hs User"), id="capitals"),
        pytest.param("@eve:hs for ever", words.allow_not_understood("@eve:hs for ever"), id="no time"),
        pytest.param("@eve:hs for 2", words.allow_not_understood("@eve:hs for 2"), id="no unit"),
        pytest.param("@eve:hs for 30s", words.allow_not_understood("@eve:hs for 30s"), id="seconds"),
        pytest.param("@eve:hs for 0h", words.allow_too_long("0h", LONGEST_DAYS), id="no time at all"),
        pytest.param("@eve:hs for 366d", words.allow_too_long("366d", LONGEST_DAYS), id="more than a year"),
        pytest.param("remove", words.allow_not_understood("remove"), id="nobody"),
        pytest.param("remove @*:hs", words.allow_not_a_user("@*:hs"), id="taking back from everybody"),
        pytest.param("remove @eve:hs user", words.allow_not_understood("remove @eve:hs user"), id="a part of it"),
        pytest.param("remove @eve:hs for 1h", words.allow_not_understood("remove @eve:hs for 1h"), id="for a while"),
        pytest.param("@eve:hs @mallory:hs", words.allow_not_understood("@eve:hs @mallory:hs"), id="two at once"),
    ],
)
async def test_what_makes_no_sense_changes_nothing_and_is_answered(front: Front, arguments: str, told: str) -> None:
    assert await front.told(typed(f"/allow {arguments}", sender=ADA)) == [no_ping(told)]
    assert await grants(front) == []


@given(st.text(max_size=40) | st.from_regex(r"@[a-z]{0,3}:[a-z]{0,3}( (user|viewer|admin))?( for [0-9]{1,9} ?[mhd])?"))
def test_whatever_is_typed_gives_at_most_a_user_for_at_most_a_year(text: str) -> None:
    wish = wish_in(text)

    assert not isinstance(wish, Wish) or wish.role <= Role.USER
    assert not isinstance(wish, Wish) or 0 < (wish.lasts_ms or 1) <= LONGEST_DAYS * 24 * HOUR
