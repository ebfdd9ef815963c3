"""The decisions of encryption, and what its store remembers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nio.crypto.device import OlmDevice
from nio.store.database import SqliteStore

from aiagentchat.core.errors import StoreError
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.seals import Forged, Shut
from aiagentchat.matrix.crypto import keystore
from aiagentchat.matrix.crypto import olm as olm_module
from aiagentchat.matrix.crypto.identity import Lost, Start, begin
from aiagentchat.matrix.crypto.keystore import KeyStore, file_of, open_key_store
from aiagentchat.matrix.crypto.olm import CarefulOlm
from aiagentchat.matrix.crypto.opening import Plain, unseal
from aiagentchat.matrix.crypto.rooms import EncryptedRooms
from tests.fakes.ledgers import fresh_ledger

ME = UserId("@claude:hs")
ANNA = UserId("@anna:hs")
MALLORY = UserId("@mallory:hs")
ROOM = RoomId("!kitchen:hs")
OTHER = RoomId("!garden:hs")
KEY = "a" * 64


# ── whose keys these are ──


@pytest.mark.parametrize(
    ("here", "remembered", "published", "start"),
    [
        pytest.param(None, None, None, Start.ANEW, id="a new device"),
        pytest.param("k", None, None, Start.GO_ON, id="it died before anybody knew it"),
        pytest.param("k", "k", None, Start.GO_ON, id="the homeserver has lost it"),
        pytest.param("k", "k", "k", Start.GO_ON, id="as it should be"),
        pytest.param("k", None, "k", Start.GO_ON, id="the ledger has lost it"),
    ],
)
def test_a_device_begins_with_its_own_keys(
    here: str | None, remembered: str | None, published: str | None, start: Start
) -> None:
    assert begin(here=here, remembered=remembered, published=published) is start


@pytest.mark.parametrize(
    ("here", "remembered", "published", "why"),
    [
        (None, "k", None, "not here"),
        (None, "k", "k", "not here"),
        (None, None, "k", "another program"),
        ("k", "x", "k", "another device"),
        ("k", "k", "x", "other keys"),
    ],
)
def test_a_device_with_other_keys_does_not_begin(
    here: str | None, remembered: str | None, published: str | None, why: str
) -> None:
    lost = begin(here=here, remembered=remembered, published=published)

    assert isinstance(lost, Lost)
    assert why in lost.why


# ── which rooms are encrypted ──


async def test_what_was_seen_to_be_encrypted_stays_so_over_lives(tmp_path: Path) -> None:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        rooms = EncryptedRooms()
        await rooms.remember(ledger.keyring, lambda: 1)
        rooms.plain(OTHER)
        await rooms.encrypted(ROOM)
        await rooms.encrypted(ROOM)
        rooms.plain(ROOM)
        rooms.left(ROOM)
        assert (rooms.known(ROOM), rooms.known(OTHER)) == (True, False)

        fresh = EncryptedRooms()
        await fresh.encrypted(ROOM)
        assert fresh.known(ROOM) is True

        rooms.left(OTHER)
        again = EncryptedRooms()
        await again.remember(ledger.keyring, lambda: 2)
        assert (rooms.known(OTHER), again.known(ROOM), again.known(OTHER)) == (None, True, None)


# ── the store ──


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[KeyStore]:
    opened = open_key_store(file_of(tmp_path, ME, "DEVICE"), ME, "DEVICE", KEY)
    yield opened
    await opened.close()


async def test_what_is_written_in_a_step_is_there_afterwards_also_if_it_fails(store: KeyStore, tmp_path: Path) -> None:
    async def fail() -> None:
        async with store.step():
            assert not store.is_heard("one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    again = open_key_store(file_of(tmp_path, ME, "DEVICE"), ME, "DEVICE", KEY)
    async with again.step():
        assert again.is_heard("one")
    await again.close()


async def test_steps_follow_one_another(store: KeyStore) -> None:
    steps: list[str] = []

    async def step(name: str) -> None:
        async with store.step():
            steps.append(f"{name} begins")
            await asyncio.sleep(0)
            store.is_heard(name)
            steps.append(f"{name} ends")

    async with asyncio.TaskGroup() as group:
        group.create_task(step("a"))
        group.create_task(step("b"))

    assert steps == ["a begins", "a ends", "b begins", "b ends"]


async def test_a_step_that_is_cancelled_is_written_all_the_same(store: KeyStore) -> None:
    begun = asyncio.Event()

    async def step() -> None:
        async with store.step():
            store.is_heard("one")
            begun.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(step())
        await begun.wait()
        task.cancel()
    async with store.step():
        assert store.is_heard("one")


async def test_a_store_that_cannot_be_written_says_so(store: KeyStore) -> None:
    store.database.execute_sql("PRAGMA query_only = 1")  # type: ignore[no-untyped-call]

    with pytest.raises(StoreError, match="cannot be written"):
        async with store.step():
            store.is_heard("one")


async def test_memory_goes_back_to_what_could_be_written(stage: "Stage", store: KeyStore) -> None:
    store.on_failed = stage.ours.start_over
    async with store.step():
        stage.give_key()
    first, other = stage.session.id, stage.theirs
    store.database.execute_sql("PRAGMA query_only = 1")  # type: ignore[no-untyped-call]
    other.create_outbound_group_session(ROOM)
    stage.session = other.outbound_group_sessions[ROOM]

    with pytest.raises(StoreError):
        async with store.step():
            stage.give_key()
    assert len(stage.ours.copies(ROOM, first)) == 1
    assert stage.ours.copies(ROOM, stage.session.id) == []


async def test_only_so_many_messages_are_remembered(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "MOST_HEARD", 2)
    async with store.step():
        for message in ("one", "two", "three"):
            store.is_heard(message)

        assert store.is_heard("three")
        assert not store.is_heard("one")


async def test_why_a_key_is_withheld_is_known_for_its_session_first(store: KeyStore) -> None:
    async with store.step():
        store.keep_withheld("", "", ANNA, "m.no_olm")
        store.keep_withheld(ROOM, "s1", ANNA, "m.unverified")
        store.keep_withheld(ROOM, "s1", ANNA, "m.blacklisted")

    assert store.withheld(ROOM, "s1", ANNA) == "m.blacklisted"
    assert store.withheld(ROOM, "s2", ANNA) == "m.no_olm"
    assert store.withheld(OTHER, "s1", ME) is None


async def test_where_something_was_said_is_remembered_once(store: KeyStore) -> None:
    async with store.step():
        store.keep_said([("s1", 0, "$1"), ("s1", 0, "$2")])

    assert (store.said_as("s1", 0), store.said_as("s1", 1)) == ("$1", None)


async def test_what_was_said_when_only_the_session_was_remembered_is_known_still(store: KeyStore) -> None:
    async with store.step():
        store.keep_said([("s1", 0, "$1"), ("s1 annas", 1, "$2")])

    assert (store.said_as("s1 annas", 0), store.said_as("s1 annas", 1)) == ("$1", "$2")
    assert store.said_as("s1 mallorys", 1) is None


async def test_a_key_that_was_kept_by_its_id_alone_is_known_and_is_kept_once(store: KeyStore, stage: "Stage") -> None:
    stage.know()
    stage.give_key()
    [session] = stage.ours.copies(ROOM, stage.session.id)
    async with store.step():
        store.forget_session(session)
        SqliteStore.save_inbound_group_session(store, session)
    stage.live_again(store)
    assert isinstance(stage.read(stage.say(HELLO)), Plain)

    async with store.step():
        store.save_inbound_group_session(session)
    rows = store.database.execute_sql("SELECT count(*) FROM megolminboundsessions").fetchall()  # type: ignore[no-untyped-call]
    assert rows == [(1,)]


# ── what is read ──


class Stage:
    """We, and Anna's device, on the same table."""

    def __init__(self, store: KeyStore, folder: Path) -> None:
        self.ours = CarefulOlm(ME, "DEVICE", store)
        self.theirs = CarefulOlm(ANNA, "HERS", open_key_store(folder / "hers.db", ANNA, "HERS", KEY))
        self.theirs.create_outbound_group_session(ROOM)
        self.session = self.theirs.outbound_group_sessions[ROOM]
        self.session.shared = True
        self.count = 0

    def know(self, user: str = ANNA, *, ed25519: str = "") -> None:
        """We know her device, as one of `user`, perhaps with another key to sign with."""
        ours = self.theirs.account.identity_keys
        keys = {"ed25519": ed25519 or ours["ed25519"], "curve25519": ours["curve25519"]}
        self.ours.device_store.add(OlmDevice(user, "HERS", keys))

    def give_key(self, *, by: OlmDevice | None = None) -> None:
        """As the session stands now; `by` a device that says it is its own."""
        keys = self.theirs.account.identity_keys if by is None else by.keys
        self.ours.create_group_session(
            keys["curve25519"], keys["ed25519"], ROOM, self.session.id, self.session.session_key
        )

    def mallory(self) -> OlmDevice:
        """Another device that we know, of somebody who is in the room, and so has her key."""
        device = OlmDevice(MALLORY, "HIS", {"ed25519": "his", "curve25519": "hers no more"})
        self.ours.device_store.add(device)
        return device

    def live_again(self, store: KeyStore) -> None:
        """With what the store has of keys."""
        devices, self.ours = self.ours.device_store, CarefulOlm(ME, "DEVICE", store)
        self.ours.device_store = devices

    def say(self, inner: str, outer: dict[str, Any] | None = None, *, sender: str = ANNA) -> dict[str, Any]:
        self.count += 1
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "ciphertext": self.session.encrypt(inner),  # type: ignore[no-untyped-call]
            "session_id": self.session.id,
            **(outer or {}),
        }
        return {"type": "m.room.encrypted", "event_id": f"${self.count}", "sender": sender, "content": content}

    def read(self, source: dict[str, Any], said_as: str | None = None) -> Plain | Shut | Forged:
        return unseal(self.ours, ROOM, source, lambda *_: said_as)


