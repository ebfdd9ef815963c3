"""The people of the unit tests, their room, and what they do there."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from aiagentchat.config.schema import Agent, Matrix
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, RoomId, SessionId, UserId
from aiagentchat.core.messages import Incoming, Kind
from tests.fakes.clock import START_MS

ME = UserId("@claude:hs")
ADA = UserId("@ada:hs")
"""An admin."""
ANNA = UserId("@anna:hs")
"""A user."""
VERA = UserId("@vera:hs")
"""A viewer."""
BEN = UserId("@ben:hs")
"""Nobody, unless a test makes him a user."""
EVE = UserId("@eve:hs")
"""A stranger."""
ROOM = RoomId("!kitchen:hs")
OTHER = RoomId("!garden:hs")

KITCHEN = RoomSettings(
    id=ROOM, name="kitchen", users=frozenset({ANNA}), admins=frozenset({ADA}), viewers=frozenset({VERA})
)
GARDEN = replace(KITCHEN, id=OTHER, name="garden")

_numbers = count()


def settings(*rooms: RoomSettings, **more: Any) -> Settings:
    """What the operator decided."""
    decided: dict[str, Any] = {
        "file": Path("config.yaml"),
        "matrix": Matrix(homeserver="http://127.0.0.1:8008", user_id=ME),
        "data_dir": Path("/data"),
        "workspaces": Path("/rooms"),
        "rooms": rooms or (KITCHEN, GARDEN),
        "agents": {"claude": Agent(type="claude-code")},
        "max_parallel_turns": 2,
        "max_warm": 2,
        "warm_ttl": 300,
        "approval_timeout": 3600,
        "max_queue": 3,
        "max_queue_total": 500,
        "max_output": 20,
        "sync_timeout": 30,
        "catch_up_max_age": 86_400,
        **more,
    }
    return Settings(**decided)


def event(kind: Kind, body: str = "", **more: Any) -> Incoming:
    """An event of its own, by Anna, in the kitchen, unless told otherwise."""
    given: dict[str, Any] = {
        "event": EventId(f"$event{next(_numbers)}"),
        "room": ROOM,
        "sender": ANNA,
        "sent_at": START_MS,
        "kind": kind,
        "body": body,
        **more,
    }
    return Incoming(**given)


def typed(body: str, **more: Any) -> Incoming:
    """A message."""
    return event(Kind.TEXT, body, **more)


def command(text: str = "make tea", **more: Any) -> Command:
    """A command of its own."""
    given: dict[str, Any] = {
        "event": EventId(f"$command{next(_numbers)}"),
        "room": ROOM,
        "sender": ANNA,
        "text": text,
        "session": SessionId("5e551011-0000-4000-8000-000000000001"),
        "queued_at": START_MS,
        **more,
    }
    return Command(**given)
