"""A homeserver's memory of what happened; tests/contract/test_homeserver_port.py holds it to a real one."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiagentchat.core.errors import MatrixError, Refused
from aiagentchat.core.heard import SPOKEN
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.instances import Heard
from aiagentchat.core.messages import Incoming, Kind, Receipt
from aiagentchat.core.ports.matrix import Asked, Before, Gap, Missed, Older, SyncBatch
from tests.fakes.changes import Changes

TIMELINE_LIMIT = 20
ME = UserId("@claude:hs")
ANNA = UserId("@anna:hs")
_MOVES = (Kind.INVITE, Kind.JOINED, Kind.LEFT)
_SPOKEN = (Kind.TEXT, Kind.FILE, Kind.SEALED, Kind.BEFORE)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something happened."""

    place: int
    event: Incoming
    cuts: bool
    """Whether we came in, so that what was said before was not said to us."""


class FakeHomeserver:
    """The Homeserver port. A token is a place in the log."""

    def __init__(self, me: UserId = ME) -> None:
        self.asked: list[str | None] = []
        """The tokens that sync was called with."""
        self.asked_gaps: list[tuple[RoomId, str | None]] = []
        """The rooms, and since when, that `missed` was called with."""
        self.asked_older: list[tuple[RoomId, Asked, bool]] = []
        """What `older` was called with: where, before what, and whether encrypted messages were wanted."""
        self.now: int | None = None
        """What the homeserver's clock shows (milliseconds)."""
        self.owner: str | None = None
        """What the account data says."""
        self.instances = Heard()
        """What each sync tells of the registry room."""
        self._me = me
        self._life = "s"
        self._log: list[_Entry] = []
        self._troubles: list[MatrixError] = []
        self._gap_troubles: dict[RoomId, list[MatrixError]] = {}
        self._gaps_are_told = asyncio.Event()
        self._gaps_are_told.set()
        self._changes = Changes()
        self._receipts: list[Receipt] = []
        self._stirs = 0

    # --- what a test arranges

    def happen(self, *events: Incoming) -> None:
        """These events happen, in this order."""
        for event in events:
            self._add(event, cuts=event.kind is Kind.INVITE)

    def enter(self, room: RoomId) -> None:
        """We join, uninvited: what was said in the room before was not said to us."""
        self._move(room, Kind.JOINED, self._me, cuts=True)

    def accept(self, room: RoomId) -> None:
        """We join, invited: what was said since the invite was said to us."""
        self._move(room, Kind.JOINED, self._me)

    def leave(self, room: RoomId, how: str = "kick", by: UserId = ANNA) -> None:
        """We leave, or are put out."""
        self._move(room, Kind.LEFT, self._me if how == "leave" else by, how)

    def read(self, receipt: Receipt) -> None:
        """Somebody has read so far. The next sync tells of it, and of no more than one of theirs on an event."""
        clash = [each for each in self._receipts if (each.user, each.event) == (receipt.user, receipt.event)]
        if any(each.thread is None for each in clash):
            return
        self._receipts = [each for each in self._receipts if each not in clash or receipt.thread is not None]
        self._receipts.append(receipt)
        self._changes.tell()

    def stir(self) -> None:
        """A receipt of our own comes back: the next sync is answered at once, and tells nothing."""
        self._stirs += 1
        self._changes.tell()

    def fail(self, error: MatrixError, times: int = 1) -> None:
        """Answer the next syncs with `error`."""
        self._troubles += [error] * times

    def fail_gaps(self, room: RoomId, error: MatrixError, times: int = 1) -> None:
        """Answer the next questions for what was missed, or said before, in `room` with `error`."""
        self._gap_troubles.setdefault(room, []).extend([error] * times)

    def hold_gaps(self) -> None:
        """Be slow with what was missed, until `tell_gaps`."""
        self._gaps_are_told.clear()

    def tell_gaps(self) -> None:
        """Answer what waits."""
        self._gaps_are_told.set()

    def forget_tokens(self) -> None:
        """Refuse every token that was given until now."""
        self._life += "s"

    # --- what a test sees

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` over what was asked is true."""
        await self._changes.until(condition)

    # --- the port

    async def sync(self, since: str | None, *, timeout: float) -> SyncBatch:
        """Wait up to `timeout` seconds for news."""
        self.asked.append(since)
        self._changes.tell()
        if self._troubles:
            raise self._troubles.pop(0)
        start = 0 if since is None else self._place_of(since)
        with contextlib.suppress(TimeoutError):
            await self._changes.until(
                lambda: since is None or len(self._log) > start or self._receipts or self._stirs, patience=timeout
            )
        self._stirs = max(0, self._stirs - 1)
        return self._batch(start, is_first=since is None)

    async def missed(self, gap: Gap, *, since: str | None, oldest: int, most: int) -> Missed:
        """What was said in the gap."""
        self.asked_gaps.append((gap.room, since))
        self._changes.tell()
        await self._gaps_are_told.wait()
        if troubles := self._gap_troubles.get(gap.room):
            raise troubles.pop(0)
        places = range(0 if since is None else self._place_of(since), self._place_of(gap.before))
        entries = [entry for entry in self._log if entry.event.room == gap.room and entry.place in places]
        young = [entry for entry in entries if entry.event.sent_at >= oldest]
        got = young[max(0, len(young) - most) :]
        came = any(entry.cuts for entry in got)
        return Missed(
            events=_said(got),
            whole=len(got) == len(young) or came,
            aged=len(young) < len(entries) and not came,
        )

    async def older(self, room: RoomId, asked: Asked, *, most: int, sealed: bool = False) -> Older:
        """What was said before that."""
        self.asked_older.append((room, asked, sealed))
        if troubles := self._gap_troubles.get(room):
            raise troubles.pop(0)
        told = [entry for entry in self._log if entry.event.room == room]
        if not told:
            raise Refused(f"not in {room}", status=403, errcode="M_FORBIDDEN")
        gone = {entry.event.target for entry in told if entry.event.kind is Kind.REDACTION}
        edits = {entry.event.target: entry.event for entry in told if entry.event.kind is Kind.EDIT}
        end = self._end_of(asked)
        spoken = [entry for entry in told if entry.event.kind in SPOKEN and entry.event.event not in gone]
        before = [entry for entry in spoken if entry.place < end]
        got = before[max(0, len(before) - most) :]
        events = [event for entry in got for event in (entry.event, edits.get(entry.event.event)) if event is not None]
        return Older(events=tuple(events), before=self._token(got[0].place) if len(got) < len(before) else None)

    def _end_of(self, asked: Asked) -> int:
        if isinstance(asked, Before):
            return next(entry.place for entry in self._log if entry.event.event == asked.event)
        return len(self._log) if asked is None else self._place_of(asked)

    # --- how it remembers

    def _move(self, room: RoomId, kind: Kind, by: UserId, body: str = "", *, cuts: bool = False) -> None:
        event = EventId(f"$moved{len(self._log)}")
        sent_at = self._log[-1].event.sent_at if self._log else self.now or 1
        self._add(Incoming(event=event, room=room, sender=by, sent_at=sent_at, kind=kind, body=body), cuts=cuts)

    def _add(self, event: Incoming, *, cuts: bool) -> None:
        self._log.append(_Entry(len(self._log), event, cuts))
        self._changes.tell()

    def _token(self, place: int) -> str:
        return f"{self._life}{place}"

    def _place_of(self, token: str) -> int:
        place = token.removeprefix(self._life)
        if place == token or not place.isdigit():
            raise Refused(f"no token: {token}")
        return int(place)

    def _batch(self, start: int, *, is_first: bool) -> SyncBatch:
        token = self._token(len(self._log))
        receipts, self._receipts = tuple(self._receipts), []
        rooms = list(dict.fromkeys(entry.event.room for entry in self._log[start:]))
        where = {
            entry.event.room: entry.event.kind for entry in self._log if entry.event.kind in _MOVES
        }  # the last one counts
        events: list[Incoming] = []
        gaps: list[Gap] = []
        for room in rooms:
            entries = [entry for entry in self._log if entry.event.room == room]
            news = [entry for entry in entries if entry.place >= start]
            if where.get(room) is Kind.INVITE:
                invites = [entry.event for entry in news if entry.event.kind is Kind.INVITE]
                events += [replace(invite, event=EventId(f"invite {room} {token}")) for invite in invites[-1:]]
            elif where.get(room) is Kind.JOINED or (where.get(room) is Kind.LEFT and not is_first):
                # A room that we came into is told from anew.
                is_new = where[room] is Kind.JOINED and any(entry.event.kind is Kind.JOINED for entry in news)
                told = entries if is_new else news
                shown = told[-TIMELINE_LIMIT:]
                events += _said(shown)
                if len(told) > len(shown) and not _came_in(shown):
                    gaps.append(Gap(room=room, before=self._token(shown[0].place)))
        return SyncBatch(
            token=token,
            events=tuple(events),
            joined=frozenset(room for room in rooms if where.get(room) is Kind.JOINED),
            gaps=tuple(gaps),
            now=self.now,
            owner=self.owner,
            receipts=receipts,
            instances=self.instances,
            is_quiet=not (rooms or receipts or self.instances),
        )


def _said(entries: Sequence[_Entry]) -> tuple[Incoming, ...]:
    """What was said to us."""
    told: list[Incoming] = []
    ours = 0
    for entry in entries:
        if entry.cuts:
            spoke = {said.sender: said for said in told[ours:] if said.kind in _SPOKEN}
            told[ours:] = [_before(said) for said in spoke.values()]
        if entry.event.kind is not Kind.INVITE:
            told.append(entry.event)
        if entry.event.kind is Kind.LEFT:
            ours = len(told)
    return tuple(told)


def _before(said: Incoming) -> Incoming:
    if said.kind is Kind.BEFORE:
        return said
    event, when = EventId(f"before {said.event}"), said.sent_at
    return Incoming(event=event, room=said.room, sender=said.sender, sent_at=when, kind=Kind.BEFORE, body=said.event)


def _came_in(entries: Sequence[_Entry]) -> bool:
    for entry in entries:
        if entry.cuts or entry.event.kind is Kind.LEFT:
            return entry.cuts
    return False