@pytest.fixture
def stage(store: KeyStore, tmp_path: Path) -> Stage:
    return Stage(store, tmp_path)


HELLO = f'{{"type": "m.room.message", "content": {{"body": "hello"}}, "room_id": "{ROOM}"}}'


async def test_what_was_said_is_read_as_if_it_had_been_said_in_the_clear(stage: Stage) -> None:
    stage.know()
    stage.give_key()
    found = stage.read(stage.say(HELLO, {"m.relates_to": {"event_id": "$0"}}))

    assert isinstance(found, Plain)
    assert found.source == {
        "event_id": "$1",
        "sender": ANNA,
        "type": "m.room.message",
        "content": {"body": "hello", "m.relates_to": {"event_id": "$0"}},
    }
    curve25519 = stage.theirs.account.identity_keys["curve25519"]
    assert (found.session, found.index) == (f"{stage.session.id} {curve25519}", 0)


async def test_what_is_inside_counts_before_what_is_outside(stage: Stage) -> None:
    stage.know()
    stage.give_key()
    inner = f'{{"type": "m", "content": {{"m.relates_to": {{"event_id": "$in"}}}}, "room_id": "{ROOM}"}}'
    found = stage.read(stage.say(inner, {"m.relates_to": {"event_id": "$out"}}))

    assert isinstance(found, Plain)
    assert found.source["content"] == {"m.relates_to": {"event_id": "$in"}}


