"""A look into the database of a daemon that runs, from another process."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.ports.ledger import Login
from aiagentchat.store.queries import statements

_GLANCE = statements("glance")
_BUSY_SECONDS = 1.0


class RunningTurn(NamedTuple):
    """A turn that the daemon is at."""

    command: EventId
    room: RoomId
    name: str
    """The room's folder name, or its id where it has none yet."""


class Known(NamedTuple):
    """What a daemon on this database has found out so far."""

    login: Login | None
    installation: str
    """Empty before its first life."""
    slugs: Mapping[RoomId, str]


def running_turns(path: Path) -> list[RunningTurn] | None:
    """What the database at `path` says to be running; None if it cannot be read. Changes nothing."""
    rows = _rows(path, "running_turns")
    if rows is None:
        return None
    return [RunningTurn(EventId(event), RoomId(room), str(slug or room)) for event, room, slug in rows]


def known(path: Path, user: UserId) -> Known:
    """What the database at `path` knows of the account `user`; nothing where it cannot be read. Changes nothing."""
    logins = _rows(path, "login", user=user) or []
    installations = _rows(path, "installation") or []
    return Known(
        login=next(
            (Login(user=UserId(name), device=device, access_token=token) for name, device, token in logins), None
        ),
        installation=next((str(id_) for (id_,) in installations), ""),
        slugs={RoomId(room): str(slug) for room, slug in _rows(path, "slugs") or []},
    )


def _rows(path: Path, name: str, **values: str) -> list[tuple[Any, ...]] | None:
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as database:
            return database.execute(_GLANCE[name], values).fetchall()
    except sqlite3.Error:
        return None
