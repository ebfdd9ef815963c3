"""The second stage: takes events from the inbox in order, and commits what follows from each."""

from collections.abc import Callable, Sequence

import structlog
from structlog.contextvars import bound_contextvars

from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.effects import Effect, RoomChange
from aiagentchat.core.errors import MatrixError, RateLimited, StoreError
from aiagentchat.core.ids import EventId, RoomId
from aiagentchat.core.log_content import Said
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Inbox
from aiagentchat.core.ports.post import Post
from aiagentchat.render import words
from aiagentchat.route.access import Roles
from aiagentchat.route.bot_commands.spec import reply
from aiagentchat.route.decide import RunBotCommand, TakeNote
from aiagentchat.route.dispatch import Dispatcher
from aiagentchat.route.lobby import Lobby

BATCH = 100
"""Events that are routed before the inbox is looked at again."""
LONGEST_NAP = 30.0
JOIN_AGAIN = 5.0
"""Seconds until a join that the homeserver did not answer is tried again; longer if it says so."""
LOOK_AGAIN = 1.0
"""Seconds until a room is looked at again whose power levels count, and are not known before the first sync."""
OF_THE_ROOM = frozenset({Kind.LEFT, Kind.JOINED, Kind.TOMBSTONE, Kind.GAP_LOST, Kind.BEFORE})
"""What happens to a room, and not what somebody in it may do: nobody's role matters."""
SAID = frozenset({Kind.TEXT, Kind.NOTICE, Kind.FILE, Kind.EDIT})
"""Whose body somebody has typed."""

log = structlog.get_logger(__name__)


class Router:
    """Routes events one after the other, so that the order of a room is kept."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        dispatcher: Dispatcher,
        lobby: Lobby,
        settings: Callable[[], Settings],
        clock: Clock,
        post: Post | None = None,
    ) -> None:
        """`post` is told what is about messages between agents."""
        self._inbox = inbox
        self._post = post
        self._dispatcher = dispatcher
        self._lobby = lobby
        self._settings = settings
        self._clock = clock
        self._later: dict[EventId, float] = {}
        """Invites that stay in the inbox, and when (monotonic seconds) they are looked at again."""
        self._unknown: set[RoomId] = set()
        """Rooms whose events wait, in their order, because nobody knows who may do what there."""

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if await self._lobby.leave_expired():
                await self._lobby.refresh()
            events = await self._due()
            if self._post is not None:
                await self._post.landed(events)
            self._unknown.clear()
            is_settled = False
            for event in events:
                with bound_contextvars(room=event.room, event_id=event.event):
                    changed = await self._settle(event)
                    is_settled = is_settled or changed is not None
                    if changed:
                        break  # what was kept of a room that is ours now comes before what follows here
            if not events or (self._unknown and not is_settled):
                await self._inbox.bell.wait(self._nap())

    def _nap(self) -> float:
        if self._unknown:
            return LOOK_AGAIN
        return JOIN_AGAIN if self._later else LONGEST_NAP

    async def _settle(self, event: Incoming) -> bool | None:
        """Route one event; whether it has changed which rooms are ours, None if it waits."""
        effects = await self._route(event)
        if effects is None:
            return None
        await self._inbox.settle(event.event, effects, self._clock.now_ms())
        if not any(isinstance(effect, RoomChange) for effect in effects):
            return False
        await self._lobby.refresh()
        return True

    async def _due(self) -> list[Incoming]:
        """The oldest events that wait for nothing but us."""
        events = await self._inbox.unrouted(BATCH + len(self._later))
        now = self._clock.monotonic()
        return [event for event in events if self._later.get(event.event, now) <= now]

    async def _route(self, event: Incoming) -> Sequence[Effect] | None:
        """What follows from the event; None if that is not known yet."""
        try:
            is_answer = await self._is_answer(event)
            if event.kind is Kind.INVITE:
                return await self._invited(event)
            settings = self._settings()
            room, waiting = settings.room(event.room), settings.waiting_in(event.room)
            if room is None and waiting is not None:
                return await self._lobby.heard(event, waiting)
            if room is None:
                log.info("event.ignored", why="the room is no longer configured")
                return []
            roles = await self._roles_for(event, room)
            if roles is None:
                self._unknown.add(event.room)
                return None
            decision = await self._dispatcher.decision(event, roles)
            if is_answer and not isinstance(decision, RunBotCommand):
                decision = TakeNote()
            said = Said(event.body if event.kind in SAID else "", room.log_content)
            log.info("event.decided", kind=event.kind, decision=type(decision).__name__, text=said)
            effects = await self._dispatcher.effects(decision, event, roles)
            return [*effects, *await self._dispatcher.news(event, effects, roles)]
        except StoreError:
            raise  # not the event's fault: it stays in the inbox for a ledger that works again
        except Exception:
            # An event that breaks us must not be looked at again for ever, nor silence the room.
            log.exception("event.broken", kind=event.kind)
            return reply(event, words.BROKEN) if event.kind is Kind.TEXT else []

    async def _is_answer(self, event: Incoming) -> bool:
        """Whether it answers a message of ours. What a homeserver can have written in anybody's name does not."""
        if self._post is None or await self._dispatcher.is_in_the_clear(event):
            return False
        return await self._post.heard(event)

    async def _roles_for(self, event: Incoming, room: RoomSettings) -> Roles | None:
        """Who may do what; None if that is not known yet, or was not for an event that came before."""
        if event.kind in OF_THE_ROOM:
            return Roles(room=room)
        return None if event.room in self._unknown else await self._dispatcher.roles(room)

    async def _invited(self, event: Incoming) -> Sequence[Effect] | None:
        self._later.pop(event.event, None)
        try:
            return await self._lobby.invited(event)
        except MatrixError as error:
            # Nobody asks us a second time, and a homeserver lets one join only so many rooms at once.
            wait = max(JOIN_AGAIN, error.retry_after if isinstance(error, RateLimited) else 0.0)
            log.warning("invite.postponed", sender=event.sender, error=str(error), wait_s=round(wait, 1))
            self._later[event.event] = self._clock.monotonic() + wait
            return None
