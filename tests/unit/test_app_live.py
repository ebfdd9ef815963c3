"""A reload applies everything or nothing."""

from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.app.isolation import require_apart
from aiagentchat.app.live import Live, last_report
from aiagentchat.config.load import load
from aiagentchat.config.secrets import load_secrets
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.core.rooms import Made, MadeRoom, WaitingRoom

GOOD = """
matrix: {homeserver: "http://127.0.0.1:8008", user_id: "@claude:localhost"}
data_dir: ./data
workspaces: ./rooms
defaults: {users: ["@you:localhost"]}
rooms:
  - {id: "!abc:localhost", name: backend}
"""
ENVIRON = {"ANTHROPIC_API_KEY": "sk-ant-one", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}


@pytest.fixture
def live(tmp_path: Path) -> Live:
    (tmp_path / "config.yaml").write_text(GOOD)
    (tmp_path / "data").mkdir()
    return Live(load(tmp_path / "config.yaml", ENVIRON), load_secrets(ENVIRON), dict(ENVIRON))


def _write(live: Live, text: str) -> None:
    live.settings.file.write_text(text)


async def test_whoever_wants_to_know_is_told_of_a_reload_that_applies(live: Live) -> None:
    told: list[int] = []

    async def reloaded() -> None:
        told.append(len(live.settings.rooms))

    live.reloaded = reloaded
    _write(live, GOOD + '  - {id: "!def:localhost", name: frontend}\n')
    await live.reload()
    _write(live, "nonsense: 1")
    await live.reload()

    assert told == [2]


async def test_a_good_file_is_in_force_at_once(live: Live) -> None:
    _write(live, GOOD + '  - {id: "!def:localhost", name: frontend}\n')

    assert await live.reload()
    assert [room.name for room in live.current().rooms] == ["backend", "frontend"]
    assert last_report(live.settings.data_dir)[1] == []


async def test_a_broken_file_changes_nothing_and_is_reported(live: Live) -> None:
    before = live.current()
    _write(live, "rooms: 7\n")

    assert not await live.reload()
    assert live.current() is before
    assert any("rooms" in problem for problem in last_report(before.data_dir)[1])


async def test_what_needs_a_restart_is_refused(live: Live) -> None:
    before = live.current()
    _write(live, GOOD.replace("8008", "8009"))

    assert not await live.reload()
    assert live.current() is before
    assert any("matrix.homeserver" in problem for problem in last_report(before.data_dir)[1])


async def test_new_keys_are_read_with_the_settings(live: Live) -> None:
    live.environ = {**ENVIRON, "ANTHROPIC_API_KEY": "sk-ant-two"}

    assert await live.reload()
    assert live.credentials() == live.environ


async def test_what_cannot_be_prepared_is_not_applied(live: Live) -> None:
    async def no_folder(_: Settings) -> Settings:
        raise ConfigError(["config.yaml:7: rooms[0].workspace: taken"])

    async def no_server(_: Settings) -> Settings:
        raise Unreachable("alias #x: timeout")

    before = live.current()
    live.prepare = no_folder
    assert not await live.reload()
    assert last_report(before.data_dir)[1] == ["config.yaml:7: rooms[0].workspace: taken"]
    live.prepare = no_server
    assert not await live.reload()
    assert last_report(before.data_dir)[1] == ["alias #x: timeout"]
    assert live.current() is before


async def test_a_reload_brings_no_room_that_nothing_keeps_apart(live: Live) -> None:
    async def made() -> Made:
        return Made(rooms=(MadeRoom(room=RoomId("!made:localhost"), folder="tea", by=UserId("@you:localhost"), at=1),))

    before = live.current()
    live.require_apart = partial(require_apart, Held(Isolation.NONE))
    _write(live, GOOD + '  - {id: "!def:localhost", name: frontend}\n')

    assert not await live.reload()
    assert "the 2 rooms could read" in last_report(before.data_dir)[1][0]
    assert live.current() is before

    _write(live, GOOD)
    live.made = made
    with capture_logs() as logs:
        await live.refresh()

    assert live.current() is before
    assert [line["event"] for line in logs] == ["room.left_out"]


async def test_every_report_has_a_number_of_its_own(live: Live) -> None:
    await live.reload()
    first, _ = last_report(live.settings.data_dir)
    await live.reload()

    assert last_report(live.settings.data_dir)[0] != first


def test_without_a_report_there_is_number_zero(tmp_path: Path) -> None:
    assert last_report(tmp_path) == (0, [])


KEY_ONE, KEY_TWO = "the first key", "the second key"


async def test_what_is_known_is_hidden_and_a_reload_adds_to_it(live: Live) -> None:
    live.environ = {**ENVIRON, "ANTHROPIC_API_KEY": KEY_ONE}
    await live.reload()
    before = live.redactor()
    live.environ = {**ENVIRON, "ANTHROPIC_API_KEY": KEY_TWO}
    await live.reload()

    assert before(f"{KEY_ONE}, {KEY_TWO}") == f"[redacted: ANTHROPIC_API_KEY], {KEY_TWO}"
    assert live.redactor()(f"{KEY_ONE}, {KEY_TWO}") == "[redacted: ANTHROPIC_API_KEY], [redacted: ANTHROPIC_API_KEY]"
    assert live.redactor() is live.redactor()


