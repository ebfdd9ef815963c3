"""From the outbox into the rooms: in order within a room, rooms side by side, at the homeserver's pace.

A parcel is claimed, sent and marked as sent. A crash between the last two sends it again with the same transaction id,
which the homeserver answers with the first event; where it may have forgotten the id, the room is searched first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

import structlog

from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.health import SendHealth
from aiagentchat.core.ids import EventId, RoomId, TxnId, UserId, txn_id
from aiagentchat.core.parcels import KEY, PARCEL, REACTION, REDACTION, Attempt, Content, Parcel
from aiagentchat.core.ports.clock import Clock, Random
from aiagentchat.core.ports.ledger import Outbox
from aiagentchat.core.ports.matrix import Outbound
from aiagentchat.render import words
from aiagentchat.render.message import message, reaction
from aiagentchat.send.lift import lift_limit
from aiagentchat.send.line import Line, Trip
from aiagentchat.send.pacer import REFILL_SECONDS, Pacer, Ticket
from aiagentchat.send.pieces import content_before, is_of_answer, pieces_of
from aiagentchat.send.places import Place, Places
from aiagentchat.send.search import searched_from
from aiagentchat.send.variants import (
    AS_WRITTEN,
    FILE,
    FILE_NAME,
    FILE_TYPE,
    content_of,
    content_with_file,
    content_without_file,
    is_edit,
    kind_of,
    wants_thumbnail,
    with_thumbnail,
    words_of,
)
from aiagentchat.send.verdict import NEVER_ARRIVED, AskLater, GiveUp, NothingToDo, TryAgain, judge

LONGEST_NAP = 30.0
NEXT_PROBE_SECONDS = 0.05
"""How much longer a parcel waits that found nobody at home: another room asks first."""

Small: TypeAlias = Callable[[RoomId, bytes], Awaitable[bytes | None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A parcel on its way."""

    attempt: Attempt
    ticket: Ticket
    trip: Trip
    place: Place


