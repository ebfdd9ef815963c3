"""The wiring: who stands behind which port. What is opened here is closed here, in reverse."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import structlog

from aiagentchat import __version__
from aiagentchat.agents.claude_code import transcript
from aiagentchat.agents.claude_code.driver import ClaudeCode
from aiagentchat.agents.claude_code.quarters import Quarters, gives_subscription, is_subscription
from aiagentchat.agents.claude_code.speaking import Peers
from aiagentchat.app import exchange as exchanging
from aiagentchat.app.clock import SystemClock
from aiagentchat.app.connect import (
    OwnDevice,
    connected,
    owned,
    prepare,
    registry_room,
    until_reached,
    vault_of,
    with_keys,
)
from aiagentchat.app.isolation import GATES, delegated_cgroups, has_own_users, ready_for_runs, require_apart
from aiagentchat.app.live import Live
from aiagentchat.app.metrics import Gauged, agents_there
from aiagentchat.app.owner import this_machine
from aiagentchat.app.registry import registered
from aiagentchat.config.secrets import missing_model_key
from aiagentchat.config.settings import RoomSettings, Settings, slug_wish
from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.core.health import SyncHealth
from aiagentchat.core.ids import RoomId, SessionId, UserId
from aiagentchat.core.instances import Pace
from aiagentchat.core.isolation import Held
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.transcripts import Transcript
from aiagentchat.exchange.expiry import Expiry
from aiagentchat.exchange.reminders import Reminders
from aiagentchat.execute.changes import Differ
from aiagentchat.execute.deadlines import Patience
from aiagentchat.execute.meter import Meter
from aiagentchat.execute.places import Places
from aiagentchat.execute.recovery import report_interrupted
from aiagentchat.execute.rests import Rests
from aiagentchat.execute.room import Workshop
from aiagentchat.execute.runs import Runs
from aiagentchat.execute.scheduler import Scheduler
from aiagentchat.execute.thumbnails import Thumbnailer
from aiagentchat.execute.turn import Ledgers
from aiagentchat.gateway.service import load
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.crypto.backup import Follower
from aiagentchat.matrix.crypto.cross_signing import Standing
from aiagentchat.matrix.crypto.machine import Machine
from aiagentchat.matrix.crypto.sharing import MayRead
from aiagentchat.matrix.media import MatrixMedia
from aiagentchat.matrix.outbound import MatrixOutbound
from aiagentchat.matrix.ownership import Ownership
from aiagentchat.matrix.roster import Roster
from aiagentchat.matrix.sync import MatrixHomeserver
from aiagentchat.observability.metrics import Meters
from aiagentchat.process.cgroup import Subtree
from aiagentchat.process.children import children
from aiagentchat.process.posts import Posts
from aiagentchat.receive.catch_up import Tools
from aiagentchat.receive.intake import Rules
from aiagentchat.receive.receiver import Receiver
from aiagentchat.receive.unsealing import Unsealing
from aiagentchat.render.words import SUBSCRIPTION_IN_ROOM
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.bot_commands.spec import Desk, Health
from aiagentchat.route.dispatch import Dispatcher
from aiagentchat.route.doors import Doorkeeper
from aiagentchat.route.lobby import Lobby
from aiagentchat.route.router import Router
from aiagentchat.send.post import RoomPost
from aiagentchat.send.postman import Postman, Small
from aiagentchat.send.redacting import RedactingOutbound
from aiagentchat.send.signals import RoomSignals
from aiagentchat.send.speech import Speaker
from aiagentchat.store.janitor import Janitor, Keep
from aiagentchat.store.ledger import Ledger, open_ledger

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Runs until cancelled; one that returns is broken."""

    name: str
    run: Callable[[], Awaitable[None]]
    tells: bool = False
    """Whether it brings to the rooms what the others have to say, and so ends after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything that runs, and how the daemon reaches it."""

    services: Sequence[Service]
    apply: Callable[[Settings], None]
    """Puts reloaded settings into force."""
    look_around: Callable[[], Coroutine[None, None, None]]
    """Says once what would fail at the first message; nothing waits for it."""
    drain: Callable[[], Coroutine[None, None, None]]
    """Begins no new turn, and returns when none runs."""
    report_interrupted: Callable[[], Awaitable[None]]
    """Writes down what was cut short, for the rooms; for when nothing runs any more."""
    unsent: Callable[[], Awaitable[int]]
    """How many parcels wait, needed or not."""
    owed: Callable[[], Awaitable[int]]
    """How many rooms wait for something that they need."""
    sync: Callable[[], SyncHealth]
    """How the hearing is."""
    missing: Callable[[], Awaitable[Sequence[str]]]
    """What keeps it from answering, in words."""


