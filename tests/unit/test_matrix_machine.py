"""What the machine takes from a sync, also from a homeserver and strangers that mean no good."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nio.crypto.device import OlmDevice

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.seals import (
    BACKUP_ONLY,
    BROKEN,
    FOREIGN_KEY,
    LATER_KEY,
    NO_KEY,
    UNHEARD_DEVICES,
    UNKNOWN_DEVICE,
    UNSIGNED_DEVICE,
    Opened,
    Shut,
)
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.crypto import keys as keys_module
from aiagentchat.matrix.crypto import machine as machine_module
from aiagentchat.matrix.crypto.backup import BackedUp
from aiagentchat.matrix.crypto.cross_signing import Device, device_of, published
from aiagentchat.matrix.crypto.keystore import KeyStore, file_of, open_key_store
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.crypto.olm import CarefulOlm
from aiagentchat.matrix.crypto.signatures import SigningKey
from aiagentchat.matrix.crypto.trust import signed_keys
from aiagentchat.matrix.sync import MatrixHomeserver
from aiagentchat.store.bell import EventBell
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog
from tests.fakes.wire import Wire, silence, tell, wire
from tests.unit.crypto_stage import sign, some_device, some_seeds, uploaded

ME = UserId("@claude:hs")
ANNA = UserId("@anna:hs")
ROOM = RoomId("!kitchen:hs")
KEY = "a" * 64


class Table:
    """Our machine, Anna's device, and a homeserver that says what it is told to say."""

    def __init__(self, folder: Path, wire: Wire, client: Client, store: KeyStore) -> None:
        self.wire = wire
        self.client = client
        self.store = store
        self.ours = CarefulOlm(ME, "OURS", store)
        self.clock = FakeClock()
        self.machine = Machine(
            client,
            self.ours,
            store,
            clock=self.clock,
            random=random.random,
            new_bell=EventBell,
            signed_keys=signed_keys,
        )
        self.theirs = CarefulOlm(ANNA, "HERS", open_key_store(folder / "hers.db", ANNA, "HERS", KEY))
        self.ours.account.generate_one_time_keys(1)
        [one_time_key] = self.ours.account.one_time_keys["curve25519"].values()
        self._line = self.theirs.create_session(one_time_key, self.ours.account.identity_keys["curve25519"])

    def say(self, body: str) -> dict[str, Any]:
        """An event of Anna's, encrypted with her session."""
        session = self.theirs.outbound_group_sessions[ROOM]
        session.shared = True
        said = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": body}, "room_id": ROOM}
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "ciphertext": session.encrypt(json.dumps(said)),  # type: ignore[no-untyped-call]
            "session_id": session.id,
        }
        return {"type": "m.room.encrypted", "event_id": "$said", "sender": ANNA, "content": content}

    def say_in_a_made_up_session(self, session: str) -> dict[str, Any]:
        """What nobody can read."""
        content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AAAA", "session_id": session}
        return {"type": "m.room.encrypted", "event_id": f"${session}", "sender": ANNA, "content": content}

    def backed_up(self) -> BackedUp:
        """The session, as a backup has it."""
        session, keys = self.theirs.outbound_group_sessions[ROOM], self.theirs.account.identity_keys
        [known] = self.theirs.copies(ROOM, session.id)
        return BackedUp(ROOM, session.id, keys["curve25519"], keys["ed25519"], known.export_session(0))

    def room_key(self, *, is_new: bool = True) -> dict[str, Any]:
        """A message from device to device with the key of a new session, or of the one that is there as it is now."""
        if is_new:
            self.theirs.create_outbound_group_session(ROOM)
        session = self.theirs.outbound_group_sessions[ROOM]
        ours = self.ours.account.identity_keys
        device = OlmDevice(ME, "OURS", {"ed25519": ours["ed25519"], "curve25519": ours["curve25519"]})
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "room_id": ROOM,
            "session_id": session.id,
            "session_key": session.session_key,
        }
        sealed = self.theirs._olm_encrypt(self._line, device, "m.room_key", content)  # type: ignore[no-untyped-call]
        return {"type": "m.room.encrypted", "sender": ANNA, "content": sealed}

    async def take(self, *messages: dict[str, Any], **more: Any) -> None:
        async with asyncio.timeout(10):
            await self.machine.take({"to_device": {"events": list(messages)}, **more})

    def asked(self) -> list[str]:
        """The ends of the paths."""
        return [path.rpartition("/v3/")[2] for path, _ in self.wire.asked]