class Postman:
    """Delivers parcels."""

    def __init__(  # noqa: PLR0913 - each a part of its own, and no two belong together
        self,
        *,
        outbox: Outbox,
        outbound: Outbound,
        owing: Callable[[], Awaitable[int]],
        user: UserId,
        device: str,
        clock: Clock,
        random: Random,
        small: Small | None = None,
    ) -> None:
        """`owing` says how many answers are still to be written; `device` is what transaction ids are good for.

        `small` makes the thumbnail of a picture for a room, and never raises: here, where only that room waits for it.
        """
        self._outbox = outbox
        self._outbound = outbound
        self._owing = owing
        self._device = device
        self._clock = clock
        self._random = random
        self._small = small
        self._pacer = Pacer(clock.monotonic())
        self._line = Line(random)
        self._places = Places(clock)
        self._fix = lift_limit(user)
        self._uploaded: dict[TxnId, Content] = {}
        """What is sent of parcels whose files are there already, and whose turn has not come."""

    def health(self) -> SendHealth:
        """Whether the homeserver's limit holds parcels back; how many wait, the outbox knows."""
        return SendHealth(limited=self._pacer.is_limited)

    async def run(self) -> None:
        """Serve until cancelled. Raises LoginFailed, in a group, when the homeserver does not know us any more."""
        await self._outbox.release_claims()
        used = await self._outbox.sent_since(self._clock.now_ms() - round(REFILL_SECONDS * 1000))
        self._pacer = Pacer(self._clock.monotonic(), used=used)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._places.take()
                attempt = await self._next()
                now = self._clock.monotonic()
                delivery = _Delivery(attempt, self._pacer.begin(now), self._line.begin(now), Place())
                name = f"deliver {attempt.parcel.txn}"
                lending = group.create_task(self._lend(delivery.place), name=f"{name}: place")
                group.create_task(self._deliver(delivery, lending), name=name)

    async def _lend(self, place: Place) -> None:
        await self._places.lend(place)
        self._outbox.bell.ring()  # whoever waits for the line looks again

    async def _next(self) -> Attempt:
        """The next parcel that may go."""
        while True:
            nap = self._line.closed_for(self._clock.monotonic())
            if not nap:
                owed = 0 if self._pacer.is_proven else await self._owed()
                permit = self._pacer.permit(self._clock.monotonic(), owed)
                nap = permit.seconds
                if permit.least is not None:
                    attempt = await self._outbox.claim(self._clock.now_ms(), device=self._device, least=permit.least)
                    if attempt is not None:
                        return attempt
                    nap = min(nap, await self._until_due())
            await self._outbox.bell.wait(min(nap, LONGEST_NAP))

    async def _owed(self) -> int:
        return await self._owing() + await self._outbox.owed()

    async def _until_due(self) -> float:
        """Seconds until a parcel that was postponed is due."""
        due, now = await self._outbox.next_due(), self._clock.now_ms()
        return (due - now) / 1000 if due is not None and due > now else LONGEST_NAP

    async def _deliver(self, delivery: _Delivery, lending: "asyncio.Task[None]") -> None:
        attempt, txn = delivery.attempt, delivery.attempt.parcel.txn
        try:
            event = await self._find(attempt)
            if event is None:
                event = await self._send(attempt)
                if self._pacer.passed(self._clock.monotonic(), delivery.ticket):
                    log.info("outbox.rate_proven")
        except RateLimited as error:
            self._line.answered()
            if self._pacer.refused(self._clock.monotonic(), delivery.ticket, error.retry_after):
                log.warning("outbox.rate_limited", retry_after=error.retry_after, fix=self._fix)
            await self._outbox.postpone(txn, 0, untaken=True)
        except (Unreachable, Refused) as error:
            self._uploaded.pop(txn, None)
            if isinstance(error, Refused):
                self._line.answered()
            await self._failed(attempt, error, others_passed=self._line.failed(txn, delivery.trip))
        else:
            self._uploaded.pop(txn, None)
            self._line.passed(txn)
            await self._outbox.sent(txn, event, self._clock.now_ms())
        finally:
            self._pacer.end(delivery.ticket)
            self._line.end(delivery.trip)
            lending.cancel()
            self._places.give_back(delivery.place)

    async def _find(self, attempt: Attempt) -> EventId | None:
        """The event that an earlier attempt has become, where sending again would not tell."""
        if attempt.parcel.type == REDACTION:
            return None  # to delete twice changes nothing
        since = searched_from(attempt, self._device, self._clock.now_ms())
        if since is None:
            return None
        try:
            found = await self._outbound.find(attempt.parcel.room, attempt.parcel.txn, since=since)
        except Refused:
            return None  # we may not look; whether we may speak is for the room to say
        log.info("outbox.searched", room=attempt.parcel.room, txn=attempt.parcel.txn, found=found is not None)
        return found

    async def _send(self, attempt: Attempt) -> EventId:
        parcel, variant = attempt.parcel, attempt.variant
        if parcel.type == REDACTION:
            return await self._redact(parcel)
        if parcel.type == REACTION and PARCEL in parcel.content:
            on = await self._arrived(parcel, "what is to be reacted to has not arrived")
            parcel = replace(parcel, content=reaction(on, parcel.content[KEY]))
        if attempt.attached:
            content = await (self._instead_of_file(parcel) if variant > AS_WRITTEN else self._with_file(parcel))
            return await self._outbound.send(parcel.room, parcel.type, content, parcel.txn)
        first = None
        if parcel.edits is not None and is_edit(parcel, variant):
            # None: that one never arrived, and the text of its edit stands for itself.
            first = await self._outbox.event_of(parcel.edits)
        file = None
        if variant == FILE:
            file = await self._upload(parcel.room, words_of(parcel).encode(), FILE_NAME, FILE_TYPE)
        content = content_of(parcel, variant, first=first, file=file)
        return await self._outbound.send(parcel.room, parcel.type, content, parcel.txn)

    async def _redact(self, parcel: Parcel) -> EventId:
        event = await self._arrived(parcel, "what is to be deleted has not arrived")
        return await self._outbound.redact(parcel.room, event, words.DELETION_REASON, parcel.txn)

    async def _arrived(self, parcel: Parcel, otherwise: str) -> EventId:
        """The event that the parcel which this one speaks of has become."""
        event = await self._outbox.event_of(TxnId(parcel.content[PARCEL]))
        if event is None:
            raise Refused(otherwise, errcode=NEVER_ARRIVED, ours=True)
        return event

    async def _with_file(self, parcel: Parcel) -> Content:
        """After a crash the file is uploaded once more, and sent once. After a "not now" it need not be."""
        if parcel.txn not in self._uploaded:
            file = await self._outbox.attachment(parcel.txn)
            if file is None:
                return content_without_file(parcel)
            thumbnail = file.thumbnail
            if self._small is not None and wants_thumbnail(parcel, file):
                thumbnail = await self._small(parcel.room, file.data)
                parcel = parcel if thumbnail is None else with_thumbnail(parcel, thumbnail)
            name, mime, small_mime = kind_of(parcel)
            where = await self._upload(parcel.room, file.data, name, mime)
            small: Content = {}
            if thumbnail is not None:
                small = await self._upload(parcel.room, thumbnail, name, small_mime)
            self._uploaded[parcel.txn] = content_with_file(parcel, where, small)
        return self._uploaded[parcel.txn]

    async def _instead_of_file(self, parcel: Parcel) -> Content:
        """Of a file that is not taken the room hears; of one with an answer it gets what is in it. Put again after a
        crash, the pieces are known."""
        file = await self._outbox.attachment(parcel.txn) if is_of_answer(parcel) else None
        if file is None:
            return content_without_file(parcel)
        pieces = pieces_of(parcel, file.data)
        if not pieces:
            return content_without_file(parcel)  # there is nothing in it that could be seen
        await self._outbox.put(pieces, self._clock.now_ms())
        log.warning("outbox.answer_in_pieces", room=parcel.room, txn=parcel.txn, pieces=len(pieces))
        return content_of(replace(parcel, content=content_before(parcel, pieces)), AS_WRITTEN)

    async def _upload(self, room: RoomId, data: bytes, name: str, mime: str) -> Content:
        try:
            return await self._outbound.upload(room, data, name=name, mime=mime)
        except Refused as error:
            # Without its code: that we may not upload does not mean that we may not speak.
            raise Refused(str(error), status=error.status) from error

    async def _failed(self, attempt: Attempt, error: Unreachable | Refused, *, others_passed: bool) -> None:
        parcel, now, why = attempt.parcel, self._clock.now_ms(), str(error)
        verdict = judge(error, attempt, others_passed=others_passed, random=self._random)
        match verdict:
            case AskLater():
                wait = self._line.close(self._clock.monotonic())
                log.warning("outbox.unreachable", error=why, room=parcel.room, wait_s=round(wait, 1))
                await self._outbox.postpone(parcel.txn, now + round((wait + NEXT_PROBE_SECONDS) * 1000))
            case TryAgain(seconds=seconds, faults=faults, variant=variant):
                log.warning(
                    "outbox.failed",
                    error=why,
                    room=parcel.room,
                    txn=parcel.txn,
                    faults=faults,
                    variant=variant,
                    wait_s=round(seconds, 1),
                )
                until = now + round(seconds * 1000)
                await self._outbox.postpone(parcel.txn, until, faults=faults, variant=variant)
            case GiveUp():
                log.error("outbox.refused", error=why, room=parcel.room, txn=parcel.txn, command=parcel.command)
                if parcel.type == REDACTION:
                    await self._outbox.put([_not_deleted(parcel)], now)
                await self._outbox.give_up(parcel.txn, why, now)
            case NothingToDo():
                await self._outbox.give_up(parcel.txn, why, now)
            case _:
                assert_never(verdict)


def _not_deleted(deletion: Parcel) -> Parcel:
    """What the room is told about what we may not delete; of one answer once."""
    return Parcel(
        txn=txn_id(deletion.command or deletion.txn, "not deleted"),
        room=deletion.room,
        content=message(words.NOT_DELETED, notice=True),
    )