@asynccontextmanager
async def build(
    live: Live, *, take_over: bool = False, patience: Patience | None = None, pace: Pace | None = None
) -> AsyncIterator[House]:
    """Open the ledger, log in, own the account, wire the stages. Raises AppError.

    What stands here stands before the first sync, so everything that can go on beside it does.
    """
    clock = SystemClock()
    me = UserId(live.settings.matrix.user_id)
    cgroups = delegated_cgroups()
    async with AsyncExitStack() as stack:
        # Whatever fails first ends the rest of the start, also while that waits for a homeserver.
        async with asyncio.TaskGroup() as group:
            trying = group.create_task(ready_for_runs(live.settings, live.environ), name="isolation")
            group.create_task(load(live.settings), name="gateway code")
            ledger = await stack.enter_async_context(
                open_ledger(live.settings.database, clock=clock, vault=vault_of(live))
            )
            client = await stack.enter_async_context(connected(live, ledger, me, clock))
            ownership = await stack.enter_async_context(owned(ledger, client, me, clock, take_over=take_over))
            live.prepare = lambda settings: prepare(settings, client, ledger)
            live.reloaded = lambda: ledger.audit.write(Deed(kind=AuditKind.RELOADED), clock.now_ms())
            live.settings = await until_reached(lambda: prepare(live.settings, client, ledger), clock)
            registry = await until_reached(lambda: registry_room(live.settings, client), clock)
            live.made, live.adopt = ledger.rooms.made, lambda waiting: ledger.rooms.adopt(waiting.room, clock.now_ms())
            await live.refresh()
            device = await stack.enter_async_context(with_keys(live, ledger, client, me, clock))
            device.machine.wants_signed = lambda room: _wants_signed(live.current(), room)
        live.require_apart = partial(require_apart, trying.result())
        live.require_apart(live.settings)
        here = Here(me, trying.result(), cgroups, clock, patience or Patience(), registry, pace or Pace())
        yield _house(live, ledger, Account(client, device, ownership), here)


async def _look_around(live: Live, ledger: Ledger, agents: Mapping[str, ClaudeCode]) -> None:
    wanted = [room for room in live.settings.rooms if room.history]
    if in_clear := [room.name for room in wanted if await ledger.rooms.is_encrypted(room.id)]:
        log.warning("history.in_clear", rooms=in_clear)
    await _ask_agents(live, agents)


async def _ask_agents(live: Live, agents: Mapping[str, ClaudeCode]) -> None:
    """Say at once what would fail at the first message. The daemon starts all the same, and says it in the room."""
    for name, agent in agents.items():
        try:
            found = await agent.binary()
            log.info("agent.found", agent=name, path=str(found.path), version=".".join(map(str, found.version)))
        except AgentUnavailable as error:
            log.error("agent.unavailable", agent=name, error=str(error))  # noqa: TRY400
    if missing := missing_model_key(live.secrets):
        log.error("agent.no_key", fix=missing)
    if short := live.secrets.too_short():
        log.warning("secrets.too_short", names=short)
    _warn_of_subscription(live)


def _gives_subscription(live: Live) -> bool:
    return gives_subscription(live.credentials(), subscription_in_room=live.settings.subscription_in_room)


def _warn_of_subscription(live: Live) -> None:
    if _gives_subscription(live):
        log.warning("subscription.in_room", warning=SUBSCRIPTION_IN_ROOM)


def _agents(live: Live, here: "Here", posts: Posts, peers: Peers) -> dict[str, ClaudeCode]:
    quarters = Quarters(
        isolation=here.held.isolation,
        gates=live.settings.data_dir / GATES,
        subscription_in_room=live.settings.subscription_in_room,
        cgroups=here.cgroups,
        data_dir=live.settings.data_dir,
    )
    environ, credentials = live.environ, live.credentials
    return {
        name: ClaudeCode(
            agent.binary, environ=environ, credentials=credentials, quarters=quarters, posts=posts, peers=peers
        )
        for name, agent in live.settings.agents.items()
    }


@dataclass(frozen=True, slots=True)
class Account:
    """What we are for the homeserver."""

    client: Client
    device: OwnDevice
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class Here:
    """Who we are, and where."""

    me: UserId
    held: Held
    cgroups: Subtree | None
    clock: Clock
    patience: Patience
    registry: RoomId | None
    """The room of the instances, if there is one."""
    pace: Pace


def _wants_signed(settings: Settings, room: RoomId) -> bool:
    """Whether only devices that their owners have signed can read in the room, and are believed."""
    found = settings.room(room)
    return found is not None and found.encrypt_to == "cross-signed"


def _may_read(settings: Settings, machine: Machine, room: RoomId) -> MayRead | None:
    """Which devices get the keys of what is said in the room."""
    return machine.keys.trusted if _wants_signed(settings, room) else None


