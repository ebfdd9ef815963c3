"""Power as the room versions have it; whatever makes no sense is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import UserId
from aiagentchat.core.power import ABOVE_ALL, MOST_LEVEL, Powers, level, power_of

MAKER = UserId("@maker:hs")
ANNA = UserId("@anna:hs")


def create(version: str = "11", **content: Any) -> dict[str, Any]:
    return {"type": "m.room.create", "sender": MAKER, "content": {"room_version": version, **content}}


@pytest.mark.parametrize(
    ("made", "levels", "user", "power"),
    [
        pytest.param(create(), {"users": {ANNA: 50}}, ANNA, 50, id="who is listed has what is listed"),
        pytest.param(create(), {"users": {ANNA: -5}}, ANNA, -5, id="less than nothing"),
        pytest.param(create(), {"users": {MAKER: 100}}, ANNA, 0, id="who is not listed has the default, which is 0"),
        pytest.param(create(), {"users_default": 25}, ANNA, 25, id="or what the room has for it"),
        pytest.param(create(), {"users": {ANNA: 10}, "users_default": 25}, ANNA, 10, id="the list goes before"),
        pytest.param(create(), {}, ANNA, 0, id="levels that say nothing"),
        pytest.param(create(), {}, MAKER, 0, id="levels that say nothing, also not of who made the room"),
        pytest.param(create(), None, MAKER, 100, id="without levels who made the room has 100"),
        pytest.param(create(), None, ANNA, 0, id="and nobody else has any"),
        pytest.param(create("9", creator=ANNA), None, ANNA, 100, id="up to version 10 the creation says who made it"),
        pytest.param(create("9", creator=ANNA), None, MAKER, 0, id="and not who sent it"),
        pytest.param(create("9"), None, MAKER, 0, id="and if it does not say so, nobody has"),
        pytest.param({"sender": MAKER, "content": {"creator": MAKER}}, None, MAKER, 100, id="no version is the first"),
        pytest.param(create("11", creator=ANNA), None, ANNA, 0, id="from version 11 on nobody is named"),
        pytest.param(create("12"), {"users": {}}, MAKER, ABOVE_ALL, id="from version 12 on the maker is above all"),
        pytest.param(create("12"), None, MAKER, ABOVE_ALL, id="with or without levels"),
        pytest.param(create("12"), {"users": {ANNA: 100}}, ANNA, 100, id="others have what is listed"),
        pytest.param(create("12"), {}, ANNA, 0, id="or nothing"),
        pytest.param(create("12", additional_creators=[ANNA]), {}, ANNA, ABOVE_ALL, id="others may have made it, too"),
        pytest.param(create("11", additional_creators=[ANNA]), {}, ANNA, 0, id="not before version 12"),
        pytest.param(create("13"), {}, MAKER, ABOVE_ALL, id="what comes after is like version 12"),
        pytest.param(create("org.example.12"), {}, MAKER, 0, id="a version with a name gives nobody anything"),
        pytest.param(create("012"), {}, MAKER, 0, id="a version that only looks like one"),
        pytest.param(create("१२"), {}, MAKER, 0, id="digits of another script"),
        pytest.param(create("9" * 5000), {}, MAKER, 0, id="a version without an end"),
    ],
)
def test_power_is_what_the_room_version_says(
    made: dict[str, Any], levels: dict[str, Any] | None, user: UserId, power: int
) -> None:
    assert power_of(user, made, levels) == power


@pytest.mark.parametrize(
    ("made", "levels", "power"),
    [
        pytest.param({}, {"users": {ANNA: 100}}, None, id="no creation"),
        pytest.param({"content": {}}, {"users": {ANNA: 100}}, None, id="a creation without a sender"),
        pytest.param({"sender": 7, "content": {}}, {}, None, id="a sender that is no text"),
        pytest.param({"sender": MAKER, "content": []}, {}, None, id="a creation that says nothing readable"),
        pytest.param(create(), {"users": [ANNA]}, None, id="users that are a list"),
        pytest.param(create(), {"users": None}, None, id="users that are null"),
        pytest.param(create(), {"users": {ANNA: "100"}}, None, id="a level as text"),
        pytest.param(create("9", creator=MAKER), {"users": {ANNA: "100"}}, None, id="also where that was allowed"),
        pytest.param(create(), {"users": {ANNA: 100.0}}, None, id="a level as a fraction"),
        pytest.param(create(), {"users": {ANNA: True}}, None, id="a level that is true"),
        pytest.param(create(), {"users": {ANNA: None}}, None, id="a level that is null"),
        pytest.param(create(), {"users": {ANNA: 2**53}}, None, id="a level that is too large"),
        pytest.param(create(), {"users": {ANNA: 10**400}}, None, id="a level that is far too large"),
        pytest.param(create(), {"users": {ANNA: -(2**53)}}, None, id="a level that is too small"),
        pytest.param(create(), {"users_default": "100"}, None, id="a default as text"),
        pytest.param(create(), {"users": {ANNA: 7}, "users_default": "100"}, 7, id="a default that is not needed"),
        pytest.param(create("12", additional_creators=ANNA), {}, 0, id="makers that are no list"),
        pytest.param(create("12", additional_creators=[[ANNA], {}, 5]), {}, 0, id="makers that are no text"),
        pytest.param(create(), {"users": {"@Anna:hs": 100}}, 0, id="another id"),
    ],
)
def test_what_makes_no_sense_is_never_taken_for_power(
    made: dict[str, Any], levels: dict[str, Any], power: int | None
) -> None:
    assert Powers(create=made, levels=levels).of(ANNA) == power


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(ANNA) | st.just("12"),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [ANNA, "users", "users_default", "room_version", "additional_creators", "sender", "content"]
            )
            | st.text(max_size=4),
            inside,
            max_size=4,
        )
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["sender", "content", "users", "users_default"]) | st.text(max_size=3), JSON)


@given(OBJECTS, st.none() | OBJECTS)
def test_any_json_gives_a_level_or_none(made: dict[str, Any], levels: dict[str, Any] | None) -> None:
    power = power_of(ANNA, made, levels)

    assert power is None or (type(power) is int and -MOST_LEVEL <= power <= ABOVE_ALL)


@given(JSON, st.sampled_from(["1", "9", "10", "11"]))
def test_nobody_is_above_all_in_a_room_of_an_older_version(levels: Any, version: str) -> None:
    said = levels if isinstance(levels, dict) else {"users": levels}

    for user in (MAKER, ANNA):
        power = power_of(user, create(version, creator=MAKER, additional_creators=[ANNA]), said)
        assert power is None or power <= MOST_LEVEL


@given(JSON)
def test_whoever_made_a_room_of_version_12_is_above_all_whatever_the_levels_say(levels: Any) -> None:
    said = levels if isinstance(levels, dict) else {"users": levels}

    assert power_of(MAKER, create("12"), said) == ABOVE_ALL
    assert power_of(ANNA, create("12"), said) != ABOVE_ALL


@given(JSON)
def test_a_level_is_an_integer_of_canonical_json(value: Any) -> None:
    assert (level(value) is not None) == (type(value) is int and abs(value) <= MOST_LEVEL)