@pytest.fixture
async def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Table]:
    monkeypatch.setattr(machine_module, "ACQUAINT_SECONDS", 0.1)
    async with wire() as server:
        client = Client(Account(homeserver=server.url, user=ME, device_name="test"), MemoryAccounts())
        client.nio.restore_login(ME, "OURS", "token")
        store = open_key_store(file_of(tmp_path, ME, "OURS"), ME, "OURS", KEY)
        server.answers = [tell({})]
        try:
            yield Table(tmp_path, server, client, store)
        finally:
            await store.close()
            await client.close()


async def test_who_sends_a_key_is_asked_about_before_the_batch_is_read(table: Table) -> None:
    await table.take(table.room_key())

    assert table.asked() == ["keys/query"]
    assert await table.machine.bell.wait(1)


async def test_for_a_homeserver_that_does_not_answer_nobody_waits_twice(table: Table) -> None:
    table.wire.answers = [silence()]
    await table.take(table.room_key())
    await table.take(table.room_key())

    assert table.asked() == ["keys/query"]
    assert ANNA in table.ours.users_for_key_query


async def test_a_device_that_is_missed_when_something_is_opened_is_asked_about_at_once(table: Table) -> None:
    table.wire.answers = [tell({"device_keys": {ANNA: {}}})]
    await table.take(table.room_key())
    assert await table.machine.bell.wait(10)
    table.ours.tracked_users.clear()
    told = table.machine.read(ROOM, table.say("hello"), ME).told
    table.ours.users_for_key_query.clear()
    table.ours.uploaded(50)  # so that there is nothing to ask
    table.wire.asked.clear()
    assert isinstance(told, Incoming)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(table.machine.run())
        await asyncio.sleep(0)  # it has nothing to do, and waits for work
        assert await table.machine.open(told) == Shut(UNHEARD_DEVICES)
        assert await table.machine.bell.wait(10)
        asking.cancel()

    assert "keys/query" in table.asked()


async def test_a_key_that_is_told_again_is_known(table: Table) -> None:
    message = table.room_key()
    await table.take(message)
    await table.take(message)

    assert len(table.asked()) == 1
    assert table.ours.wedged_devices == []


