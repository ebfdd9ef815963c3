"""A look into the database of a daemon that runs, from another process."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from aiagentchat.core.audit import AuditFilter, AuditLine
from aiagentchat.core.errors import StoreKeyError
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.ports.ledger import Login, Seeds
from aiagentchat.core.rooms import Made
from aiagentchat.store.accounts import place_of
from aiagentchat.store.audit import line_of
from aiagentchat.store.identities import open_seeds
from aiagentchat.store.queries import statements
from aiagentchat.store.rooms import made_room, waiting_room
from aiagentchat.store.vault import Vault

_AUDIT = statements("audit")
_GLANCE = statements("glance")
_MADE_ROOMS = statements("made_rooms")
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
    """Without what it is renewed with, which is good for one use."""
    installation: str
    """Empty before its first life."""
    made: Made
    """Rooms that are not in config.yaml, and the folder names of all."""
    trouble: str = ""
    """Why the login that is there cannot be opened."""
    is_renewable: bool = False
    """Whether the daemon can renew the login when it has worn off."""


def running_turns(path: Path) -> list[RunningTurn] | None:
    """What the database at `path` says to be running; None if it cannot be read. Changes nothing."""
    rows = _rows(path, _GLANCE["running_turns"])
    if rows is None:
        return None
    return [RunningTurn(EventId(event), RoomId(room), str(slug or room)) for event, room, slug in rows]


def known(path: Path, user: UserId, vault: Vault) -> Known:
    """What the database at `path` knows of the account `user`; nothing where it cannot be read. Changes nothing."""
    logins = _rows(path, _GLANCE["login"], user=user) or []
    installations = _rows(path, _GLANCE["installation"]) or []
    login, trouble = None, ""
    for name, device, token in logins:
        try:
            opened = vault.open(place_of(user), token).decode() if vault.is_sealed(token) else token
            login = Login(user=UserId(name), device=device, access_token=opened)
        except StoreKeyError as error:
            trouble = str(error)
    return Known(
        login=login,
        trouble=trouble,
        installation=next((str(id_) for (id_,) in installations), ""),
        is_renewable=any(renewable for (renewable,) in _rows(path, _GLANCE["is_renewable"], user=user) or []),
        made=made(path),
    )


class Audited(NamedTuple):
    """A line of the audit, and its number: what comes later has a higher one."""

    number: int
    line: AuditLine


def audited(path: Path, wanted: AuditFilter, *, limit: int, after: int = 0) -> list[Audited] | None:
    """The newest lines that are wanted and come after number `after`, oldest first; None if they cannot be read."""
    rows = _rows(path, _AUDIT["lines"], after=after, limit=limit, **_values(wanted))
    return None if rows is None else [Audited(row[0], line_of(*row[1:])) for row in reversed(rows)]


def _values(wanted: AuditFilter) -> Mapping[str, str | int | None]:
    kind = None if wanted.kind is None else wanted.kind.value
    return {"since": wanted.since, "room": wanted.room, "actor": wanted.actor, "kind": kind}


def made(path: Path) -> Made:
    """Which rooms the database at `path` has beside those of config.yaml; nothing where it cannot be read."""
    return Made(
        rooms=tuple(map(made_room, _rows(path, _MADE_ROOMS["made"]) or [])),
        waiting=tuple(map(waiting_room, _rows(path, _MADE_ROOMS["waiting"]) or [])),
        slugs={RoomId(room): str(slug) for room, slug in _rows(path, _GLANCE["slugs"]) or []},
    )


def where_we_are(path: Path) -> Mapping[RoomId, bool]:
    """Whether the account is in a room, as far as the database at `path` knows: it has worked there, or has left it."""
    rows = _rows(path, _GLANCE["where_we_are"]) or []
    return {RoomId(room): not gone for room, heard, gone in rows if heard or gone}


def seeds(path: Path, user: UserId, vault: Vault) -> Seeds | None:
    """The account's seeds in the database at `path`, None if it has none. Changes nothing. Raises `StoreKeyError`."""
    [(sealed,)] = _rows(path, _GLANCE["seeds"], user=user) or [(None,)]
    return None if sealed is None else open_seeds(vault, user, sealed)


def _rows(path: Path, statement: str, **values: str | int | None) -> list[Any] | None:
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as database:
            database.row_factory = sqlite3.Row
            return database.execute(statement, values).fetchall()
    except sqlite3.Error:
        return None
