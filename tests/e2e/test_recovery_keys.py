"""The account's keys as an operator has them: made, looked at, exported, lost and had back, on a real homeserver."""

import asyncio
import json
import logging
import os
import secrets
import sqlite3
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nio.client.async_client import AsyncClient, AsyncClientConfig
from typer.testing import CliRunner

from aiagentchat.app.clock import SystemClock
from aiagentchat.app.connect import connected, identified, vault_of
from aiagentchat.app.live import Live
from aiagentchat.cli.main import app
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.core.audit import AuditFilter, AuditKind, Deed, Detail
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.matrix.account_data import MatrixAccountData
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.backup import ALGORITHM, BackedUp, Read, bring_in, public_of
from aiagentchat.matrix.crypto.cross_signing import Established, Standing, device_of
from aiagentchat.matrix.crypto.signatures import encode
from aiagentchat.matrix.crypto.ssss import (
    BACKUP,
    MASTER,
    SELF_SIGNING,
    USER_SIGNING,
    Passphrase,
    SecretStorage,
    from_passphrase,
    from_recovery_key,
    seal,
)
from aiagentchat.store.glance import audited
from aiagentchat.store.ledger import Ledger, open_ledger
from rig.daemon import Daemon
from rig.homeserver import PASSWORD, Account
from rig.people import People
from tests.e2e.terminal import in_terminal
from tests.fakes.plain_log import plain_log
from tests.unit.crypto_stage import close_store
from tests.unit.test_crypto_backup import Session, sealed

pytestmark = pytest.mark.real