async def test_a_key_out_of_a_backup_opens_and_proves_nothing_until_its_device_gives_it(
    stage: Stage, store: KeyStore
) -> None:
    stage.know()
    keys = stage.theirs.account.identity_keys
    [exported] = stage.theirs.copies(ROOM, stage.session.id)
    names = (ROOM, stage.session.id, keys["curve25519"], keys["ed25519"])
    source, key = stage.say(HELLO), exported.export_session(0)
    async with store.step():
        assert not stage.ours.import_session(*names, "nonsense")
        assert not stage.ours.import_session(ROOM, "other", *names[2:], key)
        assert stage.ours.import_session(*names, key)
        assert not stage.ours.import_session(*names, key)
    for olm in (stage.ours, CarefulOlm(ME, "DEVICE", store)):
        olm.device_store = stage.ours.device_store
        stage.ours = olm
        found = stage.read(source)
        assert isinstance(found, Plain)
        assert not found.is_proven

    async with store.step():
        stage.give_key()
    for olm in (stage.ours, CarefulOlm(ME, "DEVICE", store)):
        olm.device_store = stage.ours.device_store
        stage.ours = olm
        found = stage.read(stage.say(HELLO))
        assert isinstance(found, Plain)
        assert found.is_proven


async def test_of_a_device_only_so_many_sessions_are_kept_and_what_others_give_takes_none_away(
    stage: Stage, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(olm_module, "MOST_OF_A_DEVICE", 2)
    stage.know()
    sessions, hers = [], stage.theirs.account.identity_keys["curve25519"]
    for number in range(4):
        stage.theirs.create_outbound_group_session(ROOM)
        stage.session = stage.theirs.outbound_group_sessions[ROOM]
        sessions.append(stage.session.id)
        async with store.step():
            store.keep_said([(f"{stage.session.id} {hers}", 0, f"${number}")])
            if number == 0:
                [exported] = stage.theirs.copies(ROOM, stage.session.id)
                backed_up = (ROOM, stage.session.id, hers, "hers", exported.export_session(0))
                assert stage.ours.import_session(*backed_up)
            else:
                stage.give_key()
                for _ in range(2):
                    stage.give_key(by=stage.mallory())

    for _ in range(2):
        makers = [[copy.sender_key for copy in stage.ours.copies(ROOM, each)] for each in sessions]
        assert [hers in each for each in makers] == [True, False, True, True]
        assert [store.said_as(f"{each} {hers}", 0) for each in sessions] == ["$0", None, "$2", "$3"]
        stage.live_again(store)


async def test_a_second_row_that_an_older_program_has_written_takes_nothing_else_away(
    stage: Stage, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(olm_module, "MOST_OF_A_DEVICE", 1)
    stage.give_key()
    first, [session] = stage.session.id, stage.ours.copies(ROOM, stage.session.id)
    async with store.step():
        SqliteStore.save_inbound_group_session(store, session)
        stage.theirs.create_outbound_group_session(ROOM)
        stage.session = stage.theirs.outbound_group_sessions[ROOM]
        stage.give_key()

    assert (stage.ours.copies(ROOM, first), len(stage.ours.copies(ROOM, stage.session.id))) == ([], 1)
    [[rows]] = store.database.execute_sql("SELECT count(*) FROM megolminboundsessions").fetchall()  # type: ignore[no-untyped-call]
    assert rows == 1


async def test_without_the_key_it_is_shut(stage: Stage) -> None:
    assert stage.read(stage.say(HELLO)) == Shut("no_key")


async def test_with_a_later_key_it_is_shut_and_an_earlier_key_is_not_lost_by_a_later_one(stage: Stage) -> None:
    stage.know()
    first = stage.say(HELLO)
    stage.give_key()
    assert stage.read(first) == Shut("later_key")

    second = stage.say(HELLO)
    stage.give_key()
    assert isinstance(stage.read(second), Plain)


async def test_a_device_that_nobody_knows_is_not_believed_yet(stage: Stage) -> None:
    stage.give_key()

    assert stage.read(stage.say(HELLO)) == Shut("unknown_device")


@pytest.mark.parametrize("source", [{}, {"event_id": "$1", "sender": ANNA, "content": {"algorithm": "x"}}])
async def test_what_has_no_shape_is_shut(stage: Stage, source: dict[str, Any]) -> None:
    assert stage.read(source) == Shut("broken")


@pytest.mark.parametrize("inner", ["no json", "[" * 100_000])
async def test_what_says_nothing_is_shut(stage: Stage, inner: str) -> None:
    stage.know()
    stage.give_key()

    assert stage.read(stage.say(inner)) == Shut("broken")
    assert stage.read(stage.say(HELLO, {"ciphertext": "AAAA"})) == Shut("broken")


async def test_what_somebody_else_says_in_her_words_is_not_believed(stage: Stage) -> None:
    stage.know()
    stage.give_key()

    assert stage.read(stage.say(HELLO, sender=MALLORY)) == Shut("foreign_key")


async def test_what_is_said_in_her_name_by_another_device_is_not_believed(stage: Stage) -> None:
    stage.know(MALLORY)
    stage.give_key()

    assert stage.read(stage.say(HELLO)) == Shut("foreign_key")


@pytest.mark.parametrize("is_first", [True, False])
async def test_who_gives_her_key_as_his_own_does_not_silence_her(stage: Stage, store: KeyStore, is_first: bool) -> None:
    stage.know()
    mallory = stage.mallory()
    if is_first:
        stage.give_key(by=mallory)
        assert stage.read(stage.say(HELLO)) == Shut("foreign_key")
    stage.give_key()
    source = stage.say(HELLO)
    stage.give_key(by=mallory)
    for _ in range(2):
        assert isinstance(stage.read(source), Plain)
        assert stage.read({**source, "sender": "@bert:hs"}) == Shut("foreign_key")
        stage.live_again(store)


async def test_a_device_that_nobody_knows_does_not_silence_her_with_her_key(stage: Stage) -> None:
    stage.know()
    stage.give_key(by=OlmDevice(MALLORY, "HIS", {"ed25519": "x", "curve25519": "y"}))
    source = stage.say(HELLO)
    assert stage.read(source) == Shut("unknown_device")

    stage.give_key()
    assert isinstance(stage.read(stage.say(HELLO)), Plain)


async def test_what_he_says_with_her_key_does_not_make_her_words_a_replay(stage: Stage) -> None:
    stage.know()
    mallory = stage.mallory()
    stage.give_key()
    stage.give_key(by=mallory)
    hers = stage.say(HELLO)
    his = stage.read({**hers, "event_id": "$his", "sender": MALLORY})
    assert isinstance(his, Plain)
    said = {(his.session, his.index): "$his"}
    found = unseal(stage.ours, ROOM, hers, lambda session, index: said.get((session, index)))

    assert isinstance(found, Plain)
    assert found.source["sender"] == ANNA


async def test_a_backup_is_read_also_where_somebody_has_given_the_key_as_his_own(stage: Stage, store: KeyStore) -> None:
    stage.know()
    keys = stage.theirs.account.identity_keys
    [exported] = stage.theirs.copies(ROOM, stage.session.id)
    stage.give_key(by=stage.mallory())
    names = (ROOM, stage.session.id, keys["curve25519"], keys["ed25519"])
    async with store.step():
        assert stage.ours.import_session(*names, exported.export_session(0))
    found = stage.read(stage.say(HELLO))

    assert isinstance(found, Plain)
    assert not found.is_proven


async def test_who_publishes_her_key_as_his_own_does_not_silence_her(stage: Stage) -> None:
    stage.know("@mallory:hs", ed25519="his")
    stage.give_key()
    assert stage.read(stage.say(HELLO)) == Shut("unknown_device")

    stage.know()
    assert isinstance(stage.read(stage.say(HELLO)), Plain)


async def test_what_was_said_before_is_forged_and_the_same_event_is_not(stage: Stage) -> None:
    stage.know()
    stage.give_key()
    source = stage.say(HELLO)

    assert isinstance(stage.read(source, said_as="$before"), Forged)
    assert isinstance(stage.read(source, said_as="$1"), Plain)


@pytest.mark.parametrize(
    "inner", ["[]", '{"type": "m", "content": {}}', f'{{"type": "m", "content": {{}}, "room_id": "{OTHER}"}}']
)
async def test_what_was_said_in_another_room_is_forged(stage: Stage, inner: str) -> None:
    stage.know()
    stage.give_key()

    assert isinstance(stage.read(stage.say(inner)), Forged)


async def test_what_we_say_ourselves_is_read_and_nobody_else_can_say_it(stage: Stage) -> None:
    mallory = stage.mallory()
    stage.ours.create_outbound_group_session(ROOM)
    session = stage.ours.outbound_group_sessions[ROOM]
    session.shared = True
    stage.session = session

    assert isinstance(stage.read(stage.say(HELLO, sender=ME)), Plain)
    assert isinstance(stage.read(stage.say(HELLO)), Forged)

    stage.give_key(by=mallory)
    assert isinstance(stage.read(stage.say(HELLO, sender=MALLORY)), Forged)


async def test_what_only_names_our_session_is_not_forged_but_junk(stage: Stage) -> None:
    mallory = stage.mallory()
    stage.ours.create_outbound_group_session(ROOM)
    stage.session = stage.ours.outbound_group_sessions[ROOM]
    stage.session.shared = True

    for _ in range(2):
        assert stage.read(stage.say(HELLO, {"ciphertext": "AAAA"}, sender=MALLORY)) == Shut("broken")
        stage.give_key(by=mallory)


# ── keys of ours and of others ──


async def test_keys_that_were_not_taken_are_given_again_and_no_more_are_made(stage: Stage) -> None:
    olm = stage.ours
    first, second = olm.keys_to_upload(), olm.keys_to_upload()
    assert first == second
    assert len(first["one_time_keys"]) == olm.account.max_one_time_keys

    olm.uploaded(49)
    third = olm.keys_to_upload()
    assert list(third) == ["one_time_keys"]
    assert len(third["one_time_keys"]) == 1


async def test_keys_of_a_device_count_when_it_has_signed_them(stage: Stage) -> None:
    payload = stage.theirs.keys_to_upload()["device_keys"]

    assert stage.ours.is_sound(ANNA, "HERS", payload)
    assert not stage.ours.is_sound(ANNA, "OTHER", payload)
    assert not stage.ours.is_sound("@mallory:hs", "HERS", payload)
    for broken in (
        None,
        {**payload, "keys": {}},
        {**payload, "keys": {**payload["keys"], "curve25519:HERS": "x"}},
        {**payload, "algorithms": []},
        {**payload, "signatures": {}},
        {**payload, "signatures": {ANNA: {"ed25519:HERS": "!"}}},
        {**payload, "signatures": 5},
    ):
        assert not stage.ours.is_sound(ANNA, "HERS", broken)
