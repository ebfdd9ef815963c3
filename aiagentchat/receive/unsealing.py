"""What came before its key: tried again when there are new keys, and told to the room when it stays shut.

It waits in the inbox and holds up nothing. When it opens it comes in as what it is, at that moment; what is too old by
then is not run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog

from aiagentchat.core.audit import AuditKind, Deed
from aiagentchat.core.errors import StoreError
from aiagentchat.core.health import SealHealth
from aiagentchat.core.heard import heard
from aiagentchat.core.ids import EventId, RoomId, UserId, txn_id
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Seals
from aiagentchat.core.ports.matrix import Opener
from aiagentchat.core.seals import FOREIGN_KEY, Forged, Opened, Shut, Untold
from aiagentchat.receive.intake import Rules, dated, keep
from aiagentchat.render import away
from aiagentchat.render.message import message

TELL_AFTER_MS = 60_000
"""Keys often come a moment later than what they open."""
LOOK_SECONDS = 15.0
"""How often it is looked whether a room is to be told."""
PAGE = 100
"""Sealed events that are tried at once."""
EVENTS_PER_BREATH = 10
"""After so many that were tried the loop may do something else."""
REST = 0.002
"""For so long (seconds) nothing is tried for each event that was, when they were more than a page: any member can have
everything tried again, with a message that nobody can read, and must not take the loop away from the others."""
MOST_SEALED = 2000
"""So many are kept; beyond that the oldest are given up."""
KEEP_MS = 30 * 86_400_000
"""For so long."""

log = structlog.get_logger(__name__)


Held: TypeAlias = tuple[RoomId, UserId, str]
"""Who holds something back in a room: a sender, with a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One message to a room: of these sessions of one sender nothing can be read."""

    room: RoomId
    sender: UserId
    told: tuple[Untold, ...]

    @property
    def count(self) -> int:
        """How many messages."""
        return sum(each.count for each in self.told)


def due(untold: Iterable[Untold], now: int) -> list[Telling]:
    """What rooms are to be told now: one message for all that a sender's sessions hold back. Pure."""
    by_sender: dict[tuple[RoomId, UserId], list[Untold]] = {}
    for each in untold:
        by_sender.setdefault((each.room, each.sender), []).append(each)
    return [
        Telling(room=room, sender=sender, told=tuple(found))
        for (room, sender), found in by_sender.items()
        if min(each.since for each in found) <= now - TELL_AFTER_MS
    ]


def too_old(event: Incoming, now: int, max_age: float) -> bool:
    """Whether it was said too long ago to be acted upon. Pure."""
    return 0 < event.sent_at < now - round(max_age * 1000)


