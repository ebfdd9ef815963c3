"""The door: invites, and the rooms that we were invited into and that are not ours yet.

What is said in such a room is kept, and looked at again when the room becomes one of ours. Only `/setup` is heard.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.effects import Effect, EnterRoom, EraseText, ForgetRoom, LeaveRoom, NoteDeed, PutParcel
from aiagentchat.core.errors import MatrixError, Refused
from aiagentchat.core.ids import RoomId, txn_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.matrix import Outbound
from aiagentchat.core.rooms import DIRECT, WaitingRoom
from aiagentchat.render import words
from aiagentchat.render.message import message
from aiagentchat.route import making
from aiagentchat.route.access import may_invite
from aiagentchat.route.bot_commands.spec import Desk, refused, reply
from aiagentchat.route.decide import BOT_COMMAND
from aiagentchat.route.machines import is_of_program
from aiagentchat.route.refusals import refuse

WAIT_MS = 24 * 3_600_000
"""So long we stay in a room that nobody makes ours, and keep what is said there."""
MOST_WAITING = 20
"""In so many such rooms we are at once; further invites are declined."""
MOST_DECLINED = 30
"""So many invites are declined, each with a line in the log, in …"""
DECLINE_SECONDS = 3600.0
"""… this time. What comes beyond that stays where it is."""
LEAVE_AGAIN = 30.0
"""Seconds until a room is left again that the homeserver would not let us leave."""
SETUP = "setup"

log = structlog.get_logger(__name__)


class Lobby:
    """Says what follows from what happens there."""

    def __init__(
        self,
        desk: Desk,
        outbound: Outbound,
        refresh: Callable[[], Awaitable[None]],
        *,
        registry: RoomId | None = None,
    ) -> None:
        """`registry` is the room of the instances: whoever invites us there, the operator has named it."""
        self._desk = desk
        self._registry = registry
        self._outbound = outbound
        self.refresh = refresh
        """Makes the settings have the rooms that the ledger has; for whenever those have changed."""
        self._declined: deque[float] = deque(maxlen=MOST_DECLINED)
        self._leave_at = 0.0

    async def invited(self, event: Incoming) -> Sequence[Effect]:
        """What follows from an invite. Raises MatrixError when it must be looked at again."""
        settings = self._desk.settings()
        known = settings.room(event.room)
        if known is None and event.room == self._registry:
            return await self._enter_registry(event)
        if not may_invite(event.sender, event.room, settings):
            return await self._decline(event, "whoever invited us may not")
        if known is None:
            if settings.waiting_in(event.room) is None and len(settings.waiting) >= MOST_WAITING:
                return await self._decline(event, "too many rooms wait for /setup")
            now = self._desk.clock.now_ms()
            # Before we join: what is said from then on must not be passed over.
            await self._desk.rooms.wait_in(
                WaitingRoom(room=event.room, by=event.sender, since=now, until=now + WAIT_MS, keeps=True)
            )
            await self.refresh()
        try:
            await self._outbound.join(event.room)
        except Refused as error:
            log.warning("invite.failed", sender=event.sender, error=str(error))
            return [ForgetRoom(event.room)] if known is None else []
        log.info("invite.accepted", sender=event.sender)
        entered = EnterRoom(event.room)  # also one that is not configured now: it may be again
        return [entered] if known is not None else [entered, *await self._welcomed(event)]

    async def _enter_registry(self, event: Incoming) -> Sequence[Effect]:
        """Nobody runs anything there, so it does not matter who invites us. Raises as `invited`."""
        try:
            await self._outbound.join(event.room)
        except Refused as error:
            log.warning("invite.failed", sender=event.sender, error=str(error))
        else:
            log.info("invite.accepted", sender=event.sender)
        return []

    async def heard(self, event: Incoming, waiting: WaitingRoom) -> Sequence[Effect]:
        """What follows from what happens in a room that is not ours."""
        match event.kind:
            case Kind.JOINED:
                return [EnterRoom(event.room)]
            case Kind.LEFT:
                log.warning("room.left", how=event.body, by=event.sender)
                return [ForgetRoom(event.room), LeaveRoom(event.room, event.sender)]
            case Kind.REDACTION if event.target is not None:
                return [EraseText(event.target, event.room)]
            case Kind.TEXT if (wanted := _asked_for(event.body)) is not None:
                return [refused(event, "/setup")] if is_of_program(event) else await self._set_up(event, wanted)
            case _:
                if waiting.keeps:
                    log.info("event.kept", kind=event.kind)
                else:
                    log.info("event.ignored", why="the room was taken away")
                return []

    async def leave_expired(self) -> bool:
        """Leave the rooms that nobody has made ours in time; whether there was one. Afterwards, `refresh`."""
        now, monotonic = self._desk.clock.now_ms(), self._desk.clock.monotonic()
        expired = [waiting for waiting in self._desk.settings().waiting if waiting.until <= now]
        if not expired or monotonic < self._leave_at:
            return False
        for waiting in expired:
            try:
                await self._outbound.leave(waiting.room)
            except Refused as error:
                log.info("room.gone", room=waiting.room, error=str(error))
            except MatrixError as error:
                log.warning("room.not_left", room=waiting.room, error=str(error), wait_s=LEAVE_AGAIN)
                self._leave_at = monotonic + LEAVE_AGAIN
                continue
            log.info("room.expired", room=waiting.room)
            await self._desk.rooms.forget(waiting.room)
        return True

    async def _welcomed(self, event: Incoming) -> Sequence[Effect]:
        settings = self._desk.settings()
        if event.body == DIRECT and settings.dm == "create":
            effects = await making.make_direct(self._desk, event)
            if effects is not None:
                return effects
        may = settings.may_make_rooms(event.sender)
        text = words.setup_offered(WAIT_MS // 1000) if may else words.room_not_known(event.room, WAIT_MS // 1000)
        told = Parcel(txn=txn_id(event.event, "joined"), room=event.room, content=message(text, notice=True))
        return [PutParcel(told)]

    async def _set_up(self, event: Incoming, wanted: str) -> Sequence[Effect]:
        settings = self._desk.settings()
        if settings.may_make_rooms(event.sender):
            if not event.encrypted and await self._desk.rooms.is_encrypted(event.room):
                # As in our rooms: a homeserver could have written it, and would choose which folder is opened to whom.
                return refuse(event, "in the clear", words.IN_THE_CLEAR)
            return await making.make(self._desk, event, wanted)
        log.warning("setup.refused", sender=event.sender)
        told = reply(event, words.SETUP_NOT_YOURS) if settings.is_named(event.sender) else []
        return [refused(event, "/setup"), *told]

    async def _decline(self, event: Incoming, why: str) -> Sequence[Effect]:
        """Invites must not pile up. Nor may whoever sends many of them keep us busy, or fill the log."""
        # Whoever invites into ever new rooms is one sender all the same.
        noted = NoteDeed(Deed(kind=AuditKind.INVITE_REFUSED, actor=event.sender, subject=event.room))
        if self._desk.settings().hears(event.room):
            # Somebody who may has invited us, too: to decline would be to leave.
            log.info("event.ignored", why="we are there by another invite")
            return [noted]
        now = self._desk.clock.monotonic()
        if len(self._declined) == MOST_DECLINED and now - self._declined[0] < DECLINE_SECONDS:
            return [noted]
        self._declined.append(now)
        log.warning("invite.declined", sender=event.sender, why=why)
        try:
            await self._outbound.leave(event.room)
        except MatrixError as error:
            log.info("invite.not_declined", sender=event.sender, error=str(error))
        return [noted]


def _asked_for(body: str) -> str | None:
    """What stands behind `/setup`; None if that is not what was typed."""
    match = BOT_COMMAND.match(body)
    return body[match.end() :].strip() if match is not None and match[2] == SETUP else None