async def test_variables_of_a_room_are_hidden_if_their_names_say_so(live: Live) -> None:
    _write(live, GOOD.replace("name: backend", "name: backend, env: {NPM_TOKEN: of the room, LANG: of the house}"))
    await live.reload()

    assert live.redactor()("of the room, of the house") == "[redacted: NPM_TOKEN], of the house"


def test_what_is_learned_is_hidden_from_then_on(live: Live) -> None:
    shown = live.redactor()("a login")
    live.learn("MATRIX_ACCESS_TOKEN", "a login")
    live.learn("MATRIX_ACCESS_TOKEN", "a login")

    assert shown == "a login"
    assert live.redactor()("a login") == "[redacted: MATRIX_ACCESS_TOKEN]"
    assert "a login" not in repr(live)


def test_a_login_that_is_renewed_all_the_time_pushes_out_no_other_secret(live: Live) -> None:
    live.learn("AIAGENTCHAT_STORE_KEY", "the key of the store")
    for number in range(100):
        live.learn("MATRIX_ACCESS_TOKEN", f"login number {number}.")

    hidden = live.redactor()("the key of the store, login number 99., login number 1.")
    assert hidden == "[redacted: AIAGENTCHAT_STORE_KEY], [redacted: MATRIX_ACCESS_TOKEN], login number 1."


# ── rooms that were made in chat ──

NEW = RoomId("!new:localhost")
YOU = UserId("@you:localhost")


def made(*folders: str, waiting: tuple[WaitingRoom, ...] = ()) -> Made:
    rooms = tuple(MadeRoom(room=RoomId(f"!{name}:localhost"), folder=name, by=YOU, at=1) for name in folders)
    return Made(rooms=rooms, waiting=waiting, slugs={each.room: each.folder for each in rooms})


def _with_chat(live: Live, *folders: str, waiting: tuple[WaitingRoom, ...] = ()) -> None:
    async def read() -> Made:
        return made(*folders, waiting=waiting)

    live.made = read


async def test_rooms_that_were_made_in_chat_are_in_force_as_the_ledger_has_them(live: Live) -> None:
    _with_chat(live, "tea", "pot")
    await live.refresh()
    assert [room.name for room in live.current().rooms] == ["backend", "tea", "pot"]

    _with_chat(live, "pot")
    await live.refresh()
    assert [room.name for room in live.current().rooms] == ["backend", "pot"]


async def test_a_reload_keeps_the_rooms_that_were_made_in_chat(live: Live) -> None:
    _with_chat(live, "tea")
    await live.refresh()
    _write(live, GOOD.replace("name: backend", "name: front").replace("users:", "timeout: 7, users:"))

    assert await live.reload()
    assert [(room.name, room.timeout) for room in live.current().rooms] == [("front", 7), ("tea", 7)]


async def test_a_room_that_cannot_be_is_left_out_loudly(live: Live) -> None:
    (live.settings.workspaces).mkdir()
    (live.settings.workspaces / "tea").symlink_to("/")
    _with_chat(live, "tea", "pot")
    with capture_logs() as logs:
        await live.refresh()

    assert [room.name for room in live.current().rooms] == ["backend", "pot"]
    assert [line["event"] for line in logs] == ["room.left_out"]


async def test_a_room_that_was_waited_for_and_is_in_the_file_now_is_adopted(live: Live) -> None:
    adopted = []

    async def adopt(waiting: WaitingRoom) -> None:
        adopted.append(waiting.room)

    live.adopt = adopt
    waits = WaitingRoom(room=NEW, by=YOU, since=1, until=2, keeps=True)
    _with_chat(live, waiting=(waits,))
    await live.refresh()
    assert (adopted, live.current().waiting) == ([], (waits,))

    _write(live, GOOD + f'  - {{id: "{NEW}", name: new}}\n')
    assert await live.reload()
    assert (adopted, live.current().waiting) == ([NEW], ())


async def test_without_a_ledger_there_is_what_the_file_says(live: Live) -> None:
    await live.refresh()

    assert [room.name for room in live.current().rooms] == ["backend"]


@pytest.mark.parametrize(
    ("history", "plain", "sealed"),
    [("", True, False), (", history: true", True, True), (", history: false", False, False)],
)
async def test_what_is_kept_of_a_room_is_what_its_settings_say_now(
    live: Live, history: str, plain: bool, sealed: bool
) -> None:
    _write(live, GOOD.replace("name: backend", f"name: backend{history}"))
    await live.reload()
    room = RoomId("!abc:localhost")

    assert (live.keeps(room, False), live.keeps(room, True)) == (plain, sealed)
    assert not live.keeps(RoomId("!stranger:localhost"), False)
