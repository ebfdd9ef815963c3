"""Each check is a row of its own, whatever happens to it; and what the rows say."""

import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aiagentchat.app.owner import own
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.errors import AppError, ConfigError, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.isolation import LADDER, Isolation
from aiagentchat.core.ports.ledger import Login
from aiagentchat.core.rooms import Made
from aiagentchat.doctor.account import clock_row, delayed_row, history_rows, owner_row, register_row, standing_row
from aiagentchat.doctor.cells import Found
from aiagentchat.doctor.examine import Check, answer, aside
from aiagentchat.doctor.isolation import ladder_rows
from aiagentchat.doctor.machine import Patient, machine_checks, secret_rows, space, user_row
from aiagentchat.doctor.rows import Row, Verdict
from aiagentchat.matrix.ownership import Owner
from aiagentchat.matrix.standing import Standing
from aiagentchat.process.sandbox.ladder import Tried
from aiagentchat.store.glance import Known, known
from aiagentchat.store.ledger import open_ledger
from aiagentchat.store.vault import KEY_FILE, Vault
from tests.unit.config_file import MATRIX, load_text

ME = UserId("@claude:localhost")
OKAY, NA, WARN, FAIL = Verdict.OK, Verdict.NOT_APPLICABLE, Verdict.WARN, Verdict.FAIL


def raising(error: Exception) -> Callable[[], Awaitable[list[Row]]]:
    async def ask() -> list[Row]:
        raise error

    return ask


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AppError("the disk is tired"), "the disk is tired."),
        (ConfigError(["one", "two"]), "one two"),
        (Unreachable("versions: TimeoutError"), "versions: TimeoutError."),
        (PermissionError(13, "Permission denied", "/x"), "Permission denied"),
        (KeyError("secret stuff"), "The check itself broke (KeyError)."),
    ],
)
async def test_a_check_that_breaks_is_a_row_with_a_fix(error: Exception, words: str) -> None:
    [row] = await answer(Check(id="it", ask=raising(error)))

    assert (row.id, row.verdict) == ("it", FAIL)
    assert words in row.detail
    assert row.fix


async def test_a_check_that_hangs_is_a_row() -> None:
    never = threading.Event()

    def hang() -> list[Row]:
        never.wait()
        return []

    [row] = await answer(Check(id="it", ask=lambda: aside(hang), within=0.05))
    never.set()

    assert (row.verdict, row.detail) == (FAIL, "Not known: no answer within 0 s.")


async def test_work_aside_gives_what_it_gives_and_raises_what_it_raises() -> None:
    assert await aside(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)


@pytest.mark.parametrize(("free", "verdict"), [(5 << 30, OKAY), (500 << 20, WARN), (5 << 20, FAIL)])
def test_a_disk_that_runs_full_is_said_before_it_is(free: int, verdict: Verdict) -> None:
    assert space("machine.disk.data_dir", Path("/data"), free).verdict is verdict


@pytest.mark.parametrize(("owner", "verdict"), [(None, OKAY), (7, OKAY), (8, WARN)])
def test_whoever_is_not_the_daemons_user_is_told(owner: int | None, verdict: Verdict) -> None:
    assert user_row(Path("/data"), owner, 7).verdict is verdict


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict", "words"),
    [
        (None, 0, NA, "does not say"),
        (1_000_000, 1_002_000, OKAY, "agree"),
        (1_000_000, 1_030_000, WARN, "30 s ahead of"),
        (1_000_000, 600_000, FAIL, "400 s behind"),
    ],
)
def test_clocks_that_differ_are_said(theirs: int | None, ours: int, verdict: Verdict, words: str) -> None:
    row = clock_row(theirs, ours, 0.1)

    assert (row.verdict, words in row.detail) == (verdict, True)


MINE = Owner(installation="i", device="D", host="here", boot_id="b", renewed_at=1_000)
OTHER = Owner(installation="j", device="E", host="there", boot_id="c", renewed_at=1_000)


@pytest.mark.parametrize(
    ("owner", "now", "verdict"),
    [(None, 1_000, OKAY), (MINE, 1_000, OKAY), (OTHER, 2_000, FAIL), (OTHER, None, FAIL), (OTHER, 100_000, OKAY)],
)
def test_a_daemon_elsewhere_is_noticed_while_it_lives(owner: Owner | None, now: int | None, verdict: Verdict) -> None:
    assert owner_row(owner, MINE, now).verdict is verdict


@pytest.mark.parametrize(
    ("standing", "verdict", "words"),
    [
        (Standing(power=0, to_send=0, to_react=0, encrypted=False), OKAY, "may speak and react"),
        (Standing(power=None, to_send=100, to_react=100, encrypted=False), OKAY, "may speak and react"),
        (Standing(power=0, to_send=50, to_react=0, encrypted=False), FAIL, "may not speak"),
        (Standing(power=0, to_send=0, to_react=50, encrypted=False), WARN, "may not react"),
        (Standing(power=100, to_send=0, to_react=0, encrypted=True), OKAY, ", encrypted; may speak"),
    ],
)
def test_what_the_account_may_not_do_in_a_room_is_said(standing: Standing, verdict: Verdict, words: str) -> None:
    row = standing_row("chat.backend", RoomId("!r"), standing)

    assert (row.verdict, words in row.detail) == (verdict, True)


