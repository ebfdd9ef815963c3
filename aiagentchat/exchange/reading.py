"""Reading rooms: the last messages from memory, older ones from the ledger, and what that does not have from Matrix.

Nobody fills the memory ahead: a room is in it once somebody has read it, and is read again from the ledger when what is
kept of it has changed. So it never shows what was deleted.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from aiagentchat.core.errors import ExchangeRefused, MatrixError
from aiagentchat.core.exchange import Happened, Page, Said, Wanted
from aiagentchat.core.heard import Keeps, said_in
from aiagentchat.core.ids import RoomId
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.ports.history import History
from aiagentchat.core.ports.matrix import Asked, Before, Homeserver
from aiagentchat.core.redact import Redacting, Redactor, shapes_only
from aiagentchat.render.hygiene import as_written

RECENT = 200
"""Messages of a room that are kept in memory."""
MOST_ROOMS = 100
"""Rooms of which some are; the one that was not read for longest goes first."""
MOST_BYTES = 32 * 2**20
"""Of all of them together, about."""
MOST = 500
"""Messages of one page."""
MOST_CURSORS = 1000
"""Places in rooms' histories at the homeserver from which somebody may read on; the oldest are forgotten."""
_OF_A_MESSAGE = 500
"""Bytes of a message beside its text, about."""


@dataclass(frozen=True, slots=True)
class _Recent:
    """What is in memory of a room."""

    edition: int
    redactor: Redactor
    """What has hidden the secrets in it."""
    messages: tuple[Said, ...]
    is_all: bool
    """Whether the ledger has nothing older."""
    size: int


class Reader:
    """Reads, for callers who may."""

    def __init__(
        self,
        history: History,
        homeserver: Homeserver,
        *,
        keeps: Keeps,
        now_ms: Callable[[], int],
        redacting: Redacting = shapes_only,
    ) -> None:
        """`keeps` says of which rooms what is encrypted may be shown, `redacting` gives what hides secrets."""
        self._history = history
        self._homeserver = homeserver
        self._keeps = keeps
        self._redacting = redacting
        self._recent: OrderedDict[RoomId, _Recent] = OrderedDict()
        self._cursors: OrderedDict[int, tuple[RoomId, Asked]] = OrderedDict()
        # No later life gives out the same ones: there are fewer than one in a millisecond.
        self._next_cursor = -now_ms()

    async def read(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """The last messages of the room, or those before the place that an earlier page has named.

        Places below zero are at the homeserver; they are good for this life of the daemon. Raises `ExchangeRefused`.
        """
        limit = max(1, min(limit, MOST))
        if before is not None and before < 0:
            return await self._at_homeserver(room, limit, before)
        page = await self._in_memory(room, limit, before)
        if page is None:
            page = self._shown(await self._history.latest(room, limit, before))
        if page.before is not None:
            return page
        # Here ends what the ledger has: what is older, the homeserver may know.
        oldest = page.messages[0].event if page.messages else None
        if oldest is None and before is None:
            return await self._ask(room, limit, None)
        if oldest is None:
            return page
        return Page(messages=page.messages, before=self._cursor(room, Before(oldest)))

    async def search(self, wanted: Wanted) -> Page:
        """Messages that are looked for. Only the ledger is asked: where that ends, so does the search."""
        return self._shown(await self._history.search(wanted))

    # --- as it is said

    def listen(self) -> Bell:
        """A bell for whoever asks: it rings when something was said, or has changed."""
        return self._history.listen()

    async def newest(self) -> int:
        """The last place in the ledger; 0 before the first."""
        return await self._history.newest()

    async def after(self, place: int, rooms: Collection[RoomId], limit: int) -> list[Happened]:
        """What has happened behind that place in these rooms, in order."""
        redactor = self._redacting()
        found = await self._history.after(place, rooms, limit)
        return [replace(each, said=_shown(each.said, redactor)) for each in found]

    # --- within

    async def _in_memory(self, room: RoomId, limit: int, before: int | None) -> Page | None:
        """None where the memory does not reach so far."""
        recent = await self._of(room)
        found = [said for said in recent.messages if before is None or said.position < before]
        if len(found) <= limit and not recent.is_all:
            return None
        shown = tuple(found[-limit:])
        return Page(messages=shown, before=shown[0].position if len(found) > limit else None)

    async def _of(self, room: RoomId) -> _Recent:
        recent = self._recent.pop(room, None)
        edition, redactor = self._history.edition(room), self._redacting()
        if recent is None or recent.edition != edition or recent.redactor is not redactor:
            page = self._shown(await self._history.latest(room, RECENT))
            size = sum(len(said.body) + _OF_A_MESSAGE for said in page.messages)
            recent = _Recent(edition, redactor, page.messages, page.before is None, size)
        self._recent[room] = recent
        while len(self._recent) > MOST_ROOMS or sum(each.size for each in self._recent.values()) > MOST_BYTES:
            self._recent.popitem(last=False)
        return recent

    async def _at_homeserver(self, room: RoomId, limit: int, cursor: int) -> Page:
        found = self._cursors.get(cursor)
        if found is None or found[0] != room:
            raise ExchangeRefused(
                "invalid", "This place in the history is not known any more: read on from the newest messages."
            )
        return await self._ask(room, limit, found[1])

    async def _ask(self, room: RoomId, limit: int, asked: Asked) -> Page:
        try:
            found = await self._homeserver.older(room, asked, most=limit, sealed=self._keeps(room, True))
        except MatrixError as error:
            raise ExchangeRefused(
                "unavailable", "The homeserver does not tell now what was said before that: try again later."
            ) from error
        before = None if found.before is None else self._cursor(room, found.before)
        return self._shown(Page(messages=tuple(said_in(found.events)), before=before))

    def _shown(self, page: Page) -> Page:
        """Without the secrets that somebody has typed: they were for the room, and not for whoever reads it later."""
        redactor = self._redacting()
        return replace(page, messages=tuple(_shown(said, redactor) for said in page.messages))

    def _cursor(self, room: RoomId, asked: Asked) -> int:
        """The number by which a caller names the place: the same one for as long as it is known."""
        for number, place in self._cursors.items():
            if place == (room, asked):
                self._cursors.move_to_end(number)
                return number
        self._next_cursor -= 1
        self._cursors[self._next_cursor] = (room, asked)
        if len(self._cursors) > MOST_CURSORS:
            self._cursors.popitem(last=False)
        return self._next_cursor


def _shown(said: Said, redactor: Redactor) -> Said:
    return replace(said, body=redactor(_as_meant(said)))


def _as_meant(said: Said) -> str:
    """What a program has written, without what daemons put there so that it rings nobody."""
    return as_written(said.body) if said.by_agent else said.body
