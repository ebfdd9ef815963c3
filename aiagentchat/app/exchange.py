"""The wiring of what callers ask: the clerk, the gateway, and what both stand on."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiagentchat import __version__
from aiagentchat.app.live import Live
from aiagentchat.app.metrics import Gauged
from aiagentchat.config.settings import Settings
from aiagentchat.core.commands import CommandState
from aiagentchat.core.exchange import Caller, Message, Outgoing
from aiagentchat.core.health import GatewayHealth, GatewayState
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.directory import Directory
from aiagentchat.core.ports.matrix import Homeserver
from aiagentchat.exchange.clerk import Clerk, Office
from aiagentchat.exchange.filing import Filing
from aiagentchat.exchange.reading import Reader
from aiagentchat.exchange.tasks import TaskExchange
from aiagentchat.gateway.service import Gateway, Parts, is_wanted
from aiagentchat.gateway.vitals import Vitals
from aiagentchat.matrix.client import Client, resolve_alias
from aiagentchat.matrix.creating import create_room
from aiagentchat.render.guard_words import CONTINUE, why_halted
from aiagentchat.route.bot_commands.spec import Health
from aiagentchat.store.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the exchange stands on."""

    live: Live
    ledger: Ledger
    client: Client
    homeserver: Homeserver
    directory: Directory
    health: Callable[[], Awaitable[Health]]
    gauged: Gauged
    agents: Callable[[], Awaitable[Mapping[str, bool]]]
    """Whether the programs of the agents that rooms have can be started."""
    clock: Clock


def exchange(around: Around, isolation: Isolation) -> tuple[Clerk, Gateway | None]:
    """Who answers callers, and the door for programs, if there is to be one. Both show what was said alike."""
    live = around.live
    reading = Reader(
        around.ledger.history,
        around.homeserver,
        keeps=live.keeps,
        now_ms=around.clock.now_ms,
        redacting=live.redactor,
    )
    made = _clerk(around, reading)
    return made, _gateway(around, made, reading) if is_wanted(live.settings, isolation) else None


def _clerk(around: Around, reading: Reader) -> Clerk:
    live, ledger, clock = around.live, around.ledger, around.clock

    async def send(caller: Caller, outgoing: Outgoing, *, key: str | None = None) -> Message:
        return await made.send(caller, outgoing, key=key)

    async def halted(room: RoomId) -> str:
        halt = await ledger.guards.halt(room)
        return "" if halt is None else f"Agents are {why_halted(halt)}; in the room, a person's {CONTINUE}."

    made = Clerk(
        Office(
            settings=live.current,
            messages=ledger.messages,
            directory=around.directory,
            reading=reading,
            task_desk=TaskExchange(
                tasks=ledger.tasks,
                send=send,
                message=ledger.messages.get,
                rooms=lambda: [room.id for room in live.current().rooms],
                own=lambda: around.directory.own,
                clock=clock,
            ),
            halted=halted,
            # What nobody has told yet may be: then a text has to fit either way.
            is_encrypted=lambda room: around.client.rooms.known(room) is not False,
            clock=clock,
        )
    )
    return made


def _gateway(around: Around, exchange: Clerk, reading: Reader) -> Gateway:
    began = around.clock.monotonic()
    return Gateway(
        Parts(
            exchange=exchange,
            feed=reading,
            directory=around.directory,
            logins=around.ledger.gateway_tokens,
            vitals=lambda: _vitals(around, began),
            agents=around.agents,
            levels=around.gauged.levels,
            meters=around.gauged.meters,
            make_room=lambda wish: create_room(around.client, wish),
            by_alias=lambda alias: resolve_alias(around.client, alias),
            settings=around.live.current,
            told=around.live.learn,
            clock=around.clock,
            put_file=Filing(around.ledger.outbox, around.clock, lambda: around.live.current().max_file),
        )
    )


def gateway_health(gateway: Gateway | None, settings: Settings) -> GatewayHealth:
    """How it is, or why there is none."""
    if gateway is not None:
        return gateway.health()
    said_so = settings.gateway.enabled is not None
    return GatewayHealth(state=GatewayState.OFF if said_so else GatewayState.NOT_APART)


async def missing(around: Around) -> list[str]:
    """What keeps the daemon from answering, in words: as the gateway's `/ready` has it."""
    health, own = await around.health(), around.directory.own
    return Vitals(
        version=__version__,
        user=own.user,
        sync_age=_sync_age(around, health),
        store_works=health.store.trouble is None,
        agents=await around.agents(),
    ).missing


def _sync_age(around: Around, health: Health) -> float | None:
    return None if health.sync.heard_at is None else around.clock.monotonic() - health.sync.heard_at


async def _vitals(around: Around, began: float) -> Vitals:
    health = await around.health()
    commands = await around.ledger.commands.counts()
    own = around.directory.own
    return Vitals(
        version=__version__,
        user=own.user,
        instance=own.instance,
        uptime=around.clock.monotonic() - began,
        sync_age=_sync_age(around, health),
        sync_failures=health.sync.failures,
        sync_restarts=health.sync.restarts,
        waiting=health.send.waiting,
        limited=health.send.limited,
        refusals=around.client.refusals,
        store_works=health.store.trouble is None,
        store_stalls=health.store.stalls,
        runs=commands.get(CommandState.RUNNING, 0),
        commands={state.value: count for state, count in commands.items()},
        messages={state.value: count for state, count in (await around.ledger.messages.counts()).items()},
        history_position=await around.ledger.history.newest(),
    )
