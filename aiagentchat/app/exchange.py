"""The wiring of what callers ask: the clerk, the gateway, and what both stand on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiagentchat import __version__
from aiagentchat.app.live import Live
from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.directory import Directory
from aiagentchat.exchange.clerk import Clerk, Office, Reading, TaskDesk
from aiagentchat.exchange.filing import Filing
from aiagentchat.gateway.feed import Feed
from aiagentchat.gateway.service import Gateway, Parts, is_wanted
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.creating import create_room
from aiagentchat.route.bot_commands.spec import Health
from aiagentchat.store.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the exchange stands on."""

    live: Live
    ledger: Ledger
    client: Client
    directory: Directory
    reading: Reading
    task_desk: TaskDesk
    feed: Feed
    halted: Callable[[RoomId], Awaitable[str]]
    health: Callable[[], Awaitable[Health]]
    clock: Clock


def clerk(around: Around) -> Clerk:
    """Who answers callers."""
    return Clerk(
        Office(
            settings=around.live.current,
            messages=around.ledger.messages,
            directory=around.directory,
            reading=around.reading,
            task_desk=around.task_desk,
            halted=around.halted,
            # What nobody has told yet may be: then a text has to fit either way.
            is_encrypted=lambda room: around.client.rooms.known(room) is not False,
            clock=around.clock,
        )
    )


def gateway(around: Around, exchange: Clerk, isolation: Isolation) -> Gateway | None:
    """The door for programs; None where there is to be none."""
    if not is_wanted(around.live.settings, isolation):
        return None
    began = around.clock.monotonic()
    return Gateway(
        Parts(
            exchange=exchange,
            feed=around.feed,
            directory=around.directory,
            logins=around.ledger.gateway_tokens,
            vitals=lambda: _vitals(around, began),
            make_room=lambda wish: create_room(around.client, wish),
            settings=around.live.current,
            told=around.live.learn,
            clock=around.clock,
            put_file=Filing(around.ledger.outbox, around.clock, lambda: around.live.current().max_file),
        )
    )


async def _vitals(around: Around, began: float) -> Vitals:
    health, now = await around.health(), around.clock.monotonic()
    commands = await around.ledger.commands.counts()
    own = around.directory.own
    return Vitals(
        version=__version__,
        user=own.user,
        instance=own.instance,
        uptime=now - began,
        sync_age=None if health.sync.heard_at is None else now - health.sync.heard_at,
        sync_failures=health.sync.failures,
        waiting=health.send.waiting,
        limited=health.send.limited,
        sealed=health.seals.sealed,
        store_works=health.store.trouble is None,
        runs=commands.get(CommandState.RUNNING, 0),
        commands={state.value: count for state, count in commands.items()},
        messages={state.value: count for state, count in (await around.ledger.messages.counts()).items()},
        history_position=await around.feed.newest(),
    )
