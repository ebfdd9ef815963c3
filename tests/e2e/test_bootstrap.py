"""`aiagentchat bootstrap` on a real homeserver: from nothing, again, and after a death between any two steps."""

import asyncio
import contextlib
import json
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aiagentchat.bootstrap.api import connect
from aiagentchat.bootstrap.begin import Answers, Looked, check
from aiagentchat.bootstrap.passwords import Passwords
from aiagentchat.bootstrap.plan import Step
from aiagentchat.bootstrap.run import bootstrap
from aiagentchat.bootstrap.site import Given
from aiagentchat.bootstrap.synapse import SHARED_SECRET, Synapse, files
from aiagentchat.bootstrap.wanted import Account, Wishes, wanted
from aiagentchat.config.load import load
from aiagentchat.config.secrets import Secret, secret_folder, with_folder
from aiagentchat.core.errors import LoginFailed
from aiagentchat.core.ids import UserId
from aiagentchat.core.instances import INSTANCE
from rig.homeserver import PASSWORD, Homeserver, HomeserverFailed
from rig.people import People
from rig.setup import ROOT
from rig.unprivileged import as_unprivileged, clean_env

pytestmark = pytest.mark.long

CONFIG = """\
# Ours.
matrix: {{homeserver: "{url}", user_id: "@{me}:localhost"}}
defaults:
  users: ["@{anna}:localhost", "@*:example.org"] # everybody
  admins: ["@{ada}:localhost"]
rooms:
  # By its alias, until it has an id.
  - id: "#{me}-garden:localhost"
    #timeout: 5
# The end.
"""


@dataclass(slots=True)
class Reader:
    """Reads along, and dies after so many steps that were done."""

    lives_for: int = 1_000
    steps: list[Step] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    said_no: list[str] = field(default_factory=list)

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def done(self, step: Step) -> None:
        self.did.append(step.what)
        if len(self.did) >= self.lives_for:
            raise Died

    def refused(self, step: Step, why: str) -> None:
        self.said_no.append(f"{step.what}: {why}")

    def waiting(self, seconds: float) -> None:
        raise AssertionError(f"this homeserver has no limits, and asks to wait {seconds} s")


class Died(Exception):
    """As by kill -9."""