async def test_a_message_that_makes_no_sense_is_told_to_the_log_alone(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FakeLog()
    monkeypatch.setattr(machine_module, "log", log)
    good = table.room_key()
    [(mine, cipher)] = good["content"]["ciphertext"].items()
    bad = {**good, "content": {**good["content"], "ciphertext": {mine: {**cipher, "body": "!"}}}}
    await table.take(bad, {"type": "m.room.encrypted"}, good)

    assert len(log.of("crypto.bad_message")) == 1
    assert table.ours.copies(ROOM, table.theirs.outbound_group_sessions[ROOM].id)


@pytest.mark.parametrize(
    ("counts", "count"),
    [({"signed_curve25519": 7}, 7), ({}, 0), ({"signed_curve25519": "x"}, None), (None, 3)],
)
async def test_a_count_of_zero_is_a_count(table: Table, counts: object, count: int | None) -> None:
    table.ours.uploaded_key_count = 3
    await table.take(device_one_time_keys_count=counts)

    assert table.ours.uploaded_key_count == count


async def test_a_sync_that_was_asked_for_before_an_upload_does_not_make_the_keys_anew(table: Table) -> None:
    table.ours.uploaded(50)
    await table.take(device_one_time_keys_count={"signed_curve25519": 0})
    first = table.ours.uploaded_key_count
    await table.take(device_one_time_keys_count={"signed_curve25519": 47})

    assert (first, table.ours.uploaded_key_count) == (50, 47)


async def test_whose_devices_changed_is_asked_about_if_we_know_them(table: Table) -> None:
    table.ours.tracked_users |= {ANNA, "@left:hs"}
    await table.take(device_lists={"changed": [ANNA, "@stranger:hs", 5], "left": ["@left:hs", None]})

    assert table.ours.users_for_key_query == {ANNA}
    assert table.ours.tracked_users == {ANNA}


def member(now: str, before: str | None) -> dict[str, Any]:
    prev = {"prev_content": {"membership": before}} if before else {}
    return {"type": "m.room.member", "content": {"membership": now}, "unsigned": prev}


@pytest.mark.parametrize(
    ("rooms", "is_new"),
    [
        pytest.param({"join": {ROOM: {"timeline": {"events": [member("leave", "join")]}}}}, True, id="who left"),
        pytest.param({"join": {ROOM: {"timeline": {"events": [member("join", None)]}}}}, True, id="who came"),
        pytest.param({"join": {ROOM: {"timeline": {"limited": True}}}}, True, id="nobody knows"),
        pytest.param({"leave": {ROOM: {}}}, True, id="we left"),
        pytest.param({"join": {ROOM: {"timeline": {"events": [member("join", "join")]}}}}, False, id="another picture"),
        pytest.param({"join": {ROOM: {"timeline": {"events": [{"type": "m.room.message"}, 5]}}}}, False, id="nothing"),
    ],
)
async def test_after_somebody_came_or_went_the_next_message_has_another_key(
    table: Table, rooms: dict[str, Any], is_new: bool
) -> None:
    table.ours.create_outbound_group_session(ROOM)
    await table.take(rooms=rooms)

    assert table.machine.rooms.is_new(ROOM) is is_new


def there(user: object) -> dict[str, Any]:
    return {**member("join", None), "state_key": user}


async def test_an_answer_from_before_somebody_went_is_not_believed(table: Table) -> None:
    answer = tell({"chunk": [there(ANNA)]})

    async def she_leaves(writer: asyncio.StreamWriter) -> None:
        table.machine.rooms.moved(ROOM)
        await answer(writer)

    table.wire.answers = [she_leaves, tell({}), tell({"chunk": [5, there(5)]})]
    async with asyncio.timeout(10):
        await table.machine.encrypt(ROOM, "m.room.message", {"body": "hello"}, None)

    members = f"rooms/{ROOM}/members"
    assert table.asked() == [members, "keys/query", members]
    assert table.ours.outbound_group_sessions[ROOM].users_shared_with == set()


async def test_what_a_device_publishes_breaks_only_itself(table: Table) -> None:
    sound = table.theirs.keys_to_upload()["device_keys"]
    table.wire.answers = [
        tell(
            {"device_keys": {ANNA: {"HERS": sound, "BAD": {**sound, "device_id": "BAD"}, "WORSE": 5}, "@other:hs": []}}
        )
    ]
    await table.machine.keys.query({ANNA, UserId("@other:hs")})

    assert list(table.ours.device_store[ANNA]) == ["HERS"]


async def test_only_so_many_keys_are_remembered_as_asked_for(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "MOST_ASKED", 2)
    table.ours.uploaded(50)
    table.wire.answers = [tell({})] * 4
    event = table.say_in_a_made_up_session
    for session in ("s1", "s2", "s3"):
        table.machine.read(ROOM, event(session), ME)
        await table.machine.keys.do_all()
    assert list(table.ours.outgoing_key_requests) == ["s2", "s3"]
    assert list(CarefulOlm(ME, "OURS", table.store).outgoing_key_requests) == ["s2", "s3"]

    table.machine.read(ROOM, event("s1"), ME)
    await table.machine.keys.do_all()
    assert list(table.ours.outgoing_key_requests) == ["s3", "s1"]


FAR = UserId("@far:away")


async def test_who_is_at_a_homeserver_that_does_not_answer_is_asked_about_once_a_minute(table: Table) -> None:
    table.wire.answers = [tell({"chunk": [there(FAR)]}), *[tell({"failures": {"away": {}}})] * 3]
    for _ in range(3):
        await table.machine.encrypt(ROOM, "m.room.message", {"body": "x"}, None)
    assert table.asked().count("keys/query") == 1

    table.clock.advance(60)
    await table.machine.encrypt(ROOM, "m.room.message", {"body": "x"}, None)
    assert table.asked().count("keys/query") == 2
    await table.take(device_lists={"changed": [FAR]})
    await table.machine.encrypt(ROOM, "m.room.message", {"body": "x"}, None)
    assert table.asked().count("keys/query") == 3


async def test_what_waits_for_a_homeserver_that_does_not_answer_asks_it_for_nothing_meanwhile(table: Table) -> None:
    table.wire.answers = [tell({"failures": {"hs": {}}})]
    await table.take(table.room_key())
    event = await sealed(table, table.say("hello"))

    assert table.ours.users_for_key_query == {ANNA}
    assert await table.machine.open(event) == Shut(UNHEARD_DEVICES)
    assert table.machine.keys.to_ask == set()
    table.clock.advance(60)
    assert table.machine.keys.to_ask == {ANNA}


async def test_while_its_homeserver_does_not_answer_what_was_signed_stays_so_and_is_asked_for_again(
    table: Table,
) -> None:
    known = await learn(table, shown(some_device("PHONE"), signed=True))
    table.wire.answers = [tell({"failures": {"hs": {}}})]
    await table.machine.keys.query({ANNA})

    assert table.machine.keys.trusted(known)
    assert ANNA not in table.ours.tracked_users


async def test_what_is_left_to_write_by_breaks_only_itself(table: Table) -> None:
    table.wire.answers = [tell({"device_keys": {ANNA: {"HERS": table.theirs.keys_to_upload()["device_keys"]}}})]
    await table.machine.keys.query({ANNA})
    good = table.theirs.keys_to_upload()["one_time_keys"]
    [(name, key), *_] = good.items()
    nonsense: tuple[Any, ...] = (5, {}, {name: 5}, {name: {}}, {name: {**key, "key": "!"}})
    for broken in nonsense:
        table.wire.answers = [tell({"one_time_keys": {ANNA: {"HERS": broken}}})]
        await table.machine.keys.claim({ANNA: ["HERS"]})
    hers = table.theirs.account.identity_keys["curve25519"]
    assert table.ours.session_store.get(hers) is None

    table.wire.answers = [tell({"one_time_keys": {ANNA: {"HERS": {name: key}, "NONE": {}}, "@x:hs": 5}})]
    await table.machine.keys.claim({ANNA: ["HERS"]})
    assert table.ours.session_store.get(hers) is not None


async def test_what_only_a_key_out_of_a_backup_opens_is_not_believed_until_its_sender_gives_the_key(
    table: Table,
) -> None:
    table.wire.answers = [tell({"device_keys": {ANNA: {"HERS": table.theirs.keys_to_upload()["device_keys"]}}})]
    await table.machine.keys.query({ANNA})
    key, event = table.room_key(), table.say("rm -rf /")
    await table.machine.bring_in(table.backed_up())
    told = table.machine.read(ROOM, event, ME).told

    assert isinstance(told, Incoming)
    assert (told.kind, told.encrypted) == (Kind.SEALED, False)
    assert await table.machine.open(told) == Shut(BACKUP_ONLY)
    assert table.machine.keys.is_work  # the key is asked for
    assert table.machine.peek(ROOM, event)["body"] == "rm -rf /"  # which is for finding what we have said ourselves

    await table.take(key)
    match await table.machine.open(told):
        case Opened(Incoming() as opened):
            assert (opened.kind, opened.body, opened.encrypted) == (Kind.TEXT, "rm -rf /", True)
        case other:
            raise AssertionError(other)


# ── why something stays shut ──


async def sealed(table: Table, event: dict[str, Any]) -> Incoming:
    told = table.machine.read(ROOM, event, ME).told
    assert isinstance(told, Incoming)
    return told


async def know(table: Table) -> None:
    """Anna's device is known."""
    table.wire.answers = [tell({"device_keys": {ANNA: {"HERS": table.theirs.keys_to_upload()["device_keys"]}}})]
    await table.machine.keys.query({ANNA})


async def test_where_the_key_was_withheld_that_is_the_reason_and_only_there(table: Table) -> None:
    await know(table)
    key, first = table.room_key(), table.say("one")
    event = await sealed(table, first)
    assert await table.machine.open(event) == Shut(NO_KEY)

    told = {"room_id": ROOM, "session_id": event.body, "code": "m.unverified"}
    await table.take({"type": "m.room_key.withheld", "sender": ANNA, "content": told})
    assert await table.machine.open(event) == Shut("m.unverified")

    table.theirs.create_outbound_group_session(ROOM)
    assert await table.machine.open(await sealed(table, table.say("of another session"))) == Shut(NO_KEY)
    broken = {**first, "content": {**first["content"], "ciphertext": "AAAA"}}
    await table.take(key)
    assert await table.machine.open(await sealed(table, broken)) == Shut(BROKEN)


@pytest.mark.parametrize(
    "outside",
    [
        pytest.param({"algorithm": "m.megolm.v7"}, id="an algorithm that we do not know"),
        pytest.param({"session_id": None}, id="no session"),
        pytest.param({"ciphertext": "AAAA"}, id="what is no ciphertext"),
    ],
)
async def test_what_fits_no_key_is_broken_whether_we_have_one_or_not(table: Table, outside: dict[str, Any]) -> None:
    await know(table)
    await table.take(table.room_key())
    event = table.say("hello")
    event["content"] |= outside

    assert await table.machine.open(await sealed(table, event)) == Shut(BROKEN)


async def test_what_was_said_before_its_key_begins_waits_for_an_earlier_one(table: Table) -> None:
    await know(table)
    table.theirs.create_outbound_group_session(ROOM)
    event = await sealed(table, table.say("hello"))
    await table.take(table.room_key(is_new=False))

    assert await table.machine.open(event) == Shut(LATER_KEY)


async def test_a_key_that_somebody_else_has_given_is_asked_for_where_it_should_come_from(table: Table) -> None:
    await know(table)
    key, event = table.room_key(), table.say("hello")
    session = table.theirs.outbound_group_sessions[ROOM]
    table.ours.create_group_session("y", "x", ROOM, session.id, session.session_key)
    told = await sealed(table, event)

    assert await table.machine.open(told) == Shut(UNKNOWN_DEVICE)
    assert table.machine.keys.is_work
    table.ours.device_store.add(OlmDevice("@mallory:hs", "HIS", {"ed25519": "x", "curve25519": "y"}))
    assert await table.machine.open(told) == Shut(FOREIGN_KEY)
    await table.take(key)
    assert isinstance(await table.machine.open(told), Opened)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    made = FakeLog()
    monkeypatch.setattr(machine_module, "log", made)
    return made


async def own(table: Table, content: dict[str, Any], event: str = "$ours") -> dict[str, Any]:
    """An event that our own device has encrypted."""
    if ROOM not in table.ours.outbound_group_sessions:
        table.ours.create_outbound_group_session(ROOM)
    session = table.ours.outbound_group_sessions[ROOM]
    session.shared = True
    said = {"type": "m.room.message", "content": content, "room_id": ROOM}
    sealed = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "ciphertext": session.encrypt(json.dumps(said)),  # type: ignore[no-untyped-call]
        "session_id": session.id,
    }
    return {"type": "m.room.encrypted", "event_id": event, "sender": ME, "content": sealed}


