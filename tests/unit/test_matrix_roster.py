"""Who is in a room, from what the syncs tell; what they do not tell is asked for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.errors import MatrixError, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import ABOVE_ALL
from aiagentchat.matrix import roster
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.roster import FRESH_MS, Roster
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.wire import Wire, bytes_, silence, tell, wire

ME = UserId("@claude:hs")
ANNA = UserId("@anna:hs")
BOB = UserId("@bob:hs")
ROOM = RoomId("!kitchen:hs")
FORBIDDEN = {"errcode": "M_FORBIDDEN", "error": "no"}


class Line:
    """A roster, and the server at the other end."""

    def __init__(self, wire: Wire, client: Client) -> None:
        self.wire = wire
        self.clock = FakeClock()
        self.roster = Roster(client, self.clock)

    def hears(self, *timeline: dict[str, Any], limited: bool = False, state: Any = ()) -> None:
        """A sync tells this of the room."""
        room = {"timeline": {"events": [*timeline], "limited": limited}, "state": {"events": [*state]}}
        self.roster.hear({"rooms": {"join": {ROOM: room}}})

    async def knows(self, user: UserId = ANNA) -> bool | None:
        """Whether the user is in the room; None if it would have to ask."""
        self.wire.answers = [tell(FORBIDDEN, status=403)]
        try:
            return await self.roster.is_in(ROOM, user)
        except Refused:
            return None


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with wire() as server:
        client = Client(Account(homeserver=server.url, user=ME, device_name="test"), MemoryAccounts())
        client.nio.restore_login(ME, "DEVICE", "token")
        try:
            yield Line(server, client)
        finally:
            await client.close()


def said(sender: str = ANNA, type_: str = "m.room.message", **more: Any) -> dict[str, Any]:
    return {"type": type_, "event_id": "$e", "sender": sender, "content": {}, **more}


def member(user: str, membership: Any, by: str = "") -> dict[str, Any]:
    return said(by or user, "m.room.member", state_key=user, content={"membership": membership})


async def test_nothing_is_known_of_a_room_that_no_sync_has_told_of(line: Line) -> None:
    assert await line.knows() is None
    assert line.roster.powers(ROOM) is None


async def test_whoever_says_something_is_in_the_room(line: Line) -> None:
    line.hears(said())

    assert await line.knows() is True
    assert await line.knows(BOB) is None


@pytest.mark.parametrize(
    "goes",
    [
        pytest.param(member(ANNA, "leave"), id="leaves"),
        pytest.param(member(ANNA, "leave", BOB), id="is kicked"),
        pytest.param(member(ANNA, "ban", BOB), id="is banned"),
        pytest.param(member(ANNA, "knock"), id="knocks"),
        pytest.param(member(ANNA, None), id="says something that makes no sense"),
        pytest.param({**member(ANNA, "join"), "content": "join"}, id="says it in no form"),
    ],
)
async def test_whoever_goes_is_not(line: Line, goes: dict[str, Any]) -> None:
    line.hears(said(), goes)
    assert await line.knows() is False

    line.hears(member(ANNA, "join"))
    assert await line.knows() is True


async def test_whoever_acts_upon_others_is_in_the_room(line: Line) -> None:
    line.hears(member(ANNA, "leave", BOB))

    assert await line.knows(BOB) is True


async def test_a_message_that_looks_like_a_membership_is_a_message(line: Line) -> None:
    line.hears(said(ANNA, "m.room.member", content={"membership": "leave"}))

    assert await line.knows() is True


async def test_the_state_comes_before_the_timeline(line: Line) -> None:
    line.hears(said(), state=[member(ANNA, "leave"), member(BOB, "join")])

    assert [await line.knows(user) for user in (ANNA, BOB)] == [True, True]


async def test_a_gap_makes_us_forget_but_for_what_comes_after_it(line: Line) -> None:
    line.hears(said(ANNA), said(BOB))
    line.hears(said(BOB), limited=True)

    assert [await line.knows(user) for user in (ANNA, BOB)] == [None, True]


async def test_what_is_known_of_another_room_is_not_known_of_this_one(line: Line) -> None:
    line.roster.hear({"rooms": {"join": {"!other:hs": {"timeline": {"events": [said()]}}}}})

    assert await line.knows() is None


async def test_what_no_sync_has_confirmed_for_long_is_not_known(line: Line) -> None:
    line.hears(said())
    line.clock.advance(FRESH_MS / 1000)
    assert await line.knows() is True

    line.clock.advance(0.001)
    assert await line.knows() is None
    line.roster.hear({})
    assert await line.knows() is True


async def test_a_clock_that_is_set_back_makes_us_ask(line: Line) -> None:
    line.hears(said())
    line.clock.turn(-FRESH_MS)

    assert await line.knows() is None


async def test_of_too_many_people_all_are_forgotten(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MOST_KNOWN", 2)
    line.hears(said(), said(BOB), said(ME))
    assert await line.knows() is True

    line.hears(said(BOB))
    assert [await line.knows(user) for user in (ANNA, BOB)] == [None, True]


async def test_of_a_room_that_we_have_left_only_the_levels_are_kept_until_we_are_back(line: Line) -> None:
    made = said(BOB, "m.room.create", state_key="", content={"room_version": "11"})
    line.hears(said(), state=[made])
    line.roster.hear({"rooms": {"leave": {ROOM: {}, "!unknown:hs": {}}}})
    before = line.roster.powers(ROOM)
    assert await line.knows() is None

    line.hears()
    after = line.roster.powers(ROOM)
    assert before is not None
    assert after is not None
    assert (before.of(BOB), after.of(BOB)) == (100, None)


@pytest.mark.parametrize(
    ("content", "is_in"),
    [({"membership": "join"}, True), ({"membership": "leave"}, False), ({"membership": ["join"]}, False), ({}, False)],
)
async def test_what_is_not_known_is_asked_for(line: Line, content: dict[str, Any], is_in: bool) -> None:
    line.wire.answers = [tell(content)]

    assert await line.roster.is_in(ROOM, ANNA) is is_in
    [(path, _)] = line.wire.asked
    assert unquote(path) == f"/_matrix/client/v3/rooms/{ROOM}/state/m.room.member/{ANNA}"


async def test_whoever_was_never_there_is_not_there(line: Line) -> None:
    line.wire.answers = [tell({"errcode": "M_NOT_FOUND", "error": "no"}, status=404)]

    assert await line.roster.is_in(ROOM, ANNA) is False


async def test_what_a_sync_tells_meanwhile_is_newer_than_the_answer(line: Line) -> None:
    answered = tell({"membership": "join"})

    async def kicked_meanwhile(writer: asyncio.StreamWriter) -> None:
        line.hears(member(ANNA, "leave", BOB))
        await answered(writer)

    line.wire.answers = [kicked_meanwhile]

    assert await line.roster.is_in(ROOM, ANNA) is False


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(tell(FORBIDDEN, status=403), Refused, id="refused"),
        pytest.param(bytes_(b""), Unreachable, id="hangs up"),
        pytest.param(silence(), Unreachable, id="says nothing"),
        pytest.param(tell({}, status=502), Unreachable, id="a proxy"),
    ],
)
async def test_a_homeserver_that_does_not_say_is_not_waited_for(
    line: Line, answer: Any, error: type[MatrixError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "ASK_SECONDS", 0.3)
    line.wire.answers = [answer]

    with pytest.raises(error):
        await line.roster.is_in(ROOM, ANNA)


# ── power ──


def levels(content: Any) -> dict[str, Any]:
    return said(BOB, "m.room.power_levels", state_key="", content=content)


def made(version: str = "11") -> dict[str, Any]:
    return said(BOB, "m.room.create", state_key="", content={"room_version": version})


async def test_power_is_what_the_room_was_told_last(line: Line) -> None:
    line.hears(levels({"users": {ANNA: 50}}), state=[made(), levels({"users": {ANNA: 10}})])
    first = line.roster.powers(ROOM)
    line.hears(state=[levels({"users": {ANNA: 0}})])
    second = line.roster.powers(ROOM)

    assert first is not None
    assert second is not None
    assert (first.of(ANNA), second.of(ANNA)) == (50, 0)


@pytest.mark.parametrize(("version", "power"), [("11", 0), ("12", ABOVE_ALL)])
async def test_who_made_the_room_is_known(line: Line, version: str, power: int) -> None:
    line.hears(state=[made(version), levels({})])

    found = line.roster.powers(ROOM)
    assert found is not None
    assert found.of(BOB) == power


@pytest.mark.parametrize("content", [None, [], "users", 7])
async def test_levels_that_are_none_give_nobody_any(line: Line, content: Any) -> None:
    line.hears(state=[made(), levels(content)])

    found = line.roster.powers(ROOM)
    assert found is not None
    assert (found.of(BOB), found.of(ANNA)) == (None, None)


async def test_a_message_that_looks_like_levels_changes_nothing(line: Line) -> None:
    forged = [said(ANNA, "m.room.power_levels", content={"users": {ANNA: 100}}), {**levels({}), "state_key": "x"}]
    line.hears(*forged, said(ANNA, "m.room.create", content={}), state=[made(), levels({"users": {ANNA: 1}})])

    found = line.roster.powers(ROOM)
    assert found is not None
    assert found.of(ANNA) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rooms", "join", "leave", "timeline", "state", "events", "type", "sender", "content", ROOM]
            )
            | st.text(max_size=3),
            inside,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.just("rooms"), JSON))
def test_whatever_a_sync_tells_is_heard(told: dict[str, Any]) -> None:
    client = object()
    heard = Roster(client, FakeClock())  # type: ignore[arg-type]

    heard.hear(told)
    heard.powers(ROOM)
