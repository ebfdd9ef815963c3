"""`aiagentchat rooms …` as an operator types it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.app.owner import own
from aiagentchat.cli import rooms as rooms_module
from aiagentchat.cli.main import app
from aiagentchat.core.access import Grant, Role
from aiagentchat.core.audit import AuditFilter, AuditKind, Deed
from aiagentchat.core.effects import AcceptCommand, GiveRole, LeaveRoom, MakeRoom
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.rooms import MadeRoom
from aiagentchat.store.glance import audited, made
from tests.contract.store_fixtures import NOW, command, settle
from tests.fakes.ledgers import fresh_ledger
from tests.unit.test_app_live import GOOD

YOU = UserId("@you:localhost")
TEA, POT = RoomId("!tea:localhost"), RoomId("!pot:localhost")
BACKEND = RoomId("!abc:localhost")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with one room, and a database with two that were made in chat, of which one was left."""
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    (tmp_path / "data").mkdir()
    asyncio.run(_make(tmp_path / "data" / "aiagentchat.db"))
    return file


async def _make(path: Path) -> None:
    async with fresh_ledger(path) as ledger:
        for room, folder in ((TEA, "tea"), (POT, "pot")):
            made_room = MadeRoom(room=room, folder=folder, by=YOU, at=NOW)
            await settle(ledger, MakeRoom(made_room, EventId("$x")), event=f"$make-{folder}")
        await ledger.rooms.made()
        grant = Grant(room=TEA, user=UserId("@carol:localhost"), role=Role.USER, by=YOU, given_at=NOW)
        await settle(ledger, GiveRole(grant), event="$given")
        await settle(ledger, AcceptCommand(command("$a", BACKEND)), event="$a")
        await settle(ledger, LeaveRoom(POT, YOU), event="$left")


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["rooms", *words, "--config", str(config)], env={"COLUMNS": "300"})


def _rooms(config: Path) -> list[dict[str, Any]]:
    return list(json.loads(_run(config, "--json").stdout))


def test_every_room_is_listed_with_where_it_comes_from(config: Path) -> None:
    folder = config.parent / "rooms"

    assert _rooms(config)[:2] == [
        {
            "name": "backend",
            "id": BACKEND,
            "from": "config.yaml",
            "made_by": None,
            "made_at": None,
            "workspace": str(folder / "backend"),
            "agent": "claude",
            "users": 1,
            "joined": True,
            "encrypted": None,
        },
        {
            "name": "pot",
            "id": POT,
            "from": "chat",
            "made_by": YOU,
            "made_at": "2023-11-14T22:13:20+00:00",
            "workspace": str(folder / "pot"),
            "agent": "claude",
            "users": 1,
            "joined": False,
            "encrypted": None,
        },
    ]
    assert [(room["name"], room["joined"]) for room in _rooms(config)] == [
        ("backend", True),
        ("pot", False),
        ("tea", True),
    ]


def test_for_people_it_is_a_table(config: Path) -> None:
    shown = _run(config)

    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["name", "id", "from", "workspace", "agent", "users", "joined"]
    assert f"chat, {YOU}" in lines[2]
    assert lines[-1] == "3 rooms"


def test_without_a_database_there_is_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)

    assert [(room["name"], room["joined"]) for room in _rooms(tmp_path / "config.yaml")] == [("backend", None)]


def test_a_room_that_is_left_out_is_said(config: Path) -> None:
    config.write_text(GOOD.replace("name: backend", "name: backend, workspace: rooms/tea"))
    shown = _run(config)

    assert shown.exit_code == 0
    assert "left out: !tea:localhost, made in chat by @you:localhost" in shown.stderr
    assert shown.stdout.splitlines()[-1] == "2 rooms"


@pytest.mark.parametrize("name", ["tea", TEA])
def test_a_room_is_removed_by_its_name_or_its_id(config: Path, name: str) -> None:
    shown = _run(config, "remove", name)

    assert (shown.exit_code, f"Removed {TEA}." in shown.stdout) == (0, True)
    assert [room["name"] for room in _rooms(config)] == ["backend", "pot"]
    known = made(config.parent / "data" / "aiagentchat.db")
    assert [(each.room, each.until, each.keeps) for each in known.waiting] == [(TEA, NOW, False)]
    assert known.owner_of("tea") == TEA
    found = audited(config.parent / "data" / "aiagentchat.db", AuditFilter(kind=AuditKind.ROOM_UNMADE), limit=10)
    assert found is not None
    assert [each.line.deed for each in found] == [Deed(kind=AuditKind.ROOM_UNMADE, room=TEA, detail={"grants": 1})]


def test_a_daemon_that_runs_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Path] = []

    def reload(file: Path) -> int:
        told.append(file)
        return 0

    monkeypatch.setattr(rooms_module, "reload_command", reload)
    with own(config.parent / "data"):
        assert _run(config, "remove", "tea").exit_code == 0
    assert told == [config]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("backend", "delete its entry there, then: aiagentchat reload"),
        (BACKEND, "delete its entry there, then: aiagentchat reload"),
        ("kettle", "no room that was made in chat has this id or name"),
    ],
)
def test_what_was_not_made_in_chat_is_not_removed(config: Path, name: str, why: str) -> None:
    shown = _run(config, "remove", name)

    assert (shown.exit_code, why in shown.stderr) == (2, True)
    assert len(_rooms(config)) == 3


@pytest.mark.parametrize("words", [[], ["remove", "tea"]])
def test_settings_that_are_wrong_are_said(config: Path, words: list[str]) -> None:
    config.write_text("rooms: 7\n")

    assert _run(config, *words).exit_code == 2