async def test_what_we_have_said_encrypted_comes_back_as_what_it_is(table: Table, log: FakeLog) -> None:
    event = await own(table, {"msgtype": "m.text", "body": "done", "com.aiagentchat.txn": "t1"})
    told = table.machine.read(ROOM, event, ME).told

    assert told is not None
    assert (told.kind, told.body, told.sender, told.txn, told.encrypted) == (Kind.TEXT, "done", ME, "t1", True)
    assert log.of("crypto.key_wanted") == []


async def test_of_our_own_words_what_cannot_be_read_or_is_not_by_us_is_forged(table: Table, log: FakeLog) -> None:
    unmarked = await own(table, {"msgtype": "m.text", "body": "by another program"})
    strange = {**unmarked, "content": {**unmarked["content"], "session_id": "unknown"}}
    gone = {**unmarked, "content": {}}

    told = [table.machine.read(ROOM, event, ME).told for event in (unmarked, strange, gone)]
    assert [each and (each.kind, each.event, each.sender) for each in told] == [
        (Kind.FORGED, "$ours", ME),
        (Kind.CLOSED, "$ours", ME),
        None,
    ]
    assert log.of("crypto.key_wanted") == []


async def test_what_is_only_looked_at_is_not_remembered_and_asks_for_nothing(table: Table, log: FakeLog) -> None:
    table.wire.answers = [tell({"device_keys": {ANNA: {"HERS": table.theirs.keys_to_upload()["device_keys"]}}})]
    await table.machine.keys.query({ANNA})
    key, event = table.room_key(), table.say("tea")
    assert table.machine.look(ROOM, event, ME).told is None
    assert log.of("crypto.key_wanted") == []
    await table.take(key)

    twice = {**event, "event_id": "$again"}
    seen = [table.machine.look(ROOM, each, ME).told for each in (event, twice)]
    assert [told.body for told in seen if told is not None] == ["tea", "tea"]
    opened = table.machine.read(ROOM, event, ME).told
    assert opened is not None
    assert table.machine.look(ROOM, twice, ME).told is None  # now it is known which of the two was said
    plain = {"type": "m.room.message", "event_id": "$p", "sender": ANNA, "content": {"msgtype": "m.text", "body": "x"}}
    assert table.machine.look(ROOM, plain, ME) == table.machine.read(ROOM, plain, ME)


