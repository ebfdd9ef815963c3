"""Batches into the inbox, together with what their gaps hold.

What a batch has of rooms without a gap is committed at once. A room with a gap falls behind: nothing of it is committed
until the gap was read, and then all of it together, in order. Meanwhile the syncs go on, so that no room waits for the
history of another one. The token is committed when no room is behind; a crash before that repeats the batches since
then, and what is known by its id changes nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from aiagentchat.core.backoff import delay
from aiagentchat.core.errors import RateLimited, Refused, Unreachable
from aiagentchat.core.heard import Heard, heard
from aiagentchat.core.ids import RoomId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.ports.clock import Clock, Random
from aiagentchat.core.ports.ledger import Inbox
from aiagentchat.core.ports.matrix import Gap, Homeserver, SyncBatch
from aiagentchat.receive.intake import Rules, by_room, gap_lost, since_we_came
from aiagentchat.receive.sieve import Moment, sift

GAP_TRIES = 10
"""How often a gap is asked for in vain, each time with a sync in between that succeeds, until it counts as lost."""
MOST_MISSED = 2000
"""Events of one gap: twenty pages, more than a room's queue holds."""
MOST_HELD = 2000
"""So many events may wait behind a gap; if it cannot be read then, it counts as lost."""
COMMIT = 500
"""So many events of whole rooms go into one transaction."""

QUIET_SECONDS = 300.0
"""For so long the token may lag behind what is heard, as long as nothing happens: each commit is a write that waits for
the disk, and every receipt of ours comes back as a sync. After a crash that is heard once more, and is as quiet."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What receiving works with."""

    homeserver: Homeserver
    inbox: Inbox
    rules: Rules
    clock: Clock
    random: Random
    max_age: Callable[[], float]
    """How old (seconds) what is read again may be."""
    on_sealed: Callable[[], None] = lambda: None
    """Called when something sealed was committed: its key may have come between reading it and that."""


@dataclass(slots=True)
class _Share:
    """What goes into one transaction."""

    events: list[Incoming] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)

    @property
    def size(self) -> int:
        """As how many events it counts."""
        return max(len(self.events), len(self.heard))


@dataclass(slots=True, kw_only=True)
class _Behind:
    """A room of which something is still to be read."""

    room: RoomId
    since: str | None
    """The token behind which the gap begins or, where there is none, the events."""
    moment: Moment
    came: bool = False
    """Whether we came in behind the gap: our token, which is none of this room's, may be younger than our invite."""
    gap: Gap | None = None
    """None while what was read is being committed."""
    events: list[Incoming] = field(default_factory=list)
    """What comes after the gap."""
    failures: int = 0
    tries: int = 0
    """Those failures before which a sync had succeeded."""
    syncs: int = 0
    """How many syncs had succeeded at the last failure."""
    due: float = 0.0
    """When (monotonic seconds) it may be asked for again."""

    @property
    def is_open(self) -> bool:
        """Whether there is a gap to be read."""
        return self.gap is not None

    def grow(self, gap: Gap | None, since: str | None, events: list[Incoming], moment: Moment) -> None:
        """The next batch has this of the room, perhaps behind another gap."""
        if not self.is_open and not self.events:
            self.came = gap is not None and any(event.kind is Kind.JOINED for event in events)
            self.since = None if self.came else since
        if gap is None:
            self.events += events
        else:
            # From where the first gap begins to where this one ends: what is between is read again.
            self.gap, self.events = gap, events
        self.moment = replace(self.moment, now=moment.now)

    def take(self) -> list[Incoming]:
        """What comes after the gap, now that it was read."""
        events, self.gap, self.events = self.events, None, []
        self.failures = self.tries = 0
        return events