@pytest.mark.parametrize(
    ("encrypted", "history", "warned"),
    [(True, True, True), (True, None, False), (True, False, False), (False, True, False)],
)
def test_that_encrypted_words_are_kept_in_the_clear_is_said(
    encrypted: bool, history: bool | None, warned: bool
) -> None:
    room = RoomSettings(id=RoomId("!r"), name="backend", history=history)
    rows = history_rows("chat.backend", room, Standing(power=None, to_send=0, to_react=0, encrypted=encrypted))

    assert [(row.id, row.verdict) for row in rows] == [("chat.backend.history", Verdict.WARN)] * warned


@pytest.mark.parametrize(
    ("power", "needed", "verdict", "words"),
    [
        (0, 0, OKAY, "may register"),
        (None, 100, OKAY, "may register"),
        (10, 50, FAIL, "its power is 10, com.aiagentchat.instance needs 50"),
    ],
)
def test_whether_the_account_may_register_is_said(power: int | None, needed: int, verdict: Verdict, words: str) -> None:
    found = Standing(power=power, to_send=0, to_react=0, encrypted=False, to_register=needed)
    row = register_row("#agents:hs", found)

    assert (row.verdict, words in row.detail, "#agents:hs" in row.detail) == (verdict, True, True)
    assert bool(row.fix) is (verdict is FAIL)


@pytest.mark.parametrize(("delays", "verdict"), [(True, OKAY), (False, NA)])
def test_how_the_end_of_a_daemon_is_noticed_is_said(delays: bool, verdict: Verdict) -> None:
    row = delayed_row(delays=delays)

    assert row.verdict is verdict
    assert ("max_event_delay_duration" in row.fix) is not delays


def settings(folder: Path, more: str = "") -> Settings:
    """One room, on a fresh data_dir."""
    text = f'{MATRIX}data_dir: ./data\nrooms: [{{id: "!a:hs", name: backend, users: ["@you:hs"]}}]\n{more}'
    return load_text(folder, text)


async def rows_of(found: Settings, environ: dict[str, str] | None = None) -> dict[str, Row]:
    """What the checks of this machine say, by id."""
    vault = Vault(found.database.with_name(KEY_FILE))
    patient = Patient(settings=found, environ=environ or {}, known=known(found.database, ME, vault))
    return {row.id: row for check in machine_checks(patient) for row in await answer(check)}


async def test_a_fresh_set_up_says_what_is_missing(tmp_path: Path) -> None:
    rows = await rows_of(settings(tmp_path, 'agents: {claude: {binary: "/nowhere/claude"}}\n'))

    assert {id_: row.verdict for id_, row in rows.items()} == {
        "config.file": OKAY,
        "config.secrets": FAIL,
        "agent.claude": FAIL,
        "agent.key": FAIL,
        "machine.user": OKAY,
        "machine.daemon": OKAY,
        "machine.disk.data_dir": OKAY,
        "machine.disk.workspaces": OKAY,
        "machine.modes": OKAY,
        "machine.database": NA,
    }


async def test_secrets_that_are_closed_to_whoever_asks_are_not_said_to_be_missing(tmp_path: Path) -> None:
    found = settings(tmp_path)
    vault = Vault(found.database.with_name(KEY_FILE))
    patient = Patient(settings=found, environ={}, known=known(found.database, ME, vault), closed=tmp_path / "secrets")
    rows = {row.id: row for check in machine_checks(patient) for row in await answer(check)}

    assert [rows[id_].verdict for id_ in ("config.secrets", "agent.key")] == [NA, NA]
    assert all(
        f"{tmp_path}/secrets is closed to this user" in rows[id_].detail for id_ in ("config.secrets", "agent.key")
    )


async def test_a_set_up_that_has_run_is_well(tmp_path: Path) -> None:
    found = settings(tmp_path)
    with own(found.data_dir):
        async with open_ledger(found.database) as ledger:
            await ledger.accounts.save_login(Login(user=ME, device="D", access_token="t"))
        rows = await rows_of(found, {"ANTHROPIC_API_KEY": "sk-ant-key"})

    assert rows["machine.daemon"].detail == f"A daemon runs on this data_dir (pid {os.getpid()})."
    assert [rows[id_].verdict for id_ in ("config.secrets", "agent.key", "machine.database", "machine.modes")] == [
        OKAY
    ] * 4
    assert not any("sk-ant-key" in f"{row.detail}{row.fix}" for row in rows.values())