# ── whom the keys are given to ──

SEEDS = some_seeds()


def shown(device: Device, *, signed: bool) -> dict[str, Any]:
    """What a homeserver shows of Anna's devices and of her identity; `signed` with it is the device if she did that."""
    keys = published(ANNA, device, SEEDS)
    payload = uploaded(ANNA, device)
    if signed:
        sign(payload, ANNA, SigningKey(SEEDS.self_signing))
    identity = {f"{usage}_keys": {ANNA: keys[f"{usage}_key"]} for usage in ("master", "self_signing")}
    return {"device_keys": {ANNA: {device.id: payload}}, **identity}


async def learn(table: Table, *answers: dict[str, Any]) -> OlmDevice:
    """Hear one answer after the other; the device as nio then knows it."""
    for answer in answers:
        table.wire.answers = [tell(answer)]
        await table.machine.keys.query({ANNA})
    [device] = table.ours.device_store[ANNA].values()
    return device


async def test_a_device_that_its_owner_signed_is_trusted_until_that_is_no_longer_so(table: Table) -> None:
    phone = some_device("PHONE")

    assert not table.machine.keys.trusted(await learn(table, shown(phone, signed=False)))
    assert table.machine.keys.trusted(await learn(table, shown(phone, signed=True)))
    assert not table.machine.keys.trusted(await learn(table, shown(phone, signed=False)))


