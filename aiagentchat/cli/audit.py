"""`aiagentchat audit`."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from aiagentchat.app.owner import see_into
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.config.settings import Settings
from aiagentchat.core.audit import AuditFilter, AuditKind, AuditLine
from aiagentchat.core.errors import AppError, ConfigError, StoreError
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.render.hygiene import one_line, visible
from aiagentchat.store.glance import audited, made
from aiagentchat.store.maintenance import require

FOLLOW_SECONDS = 1.0
"""How often it is looked for new lines."""
MOST_LINES = 100_000
INTERRUPTED = 130

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_WIDTHS = (19, 14, 30, 16)
_LONGEST = 120
_OPERATOR = "(operator)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which lines are wanted, as it was typed."""

    room: str | None = None
    since: str | None = None
    actor: str | None = None
    kind: str | None = None


def audit_command(config: Path, wish: Wish, *, limit: int, as_json: bool, follow: bool) -> int:
    """Print the lines of the audit that are wanted, oldest first. Returns the exit code."""
    try:
        settings = load(config, os.environ)
        see_into(settings.data_dir)
        names = {**made(settings.database).slugs, **{each.id: each.name for each in settings.rooms}}
        wanted = _wanted(settings, names, wish)
        require(settings.database)
        show = _as_json if as_json else _table(names)
        last = show_lines(settings.database, wanted, limit, show)
        while follow:
            time.sleep(FOLLOW_SECONDS)
            last = show_lines(settings.database, wanted, MOST_LINES, show, after=last)
    except AppError as error:
        return complain(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def show_lines(path: Path, wanted: AuditFilter, limit: int, show: Callable[[AuditLine], str], *, after: int = 0) -> int:
    """Print what there is after the line with the number `after`; the number of the last line. Raises `StoreError`."""
    found = audited(path, wanted, limit=limit, after=after)
    if found is None:
        raise StoreError(
            f"The audit in {path} cannot be read: the database is of an older version, which the next start of the "
            "daemon brings up to date, or damaged (aiagentchat db check)."
        )
    for line in found:
        typer.echo(show(line.line))
    return found[-1].number if found else after


def moment(text: str, now: float) -> int:
    """`2h`, `30m`, `7d` before now, or a moment as ISO 8601 writes it, in milliseconds. Raises ConfigError."""
    short = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip().lower(), re.ASCII)
    if short is not None:
        return max(0, round((now - int(short[1]) * _UNITS[short[2]]) * 1000))
    try:
        when = datetime.fromisoformat(text.strip())
        return max(0, round(when.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            [f"--since: {text!r} is no moment; write for example 2h, 7d, 2026-11-25 or 2026-11-25T14:00"]
        ) from None


def _wanted(settings: Settings, names: Mapping[RoomId, str], wish: Wish) -> AuditFilter:
    try:
        kind = None if wish.kind is None else AuditKind(wish.kind)
    except ValueError:
        raise ConfigError([f"--kind: {wish.kind!r} is none; write one of: {', '.join(AuditKind)}"]) from None
    return AuditFilter(
        room=None if wish.room is None else _room(settings, names, wish.room),
        actor=None if wish.actor is None else UserId(wish.actor),
        kind=kind,
        since=0 if wish.since is None else moment(wish.since, time.time()),
    )


def _room(settings: Settings, names: Mapping[RoomId, str], text: str) -> RoomId:
    """By its id, or by its name. Raises ConfigError."""
    if text.startswith("!"):
        return RoomId(text)
    for known, name in names.items():
        if name == text:
            return known
    listed = ", ".join(sorted({room.name for room in settings.rooms})) or "none"
    raise ConfigError([f"--room: no room is called {text!r}; write an id (!…) or one of: {listed}"])


def _as_json(line: AuditLine) -> str:
    deed = line.deed
    said: dict[str, Any] = {
        "at": line.at,
        "kind": deed.kind.value,
        "room": deed.room,
        "actor": deed.actor,
        "subject": deed.subject,
        "detail": dict(deed.detail),
    }
    return json.dumps(said)


def _table(names: Mapping[RoomId, str]) -> Callable[[AuditLine], str]:
    """One line of a table, in which what strangers chose cannot look like anything else."""

    def show(line: AuditLine) -> str:
        deed = line.deed
        when = datetime.fromtimestamp(line.at / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        room = "-" if deed.room is None else names.get(deed.room, deed.room)
        cells = [when, deed.kind.value, deed.actor or _OPERATOR, room]
        padded = [_plain(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)]
        details = [f"{key}={value}" for key, value in deed.detail.items()]
        return "  ".join([*padded, _plain(" ".join([deed.subject, *details]).strip())]).rstrip()

    return show


def _plain(text: str) -> str:
    return one_line(visible(text), _LONGEST)
