"""A look into the database of a daemon that runs, from another process."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from aiagentchat.core.errors import StoreKeyError
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.ports.ledger import Login, Seeds
from aiagentchat.store.accounts import place_of
from aiagentchat.store.identities import open_seeds
from aiagentchat.store.queries import statements
from aiagentchat.store.vault import Vault

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
    """Without what it is renewed with, which is good for one use."""
    installation: str
    """Empty before its first life."""
    slugs: Mapping[RoomId, str]
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
        slugs={RoomId(room): str(slug) for room, slug in _rows(path, _GLANCE["slugs"]) or []},
    )


def seeds(path: Path, user: UserId, vault: Vault) -> Seeds | None:
    """The account's seeds in the database at `path`, None if it has none. Changes nothing. Raises `StoreKeyError`."""
    [(sealed,)] = _rows(path, _GLANCE["seeds"], user=user) or [(None,)]
    return None if sealed is None else open_seeds(vault, user, sealed)


def _rows(path: Path, statement: str, **values: str) -> list[tuple[Any, ...]] | None:
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as database:
            return database.execute(statement, values).fetchall()
    except sqlite3.Error:
        return None