async def _is_heard(settings: Settings, doors: Doorkeeper, room: RoomId, sender: UserId) -> bool | None:
    """Whether somebody's words mean anything in the room; None while nobody can know."""
    found = settings.room(room)
    if found is None:
        return False
    roles = await doors.roles(found)
    return None if roles is None else roles.of(sender) is not None


async def _transcript(live: Live, ledger: Ledger, room: RoomSettings, session: SessionId) -> Transcript | None:
    """What the agent has written down of a conversation. Read beside the loop: it may be long."""
    settings = live.current()
    slug = await ledger.rooms.slug(room.id, slug_wish(room))
    home, workspace = settings.data_dir / "homes" / slug, settings.workspace_of(room, slug)
    return await asyncio.to_thread(transcript.read, home, workspace, session)


def _thumbnails(shop: Workshop, live: Live) -> Small | None:
    """Of pictures that go into rooms without a turn."""
    maker = shop.thumbnailer
    return None if maker is None else partial(maker.in_room, places=shop.places, settings=live.current)


def _backup(client: Client, ledger: Ledger, here: Here, machine: Machine) -> Follower:
    return Follower(
        asks=client,
        kept=ledger.identities,
        me=here.me,
        device=str(client.nio.device_id or ""),
        take=machine.bring_in,
        clock=here.clock,
        random=random.random,
    )


def _rules(live: Live, me: UserId) -> Rules:
    """What of all that is told routing should see."""
    return Rules(me, lambda room: live.current().hears(room), live.keeps)


def _janitor(live: Live, ledger: Ledger, clock: Clock) -> Janitor:
    return Janitor(
        ledger.housekeeping,
        keep=lambda: Keep(
            rows=live.current().retention, bodies=live.current().body_retention, audit=live.current().audit_retention
        ),
        clock=clock,
    )