async def test_whose_signatures_have_changed_is_told_also_when_the_query_is_cut_off(table: Table) -> None:
    """The next query would see no difference, and a device that is not signed any more would read on."""
    known = await learn(table, shown(some_device("PHONE"), signed=True))
    table.ours.create_outbound_group_session(ROOM)
    told = asyncio.Queue[frozenset[UserId]]()
    table.machine.keys.on_changed = told.put_nowait
    table.wire.answers = [tell({"device_keys": {ANNA: {}}})]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group, table.store.step():  # the file is busy
        asking = group.create_task(table.machine.keys.query({ANNA}))
        assert await told.get() == {ANNA}
        assert not table.machine.keys.trusted(known)
        asking.cancel()

    assert asking.cancelled()


async def test_whose_devices_have_changed_is_told_also_when_the_query_is_cut_off_behind_that(table: Table) -> None:
    users = {ANNA: some_device("PHONE"), UserId("@bert:hs"): some_device("DESK")}
    table.ours.users_for_key_query |= users.keys()
    told: list[frozenset[UserId]] = []

    def cut(changed: frozenset[UserId]) -> None:
        told.append(changed)
        asking.cancel()

    table.machine.keys.on_changed = cut
    answer = {user: {device.id: uploaded(user, device)} for user, device in users.items()}
    table.wire.answers = [tell({"device_keys": answer})]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(table.machine.keys.query(users.keys()))

    assert asking.cancelled()
    [first] = told
    assert table.ours.users_for_key_query == users.keys() - first
    assert await table.machine.bell.wait(1)


