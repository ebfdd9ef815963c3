"""Deny by default: only the ids that are listed, each with its highest role."""

from dataclasses import replace

import pytest

from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.route.access import Role, may_invite, role_of
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, OTHER, ROOM, VERA, settings

EMPTY = replace(KITCHEN, users=frozenset(), admins=frozenset(), viewers=frozenset())


@pytest.mark.parametrize(
    ("user", "role"),
    [
        pytest.param(ADA, Role.ADMIN, id="an admin"),
        pytest.param(ANNA, Role.USER, id="a user"),
        pytest.param(VERA, Role.VIEWER, id="a viewer"),
        pytest.param(EVE, None, id="a stranger"),
        pytest.param(UserId("@anna:hs.evil"), None, id="the same name on a longer server"),
        pytest.param(UserId("@Anna:hs"), None, id="the same name in capitals"),
        pytest.param(UserId("anna"), None, id="a display name"),
        pytest.param(UserId(""), None, id="nobody"),
    ],
)
def test_a_role_is_given_to_the_exact_id(user: UserId, role: Role | None) -> None:
    assert role_of(user, KITCHEN) is role


def test_the_highest_role_counts() -> None:
    everybody = frozenset({ANNA})

    assert role_of(ANNA, replace(EMPTY, users=everybody, admins=everybody, viewers=everybody)) is Role.ADMIN
    assert role_of(ANNA, replace(EMPTY, users=everybody, viewers=everybody)) is Role.USER


def test_a_room_that_lists_nobody_serves_nobody() -> None:
    assert role_of(ANNA, EMPTY) is None


def test_each_role_may_do_what_the_one_before_may() -> None:
    assert Role.VIEWER < Role.USER < Role.ADMIN


@pytest.mark.parametrize(
    ("user", "room", "may"),
    [
        pytest.param(EVE, ROOM, True, id="anybody into a configured room"),
        pytest.param(ANNA, RoomId("!new:hs"), True, id="a user into an unknown room"),
        pytest.param(ADA, RoomId("!new:hs"), True, id="an admin into an unknown room"),
        pytest.param(VERA, RoomId("!new:hs"), False, id="a viewer into an unknown room"),
        pytest.param(EVE, RoomId("!new:hs"), False, id="a stranger into an unknown room"),
    ],
)
def test_an_invite_is_accepted_from_whom_and_into_what_we_know(user: UserId, room: RoomId, may: bool) -> None:
    assert may_invite(user, room, settings(replace(EMPTY, id=OTHER), KITCHEN)) is may


def test_an_invite_is_accepted_from_whom_any_room_lists() -> None:
    assert may_invite(ANNA, RoomId("!new:hs"), settings(replace(EMPTY, id=ROOM), GARDEN))


@pytest.mark.parametrize("user", [ADA, ANNA, VERA, EVE])
def test_where_nobody_is_listed_no_invite_into_an_unknown_room_is_accepted(user: UserId) -> None:
    assert not may_invite(user, RoomId("!new:hs"), settings(EMPTY))


def test_who_is_an_admin_of_no_room_may_still_make_rooms() -> None:
    decided = settings(EMPTY, admins=frozenset({EVE}))

    assert may_invite(EVE, RoomId("!new:hs"), decided)
    assert decided.may_make_rooms(EVE)
    assert not decided.may_make_rooms(ANNA)


def test_whom_the_defaults_list_may_invite_where_there_is_no_room_yet() -> None:
    decided = settings(EMPTY, template=replace(KITCHEN, id=RoomId("")))

    assert [decided.is_named(user) for user in (ADA, ANNA, VERA, EVE)] == [True, True, False, False]
    assert [decided.may_make_rooms(user) for user in (ADA, ANNA, VERA, EVE)] == [True, False, False, False]


def test_a_room_that_was_made_in_chat_lets_nobody_make_another() -> None:
    made = replace(KITCHEN, admins=frozenset({EVE}), users=frozenset({VERA}), made_by=EVE)
    decided = settings(EMPTY, made)

    assert not decided.may_make_rooms(EVE)
    assert not decided.is_named(VERA)
