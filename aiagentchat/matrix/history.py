"""What stands in a gap: `/messages`, page by page, back from where the batch begins."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from nio.client.async_client import AsyncClient

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.ports.matrix import Gap, Missed
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

_FILTER = json.dumps({"types": TYPES}, separators=(",", ":"))


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