async def test_what_others_may_read_or_change_is_named_with_the_command_against_it(tmp_path: Path) -> None:
    found = settings(tmp_path)
    (found.data_dir / "homes").mkdir(parents=True)
    found.data_dir.chmod(0o755)
    (found.data_dir / "homes").chmod(0o711)
    found.database.touch()
    found.database.chmod(0o644)
    (tmp_path / "rooms" / "backend").mkdir(parents=True)
    (tmp_path / "rooms" / "backend").chmod(0o777)

    row = (await rows_of(found))["machine.modes"]

    assert row.verdict is FAIL
    assert row.fix == (
        f"Run: chmod go-rw {found.data_dir} && chmod 600 {found.database} && chmod go-w {tmp_path}/rooms/backend"
    )


async def test_a_damaged_database_is_a_row(tmp_path: Path) -> None:
    found = settings(tmp_path)
    found.data_dir.mkdir()
    found.database.write_bytes(b"this is no database at all" * 100)

    assert (await rows_of(found))["machine.database"].verdict is FAIL


async def test_rooms_that_nobody_may_use_are_named(tmp_path: Path) -> None:
    found = load_text(tmp_path, f'{MATRIX}rooms: [{{id: "!a:hs", name: backend}}]\n')
    ourselves = load_text(tmp_path, f'{MATRIX}rooms: [{{id: "!a:hs", name: backend, users: ["{ME}"]}}]\n')
    none = load_text(tmp_path, MATRIX)

    for each in (found, ourselves):
        assert "Nobody may use backend." in (await rows_of(each))["config.file"].detail
    assert (await rows_of(none))["config.file"].verdict is WARN


def test_a_secret_that_others_can_read_is_said_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("syt_secret")
    file.chmod(0o644)

    [row] = secret_rows({"MATRIX_ACCESS_TOKEN_FILE": str(file)}, has_login=False)
    file.chmod(0o600)
    [mended] = secret_rows({"MATRIX_ACCESS_TOKEN_FILE": str(file)}, has_login=False)

    assert (row.verdict, "chmod 600" in row.detail, "syt_secret" in row.detail) == (FAIL, True, False)
    assert mended.verdict is OKAY


async def test_a_glance_knows_login_installation_and_folders_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    vault = Vault(path.with_name(KEY_FILE))
    assert known(path, ME, vault) == Known(None, "", Made())
    assert not path.exists()
    async with open_ledger(path) as ledger:
        login = Login(user=ME, device="D", access_token="t")
        await ledger.accounts.save_login(login)
        installation = await ledger.lives.installation(1)
        slug = await ledger.rooms.slug(RoomId("!a:hs"), "backend")

    assert known(path, ME, vault) == Known(login, installation, Made(slugs={RoomId("!a:hs"): slug}))
    assert known(path, ME, Vault(tmp_path / "elsewhere")).trouble.endswith("is not there")


async def test_a_glance_knows_that_a_login_can_be_renewed_and_not_with_what(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with open_ledger(path) as ledger:
        await ledger.accounts.save_login(Login(user=ME, device="D", access_token="t", refresh_token="r", renew_at=1))

    found = known(path, ME, Vault(path.with_name(KEY_FILE)))
    assert found.login == Login(user=ME, device="D", access_token="t")
    assert found.is_renewable


def tried(*works: Isolation) -> tuple[Tried, ...]:
    """Every way, of which only these work."""
    return tuple(
        Tried(isolation=way, works=way in works, why="" if way in works else "no luck", fix=("do this", "and that"))
        for way in LADDER
    )


STRICT, USERS, LANDLOCK, NONE = LADDER


@pytest.mark.parametrize(
    ("found", "verdicts"),
    [
        (Found(chosen=STRICT, tried=tried(STRICT, NONE)), [OKAY, NA, NA, OKAY, OKAY]),
        (Found(chosen=USERS, tried=tried(USERS, LANDLOCK, NONE)), [WARN, OKAY, OKAY, OKAY, OKAY]),
        (Found(chosen=LANDLOCK, tried=tried(LANDLOCK, NONE)), [WARN, WARN, OKAY, OKAY, WARN]),
        (Found(chosen=NONE, tried=tried(NONE)), [WARN, WARN, WARN, OKAY, WARN]),
        (Found(chosen=None, tried=tried(NONE), why_not="nope"), [WARN, WARN, WARN, OKAY, FAIL]),
    ],
)
def test_each_way_is_a_row_and_what_is_taken_another(tmp_path: Path, found: Found, verdicts: list[Verdict]) -> None:
    rows = ladder_rows(found, settings(tmp_path))

    assert [row.id for row in rows] == [*(f"isolation.{way}" for way in LADDER), "isolation.chosen"]
    assert [row.verdict for row in rows] == verdicts


def test_without_isolation_only_one_room_is_served(tmp_path: Path) -> None:
    two = load_text(tmp_path, MATRIX + 'rooms: [{id: "!a:hs", name: a}, {id: "!b:hs", name: b}]\n')

    assert ladder_rows(Found(chosen=NONE, tried=tried(NONE)), two)[-1].verdict is FAIL
