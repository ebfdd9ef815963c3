"""What the daemon knows about itself, brought together for `/ready` and `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.exchange import MessageState
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.meters import EndedTurn
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.directory import Directory
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.observability.metrics import MADE, Levels, Meters
from aiagentchat.store.ledger import Ledger

AGENT_SECONDS = 7.0
"""How long whoever watches waits for an answer: a program that hangs must not look like a daemon that does. Longer than
such a program is waited for, and ended, so that it is known for a while, and not started again at each look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauged:
    """Whom to ask."""

    meters: Meters
    settings: Callable[[], Settings]
    ledger: Ledger
    directory: Directory
    warm: Callable[[], int]
    """How many processes of agents live."""
    isolation: Isolation
    clock: Clock

    def turn_ended(self, turn: EndedTurn) -> None:
        """Count it."""
        self.meters.turn_ended(label(self.settings(), turn.room), turn)

    async def levels(self, vitals: Vitals) -> Levels:
        """All that is not counted as it happens, at this moment."""
        settings, now = self.settings(), self.clock.now_ms()
        counted = await self.ledger.numbers.counted(now)
        rooms = {label(settings, room.id): 0.0 for room in settings.rooms}
        for room in settings.rooms:
            self.meters.know(label(settings, room.id), room.agent)
        waiting, ages, interrupted = dict(rooms), dict(rooms), dict[str, float]()
        for room_id, queue in counted.queues.items():
            name = label(settings, room_id)
            waiting[name] = waiting.get(name, 0) + queue.count
            ages[name] = max(ages.get(name, 0), _age(queue.since, now))
        for room_id, at in counted.interrupted.items():
            name = label(settings, room_id)
            interrupted[name] = max(interrupted.get(name, 0), at / 1000)
        return {
            "build_info": {(vitals.version,): 1},
            "isolation_info": {(self.isolation.value,): 1},
            "uptime_seconds": vitals.uptime,
            "ready": int(vitals.is_ready),
            "sync_age_seconds": vitals.uptime if vitals.sync_age is None else vitals.sync_age,
            "sync_failures": vitals.sync_failures,
            "sync_restarts_total": vitals.sync_restarts,
            "store_works": int(vitals.store_works),
            "store_stalls_total": vitals.store_stalls,
            "agent_there": by(vitals.agents),
            "commands": by(vitals.commands),
            "queued_commands": by(waiting),
            "oldest_queued_age_seconds": by(ages),
            "last_interrupted_timestamp_seconds": by(interrupted),
            "turns_running": vitals.runs,
            "runs_warm": self.warm(),
            "parcels_waiting": vitals.waiting,
            "oldest_parcel_age_seconds": 0 if counted.oldest_parcel is None else _age(counted.oldest_parcel, now),
            "rate_limited": int(vitals.limited),
            "rate_limit_refusals_total": vitals.refusals,
            "sealed_events": counted.sealed,
            "refused_attempts": by(counted.refused),
            "messages": by({**dict.fromkeys(MessageState, 0), **vitals.messages}),
            "halted_rooms": len(await self.ledger.guards.halts()),
            "instances_alive": sum(is_there for _, is_there in self.directory.entries()),
            "history_position": vitals.history_position,
        }


def label(settings: Settings, room: RoomId) -> str:
    """What a room is called in labels: by its name in config.yaml, or with all others together."""
    found = settings.room(room)
    return MADE if found is None or found.made_by is not None else found.name


def by(values: Mapping[str, float]) -> Mapping[tuple[str, ...], float]:
    """Values of one label."""
    return {(key,): value for key, value in values.items()}


async def agents_there(settings: Settings, ask: Mapping[str, Callable[[], Awaitable[object]]]) -> Mapping[str, bool]:
    """Of the agents that rooms have: whether their programs can be started. `ask` raises AgentUnavailable."""
    names = sorted({room.agent for room in settings.rooms} & set(ask))
    async with asyncio.TaskGroup() as group:
        looks = {name: group.create_task(_is_there(ask[name]), name=f"agent {name}") for name in names}
    return {name: look.result() for name, look in looks.items()}


async def _is_there(ask: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(AGENT_SECONDS):
            await ask()
    except (AgentUnavailable, TimeoutError):
        return False
    return True


def _age(since: int, now: int) -> float:
    """In seconds; a clock that was set back makes nothing younger than now."""
    return max(0, now - since) / 1000
