"""A look into the database of a daemon that runs, from another process."""

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.store.queries import statements

_GLANCE = statements("glance")
_BUSY_SECONDS = 1.0


class RunningTurn(NamedTuple):
    """A turn that the daemon is at."""

    command: EventId
    room: RoomId
    name: str
    """The room's folder name, or its id where it has none yet."""


def running_turns(path: Path) -> list[RunningTurn] | None:
    """What the database at `path` says to be running; None if it cannot be read. Changes nothing."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as database:
            rows = database.execute(_GLANCE["running_turns"]).fetchall()
    except sqlite3.Error:
        return None
    return [RunningTurn(EventId(event), RoomId(room), str(slug or room)) for event, room, slug in rows]
