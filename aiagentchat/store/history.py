"""What was said, and its words. Functions for whoever has a transaction, and the port for whoever looks.

Erased words are taken out of the index at once, so that nothing finds them. In the file they stay until the parts of
the index in which they stand are merged (`forget_words`), and are then overwritten (`secure_delete`).
"""

import json
from collections.abc import Collection, Iterable, Sequence

from aiagentchat.core.exchange import Happened, Page, Said, Wanted
from aiagentchat.core.heard import Edited, Heard, Spoken, TakenBack
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.meta import META_KEY, Meta, read_meta, written
from aiagentchat.store.bell import Bells, EventBell
from aiagentchat.store.database import Database, Row, Transaction, Values
from aiagentchat.store.queries import statements

MOST_WORDS = 32
"""Words of a search; more are not looked for."""
MOST_CHARACTERS = 1000
"""Of a search."""
MOST = 1000
"""Messages of one answer."""
MERGE_PAGES = 64
"""Pages of the index that one transaction merges: a few milliseconds, fifty for the first of many."""
MOST_STEPS = 10_000

_END = 2**62
"""Behind every position."""
_MADE_PROGRESS = 2

_HISTORY = statements("history")


# --- what is written


async def keep(transaction: Transaction, heard: Sequence[Heard], now: int) -> None:
    """Write down what was heard, but for echoes."""
    spoken = [each for each in heard if isinstance(each, Spoken)]
    if spoken:
        [last] = await transaction.run(_HISTORY["last"])
        await transaction.run_many(_HISTORY["say"], [_values(each, now) for each in spoken])
        await transaction.run(_HISTORY["index_new"], after=last["position"])
    for edited in _last_edits(heard):
        await _edit(transaction, edited)
    for each in heard:
        if isinstance(each, TakenBack):
            await take_back(transaction, each.target, each.room)


async def take_back(transaction: Transaction, event: EventId, room: RoomId) -> None:
    """The message `event`, or the one that it has edited, says nothing any more."""
    await _empty(transaction, await transaction.run(_HISTORY["taken_back"], event=event, room=room))


async def erase_with_parcels(transaction: Transaction, room: RoomId) -> None:
    """Messages of ours say nothing any more where their parcels were erased."""
    await _empty(transaction, await transaction.run(_HISTORY["erased_with"], room=room))


async def forget(transaction: Transaction, before: int, most: int) -> int:
    """Remove rows that were heard before that moment; how many."""
    positions = _json(await transaction.run(_HISTORY["over"], before=before, most=most))
    if positions is None:
        return 0
    await transaction.run(_HISTORY["unindex"], positions=positions)
    await transaction.run(_HISTORY["forget"], positions=positions)
    await transaction.run(_HISTORY["mark_erased"])
    return len(json.loads(positions))


async def forget_words(database: Database) -> None:
    """Merge the index until no word of what was erased is in the file, a step at a time, so that others get on."""
    erasures = await database.run(_HISTORY["erasures"])
    if not erasures:
        return
    pages = -MERGE_PAGES
    for _ in range(MOST_STEPS):
        if await _merge(database, pages) < _MADE_PROGRESS:
            break
        pages = MERGE_PAGES
    await database.run(_HISTORY["all_gone"], times=erasures[0]["times"])


async def _merge(database: Database, pages: int) -> int:
    async def write(transaction: Transaction) -> int:
        [before] = await transaction.run(_HISTORY["changes"])
        await transaction.run(_HISTORY["merge"], pages=pages)
        [after] = await transaction.run(_HISTORY["changes"])
        return int(after["count"]) - int(before["count"])

    return await database.transact(write)


def _last_edits(heard: Iterable[Heard]) -> list[Edited]:
    """Of what somebody has edited several times, what it reads in the end."""
    last: dict[tuple[EventId, UserId], Edited] = {}
    for each in heard:
        if isinstance(each, Edited):
            before = last.get((each.target, each.sender))
            if before is None or before.sent_at <= each.sent_at:
                last[each.target, each.sender] = each
    return [*last.values()]


async def _edit(transaction: Transaction, edited: Edited) -> None:
    rows = await transaction.run(
        _HISTORY["to_edit"],
        target=edited.target,
        room=edited.room,
        sender=edited.sender,
        sent_at=edited.sent_at,
        event=edited.event,
        txn=edited.txn,
    )
    positions = _json(rows)
    if positions is None:
        return
    if rows[0]["is_erased"]:
        await _empty(transaction, rows)
        return
    await transaction.run(_HISTORY["unindex"], positions=positions)
    [taken] = await transaction.run(_HISTORY["take_place"])
    await transaction.run(
        _HISTORY["edit"],
        position=rows[0]["position"],
        body=edited.body,
        meta=_meta_text(edited.meta),
        sent_at=edited.sent_at,
        event=edited.event,
        place=taken["place"],
    )
    await transaction.run(_HISTORY["index_again"], positions=positions)


