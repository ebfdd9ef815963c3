"""An entry of the registry: read from whatever stands in a room's state, and judged by the homeserver's clock."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import InstanceName, UserId
from aiagentchat.core.instances import (
    MOST_ROOMS,
    MOST_SKILLS,
    TAKEN_BACK,
    Heard,
    Instance,
    InstanceKind,
    Told,
    instance_name,
    is_alive,
    is_there,
    place,
    read_told,
    state_key,
    written,
)
from aiagentchat.core.meta import Address

ANNA, EVE = UserId("@anna:hs"), UserId("@eve:hs")
WORKSHOP = InstanceName("workshop")
KEY = "_@anna:hs/workshop"
NOW = 1_800_000_000_000
DAEMON = Instance(
    user=ANNA,
    name=WORKSHOP,
    kind=InstanceKind.DAEMON,
    host="build-1",
    rooms=("!a:hs", "!b"),
    skills=("python", "reviews"),
    version="0.6.0",
    seen_at=NOW,
    life="f00",
)
SESSION = Instance(
    user=ANNA,
    name=InstanceName("term"),
    kind=InstanceKind.SESSION,
    host="build-1",
    via=WORKSHOP,
    life="f00",
    seen_at=NOW - 10_000_000,
)


def read(content: object, *, key: str = KEY, by: UserId = ANNA) -> Told:
    return read_told(key, by, content, NOW)


@pytest.mark.parametrize("entry", [DAEMON, replace(DAEMON, timed=False, status="busy"), replace(SESSION, seen_at=NOW)])
def test_what_was_written_is_read_again(entry: Instance) -> None:
    key = state_key(entry.user, entry.name)
    told = read_told(key, entry.user, json.loads(json.dumps(written(entry))), NOW)

    assert told == Told(key=key, by=ANNA, entry=entry)
    assert not told.is_forged


def test_a_beat_makes_one_event_differ_from_the_next_and_means_nothing() -> None:
    assert written(DAEMON, beat=1) != written(DAEMON, beat=2)
    assert read(written(DAEMON, beat=2)).entry == DAEMON


def test_what_says_nothing_is_not_written() -> None:
    bare = Instance(user=ANNA, name=WORKSHOP, kind=InstanceKind.DAEMON, host="")

    assert written(bare) == {"version": 1, "kind": "daemon", "status": "online"}
    assert written(replace(bare, timed=False))["timed"] is False


@pytest.mark.parametrize(
    ("key", "by", "why"),
    [
        pytest.param(KEY, EVE, "not_its_sender", id="somebody else's key"),
        pytest.param("_@anna:hs.evil/workshop", ANNA, "not_its_sender", id="a name that begins like mine"),
        pytest.param("_@anna:hs", ANNA, "no_key_of_an_instance", id="no instance"),
        pytest.param("@anna:hs/workshop", ANNA, "no_key_of_an_instance", id="without _"),
        pytest.param("_@anna:hs/Work shop", ANNA, "no_key_of_an_instance", id="no name"),
        pytest.param("_@anna:hs/a/b", ANNA, "no_key_of_an_instance", id="two names"),
        pytest.param("", ANNA, "no_key_of_an_instance", id="empty"),
    ],
)
def test_an_entry_whose_key_does_not_carry_its_sender_is_none(key: str, by: UserId, why: str) -> None:
    told = read(written(DAEMON), key=key, by=by)

    assert (told.entry, told.why, told.is_forged) == (None, why, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"version": 2}, "", id="another version"),
        pytest.param({"version": True}, "", id="a version that is none"),
        pytest.param({"kind": "god"}, "kind", id="an unknown kind"),
        pytest.param({"kind": ["daemon"]}, "kind", id="a kind that is a list"),
        pytest.param({"status": "sleepy"}, "status", id="an unknown status"),
        pytest.param({"status": {}}, "status", id="a status that is an object"),
        pytest.param({"timed": 0}, "timed", id="timed that is a number"),
        pytest.param({"via": "../up"}, "via", id="through nobody"),
    ],
)
def test_what_must_be_right_and_is_not_makes_it_no_entry(change: dict[str, Any], why: str) -> None:
    told = read({**written(DAEMON), **change})

    assert (told.entry, told.why, told.is_forged) == (None, why, False)


@pytest.mark.parametrize("content", [TAKEN_BACK, {"kind": "daemon"}])
def test_an_entry_that_was_taken_back_is_none_and_nothing_is_wrong(content: object) -> None:
    assert read(content) == Told(key=KEY, by=ANNA)


@pytest.mark.parametrize("content", [None, [], "online", 1])
def test_a_content_that_is_no_object_is_no_entry(content: object) -> None:
    assert read(content).why == "no_object"


def test_what_may_be_left_out_is_left_out_where_it_makes_no_sense() -> None:
    odd = {
        "host": "a\nb",
        "rooms": "!a",
        "skills": ["python", 3, "", "x" * 65, "right\u202eleft", "python"],
        "software": ["0.1"],
        "life": "not one!",
    }
    entry = read({**written(DAEMON), **odd}).entry

    assert entry is not None
    assert (entry.host, entry.rooms, entry.skills, entry.version, entry.life) == ("", (), ("python",), "", "")


def test_lists_have_an_end() -> None:
    long = {"rooms": [f"!{number}" for number in range(1000)], "skills": [f"s{number}" for number in range(1000)]}
    entry = read({**written(DAEMON), **long}).entry

    assert entry is not None
    assert (len(entry.rooms), len(entry.skills)) == (MOST_ROOMS, MOST_SKILLS)
    assert len(written(replace(entry, rooms=tuple(long["rooms"])))["rooms"]) == MOST_ROOMS


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("version", "kind", "status", "host", "rooms", "skills", "software", "timed", "via", "life", "beat")


@given(content=st.dictionaries(st.sampled_from(KEYS), ANY_JSON) | ANY_JSON, right=st.booleans())
def test_whatever_stands_there_is_read_without_harm(content: object, right: bool) -> None:
    said = {**written(DAEMON), **content} if right and isinstance(content, dict) else content
    told = read(said)

    assert told.entry is None or (told.entry.user, told.entry.name) == (ANNA, WORKSHOP)


@given(key=st.text())
def test_whatever_the_key_is_only_its_sender_has_an_entry_there(key: str) -> None:
    found = place(key)

    assert found is None or read_told(key, EVE, written(DAEMON), 0).entry is None


@pytest.mark.parametrize(
    ("entry", "later_ms", "alive"),
    [
        (DAEMON, 0, True),
        (DAEMON, 120_000, True),
        (DAEMON, 120_001, False),
        (replace(DAEMON, status="busy"), 0, True),
        (replace(DAEMON, status="offline"), 0, False),
        (replace(DAEMON, timed=False), 10**9, True),
        (replace(DAEMON, timed=False, status="offline"), 0, False),
    ],
)
def test_it_is_alive_while_it_says_so_and_not_for_longer_than_the_ttl(
    entry: Instance, later_ms: int, alive: bool
) -> None:
    assert is_alive(entry, NOW + later_ms) is alive
    assert is_there(entry, None, NOW + later_ms) is alive


@pytest.mark.parametrize(
    ("session", "via", "there"),
    [
        pytest.param(SESSION, DAEMON, True, id="its daemon lives"),
        pytest.param(SESSION, None, False, id="there is no such daemon"),
        pytest.param(SESSION, replace(DAEMON, status="offline"), False, id="its daemon has gone"),
        pytest.param(SESSION, replace(DAEMON, seen_at=0), False, id="its daemon is silent"),
        pytest.param(SESSION, replace(DAEMON, life="f01"), False, id="its daemon has been started again"),
        pytest.param(replace(SESSION, life=""), replace(DAEMON, life=""), False, id="nobody knows in which life"),
        pytest.param(SESSION, replace(DAEMON, kind=InstanceKind.SESSION), False, id="through another session"),
        pytest.param(replace(SESSION, status="offline"), DAEMON, False, id="it has gone itself"),
    ],
)
def test_a_session_is_there_while_the_life_of_its_daemon_goes_on(
    session: Instance, via: Instance | None, there: bool
) -> None:
    assert is_there(session, via, NOW) is there


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("workshop", "workshop"),
        ("Build-1.Example.org", "build-1.example.org"),
        ("Annas Rechner!", "annas-rechner"),
        ("_x_", "x"),
        ("a" * 70, "a" * 64),
        ("a" * 63 + "-b", "a" * 63),
        ("…", "daemon"),
        ("", "daemon"),
    ],
)
def test_an_instance_gets_a_name_that_it_can_have(wish: str, name: str) -> None:
    assert instance_name(wish) == name


def test_a_key_says_whose_entry_stands_there() -> None:
    assert place(state_key(ANNA, WORKSHOP)) == DAEMON.address == Address(ANNA, WORKSHOP)
    assert place(7) is None


def test_nothing_heard_is_nothing() -> None:
    assert not Heard()
    assert all((Heard(told=(Told(key="", by=EVE),)), Heard(moved={EVE: True}), Heard(has_gap=True), Heard(is_out=True)))