async def test_a_name_that_was_signed_with_other_keys_gets_none(table: Table) -> None:
    fake, real = some_device("PHONE"), some_device("PHONE")
    known = await learn(table, shown(fake, signed=False), shown(real, signed=True))

    assert known.ed25519 == fake.keys.ed25519  # nio stays with what it heard first
    assert not table.machine.keys.trusted(known)

    table.wire.answers = [tell({"chunk": [there(ANNA)]}), tell({}), tell({}), tell({})]
    await table.machine.encrypt(ROOM, "m.room.message", {"body": "x"}, table.machine.keys.trusted)
    assert [name.split("/")[0:2] for name in table.asked()[2:]] == [
        ["rooms", "!kitchen:hs"],
        ["sendToDevice", "m.room_key.withheld"],
    ]


async def test_a_half_of_the_keys_is_not_enough(table: Table) -> None:
    phone = some_device("PHONE")
    known = await learn(table, shown(phone, signed=True))
    known.curve25519 = some_device("PHONE").keys.curve25519

    assert not table.machine.keys.trusted(known)


async def test_what_is_told_unasked_of_others_is_not_believed(table: Table) -> None:
    phone = some_device("PHONE")
    known = await learn(table, shown(phone, signed=True))
    table.wire.answers = [tell(shown(phone, signed=False))]
    await table.machine.keys.query({UserId("@bert:hs")})

    assert table.machine.keys.trusted(known)


# ── whom is believed where only signed devices are ──


def hers(table: Table, *, signed: bool) -> dict[str, Any]:
    """What the homeserver shows of the device that speaks; `signed` with it is the device if Anna did that."""
    return shown(device_of(table.theirs), signed=signed)


async def test_where_signed_devices_are_wanted_what_another_says_waits_until_it_is_signed(table: Table) -> None:
    """So does a device that the homeserver, or who has stolen an access token, adds to her account."""
    table.machine.wants_signed = lambda room: room == ROOM
    await learn(table, hers(table, signed=False))
    await table.take(table.room_key())
    source = table.say("/approve")
    told = await sealed(table, source)
    assert told.kind is Kind.SEALED
    assert await table.machine.open(told) == Shut(UNSIGNED_DEVICE)
    assert table.machine.look(ROOM, source, ME).told is None

    await learn(table, hers(table, signed=True))
    match await table.machine.open(told):
        case Opened(Incoming() as opened):
            assert (opened.body, opened.encrypted) == ("/approve", True)
        case other:
            raise AssertionError(other)
    await learn(table, hers(table, signed=False))
    assert await table.machine.open(told) == Shut(UNSIGNED_DEVICE)


async def test_where_all_devices_are_wanted_one_that_is_not_signed_is_believed(table: Table) -> None:
    await learn(table, hers(table, signed=False))
    await table.take(table.room_key())

    assert (await sealed(table, table.say("/approve"))).kind is Kind.TEXT


async def test_what_waits_is_tried_again_when_its_sender_writes_as_soon_as_the_device_is_signed(table: Table) -> None:
    """No key comes with it: the session of the next message is known."""
    table.machine.wants_signed = lambda room: room == ROOM
    await learn(table, hers(table, signed=False))
    await table.take(table.room_key())
    first, second = table.say("/approve"), {**table.say("hello"), "event_id": "$second"}
    waiting = await sealed(table, first)
    assert await table.machine.bell.wait(1)

    table.wire.answers = [tell(hers(table, signed=True))]
    rooms = {"join": {ROOM: {"timeline": {"events": [second]}}}}
    await table.take(rooms=rooms, device_lists={"changed": [ANNA]})
    assert await table.machine.bell.wait(1)
    assert isinstance(await table.machine.open(waiting), Opened)