async def _empty(transaction: Transaction, rows: Sequence[Row]) -> None:
    positions = _json(rows)
    if positions is None:
        return
    await transaction.run(_HISTORY["unindex"], positions=positions)
    for row in rows:
        [taken] = await transaction.run(_HISTORY["take_place"])
        await transaction.run(_HISTORY["empty"], position=row["position"], place=taken["place"])
    await transaction.run(_HISTORY["index_again"], positions=positions)
    await transaction.run(_HISTORY["mark_erased"])


def _json(rows: Sequence[Row]) -> str | None:
    return json.dumps([row["position"] for row in rows]) if rows else None


def _values(spoken: Spoken, now: int) -> Values:
    said = spoken.said
    return {
        "event": said.event,
        "room": said.room,
        "sender": said.sender,
        "sent_at": said.sent_at,
        "kind": said.kind,
        "body": said.body,
        "thread": said.thread,
        "reply_to": said.reply_to,
        "meta": _meta_text(said.meta),
        "by_agent": int(said.by_agent),
        "txn": spoken.txn,
        "now": now,
    }


def _meta_text(meta: Meta | None) -> str | None:
    return None if meta is None else json.dumps(written(meta))


# --- what is read


class SqliteHistory:
    """`core.ports.history.History` on SQLite."""

    def __init__(self, database: Database, bells: Bells) -> None:
        self._database = database
        self._news = bells.history

    def listen(self) -> EventBell:
        """A bell for whoever asks."""
        return self._news.listen()

    def edition(self, room: RoomId) -> int:
        """Another number after each change."""
        return self._news.edition(room)

    async def latest(self, room: RoomId, limit: int, before: int | None = None) -> Page:
        """The last messages of the room."""
        most = _most(limit)
        rows = await self._database.run(_HISTORY["latest"], room=room, before=_number(before, _END), limit=most + 1)
        return _page(rows, most)

    async def search(self, wanted: Wanted) -> Page:
        """The last messages that are wanted."""
        most = _most(wanted.limit)
        values = {
            "rooms": json.dumps(sorted(wanted.rooms)),
            "sender": wanted.sender,
            "thread": wanted.thread,
            "kind": None if wanted.kind is None else wanted.kind.value,
            "since": _number(wanted.since, -_END),
            "until": _number(wanted.until, _END),
            "before": _number(wanted.before, _END),
            "limit": most + 1,
        }
        if not wanted.words.strip():
            return _page(await self._database.run(_HISTORY["search"], **values), most)
        words = match(wanted.words)
        if not words:
            return Page(messages=())
        return _page(await self._database.run(_HISTORY["search_words"], words=words, **values), most)

    async def get(self, event: EventId) -> Said | None:
        """The message."""
        rows = await self._database.run(_HISTORY["get"], event=event)
        return _said(rows[0]) if rows else None

    async def after(self, place: int, rooms: Collection[RoomId], limit: int) -> list[Happened]:
        """What has happened behind that place."""
        rows = await self._database.run(
            _HISTORY["after"],
            place=_number(place, 0),
            rooms=json.dumps(sorted(rooms)),
            limit=_most(limit),
        )
        return [Happened(place=row["place"], said=_said(row)) for row in rows]

    async def newest(self) -> int:
        """The last place."""
        [row] = await self._database.run(_HISTORY["newest"])
        return int(row["place"])


def match(words: str) -> str:
    """What FTS5 is asked: each word as a string of its own, so that nothing in it is syntax; empty: there is no word.

    A word without a letter or a digit is none to FTS5, which then finds nothing at all.
    """
    parts = words[:MOST_CHARACTERS].replace("\0", " ").split()
    found = [part for part in parts if any(map(str.isalnum, part))]
    return " ".join('"' + part.replace('"', '""') + '"' for part in found[:MOST_WORDS])


def _most(limit: int) -> int:
    return max(1, min(limit, MOST))


def _number(number: int | None, otherwise: int) -> int:
    """As SQLite can take it: whatever is beyond that is as good as the end."""
    return otherwise if number is None else max(-_END, min(number, _END))


def _page(rows: Sequence[Row], limit: int) -> Page:
    """Of rows that come the newest first, with one more than is shown if there is one."""
    shown = [_said(row) for row in rows[:limit]]
    return Page(messages=tuple(reversed(shown)), before=shown[-1].position if len(rows) > limit else None)


def _said(row: Row) -> Said:
    meta = None if row["meta"] is None else read_meta({META_KEY: json.loads(row["meta"])})
    return Said(
        position=row["position"],
        event=EventId(row["event_id"]),
        room=RoomId(row["room_id"]),
        sender=UserId(row["sender"]),
        sent_at=row["sent_at"],
        kind=row["kind"],
        body=row["body"],
        thread=None if row["thread"] is None else EventId(row["thread"]),
        reply_to=None if row["reply_to"] is None else EventId(row["reply_to"]),
        meta=meta if isinstance(meta, Meta) else None,
        by_agent=bool(row["by_agent"]),
        edited_at=row["edited_at"],
    )
