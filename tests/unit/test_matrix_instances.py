"""The registry room on the wire: what a sync tells of it, and how a homeserver is asked, whatever it answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.errors import Refused
from aiagentchat.core.ids import DelayId, InstanceName, RoomId, UserId
from aiagentchat.core.instances import INSTANCE, Heard, Instance, InstanceKind, written
from aiagentchat.matrix.batch import read_batch
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.instances import MatrixRegistryRoom, heard
from aiagentchat.matrix.reading import Answer, Breath
from aiagentchat.matrix.sync import MatrixHomeserver
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.wire import Say, Wire, tell, wire

ME, ANNA = UserId("@claude:hs"), UserId("@anna:hs")
ROOM = RoomId("!registry")
KEY = "_@anna:hs/workshop"
ENTRY = Instance(user=ANNA, name=InstanceName("workshop"), kind=InstanceKind.DAEMON, host="h", seen_at=7)


def state(content: object, *, key: object = KEY, by: object = ANNA, type_: str = INSTANCE) -> dict[str, Any]:
    return {"type": type_, "state_key": key, "sender": by, "content": content, "origin_server_ts": 7}


def member(user: str, membership: object) -> dict[str, Any]:
    return state({"membership": membership}, key=user, by=user, type_="m.room.member")


async def read(**rooms: object) -> Heard:
    return (await read_batch(Answer({"next_batch": "s1", "rooms": rooms}, 5), ME, registry=ROOM)).instances


# ── what a sync tells ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_state_and_timeline_are_told_in_their_order_and_of_no_other_room() -> None:
    told = {"state": {"events": [state({})]}, "timeline": {"events": [state(written(ENTRY))]}}
    other = {"state": {"events": [state(written(ENTRY), key="_@anna:hs/elsewhere")]}}
    found = await read(join={ROOM: told, "!other": other})

    assert [(each.key, each.entry) for each in found.told] == [(KEY, None), (KEY, ENTRY)]
    assert (found.moved, found.has_gap, found.is_out) == ({}, False, False)


async def test_who_comes_and_goes_is_told() -> None:
    events = [member("@eve:hs", "join"), member(ANNA, "leave"), member("@bob:hs", ["join"]), member("@eve:hs", "ban")]
    found = await read(join={ROOM: {"timeline": {"events": events, "limited": True}}})

    assert found.moved == {"@eve:hs": False, ANNA: False, "@bob:hs": False}
    assert found.has_gap


async def test_that_we_are_out_is_told() -> None:
    assert await read(leave={ROOM: {}}) == Heard(is_out=True)


async def test_without_a_registry_room_nothing_is_told() -> None:
    rooms = {"join": {ROOM: {"state": {"events": [state(written(ENTRY))]}}}}

    assert not await heard(rooms, None, Breath())
    assert not await heard({}, ROOM, Breath())


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.lists(
    ANY_JSON
    | st.fixed_dictionaries(
        {"type": st.sampled_from([INSTANCE, "m.room.member"])},
        optional={"state_key": ANY_JSON, "sender": ANY_JSON, "content": ANY_JSON, "origin_server_ts": ANY_JSON},
    ),
    max_size=4,
)
PARTS = ANY_JSON | st.fixed_dictionaries({}, optional={"events": ANY_JSON | EVENTS, "limited": ANY_JSON})
ROOMS = ANY_JSON | st.fixed_dictionaries({}, optional={"state": PARTS, "timeline": PARTS})


@given(room=ROOMS)
def test_whatever_the_room_holds_is_read_without_harm(room: object) -> None:
    found = asyncio.run(heard({"join": {ROOM: room}}, ROOM, Breath()))

    assert all(told.entry is None for told in found.told if told.is_forged)


# ── how a homeserver is asked ─────────────────────────────────────────────────────────────────────────────────────


class Line:
    """We, and the server at the other end."""

    def __init__(self, server: Wire, client: Client) -> None:
        self.server = server
        self.client = client
        self.room = MatrixRegistryRoom(client, ROOM)

    def says(self, *answers: Say) -> None:
        """What the server answers, one after the other, the last one for ever."""
        self.server.answers = [*answers]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with wire() as server:
        client = Client(Account(homeserver=server.url, user=ME, device_name="test"), MemoryAccounts())
        client.nio.restore_login(ME, "DEVICE", "token")
        try:
            yield Line(server, client)
        finally:
            await client.close()


def no(status: int, code: str) -> Say:
    return tell({"errcode": code, "error": "no"}, status=status)


DELAYED = "org.matrix.msc4140.delayed_events"


@pytest.mark.parametrize(
    ("answers", "offers"),
    [
        ([tell({"capabilities": {DELAYED: {"max_delay_ms": 110_000}}})], True),
        ([tell({"capabilities": {DELAYED: {"max_delay_ms": 109_999}}})], False),
        ([tell({"capabilities": {DELAYED: {"max_delay_ms": "long"}}})], False),
        ([tell({"capabilities": {DELAYED: 7}})], False),
        ([tell({"capabilities": {}}), tell({"unstable_features": {"org.matrix.msc4140": True}})], True),
        ([tell({"capabilities": {}}), tell({"unstable_features": {"org.matrix.msc4140": False}})], False),
        ([no(404, "M_NOT_FOUND"), tell({"versions": ["v1.1"]})], False),
    ],
)
async def test_it_says_whether_it_says_things_later(line: Line, answers: list[Say], offers: bool) -> None:
    line.says(*answers)

    assert await line.room.may_delay(110) is offers


@pytest.mark.parametrize(
    ("answer", "delay"),
    [
        (tell({"delay_id": "d1"}), "d1"),
        pytest.param(tell({"event_id": "$now"}), None, id="it has put it there at once"),
        (tell({"delay_id": 7}), None),
        (no(403, "M_FORBIDDEN"), None),
        (no(400, "ORG.MATRIX.MSC4140_DELAY_TOO_LARGE"), None),
    ],
)
async def test_what_lies_ready_has_a_name_or_does_not_lie_there(line: Line, answer: Say, delay: str | None) -> None:
    line.says(answer)

    assert await line.room.put_later(KEY, {}, seconds=110) == delay
    [(path, query)] = line.server.asked
    assert path.endswith(f"/{INSTANCE}/_@anna:hs%2Fworkshop")
    assert query == {"org.matrix.msc4140.delay": "110000"}


@pytest.mark.parametrize(
    ("answers", "done", "asked"),
    [
        ([tell({})], True, ["restart"]),
        ([no(404, "M_NOT_FOUND")], False, ["restart"]),
        pytest.param([no(404, "M_UNRECOGNIZED"), tell({})], True, ["restart", "d1"], id="an older one"),
        pytest.param([no(404, "M_UNRECOGNIZED"), no(404, "M_NOT_FOUND")], False, ["restart", "d1"], id="and nothing"),
    ],
)
async def test_it_is_put_off_as_the_homeserver_has_it(
    line: Line, answers: list[Say], done: bool, asked: list[str]
) -> None:
    line.says(*answers)

    assert await line.room.postpone(DelayId("d1")) is done
    assert [path.rpartition("/")[2] for path, _ in line.server.asked] == asked


@pytest.mark.parametrize("answers", [[no(403, "M_FORBIDDEN")], [no(400, "M_UNRECOGNIZED"), no(400, "M_BAD_JSON")]])
async def test_another_refusal_is_one(line: Line, answers: list[Say]) -> None:
    line.says(*answers)

    with pytest.raises(Refused):
        await line.room.cancel(DelayId("d1"))


async def test_what_lies_ready_elsewhere_is_not_ours_to_take_away(line: Line) -> None:
    def lies(delay: object, **more: object) -> dict[str, object]:
        return {"delay_id": delay, "room_id": ROOM, "type": INSTANCE, "state_key": KEY, **more}

    odd = [lies("other", room_id="!other"), lies("key", state_key="_x"), lies("type", type="m.room.name"), lies(7), "?"]
    line.says(tell({"delayed_events": [lies("d1"), lies("room", room_id=None), *odd]}), no(404, "M_UNRECOGNIZED"))

    assert await line.room.pending(KEY) == ["d1"]
    assert await line.room.pending(KEY) == []


async def test_members_are_read_without_harm(line: Line) -> None:
    line.says(tell({"joined": {ANNA: {}, ME: None}}), tell({"joined": 7}))

    assert await line.room.members() == {ANNA, ME}
    assert await line.room.members() == frozenset()


@pytest.mark.parametrize("registry", [None, ROOM])
async def test_instances_are_asked_for_where_there_is_a_registry_room(line: Line, registry: RoomId | None) -> None:
    line.says(tell({"next_batch": "s1"}))
    await MatrixHomeserver(line.client, ME, registry=registry).sync(None, timeout=0)

    [(_, query)] = line.server.asked
    asked = json.loads(query["filter"])["room"]
    assert [INSTANCE in asked[part]["types"] for part in ("state", "timeline")] == [registry is not None] * 2