@dataclass(slots=True)
class Setup:
    """A folder with settings, and names that nobody else has."""

    homeserver: Homeserver
    folder: Path
    me: str = field(default_factory=lambda: f"claude-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.mark = self.me.removeprefix("claude-")
        self.anna, self.ada = f"anna-{self.mark}", f"ada-{self.mark}"
        self.original = CONFIG.format(url=self.homeserver.url, me=self.me, anna=self.anna, ada=self.ada)
        self.config.write_text(self.original)

    mark: str = ""
    anna: str = ""
    ada: str = ""
    original: str = ""

    def password_of(self, name: str) -> str:
        """That of a person whose account was made."""
        return (self.folder / "secrets" / "accounts" / name).read_text().strip()

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def secret(self) -> Secret:
        return Secret(self.homeserver._secrets()["registration"])

    async def run(
        self, given: Given | None = None, *, reader: Reader | None = None, dry_run: bool = False, **wishes: Any
    ) -> Reader:
        """One life."""
        reader = reader or Reader()
        environ = with_folder(self.config, {})
        people = (Account(user=UserId(f"@{self.anna}:localhost")), Account(user=self.admin, is_admin=True))
        asked = Wishes(**{"space": "Ours", "accounts": people, "rooms": (f"{self.me}-kitchen",), **wishes})
        wish = wanted(load(self.config, environ), asked)
        passwords = Passwords(secret_folder(self.config), wish.me, environ)
        given = given or Given(shared_secret=self.secret)
        await bootstrap(self.homeserver.url, wish, given, passwords, self.config, told=reader, dry_run=dry_run)
        return reader

    @property
    def admin(self) -> UserId:
        return UserId(f"@{self.ada}:localhost")

    def token(self) -> str:
        """Of a login of ours, to look."""
        password = (self.folder / "secrets" / "MATRIX_PASSWORD").read_text().strip()
        return self.homeserver.login(self.me, password).access_token

    def limit(self) -> dict[str, Any]:
        """What an admin is told of our limit."""
        ada = self.homeserver.login(self.ada, self.password_of(self.ada)).access_token
        where = f"/_synapse/admin/v1/users/@{self.me}:localhost/override_ratelimit"
        return self.homeserver.request("GET", where, token=ada)

    def rooms(self) -> dict[str, dict[tuple[str, str], Any]]:
        """The state of every room that the account is in, by the room's name."""
        answer = self.homeserver.request("GET", f"/_matrix/client/v3/sync?filter={_EVENTS}", token=self.token())
        states = {}
        for room in answer["rooms"]["join"].values():
            events = [
                event for event in (*room["state"]["events"], *room["timeline"]["events"]) if "state_key" in event
            ]
            state = {(event["type"], event["state_key"]): event["content"] for event in events}
            states[state["m.room.name", ""]["name"]] = state
        return states

    def outcome(self) -> str:
        """Everything that was made, but for what is another one each time."""
        rooms = self.rooms()
        shown = {
            name: sorted((*key, json.dumps(content)) for key, content in state.items()) for name, state in rooms.items()
        }
        text = json.dumps([shown, self.config.read_text(), sorted(map(str, self.folder.rglob("*")))], sort_keys=True)
        text = text.replace(str(self.folder), "FOLDER").replace(self.me.removeprefix("claude-"), "MARK")
        return re.sub(r"![^\\\"]+", "!ROOM", text)


_EVENTS = quote(json.dumps({"room": {"timeline": {"limit": 200}}}))


@pytest.fixture
def setup(homeserver: Homeserver, tmp_path: Path) -> Setup:
    return Setup(homeserver, tmp_path)


async def test_from_nothing_to_everything_and_again_nothing_is_done(setup: Setup) -> None:
    kitchen, garden = f"{setup.me}-kitchen", f"{setup.me}-garden"
    wishes: dict[str, Any] = {"encrypt": (kitchen,), "registry": True, "members": (UserId("@other:localhost"),)}
    dry = await setup.run(dry_run=True, **wishes)
    assert not setup.folder.joinpath("secrets").exists()
    assert setup.config.read_text() == setup.original

    first = await setup.run(**wishes)
    again = await setup.run(**wishes)

    assert first.said_no == []
    assert [step.what for step in dry.steps if step.act] == first.did
    assert again.did == []
    assert {step.verdict for step in again.steps} == {"is there"}

    rooms = setup.rooms()
    anna, ada = (f"@{name}:localhost" for name in (setup.anna, setup.ada))
    assert rooms.keys() == {"Ours", "Agents", kitchen, garden}
    assert [name for name, state in rooms.items() if ("m.room.encryption", "") in state] == [kitchen]
    for state in rooms.values():
        levels = state["m.room.power_levels", ""]
        assert levels["users"][ada] == 100
        assert anna not in levels["users"]
        assert state["m.room.member", ada]["membership"] == "invite"
        assert state["m.room.join_rules", ""]["join_rule"] == "invite"
        assert state["m.room.guest_access", ""]["guest_access"] == "forbidden"
    assert {name for name, state in rooms.items() if ("m.room.member", anna) in state} == {"Ours", garden, kitchen}
    assert rooms["Agents"]["m.room.power_levels", ""]["events"][INSTANCE] == 0
    assert rooms["Agents"]["m.room.member", "@other:localhost"]["membership"] == "invite"
    assert rooms["Ours"]["m.room.power_levels", ""]["events_default"] == 100
    inside = {key for type_, key in rooms["Ours"] if type_ == "m.space.child"}
    settings = load(setup.config, {})
    assert inside >= {str(room.id) for room in settings.rooms}
    assert len(inside) == 3
    assert all(any(type_ == "m.space.parent" for type_, _ in rooms[name]) for name in ("Agents", kitchen, garden))

    assert [room.name for room in settings.rooms] == [garden, kitchen]
    assert settings.registry.room == "#agents:localhost"
    assert setup.original.splitlines()[:6] == setup.config.read_text().splitlines()[:6]
    assert "    #timeout: 5\n" in setup.config.read_text()
    assert "# The end.\n" in setup.config.read_text()
    assert setup.limit() == {"messages_per_second": 0, "burst_count": 0}
    made = [setup.folder / "secrets", *(setup.folder / "secrets").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}


async def test_a_death_after_any_step_is_made_good_by_the_next_life(
    setup: Setup, homeserver: Homeserver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    straight = Setup(homeserver, tmp_path_factory.mktemp("straight"))
    steps = (await straight.run()).did

    did: list[str] = []
    for _ in steps:
        reader = Reader(1)
        with contextlib.suppress(Died):
            await setup.run(reader=reader)
        did += reader.did
    last = await setup.run()

    assert [step.replace(setup.me, straight.me).replace(setup.mark, straight.mark) for step in did] == steps
    assert last.did == []
    assert setup.outcome() == straight.outcome()


@pytest.mark.parametrize("version", [pytest.param("11", marks=pytest.mark.long), "12"])
async def test_rooms_of_each_version_are_as_they_should_be(setup: Setup, version: str) -> None:
    first = await setup.run(room_version=version)
    again = await setup.run(room_version=version)

    created = {state["m.room.create", ""]["room_version"] for state in setup.rooms().values()}
    owners = {
        "@claude:localhost".replace("claude", setup.me) in state["m.room.power_levels", ""]["users"]
        for state in setup.rooms().values()
    }
    assert (first.said_no, again.did) == ([], [])
    assert created == {version}
    assert owners == {version == "11"}


async def test_settings_that_cannot_be_written_are_said_before_a_room_is_made(
    homeserver: Homeserver, crossroads: Path
) -> None:
    setup = Setup(homeserver, crossroads)
    setup.config.chmod(0o644)
    homeserver.register(setup.me, PASSWORD)
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", "bootstrap", "--config", str(setup.config)]
    argv += ["--no-space", "--room", f"{setup.me}-kitchen"]
    env = clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1", MATRIX_PASSWORD=PASSWORD)
    done = await asyncio.to_thread(subprocess.run, argv, check=False, capture_output=True, text=True, env=env)
    account = homeserver.login(setup.me, PASSWORD)
    joined = homeserver.request("GET", "/_matrix/client/v3/joined_rooms", token=account.access_token)

    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{setup.config}: the file cannot be written: Permission denied; it is as it was\n" in done.stderr
    assert (joined["joined_rooms"], done.stdout) == ([], "")


async def test_an_account_of_somebody_else_is_left_alone(setup: Setup) -> None:
    setup.homeserver.register(setup.me, "another password")
    with pytest.raises(LoginFailed, match="what is known does not log it in"):
        await setup.run()

    assert not (setup.folder / "secrets").exists()
    assert setup.config.read_text() == setup.original


async def test_without_means_it_is_said_how_accounts_are_made(setup: Setup) -> None:
    dry = await setup.run(Given(), dry_run=True)
    with pytest.raises(LoginFailed, match="--shared-secret-file"):
        await setup.run(Given())

    assert [step.verdict for step in dry.steps if step.what.startswith("account")] == ["blocked"] * 3


@pytest.mark.long
async def test_a_shared_secret_that_is_another_one_makes_nothing(setup: Setup) -> None:
    with pytest.raises(LoginFailed, match="was not made: the shared secret is not this homeserver's"):
        await setup.run(Given(shared_secret=Secret("not it")))

    assert (setup.folder / "secrets" / "MATRIX_PASSWORD").exists()
    assert (await setup.run()).said_no == []


@pytest.mark.long
async def test_an_admin_makes_accounts_and_lifts_the_limit(setup: Setup) -> None:
    boss = setup.homeserver.register(f"boss-{setup.mark}", admin=True)
    first = await setup.run(Given(admin_token=Secret(boss.access_token)))

    assert first.said_no == []
    assert (await setup.run(Given(admin_token=Secret(boss.access_token)))).did == []
    assert setup.limit()["burst_count"] == 0


@pytest.mark.long
async def test_who_is_no_admin_is_told_so(setup: Setup) -> None:
    nobody = setup.homeserver.register(f"nobody-{setup.mark}")
    with pytest.raises(LoginFailed, match="not one of the homeserver"):
        await setup.run(Given(admin_token=Secret(nobody.access_token)))


async def test_with_an_access_token_nobody_logs_in(setup: Setup) -> None:
    account = setup.homeserver.register(setup.me)
    given = Given(access_token=Secret(account.access_token))
    first = await setup.run(given, accounts=())

    assert first.said_no == []
    assert not (setup.folder / "secrets").exists()
    assert (await setup.run(given, accounts=())).did == []
    devices = setup.homeserver.request("GET", "/_matrix/client/v3/devices", token=account.access_token)["devices"]
    assert [device["device_id"] for device in devices] == [account.device_id]


@pytest.mark.long
async def test_no_device_is_left_behind(setup: Setup) -> None:
    await setup.run()
    devices = setup.homeserver.request("GET", "/_matrix/client/v3/devices", token=setup.token())["devices"]

    assert len(devices) == 1  # the one that asks


async def test_rooms_of_other_people_are_joined_and_what_is_not_ours_to_do_is_said(
    setup: Setup, people: People
) -> None:
    anna = await people.person()
    account = setup.homeserver.register(setup.me)
    setup.config.write_text(setup.original.replace(f"@{setup.anna}:localhost", anna.id))
    room = await people.room(anna, account)
    strange = await people.room(anna)
    ids = f'{{id: "{room}", name: hers}}, {{id: "{strange}", name: strange}}, {{id: "#no-{setup.me}:elsewhere"}}'
    text = f"\nrooms: [{ids}]\n"
    setup.config.write_text(setup.config.read_text().partition("\nrooms:")[0] + text)
    given = Given(access_token=Secret(account.access_token))
    first = await setup.run(given, rooms=(), accounts=(), space=None)

    assert "room hers: join" in first.did
    assert [line.partition(":")[0] for line in first.said_no] == ["room hers"]
    assert "M_FORBIDDEN" in first.said_no[0]
    again = await setup.run(given, rooms=(), accounts=(), space=None)
    blocked = {step.what: step.why for step in again.steps if step.verdict == "blocked"}
    assert blocked.keys() == {"room hers: power levels", "room strange", f"room no-{setup.me}"}
    assert "this takes 100" in blocked["room hers: power levels"]
    assert "is not in" in blocked["room strange"]
    assert "not ours to make" in blocked[f"room no-{setup.me}"]
    assert again.did == []


async def test_who_has_left_is_not_invited_again(setup: Setup, people: People) -> None:
    anna = await people.play(setup.homeserver.register(setup.anna))
    await setup.run(space=None, rooms=())
    room = str(load(setup.config, {}).rooms[0].id)
    await anna.join(room)
    await anna.leave(room)
    again = await setup.run(space=None, rooms=())

    assert again.did == []
    assert [(step.what, step.verdict) for step in again.steps if setup.anna in step.what][1:] == [
        (f"room {setup.me}-garden: @{setup.anna}:localhost", "left")
    ]


async def test_init_looks_at_what_is_there_already(setup: Setup, people: People) -> None:
    anna = await people.person()
    setup.homeserver.register(setup.me, "the password")
    await people.room(anna, alias=f"there-{setup.mark}")
    answers = Answers(
        homeserver=setup.homeserver.url,
        user_id=f"@{setup.me}:localhost",
        users=(anna.id,),
        rooms=(f"there-{setup.mark}", f"missing-{setup.mark}"),
    )

    async def look(password: Secret | None, token: Secret | None = None) -> Looked:
        async with connect(setup.homeserver.url, print) as api:
            return await check(api, answers, password, token)

    good, bad, none = await look(Secret("the password")), await look(Secret("another")), await look(None)
    other = await look(None, Secret(anna.account.access_token))

    assert [finding.is_well for finding in good.findings] == [True, True, True, True]
    assert "can log in" in good.findings[1].said
    assert f"there is #there-{setup.mark}" in good.findings[2].said
    assert "aiagentchat bootstrap makes it" in good.findings[3].said
    assert [finding.is_well for finding in bad.findings] == [True, False, True, True]
    assert none.needs_bootstrap
    assert "is that of" in other.findings[1].said


async def test_settings_that_were_lost_find_their_rooms_by_the_aliases(setup: Setup) -> None:
    await setup.run(registry=True, space="Ours")
    before = load(setup.config, {})
    setup.config.write_text(setup.original)
    again = await setup.run()

    assert again.did == [f"room {setup.me}-garden: in config.yaml", f"room {setup.me}-kitchen: in config.yaml"]
    assert load(setup.config, {}).rooms == before.rooms


@pytest.mark.long
async def test_a_registration_token_is_enough_for_accounts(tmp_path: Path) -> None:
    closed = {"enable_registration": True, "registration_requires_token": True}
    with Homeserver(tmp_path / "homeserver", config=closed) as homeserver:
        boss = homeserver.register("boss", admin=True)
        made = homeserver.request("POST", "/_synapse/admin/v1/registration_tokens/new", {}, token=boss.access_token)
        setup = Setup(homeserver, tmp_path)
        anna = (Account(user=UserId(f"@{setup.anna}:localhost")),)
        with pytest.raises(LoginFailed, match="was not made"):
            await setup.run(Given(registration_token=Secret("another")), accounts=anna)
        first = await setup.run(Given(registration_token=Secret(made["token"])), accounts=anna)

        assert first.said_no == []
        assert homeserver.login(setup.anna, setup.password_of(setup.anna)).user_id == anna[0].user
        assert (await setup.run(Given(registration_token=Secret(made["token"])), accounts=anna)).did == []


class Made(Homeserver):
    """A Synapse with the settings that are written for it."""

    def _write_config(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir()
            synapse = Synapse(server_name=self.server_name, folder=str(self.folder), port=self.port)
            for name, text in files(synapse, secrets.token_bytes).items():
                (self.folder / name).write_text(text)

    def _secrets(self) -> dict[str, str]:
        return {"registration": (self.folder / SHARED_SECRET).read_text()}


@pytest.mark.long
async def test_the_homeserver_that_is_written_runs_and_is_closed(tmp_path: Path) -> None:
    with Made(tmp_path / "homeserver") as homeserver:
        setup = Setup(homeserver, tmp_path)
        first = await setup.run()
        assert (first.said_no, (await setup.run()).did) == ([], [])

        for path in ("/_matrix/federation/v1/version", "/_matrix/key/v2/server"):
            with pytest.raises(HomeserverFailed, match="404"):
                homeserver.request("GET", path)
        with pytest.raises(HomeserverFailed, match="M_FORBIDDEN"):
            homeserver.request("POST", "/_matrix/client/v3/register", {"username": "eve", "password": "x"})
        with pytest.raises(HomeserverFailed, match=r"HTTP (403|502)"):
            homeserver.request("POST", "/_matrix/client/v3/join/!a:matrix.org?via=matrix.org", {}, token=setup.token())
        features = homeserver.request("GET", "/_matrix/client/versions")["unstable_features"]
        assert features["org.matrix.msc4140"] is True
        homeserver.restart()
        assert (await setup.run()).did == []