@dataclass(slots=True)
class Place:
    """A machine on which the daemon of the account runs, now and then."""

    folder: Path
    account: Account
    url: str

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "MATRIX_PASSWORD": PASSWORD}

    def furnish(self) -> "Place":
        (self.folder / "data").mkdir(parents=True)
        settings = {
            "matrix": {"homeserver": self.url, "user_id": self.account.user_id},
            "data_dir": "./data",
            "workspaces": "./rooms",
            "defaults": {"users": ["@anna:localhost"]},
            "rooms": [{"id": "!a:localhost", "name": "a"}],
        }
        self.config.write_text(json.dumps(settings))
        return self

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[tuple[Ledger, Client, Established]]:
        """What a start does, as far as it is about keys; the Olm account is nio's, in a store of its own."""
        live = Live(load(self.config, self.environ), load_secrets(self.environ), self.environ)
        me, clock = UserId(self.account.user_id), SystemClock()
        async with (
            open_ledger(live.settings.database, vault=vault_of(live)) as ledger,
            connected(live, ledger, me, clock) as client,
        ):
            client.nio.config = AsyncClientConfig(encryption_enabled=True, pickle_key="k")
            client.nio.store_path = str(self.folder / "data")
            AsyncClient.load_store(client.nio)  # type: ignore[no-untyped-call]
            assert client.nio.olm is not None
            try:
                if client.nio.should_upload_keys:
                    await client.nio.keys_upload()
                yield ledger, client, await identified(live, ledger, client, me, clock, device_of(client.nio.olm))
            finally:
                close_store(client.nio)

    async def start(self) -> Established:
        """One short life of the daemon."""
        async with self.daemon() as (_, __, found):
            return found

    async def type(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and errors of `aiagentchat keys …`."""
        words = ("keys", *words, "--config", str(self.config))
        shown = await asyncio.to_thread(CliRunner(env={**self.environ}).invoke, app, words)
        return shown.exit_code, shown.stdout, shown.stderr

    async def status(self) -> dict[str, Any]:
        """What `keys status --json` says."""
        _, said, errors = await self.type("status", "--json")
        assert errors == ""
        return dict(json.loads(said))


@pytest.fixture(autouse=True)
def said_by_nobody_else() -> Iterator[None]:
    """The command silences the log of this process."""
    before = logging.getLogger().handlers
    yield
    plain_log()
    logging.getLogger().handlers = before


NewPlace = Callable[[str], Place]


@pytest.fixture
def place(people: People, tmp_path: Path) -> NewPlace:
    """Machines by name, for one account."""
    account = people.account()
    return lambda name: Place(tmp_path / name, account, people.homeserver.url).furnish()


async def test_an_identity_is_made_exported_and_had_back_on_a_new_machine(place: NewPlace) -> None:
    here, key = place("here"), None
    code, _, errors = await here.type("status")
    assert (code, "start the daemon once" in errors) == (3, True)
    assert (await here.start()).standing is Standing.SIGNED
    before = await here.status()
    file = here.folder / "recovery.key"
    exported = await here.type("export", str(file))
    key = file.read_text()

    assert before == {
        "user": here.account.user_id,
        "device": before["device"],
        "seeds": True,
        "trouble": "",
        "identity": "ours",
        "signed": True,
        "secret_storage": False,
        "backup": "",
        "backup_sessions": 0,
        "daemon": None,
    }
    assert exported[0] == 0
    assert key.strip() not in exported[1] + exported[2]
    assert from_recovery_key(key) is not None
    assert file.stat().st_mode & 0o777 == 0o600

    there = place("there")
    lost = await there.start()
    assert lost.standing is Standing.FOREIGN
    code, said, _ = await there.type("status")
    assert (code, "keys restore" in said, "not signed" in said) == (10, True, True)
    (there.folder / "key").write_text(key)
    (there.folder / "key").chmod(0o600)
    code, said, errors = await there.type("restore", "--file", str(there.folder / "key"))
    assert (code, errors, "it signs its device" in said) == (0, "", True)
    assert (await there.start()).standing is Standing.SIGNED
    assert (await there.status())["signed"]
    assert (await here.start()).standing is Standing.SIGNED
    assert (await here.status())["identity"] == "ours"
    assert (await here.type("status"))[0] == 0
    details: list[tuple[Place, Detail]] = [(here, {"what": "export", "replaces": 0}), (there, {"what": "restore"})]
    for where, detail in details:
        found = audited(where.folder / "data" / "aiagentchat.db", AuditFilter(kind=AuditKind.KEYS), limit=10)
        assert found is not None
        assert [each.line.deed for each in found] == [Deed(kind=AuditKind.KEYS, detail=detail)]


async def test_on_a_machine_that_never_logged_in_the_restored_device_is_the_daemons(place: NewPlace) -> None:
    here, there = place("here"), place("there")
    await here.start()
    code, key, _ = await here.type("export", "--show")
    (there.folder / "key").write_text(key)
    (there.folder / "key").chmod(0o600)

    assert code == 0
    assert (await there.type("restore", "--file", str(there.folder / "key")))[0] == 0
    device = (await there.status())["device"]
    assert (await there.start()).standing is Standing.SIGNED
    assert (await there.status())["device"] == device


async def test_the_recovery_key_is_asked_for_and_not_shown(place: NewPlace) -> None:
    here, there = place("here"), place("there")
    await here.start()
    _, key, _ = await here.type("export", "--show")
    words = [sys.executable, "-m", "aiagentchat", "keys", "restore", "--config", str(there.config)]
    async with in_terminal(words, {**there.environ, "TERM": "xterm"}) as terminal:
        await terminal.until("Recovery key or passphrase:")
        terminal.type(key)
        code = await terminal.ended()
        await terminal.until("it signs its device")

    assert code == 0
    assert key.split()[3] not in terminal.written
    assert (await there.start()).standing is Standing.SIGNED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EsTj 3yST y93F SLpB jJsz eAXc 2XzA ygD3 w69H fGaN TKBj jXEd", "not that of the account's present"),
        ("nonsense", "no recovery key"),
    ],
)
async def test_a_recovery_key_that_does_not_fit_changes_nothing(place: NewPlace, text: str, said: str) -> None:
    here, there = place("here"), place("there")
    await here.start()
    await here.type("export", "--show")
    (there.folder / "key").write_text(text)
    (there.folder / "key").chmod(0o600)
    code, _, errors = await there.type("restore", "--file", str(there.folder / "key"))

    assert (code, said in errors) == (9, True)
    assert (await there.start()).standing is Standing.FOREIGN


async def test_secret_storage_that_is_there_is_replaced_only_by_force(place: NewPlace) -> None:
    here = place("here")
    await here.start()
    _, first, _ = await here.type("export", "--show")
    code, said, errors = await here.type("export", "--show")
    forced, second, _ = await here.type("export", "--show", "--force")

    assert (code, said, "--force" in errors) == (9, "", True)
    assert forced == 0
    assert from_recovery_key(second) not in (None, from_recovery_key(first))


async def test_without_an_identity_there_is_nothing_to_export_or_restore(place: NewPlace) -> None:
    here = place("here")
    (here.folder / "key").write_text("EsTj")
    (here.folder / "key").chmod(0o600)
    exported = await here.type("export", str(here.folder / "new"))
    restored = await here.type("restore", "--file", str(here.folder / "key"))

    assert (exported[0], "nothing to export" in exported[2]) == (9, True)
    assert (restored[0], "nothing to restore" in restored[2]) == (9, True)
    assert not (here.folder / "new").exists()


async def test_without_secret_storage_the_operator_is_told_how_to_get_one(place: NewPlace) -> None:
    here, there = place("here"), place("there")
    await here.start()
    (there.folder / "key").write_text("EsTj")
    (there.folder / "key").chmod(0o600)
    code, _, errors = await there.type("restore", "--file", str(there.folder / "key"))

    assert (code, "no secret storage" in errors) == (9, True)


@pytest.mark.parametrize(("mode", "said"), [(0o644, "chmod 600"), (None, "cannot be read")])
async def test_a_file_that_others_can_read_is_not_used(place: NewPlace, mode: int | None, said: str) -> None:
    here, there = place("here"), place("there")
    await here.start()
    await here.type("export", "--show")
    file = there.folder / "key"
    if mode is not None:
        file.write_text("EsTj")
        file.chmod(mode)
    code, _, errors = await there.type("restore", "--file", str(file))

    assert (code, said in errors) == (2, True)


async def test_a_lost_store_key_is_said_and_the_recovery_key_helps(place: NewPlace) -> None:
    here = place("here")
    await here.start()
    _, key, _ = await here.type("export", "--show")
    (here.folder / "data/store.key").unlink()
    found = await here.start()
    (here.folder / "key").write_text(key)
    (here.folder / "key").chmod(0o600)
    restored = await here.type("restore", "--file", str(here.folder / "key"))

    assert found.standing is Standing.FOREIGN
    assert "cannot be opened" in found.fix
    assert restored[0] == 0
    assert (await here.start()).standing is Standing.SIGNED


async def test_the_backup_of_another_client_can_be_read_with_the_key_that_was_restored(place: NewPlace) -> None:
    here, there = place("here"), place("there")
    session, room, backup_key = Session(), RoomId("!kitchen:localhost"), secrets.token_bytes(32)
    me = UserId(here.account.user_id)
    await here.start()
    _, text, _ = await here.type("export", "--show")
    storage_key = from_recovery_key(text)
    assert storage_key is not None
    async with here.daemon() as (_, client, __):
        await _back_up(client, me, storage_key, backup_key, room, session)
    (there.folder / "key").write_text(text)
    (there.folder / "key").chmod(0o600)
    code, said, _ = await there.type("restore", "--file", str(there.folder / "key"))
    taken: list[BackedUp] = []

    async def take(one: BackedUp) -> None:
        taken.append(one)

    async with there.daemon() as (ledger, client, _):
        first = await bring_in(client, ledger.identities, me, take)
        second = await bring_in(client, ledger.identities, me, take)
    assert (code, "backup of 1 room key is kept" in said) == (0, True)
    assert (first, second) == (Read("1", 1, 0), None)
    assert [one.session_key for one in taken] == [session.exported]
    assert (await there.status())["backup_sessions"] == 1


async def test_a_daemon_reads_the_backup_whose_key_it_has(people: People, workplace: Path) -> None:
    account, session, backup_key = people.account(), Session(), secrets.token_bytes(32)
    rooms = [{"id": "!cellar:localhost", "name": "cellar"}]
    daemon = Daemon(workplace, people.homeserver.url, account, rooms, model_url="http://127.0.0.1:1", users=["@a:b"])
    daemon.write_config()
    daemon.data_dir.mkdir()
    live = Live(load(daemon.config, daemon.environ), load_secrets(daemon.environ), daemon.environ)
    async with open_ledger(live.settings.database, vault=vault_of(live)) as ledger:
        await ledger.identities.keep_backup_key(UserId(account.user_id), backup_key)

    async def ask(method: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        path = f"/_matrix/client/v3/room_keys/{path}"
        found = await asyncio.to_thread(people.homeserver.request, method, path, content, token=account.access_token)
        return dict(found)

    version = (await ask("POST", "version", _described(backup_key)))["version"]
    kept = _kept(session, backup_key)
    await ask("PUT", f"keys?version={version}", {"rooms": {"!cellar:localhost": {"sessions": {session.id: kept}}}})
    async with daemon:
        read = await daemon.until_line("backup.read")

    [file] = daemon.data_dir.glob("crypto/*.db")
    with closing(sqlite3.connect(file)) as keys:
        [(opens,)] = keys.execute("SELECT session_id FROM megolminboundsessions").fetchall()
    assert (read["sessions"], read["unreadable"]) == (1, 0)
    assert str(opens).startswith(session.id)


def _described(backup_key: bytes) -> dict[str, Any]:
    return {"algorithm": ALGORITHM, "auth_data": {"public_key": public_of(backup_key), "signatures": {}}}


def _kept(session: Session, backup_key: bytes) -> dict[str, Any]:
    return {
        "first_message_index": 0,
        "forwarded_count": 0,
        "is_verified": False,
        "session_data": sealed(session.plain(), backup_key),
    }


async def _back_up(
    client: Client, me: UserId, storage_key: bytes, backup_key: bytes, room: RoomId, session: Session
) -> None:
    """As a client does that has the recovery key."""
    ask: Callable[..., Awaitable[Any]] = client.ask
    data = f"/_matrix/client/v3/user/{me}/account_data"
    default = (await ask("data", "GET", f"{data}/m.secret_storage.default_key")).content["key"]
    secret = seal(storage_key, BACKUP, encode(backup_key).encode())
    await ask("data", "PUT", f"{data}/{BACKUP}", {"encrypted": {default: secret}})
    made = await ask("backup", "POST", "/_matrix/client/v3/room_keys/version", _described(backup_key))
    version = made.content["version"]
    rooms = {"rooms": {room: {"sessions": {session.id: _kept(session, backup_key)}}}}
    await ask("backup", "PUT", f"/_matrix/client/v3/room_keys/keys?version={version}", rooms)


async def test_a_passphrase_is_taken_where_recovery_was_set_up_with_one(place: NewPlace) -> None:
    here, there = place("here"), place("there")
    me = UserId(here.account.user_id)
    await here.start()
    how = Passphrase(salt="salt", iterations=1000)
    key = from_passphrase("four words of mine", how)
    async with here.daemon() as (ledger, client, _):
        seeds = await ledger.identities.seeds(me)
        assert seeds is not None
        data = MatrixAccountData(client, me)
        storage = SecretStorage(data)
        kept = {MASTER: seeds.master, SELF_SIGNING: seeds.self_signing, USER_SIGNING: seeds.user_signing}
        id_ = await storage.begin(key, kept)
        content, _ = await data.read(f"m.secret_storage.key.{id_}")
        made_of = {"algorithm": "m.pbkdf2", "salt": how.salt, "iterations": how.iterations}
        await data.write(f"m.secret_storage.key.{id_}", {**content, "passphrase": made_of})
        await storage.use(id_)
    (there.folder / "key").write_text("four words of mine\n")
    (there.folder / "key").chmod(0o600)

    assert (await there.type("restore", "--file", str(there.folder / "key")))[0] == 0
    assert (await there.start()).standing is Standing.SIGNED


@pytest.mark.long
async def test_whoever_does_not_type_one_has_changed_nothing(place: NewPlace) -> None:
    here = place("here")
    words = [sys.executable, "-m", "aiagentchat", "keys", "restore", "--config", str(here.config)]
    async with in_terminal(words, {**here.environ, "TERM": "xterm"}) as terminal:
        await terminal.until("Recovery key or passphrase:")
        before = terminal.modes
        terminal.type("\x03")
        code = await terminal.ended()
        await terminal.until("ended before it was done")
        after = terminal.modes

    assert code == 130
    assert not before[3] & termios.ECHO
    assert after[3] & termios.ECHO


async def test_a_pipe_is_nobody_to_ask(place: NewPlace) -> None:
    code, _, errors = await place("here").type("restore")

    assert (code, "use --file" in errors) == (2, True)
