"""Deny by default: only the ids that are listed, each with its highest role."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.config.settings import PowerNeeded
from aiagentchat.core.access import Grant
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import Powers
from aiagentchat.route.access import Role, Roles, may_invite, role_of
from tests.fakes.members import powers
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


@pytest.mark.parametrize(
    ("user", "role"),
    [
        pytest.param("@anybody:hs", Role.USER, id="anybody on that server"),
        pytest.param("@Any.Body=7:hs", Role.USER, id="whatever the name"),
        pytest.param("@*:hs", Role.USER, id="somebody who is called like the rule"),
        pytest.param("@anybody:hs.evil", None, id="a longer server"),
        pytest.param("@anybody:evil.hs", None, id="a server below another"),
        pytest.param("@anybody:HS", None, id="capitals"),
        pytest.param("@anybody:hs:443", None, id="a port"),
        pytest.param("@anybody:evil:hs", None, id="a colon more"),
        pytest.param("@anybody:h\u0455", None, id="a letter that looks the same"),
        pytest.param("@anybody:hs\u200b", None, id="a letter that is not seen"),
        pytest.param("@:hs", None, id="nobody on that server"),
        pytest.param("anybody:hs", None, id="no user at all"),
        pytest.param("@anybody", None, id="no server"),
        pytest.param("@anybody:", None, id="an empty server"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_rule_is_about_one_whole_server(user: str, role: Role | None) -> None:
    assert role_of(UserId(user), replace(EMPTY, users=frozenset({UserId("@*:hs")}))) is role


def test_a_rule_may_stand_beside_ids_and_in_any_list() -> None:
    room = replace(EMPTY, viewers=frozenset({UserId("@*:hs")}), admins=frozenset({ADA, UserId("@*:boss")}))

    assert [role_of(UserId(user), room) for user in (ADA, ANNA, "@x:boss")] == [Role.ADMIN, Role.VIEWER, Role.ADMIN]
    assert Roles(room=room).is_by_rule(ANNA)
    assert not Roles(room=room).is_by_rule(ADA)
    assert not Roles(room=room).is_by_rule(UserId("@x:evil"))


def test_a_room_that_lists_nobody_serves_nobody() -> None:
    assert role_of(ANNA, EMPTY) is None


# ── grants ──


def granted(user: UserId, role: Role) -> Roles:
    grant = Grant(room=ROOM, user=user, role=role, by=ADA, given_at=0)
    return Roles(room=KITCHEN, grants={user: grant})


@pytest.mark.parametrize(
    ("user", "role", "expected"),
    [
        pytest.param(EVE, Role.VIEWER, Role.VIEWER, id="a stranger looks"),
        pytest.param(EVE, Role.USER, Role.USER, id="a stranger runs"),
        pytest.param(VERA, Role.USER, Role.USER, id="a viewer gets more"),
        pytest.param(ANNA, Role.VIEWER, Role.USER, id="a user loses nothing"),
        pytest.param(ADA, Role.USER, Role.ADMIN, id="an admin loses nothing"),
        pytest.param(EVE, Role.ADMIN, Role.USER, id="nobody is made an admin, whoever wrote that down"),
    ],
)
def test_a_grant_adds_to_what_config_yaml_says(user: UserId, role: Role, expected: Role) -> None:
    assert granted(user, role).of(user) is expected


def test_a_grant_is_for_one_id() -> None:
    assert granted(UserId("@*:hs"), Role.USER).of(EVE) is None
    assert granted(EVE, Role.USER).of(UserId("@Eve:hs")) is None


# ── power ──


@pytest.mark.parametrize(
    ("needed", "power", "expected"),
    [
        pytest.param(PowerNeeded(), 0, Role.ADMIN, id="nothing is asked for"),
        pytest.param(PowerNeeded(user=0, admin=50), 100, Role.ADMIN, id="more than enough"),
        pytest.param(PowerNeeded(user=0, admin=50), 50, Role.ADMIN, id="enough"),
        pytest.param(PowerNeeded(user=0, admin=50), 49, Role.USER, id="not enough for an admin"),
        pytest.param(PowerNeeded(user=0, admin=50), -1, Role.VIEWER, id="not enough to run anything"),
        pytest.param(PowerNeeded(viewer=0, user=0, admin=50), -1, None, id="not enough to look"),
        pytest.param(PowerNeeded(user=50), 49, Role.VIEWER, id="an admin needs what a user needs"),
        pytest.param(PowerNeeded(viewer=50), 0, None, id="and what a viewer needs"),
        pytest.param(PowerNeeded(viewer=50, admin=0), 10, None, id="whatever else is said"),
    ],
)
def test_power_levels_take_away(needed: PowerNeeded, power: int, expected: Role | None) -> None:
    roles = Roles(room=replace(KITCHEN, power=needed), powers=powers({"users": {ADA: power}}))

    assert roles.of(ADA) is expected


def test_power_gives_nobody_a_role() -> None:
    roles = Roles(room=replace(KITCHEN, power=PowerNeeded(user=50)), powers=powers({"users": {EVE: 100}}))

    assert roles.of(EVE) is None


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(None, id="nobody knows the levels"),
        pytest.param(powers({"users": {ADA: "100"}}), id="a level that is text"),
        pytest.param(powers({"users": 100}), id="no levels at all"),
        pytest.param(Powers(create={}, levels={"users": {ADA: 100}}), id="a room that nobody made"),
    ],
)
def test_where_power_is_not_known_nobody_has_any(state: Powers | None) -> None:
    roles = Roles(room=replace(KITCHEN, power=PowerNeeded(user=0)), powers=state)

    assert roles.of(ADA) is Role.VIEWER


def test_whoever_made_a_new_room_reaches_every_level() -> None:
    needed = PowerNeeded(viewer=0, user=100, admin=2**53 - 1)
    new, old = (
        Roles(room=replace(KITCHEN, power=needed), powers=powers({"users": {}}, version=version, maker=ADA))
        for version in ("12", "11")
    )

    assert new.of(ADA) is Role.ADMIN
    assert old.of(ADA) is Role.VIEWER


LEVELS = st.none() | st.integers(0, 100)


@given(
    st.builds(PowerNeeded, LEVELS, LEVELS, LEVELS),
    st.none() | st.dictionaries(st.sampled_from(["users", "users_default"]), st.integers() | st.text() | st.just({})),
    st.sampled_from([ADA, ANNA, VERA, EVE]),
    st.none() | st.sampled_from(Role),
)
def test_power_never_adds_to_a_role(needed: PowerNeeded, levels: Any, user: UserId, role: Role | None) -> None:
    grants = {} if role is None else {user: Grant(room=ROOM, user=user, role=role, by=ADA, given_at=0)}
    free = Roles(room=KITCHEN, grants=grants)
    bound = Roles(room=replace(KITCHEN, power=needed), grants=grants, powers=powers(levels))

    assert (bound.of(user) or 0) <= (free.of(user) or 0)


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
