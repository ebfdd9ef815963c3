"""`aiagentchat doctor` beside a real homeserver: what it finds out about the account and its rooms."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from aiagentchat.core.ids import UserId
from aiagentchat.core.instances import INSTANCE
from aiagentchat.core.ports.ledger import Login
from aiagentchat.doctor.examination import Part, examine
from aiagentchat.doctor.rows import Row, Verdict
from aiagentchat.store.ledger import open_ledger
from rig.homeserver import Account
from rig.matrix_client import MatrixUser
from rig.people import People

OKAY, NA, WARN, FAIL = Verdict.OK, Verdict.NOT_APPLICABLE, Verdict.WARN, Verdict.FAIL


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def write(
    folder: Path, people: People, account: Account, rooms: Mapping[str, str], *, registry: str | None = None
) -> Path:
    """A config.yaml with these rooms, by name."""
    file = folder / "config.yaml"
    text = {
        "matrix": {"homeserver": people.homeserver.url, "user_id": account.user_id},
        "data_dir": "./data",
        "workspaces": "./rooms",
        "defaults": {"users": ["@you:localhost"]},
        "rooms": [{"id": id_, "name": name} for name, id_ in rooms.items()],
    } | ({"registry": {"room": registry}} if registry else {})
    file.write_text(yaml.safe_dump(text))
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    return file


async def checked(file: Path, environ: Mapping[str, str]) -> dict[str, Row]:
    """The rows, by id."""
    rows = await examine(file, environ, parts=[Part.CHECKS], now_ms=now_ms)
    return {row.id: row for row in rows}


async def levels(anna: MatrixUser, room: str, **content: object) -> None:
    """Set the power levels of a room; Anna has made it."""
    await anna.request("PUT", f"/rooms/{room}/state/m.room.power_levels", {"users": {anna.id: 100}, **content})


async def test_each_room_is_looked_at_as_the_account_sees_it(people: People, tmp_path: Path) -> None:
    anna, account = await people.person(), people.account()
    bot = await people.play(account)
    rooms = {name: await people.room(anna, bot, version="11") for name in ("good", "mute", "shy", "encrypted")}
    rooms["away"] = await people.room(anna, account)
    rooms["gone"] = "#nobody-knows:localhost"
    rooms["own"] = await people.room(bot)
    await levels(anna, rooms["mute"], events_default=50)
    await levels(anna, rooms["shy"], events={"m.reaction": 50})
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    await anna.request("PUT", f"/rooms/{rooms['encrypted']}/state/m.room.encryption", encryption)
    file = write(tmp_path, people, account, rooms)

    found = await checked(file, {"MATRIX_ACCESS_TOKEN": account.access_token})

    assert {name: found[f"chat.{name}"].verdict for name in rooms} == {
        "good": OKAY,
        "mute": FAIL,
        "shy": WARN,
        "encrypted": OKAY,
        "away": FAIL,
        "gone": FAIL,
        "own": OKAY,
    }
    assert [found[f"matrix.{id_}"].verdict for id_ in ("homeserver", "clock", "login", "owner")] == [OKAY] * 4
    assert "Synapse" in found["matrix.homeserver"].detail or "specification" in found["matrix.homeserver"].detail
    assert found["matrix.rate_limit"].verdict is NA
    assert not any(account.access_token in f"{row.detail}{row.fix}" for row in found.values())


@pytest.mark.long
async def test_the_registry_room_is_looked_at_as_the_account_sees_it(people: People, tmp_path: Path) -> None:
    anna, account = await people.person(), people.account()
    bot = await people.play(account)
    may = {"events": {INSTANCE: 0}}
    places = {
        "old": await people.room(anna, bot, version="11"),
        "new": await people.room(anna, bot, version="12"),
        "own": await people.room(bot, version="12"),
        "away": await people.room(anna, account),
        "open": await anna.create_room(bot.id, power_level_content_override=may),
        "gone": "#nobody-knows:localhost",
    }
    await bot.join(places["open"])
    found = {
        name: await checked(
            write(tmp_path, people, account, {}, registry=room), {"MATRIX_ACCESS_TOKEN": account.access_token}
        )
        for name, room in places.items()
    }
    without = await checked(write(tmp_path, people, account, {}), {"MATRIX_ACCESS_TOKEN": account.access_token})

    assert {name: rows["registry.room"].verdict for name, rows in found.items()} == {
        "old": FAIL,
        "new": FAIL,
        "own": OKAY,
        "away": FAIL,
        "open": OKAY,
        "gone": FAIL,
    }
    assert "needs 50" in found["old"]["registry.room"].detail
    assert found["own"]["registry.delayed_events"].verdict is NA  # Synapse does not offer them by default
    assert without["registry.room"].verdict is NA


async def test_the_stored_login_is_asked_with_and_a_password_is_not_tried(people: People, tmp_path: Path) -> None:
    account = people.account()
    file = write(tmp_path, people, account, {})
    environ = {"MATRIX_PASSWORD": account.password}
    before = await checked(file, environ)
    await _store(tmp_path, account, account.access_token)
    with_login = await checked(file, environ)
    await _store(tmp_path, account, "syt_gone")
    with_bad_login = await checked(file, environ)
    with_bad_token = await checked(file, {"MATRIX_ACCESS_TOKEN": "syt_wrong"})

    assert (before["matrix.login"].verdict, "password" in before["matrix.login"].detail) == (NA, True)
    assert with_login["matrix.login"].verdict is OKAY
    assert with_bad_login["matrix.login"].verdict is WARN
    assert with_bad_token["matrix.login"].verdict is FAIL


async def _store(folder: Path, account: Account, token: str) -> None:
    async with open_ledger(folder / "data" / "aiagentchat.db") as ledger:
        login = Login(user=UserId(account.user_id), device=account.device_id, access_token=token)
        await ledger.accounts.save_login(login)