class Unsealing:
    """A service of the receiving stage."""

    def __init__(
        self,
        *,
        seals: Seals,
        opener: Opener,
        clock: Clock,
        max_age: Callable[[], float],
        is_heard: Callable[[RoomId, UserId], Awaitable[bool | None]],
        heard_since: Callable[[], float | None],
        rules: Rules,
    ) -> None:
        """`is_heard` says whether somebody's words mean anything in a room: only of those the room is told.

        None while nobody knows that, as before the first sync; until then nothing is told.

        `heard_since` says when (monotonic seconds) the first sync of this life was; None before it.

        `rules` are those by which it is judged what routing should see, as of what comes in the clear.
        """
        self._seals = seals
        self._opener = opener
        self._clock = clock
        self._max_age = max_age
        self._is_heard = is_heard
        self._heard_since = heard_since
        self._rules = rules
        self._keeps = rules.keeps
        self._is_left = False
        """Whether something that opens is sealed still: it is tried again, also without another key."""
        self._tried = 0
        """How many were tried since the last rest."""

    async def health(self) -> SealHealth:
        """How many messages cannot be read."""
        return SealHealth(sealed=await self._seals.count())

    async def run(self) -> None:
        """Serve until cancelled."""
        is_to_try = True  # keys came while nobody listened
        while True:
            await self._tell(await self._try_all() if is_to_try else None)
            await self._rest()
            is_to_try = await self._opener.bell.wait(LOOK_SECONDS) or self._is_left

    async def _rest(self) -> None:
        tried, self._tried = self._tried, 0
        if tried > PAGE:
            await self._clock.sleep(tried * REST)

    async def _try_all(self) -> Mapping[Held, str]:
        """Open what can be opened; why the first of the rest stays shut."""
        now = self._clock.now_ms()
        self._is_left = False
        if given_up := await self._seals.give_up(now - KEEP_MS, MOST_SEALED, now):
            log.warning("seal.given_up", count=given_up)
        place, shut = 0, dict[Held, str]()
        while page := await self._seals.waiting(place, PAGE):
            place = page[-1].position
            shut = {**await self._try([each.event for each in page]), **shut}
        return shut

    async def _try(self, sealed: Sequence[Incoming]) -> Mapping[Held, str]:
        opened: list[Incoming] = []
        dropped: list[EventId] = []
        shut: dict[Held, str] = {}
        self._tried += len(sealed)
        for number, event in enumerate(sealed, 1):
            if number % EVENTS_PER_BREATH == 0:
                await asyncio.sleep(0)
            match await self._opener.open(event):
                case Opened(None):
                    dropped.append(event.event)
                case Opened(said) if said is not None:
                    opened.append(said)
                case Forged(how):
                    log.error("event.forged", room=event.room, event_id=event.event, how=how)
                    if too_old(event, self._clock.now_ms(), self._max_age()):
                        dropped.append(event.event)
                    else:
                        opened.append(replace(event, kind=Kind.FORGED, body=how, raw=None))
                case Shut(why):
                    shut.setdefault((event.room, event.sender, event.body), why)
        if (opened or dropped) and await self._is_settled():
            await self._take_in(opened, dropped)
        return shut

    async def _is_settled(self) -> bool:
        """Whether what was opened is remembered. Until it is, nothing of it is run: it could be said once more."""
        try:
            await self._opener.settled()
        except StoreError as error:
            self._is_left = True
            log.warning("seal.not_kept", error=str(error), wait_s=LOOK_SECONDS)
            return False
        return True

    async def _take_in(self, opened: Sequence[Incoming], dropped: Sequence[EventId]) -> None:
        now = self._clock.now_ms()
        wanted = keep(opened, self._rules, first=False)
        passed = [event for event in opened if event not in wanted]
        old = [event for event in wanted if too_old(event, now, self._max_age())]
        fresh = [dated(event, now) for event in wanted if event not in old]
        count = await self._seals.opened(fresh, now, heard(fresh, self._keeps)) if fresh else 0
        await self._seals.settle([*dropped, *(event.event for event in passed)], [], now, heard(passed, self._keeps))
        for event in old:
            is_heard = await self._is_heard(event.room, event.sender)
            if is_heard is None:
                self._is_left = True
                continue
            told = [_too_late(event)] if is_heard else []
            await self._seals.settle([event.event], told, now, heard([event], self._keeps))
        log.info("seal.opened", count=count, too_old=len(old))

    async def _tell(self, shut: Mapping[Held, str] | None) -> None:
        """`shut` is why things are, if all was tried just now."""
        if shut is None:
            if not await self._due():
                return
            # Its key may have come before it: a gap is taken in when the whole of it was read.
            shut = await self._try_all()
        for telling, is_heard in await self._due():
            first = telling.told[0]
            why = shut.get((first.room, first.sender, first.session))
            if why is None:
                continue  # it opens, and is not taken in yet
            log.warning(
                "seal.shut", room=telling.room, sender=telling.sender, count=telling.count, why=why, told=is_heard
            )
            parcels = [_told(telling, why)] if is_heard else []
            await self._seals.tell(telling.told, parcels, self._clock.now_ms(), _foreign(telling, shut))

    async def _due(self) -> list[tuple[Telling, bool]]:
        """What is to be told now, and whether the room is: what nobody knows yet waits.

        So does everything at first: the key may come, or the device be known, with what was said while we were away.
        """
        since = self._heard_since()
        if since is None or self._clock.monotonic() - since < TELL_AFTER_MS / 1000:
            return []
        tellings = due(await self._seals.untold(), self._clock.now_ms())
        found = [(telling, await self._is_heard(telling.room, telling.sender)) for telling in tellings]
        return [(telling, is_heard) for telling, is_heard in found if is_heard is not None]


def _told(telling: Telling, why: str) -> Parcel:
    text = away.sealed(telling.count, telling.sender, why)
    txn = txn_id(telling.room, "sealed", telling.sender, telling.told[0].session)
    return Parcel(txn=txn, room=telling.room, content=message(text, notice=True))


def _foreign(telling: Telling, shut: Mapping[Held, str]) -> list[Deed]:
    """What is said with somebody else's key may be another one's words in this sender's name: the audit tells of it."""
    what = {"what": "foreign key"}
    return [
        Deed(kind=AuditKind.REFUSED, room=each.room, actor=each.sender, subject=each.session, detail=what)
        for each in telling.told
        if shut.get((each.room, each.sender, each.session)) == FOREIGN_KEY
    ]


def _too_late(event: Incoming) -> Parcel:
    text = away.unsealed_too_late(event.sender, event.sent_at)
    content = message(text, notice=True, reply_to=event.event)
    return Parcel(txn=txn_id(event.event, "unsealed"), room=event.room, content=content)
