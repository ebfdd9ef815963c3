"""The whole daemon in an encrypted room, with a person whose client encrypts: what is said is run and answered."""

import asyncio
import json
import secrets
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aiagentchat.core.ids import UserId
from aiagentchat.matrix.crypto.cross_signing import device_of, published
from aiagentchat.matrix.crypto.signatures import SigningKey
from rig.daemon import Daemon
from rig.homeserver import Account
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.sealed_user import SealedUser, sealed_user
from tests.unit.crypto_stage import sign, some_seeds

pytestmark = pytest.mark.real


class Cellar:
    """Anna, the daemon and the encrypted room that they share."""

    def __init__(self, people: People, anna: SealedUser, account: Account, daemon: Daemon, room: str) -> None:
        self.anna = anna
        self.daemon = daemon
        self.room = room
        self._people = people
        self._account = account

    async def until_answered(self, text: str) -> None:
        """Until a message of the daemon holds `text`, as the last state of it."""
        await self.anna.until_body(self.room, text, sender=self._account.user_id)

    async def until_ended(self, command: str) -> str:
        """The reaction that says how."""

        def mark() -> str:
            for event in self.anna.events.get(self.room, ()):
                relation = event.source.get("content", {}).get("m.relates_to", {})
                is_about_it = event.source["type"] == "m.reaction" and relation.get("event_id") == command
                if is_about_it and relation["key"] != "👀":
                    return str(relation["key"])
            return ""

        return await self.anna.until(mark)

    async def log_in_again(self) -> Account:
        """One more device of the daemon's account."""
        name = self._account.user_id[1:].partition(":")[0]
        return await asyncio.to_thread(self._people.homeserver.login, name)

    async def sign_annas_device(self) -> None:
        """As she would, who gives her account an identity."""
        assert self.anna.nio.olm is not None
        device, seeds = device_of(self.anna.nio.olm), some_seeds()
        await self._as_anna("keys/device_signing/upload", published(UserId(self.anna.id), device, seeds))
        shown = (await self._as_anna("keys/query", {"device_keys": {self.anna.id: []}}))["device_keys"]
        keys = {name: shown[self.anna.id][device.id][name] for name in ("user_id", "device_id", "algorithms", "keys")}
        sign(keys, self.anna.id, SigningKey(seeds.self_signing))
        await self._as_anna("keys/signatures/upload", {self.anna.id: {device.id: keys}})

    async def _as_anna(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        request, token = self._people.homeserver.request, self.anna.nio.access_token
        answer = await asyncio.to_thread(request, "POST", f"/_matrix/client/v3/{path}", content, token=token)
        return dict(answer)

    async def on_the_server(self) -> list[dict[str, object]]:
        """The room's timeline, as the homeserver has it."""
        path = f"/_matrix/client/v3/rooms/{quote(self.room)}/messages?dir=b&limit=500"
        token = self._account.access_token
        page = await asyncio.to_thread(self._people.homeserver.request, "GET", path, None, token=token)
        return list(page["chunk"])


@asynccontextmanager
async def cellar(
    people: People, model: Model, folder: Path, *, encrypted: bool = True, **room_settings: object
) -> AsyncIterator[Cellar]:
    account = people.account()
    async with sealed_user(people.homeserver.url, people.account(f"anna-{secrets.token_hex(2)}")) as anna:
        room = await anna.room(account.user_id, encrypted=encrypted)
        settings = [{"id": room, "name": "cellar", **room_settings}]
        daemon = Daemon(folder, people.homeserver.url, account, settings, model_url=model.url, users=[anna.id])
        async with daemon:
            await anna.until_member(room, account.user_id)
            yield Cellar(people, anna, account, daemon, room)


async def test_a_conversation_in_an_encrypted_room_outlives_the_daemon_and_leaves_no_word_on_the_server(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace) as here:
        first = await here.anna.say(here.room, script("first question", Step(text="The first answer.")))
        await here.until_answered("The first answer.")
        assert await here.until_ended(first) == "✅"

        await here.daemon.kill()
        second = await here.anna.say(here.room, script("second question", Step(text="The second answer.")))
        await here.daemon.start(until="sync.resumed")
        await here.until_answered("The second answer.")
        assert await here.until_ended(second) == "✅"

        status = await here.anna.say(here.room, "/status")
        await here.until_answered("Homeserver: heard")
        events = await here.on_the_server()
        # The daemon has met its own words again, of this life and of the one before.
        assert [line for line in here.daemon.lines() if line.get("kind") == "refused"] == []
    assert status
    assert {event["type"] for event in events if event["sender"] != here.anna.id} == {
        "m.room.encrypted",
        "m.reaction",
        "m.room.member",
    }
    for word in ("question", "answer", "Homeserver: heard"):
        assert word not in json.dumps(events)
    assert here.anna.unreadable(here.room) == []


@pytest.mark.long
async def test_a_room_that_becomes_encrypted_is_answered_encrypted(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace, encrypted=False) as here:
        await here.anna.say(here.room, script("open", Step(text="Said in the open.")))
        await here.until_answered("Said in the open.")
        await here.anna.encrypt_room(here.room)
        ended = await here.anna.say(here.room, script("closed", Step(text="Said behind the door.")))
        await here.until_answered("Said behind the door.")

        assert await here.until_ended(ended) == "✅"
        assert "behind the door" not in json.dumps(await here.on_the_server())
        await _a_question_is_answered_by_a_reply(here, model)


async def _a_question_is_answered_by_a_reply(here: Cellar, model: Model) -> None:
    options = [{"label": "Tea", "description": "green"}, {"label": "Milk", "description": "cold"}]
    drink = {"question": "Which drink?", "header": "Drink", "options": options, "multiSelect": False}
    asks = Step(tool="AskUserQuestion", input={"questions": [drink]})
    asked = await here.anna.say(here.room, script("ask me", asks, Step(text="Coming.")))
    question = await here.anna.until_body(here.room, "The agent asks")
    answer = {"msgtype": "m.text", "body": "2", "m.relates_to": {"m.in_reply_to": {"event_id": question.event_id}}}
    await here.anna.say(here.room, answer)

    assert await here.until_ended(asked) == "✅"
    assert '\\"Which drink?\\"=\\"Milk\\"' in model.requests("ask me")[-1].raw
    assert "Reactions do not count in this room." in question.source["content"]["body"]


@pytest.mark.long
async def test_what_the_daemon_could_not_read_is_run_when_its_key_comes(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace) as here:
        here.anna.hold_keys()
        mark = f"early {secrets.token_hex(8)}"
        early = await here.anna.say(here.room, script(mark, Step(text="Now I can read it.")))
        await here.daemon.until_line("event.sealed")
        await here.daemon.kill()
        await here.daemon.start(until="sync.resumed")
        await here.anna.give_keys()
        await here.until_answered("Now I can read it.")

        assert await here.until_ended(early) == "✅"
        assert len(model.requests(mark)) == 1


@pytest.mark.long
async def test_where_keys_are_for_signed_devices_alone_what_another_says_is_run_when_it_is_signed(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace, encrypt_to="cross-signed") as here:
        mark = f"unsigned {secrets.token_hex(8)}"
        early = await here.anna.say(here.room, script(mark, Step(text="Now I believe it.")))
        await here.daemon.until_line("event.sealed")
        await here.anna.say(here.room, "/status")
        await here.daemon.until_line("event.sealed", skip=1)
        assert model.requests(mark) == []
        assert here.anna.bodies(here.room, sender=here.daemon.account.user_id) == []

        await here.sign_annas_device()
        await here.until_answered("Now I believe it.")
        assert await here.until_ended(early) == "✅"
        assert len(model.requests(mark)) == 1


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_what_waits_for_a_signature_is_run_when_the_settings_ask_for_none_any_more(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace, encrypt_to="cross-signed") as here:
        early = await here.anna.say(here.room, script("unasked", Step(text="You need not sign it.")))
        await here.daemon.until_line("seal.shut", timeout=100)
        # She is told so, and cannot read it. From then on nothing is looked at unless something rings.
        await here.daemon.until_line("crypto.shared", left_out=1)

        here.daemon.settings["rooms"][0]["encrypt_to"] = "all"
        here.daemon.write_config()
        here.daemon.send_signal(signal.SIGHUP)
        await here.until_answered("You need not sign it.")
        assert await here.until_ended(early) == "✅"


@contextmanager
def _nothing_is_committed(daemon: Daemon) -> Iterator[None]:
    """Somebody else writes to the ledger for as long as the block lasts."""
    with closing(sqlite3.connect(daemon.data_dir / "aiagentchat.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _room_keys(daemon: Daemon) -> int:
    """How many of other people's are in the daemon's file."""
    [file] = daemon.data_dir.glob("crypto/*.db")
    with closing(sqlite3.connect(file)) as keys:
        [(count,)] = keys.execute("SELECT count(*) FROM megolminboundsessions")
    return int(count)


async def test_a_kill_between_a_key_and_the_commit_of_its_sync_loses_nothing_and_runs_nothing_twice(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace) as here:
        mark = f"in between {secrets.token_hex(8)}"
        here.anna.hold_keys()
        asked = await here.anna.say(here.room, script(mark, Step(text="Nothing was lost.")))
        await here.daemon.until_line("event.sealed")
        sealed = [line["event"] for line in here.daemon.lines()].index("event.sealed")
        before = _room_keys(here.daemon)
        # Its sync is committed; the key comes with the next one.
        await here.daemon.until_line("sync.batch", skip=sealed)
        with _nothing_is_committed(here.daemon):
            await here.anna.give_keys()
            async with asyncio.timeout(30):
                while _room_keys(here.daemon) == before:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
            await here.daemon.kill()
        await here.daemon.start(until="sync.resumed")
        await here.until_answered("Nothing was lost.")

        assert await here.until_ended(asked) == "✅"
        assert len(model.requests(mark)) == 1


@pytest.mark.long
async def test_a_daemon_whose_keys_are_gone_says_so_and_does_not_come_up_as_somebody_else(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace) as here:
        await here.daemon.stop()
        shutil.rmtree(here.daemon.data_dir / "crypto")
        await here.daemon.start(until="daemon.ended")

        assert await here.daemon.wait() == 11
        ended = [line for line in here.daemon.lines() if line["event"] == "daemon.ended"][-1]
        assert all(part in ended["error"] for part in ("not here", "MATRIX_PASSWORD", "Nothing was changed"))
        assert not list(here.daemon.data_dir.glob("crypto/*"))


@pytest.mark.long
async def test_a_device_that_cannot_be_signed_answers_and_says_what_is_wrong(
    people: People, model: Model, workplace: Path
) -> None:
    async with cellar(people, model, workplace) as here:
        await here.daemon.until_line("identity.signed")
        await here.anna.say(here.room, "/status")
        await here.until_answered("Homeserver: heard")
        assert not any("not signed" in body for body in here.anna.bodies(here.room))

        await here.daemon.stop()
        shutil.rmtree(here.daemon.data_dir)  # and with it the keys of the identity
        again = await here.log_in_again()
        here.daemon.environ["MATRIX_ACCESS_TOKEN"] = again.access_token
        await here.daemon.start()
        told = await here.daemon.until_line("identity.unsigned")
        assert told["standing"] == "foreign"
        assert "aiagentchat keys restore" in told["fix"]

        await here.anna.say(here.room, "/status")
        await here.until_answered("my device is not signed by my account")