class CatchUp:
    """Takes in one batch after the other. `run`, beside it, reads what their gaps hold."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._inbox = tools.inbox
        self._clock = tools.clock
        self._behind: dict[RoomId, _Behind] = {}
        self._news = asyncio.Event()
        """Set when a room has fallen behind."""
        self._reached: str | None = None
        """The token up to which everything is committed but for the rooms that are behind."""
        self._syncs = 0
        self._committed_at: float | None = None
        """When (monotonic seconds) a batch's token was committed last."""
        self.heard_until = 0
        """When (milliseconds, by the homeserver's clock) the last sync was; 0 if nobody knows."""

    # --- batches

    async def take_in(self, batch: SyncBatch, since: str | None) -> None:
        """Commit what can be committed now; what cannot is read by `run`.

        Without `since` the homeserver tells what it has, and not what is new.
        """
        moment = self._moment(batch, anew=since is None)
        self._syncs += 1
        self.note(batch)
        if since is not None and batch.is_quiet and self._may_lag():
            self._reached = batch.token
            return
        rooms = by_room(batch.events)
        gaps = {gap.room: gap for gap in batch.gaps if self._tools.rules.is_configured(gap.room)}
        for room in [room for room in {**rooms, **gaps} if room in gaps or room in self._behind]:
            self._hold_back(room, gaps.get(room), rooms.pop(room, []), since, moment)
        new, rest = await self._commit_all_but_the_last([*rooms.values()], moment)
        token = None if self._behind else batch.token
        new += await self._commit_now(token, rest.events, rest.heard)
        self._reached = batch.token
        if token is None:
            await self._settle()
        else:
            self._committed_at = self._clock.monotonic()
        if batch.events or batch.gaps:
            log.info("sync.batch", events=len(batch.events), new=new, behind=len(self._behind))

    def _may_lag(self) -> bool:
        """Whether the token in the ledger is young enough."""
        now = self._clock.monotonic()
        return self._committed_at is not None and now - self._committed_at < QUIET_SECONDS

    def note(self, batch: SyncBatch) -> None:
        """The homeserver was heard."""
        self.heard_until = self._clock.now_ms() if batch.now is None else batch.now

    def _moment(self, batch: SyncBatch, *, anew: bool) -> Moment:
        now = self._clock.now_ms() if batch.now is None else batch.now
        oldest = now - round(self._tools.max_age() * 1000)
        return Moment(now=batch.now, oldest=oldest, heard_until=self.heard_until, anew=anew)

    async def _commit_all_but_the_last(self, rooms: Sequence[Sequence[Incoming]], moment: Moment) -> tuple[int, _Share]:
        """Commit what these rooms have, a few rooms at a time; how many were new, and what goes with the token."""
        new, waiting = 0, _Share()
        for events in rooms:
            if waiting.size >= COMMIT:
                new += await self._commit_now(None, waiting.events, waiting.heard)
                waiting = _Share()
            waiting.events += await sift(events, moment, self._tools.rules, self._inbox)
            waiting.heard += heard(events, self._tools.rules.keeps)
        return new, waiting

    async def _commit_now(self, token: str | None, events: Sequence[Incoming], heard: Sequence[Heard]) -> int:
        new = await self._inbox.take_in(token, events, self._clock.now_ms(), heard)
        if any(event.kind is Kind.SEALED for event in events):
            self._tools.on_sealed()
        return new

    async def _settle(self) -> None:
        """Commit the token, if no room is behind it."""
        if not self._behind and self._reached is not None:
            await self._inbox.take_in(self._reached, [], self._clock.now_ms())

    # --- rooms that are behind

    def _hold_back(
        self, room: RoomId, gap: Gap | None, events: list[Incoming], since: str | None, moment: Moment
    ) -> None:
        behind = self._behind.get(room)
        if behind is None:
            behind = self._behind[room] = _Behind(room=room, since=since, moment=moment)
        behind.grow(gap, since, events, moment)
        self._news.set()

    async def run(self) -> None:
        """Read the histories of the rooms that are behind, until cancelled. Raises LoginFailed."""
        while True:
            self._news.clear()
            now = self._clock.monotonic()
            due = sorted((behind.due, number) for number, behind in enumerate(self._behind.values()))
            if not due:
                await self._news.wait()
            elif due[0][0] > now:
                await self._nap(due[0][0] - now)
            else:
                await self._bring_up([*self._behind.values()][due[0][1]])

    async def _nap(self, seconds: float) -> None:
        """Until then, or until another room falls behind."""
        async with asyncio.TaskGroup() as group:
            naps = [group.create_task(self._news.wait()), group.create_task(self._clock.sleep(seconds))]
            await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
            for nap in naps:
                nap.cancel()

    async def _bring_up(self, behind: _Behind) -> None:
        """Read the gap, and commit what the room has."""
        gap, missed, lost = behind.gap, list[Incoming](), ""
        assert gap is not None, "only `_commit` takes it away, and that is over"
        try:
            found = await self._tools.homeserver.missed(
                gap, since=behind.since, oldest=behind.moment.oldest, most=MOST_MISSED
            )
        except (Unreachable, RateLimited) as error:
            if not self._is_lost(behind):
                self._put_off(behind, error)
                return
            lost = str(error)
        except Refused as error:
            lost = str(error)
        else:
            missed = since_we_came(found.events) if behind.came else [*found.events]
            # What is older than our last sync is too old by a wrong clock: we heard it then, or it was not for us.
            too_old = found.aged and behind.moment.heard_until < behind.moment.oldest
            lost = "" if found.whole and not too_old else "more than is asked for"
            log.info("sync.gap", room=behind.room, events=len(missed))
        await self._commit(behind, gap, missed, lost)
        await self._settle()

    async def _commit(self, behind: _Behind, gap: Gap, missed: list[Incoming], lost: str) -> None:
        """Commit what was missed and what comes after it, and then what has come in meanwhile."""
        marker = []
        if lost:
            log.warning("sync.gap_lost", room=behind.room, error=lost)
            marker = [self._marker(behind, gap, missed)]
        if behind.gap is gap:
            missed += behind.take()
        else:
            behind.since = gap.before  # it has grown meanwhile: the rest is another gap
        await self._keep(behind, missed, marker)
        while behind.events and not behind.is_open:
            await self._keep(behind, behind.take(), [])
        if not behind.is_open:
            del self._behind[behind.room]

    async def _keep(self, behind: _Behind, events: list[Incoming], marker: list[Incoming]) -> None:
        kept = await sift(events, behind.moment, self._tools.rules, self._inbox)
        found = heard(events, self._tools.rules.keeps)
        await self._commit_now(None, [*marker, *kept], found)

    def _marker(self, behind: _Behind, gap: Gap, missed: Sequence[Incoming]) -> Incoming:
        """That the room misses something, for the room to read."""
        now = self._clock.now_ms() if behind.moment.now is None else behind.moment.now
        last = min(now, next((event.sent_at for event in (*missed, *behind.events) if event.sent_at), now))
        token = behind.since or gap.before
        return gap_lost(behind.room, token, self._tools.rules.me, first=behind.moment.heard_until, last=last)

    def _is_lost(self, behind: _Behind) -> bool:
        """Count a failure; whether it was the last. While no sync succeeds either, the gap is not to blame."""
        behind.failures += 1
        if behind.syncs != self._syncs:
            behind.tries += 1
            behind.syncs = self._syncs
        return behind.tries >= GAP_TRIES or len(behind.events) > MOST_HELD

    def _put_off(self, behind: _Behind, error: Unreachable | RateLimited) -> None:
        wait = delay(behind.failures, self._tools.random)
        if isinstance(error, RateLimited):
            wait = max(wait, error.retry_after)
        behind.due = self._clock.monotonic() + wait
        log.warning(
            "sync.gap_failed", room=behind.room, error=str(error), failures=behind.failures, wait_s=round(wait, 1)
        )
