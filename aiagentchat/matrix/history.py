"""What was said before: `/messages`, page by page. What stands in a gap, back from where the batch begins; and what
somebody wants to read that we have not kept."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from urllib.parse import quote

from nio.client.async_client import AsyncClient

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.ports.matrix import Asked, Before, Gap, Missed, Older
from aiagentchat.matrix.events import TYPES, Reads, Step, read, said_to_us, sent_at
from aiagentchat.matrix.reading import Breath, get, listed, tell_sealed

PAGE = 100
"""Events that one request asks for."""
PAGE_SECONDS = 30.0
"""How long one page may take."""
GAP_SECONDS = 120.0
"""How long all of them may take."""
MOST_PAGES = 200
"""A homeserver may answer with pages that hold less than was asked for, or nothing; it may not do so for ever."""

OLDER_PAGES = 5
"""Requests for what is only looked at: a page may hold nothing that can be read."""

Meets = Callable[[RoomId, Sequence[object]], Awaitable[None]]
"""Told of events that are read next: whose they are can be asked before."""

_FILTER = json.dumps({"types": TYPES}, separators=(",", ":"))
_MESSAGES = json.dumps({"types": ("m.room.message", "m.room.encrypted")}, separators=(",", ":"))


async def missed(
    client: AsyncClient,
    me: UserId,
    gap: Gap,
    *,
    since: str | None,
    oldest: int,
    most: int,
    reads: Reads = read,
) -> Missed:
    """What was said in the gap, as the `Homeserver` port has it."""
    steps: list[Step] = []
    breath, whole, aged, read_pages = Breath(), True, False, 0
    try:
        async with asyncio.timeout(GAP_SECONDS), aclosing(_pages(client, gap, since)) as pages:
            async for page in pages:
                young = [source for source in page if not 0 < sent_at(source) < oldest]
                fitting = young[: most - len(steps)]
                read_pages += 1
                # Of more pages than this only those count that gave something: else it is no answer.
                whole = len(fitting) == len(young) and not (steps and read_pages == MOST_PAGES)
                aged = aged or len(young) < len(page)
                for source in fitting:
                    steps.append(reads(gap.room, source, me))
                    await breath.take()
                # Clocks do not end what our own token ends: a page of wrong ones may stand before what we miss.
                if not whole or (since is None and page and not young):
                    break
    except TimeoutError as problem:
        raise Unreachable(f"history of {gap.room}: not read within {GAP_SECONDS:.0f} s") from problem
    tell_sealed(gap.room, steps)
    # What was said before we came is nothing that we miss.
    came = any(step.cuts for step in steps)
    return Missed(events=said_to_us(reversed(steps)), whole=whole or came, aged=aged and not came)


async def _nobody(_: RoomId, __: Sequence[object]) -> None:
    """Of what is not encrypted nothing has to be known."""


async def older(
    client: AsyncClient,
    me: UserId,
    room: RoomId,
    asked: Asked,
    *,
    most: int,
    reads: Reads = read,
    meets: Meets = _nobody,
) -> Older:
    """What was said before that, as the `Homeserver` port has it. `meets` is told each page before it is read."""
    what, path = f"history of {room}", f"/rooms/{quote(room, safe='')}"
    at = asked if not isinstance(asked, Before) else await _place_of(client, room, asked.event)
    steps: list[Step] = []
    breath = Breath()
    for _ in range(OLDER_PAGES):
        query = {"dir": "b", "limit": str(most - len(steps)), "filter": _MESSAGES} | (
            {} if at is None else {"from": at}
        )
        answer = await get(client, what, f"{path}/messages", query, within=PAGE_SECONDS)
        await meets(room, listed(answer.body.get("chunk")))
        for source in listed(answer.body.get("chunk")):
            found = [reads(room, each, me) for each in (_last_edit(source), source) if each is not None]
            steps += [step for step in found if step.told is not None]
            await breath.take()
        end = answer.body.get("end")
        at = end if isinstance(end, str) and end != at else None
        if at is None or len(steps) >= most:
            break
    told = tuple(step.told for step in reversed(steps) if step.told is not None)
    return Older(events=told, before=at)


async def _place_of(client: AsyncClient, room: RoomId, event: EventId) -> str:
    """The token of the place before an event."""
    path = f"/rooms/{quote(room, safe='')}/context/{quote(event, safe='')}"
    answer = await get(client, f"history of {room}", path, {"limit": "0"}, within=PAGE_SECONDS)
    start = answer.body.get("start")
    if not isinstance(start, str):
        raise Unreachable(f"history of {room}: an answer without a token")
    return start


def _last_edit(source: object) -> object:
    """The edit that an event reads as by now: the homeserver tells it with the event."""
    match source:
        case {"unsigned": {"m.relations": {"m.replace": edit}}}:
            return edit
        case _:
            return None


async def _pages(client: AsyncClient, gap: Gap, since: str | None) -> AsyncGenerator[list[object], None]:
    """What stands between `since` and the gap's end, the newest first."""
    what, path = f"history of {gap.room}", f"/rooms/{quote(gap.room, safe='')}/messages"
    query = {"dir": "b", "limit": str(PAGE), "filter": _FILTER, **({"to": since} if since is not None else {})}
    at = gap.before
    for _ in range(MOST_PAGES):
        answer = await get(client, what, path, {**query, "from": at}, within=PAGE_SECONDS)
        page = listed(answer.body.get("chunk"))
        yield page
        end = answer.body.get("end")
        if not isinstance(end, str) or end == at:
            return
        at = end
    raise Unreachable(f"{what}: no end after {MOST_PAGES} pages")
