"""`aiagentchat rooms …`."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from aiagentchat.app.clock import SystemClock
from aiagentchat.app.owner import owner_pid, see_into
from aiagentchat.cli.problems import complain
from aiagentchat.cli.reload import reload_command
from aiagentchat.config.load import load
from aiagentchat.config.made import with_made
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.core.ids import RoomId
from aiagentchat.core.rooms import Made
from aiagentchat.render.words import count
from aiagentchat.store.glance import made, where_we_are
from aiagentchat.store.maintenance import unmake_room

CONFIG = "config.yaml"
CHAT = "chat"
_KNOWN = {True: "yes", False: "no", None: "?"}


def rooms_command(config: Path, *, as_json: bool) -> int:
    """Print every room of `config` and of its database. Returns the exit code."""
    try:
        settings = load(config, os.environ)
        see_into(settings.data_dir)
    except AppError as error:
        return complain(error)
    known = made(settings.database)
    settings, problems = with_made(settings, known)
    rows = [_row(settings, room, known, where_we_are(settings.database)) for room in settings.rooms]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        Console(highlight=False).print(_table(rows))
        typer.echo(count(len(rows), "room"))
    for problem in problems:
        typer.echo(f"aiagentchat: left out: {problem}", err=True)
    return 0


def remove_command(config: Path, room: str) -> int:
    """Take a room away that was made in chat, by its id or its name. Returns the exit code."""
    try:
        settings = load(config, os.environ)
        see_into(settings.data_dir)
        known = made(settings.database)
        meant = _meant(settings, known, room)
        runs = owner_pid(settings.data_dir) is not None
        unmake_room(settings.database, meant, SystemClock().now_ms())
    except AppError as error:
        return complain(error)
    typer.echo(f"Removed {meant}. Its folder and its conversation stay.")
    if not runs:
        return 0
    return reload_command(config)  # the daemon that runs learns of it, and leaves the room


def _meant(settings: Settings, known: Made, room: str) -> RoomId:
    """Which room that was made in chat is called so. Raises ConfigError."""
    found = next((each.room for each in known.rooms if room in (each.room, known.slugs.get(each.room))), None)
    if found is not None:
        return found
    if any(room in (each.id, each.name) for each in settings.rooms):
        raise ConfigError(
            [f"{room}: this room is in {settings.file}; delete its entry there, then: aiagentchat reload"]
        )
    raise ConfigError([f"{room}: no room that was made in chat has this id or name; see: aiagentchat rooms"])


def _row(settings: Settings, room: RoomSettings, known: Made, joined: Mapping[RoomId, bool]) -> dict[str, Any]:
    made_at = next((each.at for each in known.rooms if each.room == room.id), 0)
    is_made = room.made_by is not None
    return {
        "name": room.name,
        "id": str(room.id),
        "from": CHAT if is_made else CONFIG,
        "made_by": room.made_by,
        "made_at": datetime.fromtimestamp(made_at / 1000, tz=UTC).isoformat() if is_made else None,
        "workspace": str(settings.workspace_of(room, known.slugs.get(room.id, room.name))),
        "agent": room.agent,
        "users": len(room.users | room.admins),
        "joined": joined.get(room.id, True if is_made else None),  # nobody makes a room from outside
        "encrypted": None,  # nothing here knows
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("name", "id", "from", "workspace", "agent", "users", "joined"):
        table.add_column(title, overflow="fold", justify="right" if title == "users" else "left")
    for row in rows:
        source = f"{row['from']}, {row['made_by']}" if row["made_by"] else str(row["from"])
        texts = [row["name"], row["id"], source, row["workspace"], row["agent"], str(row["users"])]
        table.add_row(*texts, _KNOWN[row["joined"]])
    return table