async def test_what_waits_is_tried_again_also_if_what_is_asked_after_the_devices_is_refused(table: Table) -> None:
    table.ours.uploaded(50)
    table.ours.users_for_key_query.add(ANNA)
    await sealed(table, table.say_in_a_made_up_session("s1"))
    table.wire.answers = [tell(hers(table, signed=True)), tell({}, status=429)]
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(table.machine.run())
        assert await table.machine.bell.wait(10)
        await table.clock.until_asleep()  # by the refusal
        asking.cancel()

    assert [path.partition("/")[0] for path in table.asked()] == ["keys", "sendToDevice"]


async def test_what_waits_is_tried_again_when_the_devices_were_asked_for_to_say_something(table: Table) -> None:
    table.wire.answers = [tell({"chunk": [there(ANNA)]}), tell(hers(table, signed=True)), tell({})]
    await table.machine.encrypt(ROOM, "m.room.message", {"body": "x"}, None)

    assert await table.machine.bell.wait(1)


async def test_after_a_restart_it_is_asked_which_devices_are_signed_before_the_batch_is_read(table: Table) -> None:
    table.machine.wants_signed = lambda room: room == ROOM
    await learn(table, hers(table, signed=True))
    await table.take(table.room_key())
    table.ours.tracked_users.clear()
    table.machine.keys._signed.clear()
    event = table.say("hello")
    assert await table.machine.open(await sealed(table, event)) == Shut(UNHEARD_DEVICES)
    assert ANNA in table.ours.users_for_key_query

    table.wire.asked.clear()
    table.wire.answers = [tell(hers(table, signed=True))]
    timeline = {"timeline": {"events": [event, 5, {"type": "m.room.encrypted"}, {**event, "sender": ME}]}}
    await table.take(rooms={"join": {ROOM: timeline, "!garden:hs": timeline}})
    assert table.asked() == ["keys/query"]
    assert (await sealed(table, event)).kind is Kind.TEXT

    await table.take(rooms={"join": {ROOM: timeline}})
    assert table.asked() == ["keys/query"]


async def test_after_a_restart_it_is_asked_which_devices_are_signed_before_older_history_is_looked_at(
    table: Table,
) -> None:
    table.machine.wants_signed = lambda room: room == ROOM
    await learn(table, hers(table, signed=True))
    await table.take(table.room_key())
    event = table.say("hello")
    homeserver = MatrixHomeserver(table.client, ME, table.machine)
    for signed, bodies in ((True, ["hello"]), (False, [])):
        table.ours.tracked_users.clear()
        table.machine.keys._signed.clear()
        table.wire.asked.clear()
        table.wire.answers = [tell({"chunk": [event, event]}), tell(hers(table, signed=signed))]
        found = await homeserver.older(ROOM, None, most=2, sealed=True)

        assert [told.body for told in found.events] == bodies * 2
        assert [path.rpartition("/")[2] for path in table.asked()] == ["messages", "query"]


async def test_what_cannot_be_written_of_devices_is_no_history(table: Table) -> None:
    table.machine.wants_signed = lambda room: room == ROOM
    await learn(table, hers(table, signed=True))
    await table.take(table.room_key())
    event = table.say("hello")
    table.ours.tracked_users.clear()
    table.wire.answers = [tell({"chunk": [event]}), tell(shown(some_device("PHONE"), signed=True))]
    table.store.database.execute_sql("PRAGMA query_only = 1")  # type: ignore[no-untyped-call]
    with pytest.raises(Unreachable):
        await MatrixHomeserver(table.client, ME, table.machine).older(ROOM, None, most=2, sealed=True)


async def test_our_own_words_need_no_signature(table: Table) -> None:
    table.machine.wants_signed = lambda _: True
    event = await own(table, {"msgtype": "m.text", "body": "done", "com.aiagentchat.txn": "t1"})

    assert (await sealed(table, event)).body == "done"