def _house(live: Live, ledger: Ledger, account: Account, here: Here) -> House:
    settings, me, clock = live.settings, here.me, here.clock
    client, machine, ownership = account.client, account.device.machine, account.ownership
    instances = registered(live, client, me, here.registry, clock, here.pace)
    instance = instances.book.own.instance
    outbound = RedactingOutbound(
        MatrixOutbound(client, machine, lambda room: _may_read(live.current(), machine, room)), live.redactor
    )
    signals = RoomSignals(outbound)
    post = RoomPost(signals=signals, messages=ledger.messages, me=me, clock=clock)
    roster = Roster(client, clock)
    doors = Doorkeeper(settings=live.current, grants=ledger.grants, members=roster, clock=clock)
    runs = Runs(
        records=ledger.runs,
        boot_id=this_machine()[1],
        clock=clock,
        warm_ttl=settings.warm_ttl,
        max_warm=settings.max_warm,
    )
    posts, agents = Posts(live.settings.data_dir), dict[str, ClaudeCode]()
    gauged = Gauged(
        meters=Meters(),
        settings=live.current,
        ledger=ledger,
        directory=instances.book,
        warm=runs.count,
        isolation=here.held.isolation,
        clock=clock,
    )
    shop = Workshop(
        ledgers=Ledgers(
            commands=ledger.commands,
            approvals=ledger.approvals,
            sessions=ledger.sessions,
            outbox=ledger.outbox,
            rooms=ledger.rooms,
            spending=ledger.spending,
            changes=ledger.changes,
            tasks=ledger.tasks,
        ),
        runs=runs,
        agents=agents,
        places=Places(ledger.rooms, live.current, own_users=has_own_users(here.held)),
        meter=Meter(clock),
        rests=Rests(clock),
        voice=Speaker(
            outbox=ledger.outbox, clock=clock, showing=lambda room: live.current().showing(room), instance=instance
        ),
        signals=signals,
        settings=live.current,
        clock=clock,
        held=here.held,
        doors=doors,
        subscription_in_room=lambda: _gives_subscription(live),
        is_billed=lambda: not is_subscription(live.credentials()),
        redacting=live.redactor,
        media=MatrixMedia(client),
        patience=here.patience,
        thumbnailer=Thumbnailer(here.held.isolation),
        differ=Differ(here.held.isolation, path=live.environ.get("PATH", os.defpath), redacting=live.redactor),
        instance=instance,
        is_registered=lambda said: instances.book.find(said) is not None,
        post=post,
        on_turn_ended=gauged.turn_ended,
    )
    scheduler = Scheduler(shop, max_parallel=settings.max_parallel_turns, alive_at=ledger.lives.alive_at)

    async def health() -> Health:
        sending = replace(postman.health(), waiting=await ledger.outbox.unsent())
        seals = replace(await unsealing.health(), signed=account.device.identity.standing is Standing.SIGNED)
        return Health(
            sync=receiver.health(),
            send=sending,
            store=ledger.health(),
            seals=seals,
            gateway=exchanging.gateway_health(gateway, settings),
        )

    desk = Desk(
        inbox=ledger.inbox,
        commands=ledger.commands,
        approvals=ledger.approvals,
        sessions=ledger.sessions,
        outbox=ledger.outbox,
        rooms=ledger.rooms,
        spending=ledger.spending,
        changes=ledger.changes,
        tasks=ledger.tasks,
        guards=ledger.guards,
        settings=live.current,
        roles=doors.roles,
        is_warm=runs.is_warm,
        turn_time=scheduler.turn_time,
        rest=shop.rests.left,
        is_draining=lambda: scheduler.draining,
        health=health,
        clock=clock,
        started_at=clock.now_ms(),
        version=__version__,
        held=here.held,
        own=instances.book.own,
        subscription_in_room=lambda: _gives_subscription(live),
        transcript=partial(_transcript, live, ledger),
        is_billed=lambda: not is_subscription(live.credentials()),
        directory=instances.book,
    )
    homeserver = MatrixHomeserver(client, me, machine, hears=roster.hear, registry=here.registry)
    receiver = Receiver(
        Tools(
            homeserver=homeserver,
            inbox=ledger.inbox,
            rules=_rules(live, me),
            clock=clock,
            random=random.random,
            max_age=lambda: live.current().catch_up_max_age,
            on_sealed=machine.bell.ring,
        ),
        timeout=lambda: live.current().sync_timeout,
        alive_at=ledger.lives.alive_at,
        on_owner=ownership.told,
        on_receipts=post.received,
        on_instances=instances.hear,
    )
    unsealing = Unsealing(
        seals=ledger.seals,
        opener=machine,
        clock=clock,
        max_age=lambda: live.current().catch_up_max_age,
        is_heard=lambda room, sender: _is_heard(live.current(), doors, room, sender),
        heard_since=lambda: receiver.heard_since,
        rules=_rules(live, me),
    )
    postman = Postman(
        outbox=ledger.outbox,
        outbound=outbound,
        owing=ledger.commands.owing,
        user=me,
        device=str(client.nio.device_id or ""),
        clock=clock,
        random=random.random,
        small=_thumbnails(shop, live),
    )

    def open_agents() -> None:
        agents.clear()
        agents.update(_agents(live, here, posts, Peers(clerk, clock.now_ms, live.redactor)))

    def apply(fresh: Settings) -> None:
        scheduler.max_parallel = fresh.max_parallel_turns
        runs.warm_ttl, runs.max_warm = fresh.warm_ttl, fresh.max_warm
        open_agents()
        _warn_of_subscription(live)
        instances.changed()
        ledger.commands.bell.ring()
        machine.bell.ring()  # what `encrypt_to` kept shut may be open now

    around = exchanging.Around(
        live=live,
        ledger=ledger,
        client=client,
        homeserver=homeserver,
        directory=instances.book,
        health=health,
        gauged=gauged,
        agents=lambda: agents_there(live.current(), {name: agent.glance for name, agent in agents.items()}),
        clock=clock,
    )
    clerk, gateway = exchanging.exchange(around, here.held.isolation)
    open_agents()

    services = [
        Service("children", children.look_after),
        Service("posts", posts.serve),
        Service("receiver", receiver.run),
        Service("unsealing", unsealing.run),
        Service(
            "router",
            Router(
                inbox=ledger.inbox,
                dispatcher=Dispatcher(desk, catalog(desk), signals, me),
                lobby=Lobby(desk, outbound, live.refresh, registry=here.registry),
                settings=live.current,
                clock=clock,
                post=post,
            ).run,
        ),
        Service("executor", scheduler.run),
        Service("owner", ownership.run),
        Service("reminders", Reminders(tasks=ledger.tasks, clock=clock).run),
        Service("janitor", _janitor(live, ledger, clock).run),
        Service("sender", postman.run, tells=True),
        Service("keys", machine.run, tells=True),
        Service("backup", _backup(client, ledger, here, machine).run),
        Service("signals", signals.run, tells=True),
        Service("expiry", Expiry(ledger.messages, clock).run),
        *([] if gateway is None else [Service("gateway", gateway.run)]),
        *([] if instances.presence is None else [Service("registry", instances.presence.run)]),
    ]

    async def report() -> None:
        await ledger.lives.alive(clock.now_ms())
        await report_interrupted(shop.ledgers, clock, wants_words=shop.wants_words, instance=instance)

    return House(
        services=services,
        apply=apply,
        look_around=lambda: _look_around(live, ledger, dict(agents)),
        drain=scheduler.drain,
        report_interrupted=report,
        unsent=ledger.outbox.unsent,
        owed=ledger.outbox.owed,
        sync=receiver.health,
        missing=lambda: exchanging.missing(around),
    )
