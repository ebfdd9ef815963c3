"""/diff shows what the last turn changed, with nothing hidden; a long diff comes as a file, too."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.changes import Changed, LastChange
from aiagentchat.core.ids import EventId, txn_id
from aiagentchat.core.parcels import Parcel
from aiagentchat.render import changes
from aiagentchat.render.message import MAX_CONTENT_BYTES, content_size
from tests.fakes.front import Front, open_front
from tests.fakes.people import ROOM, command, typed

PATCH = "diff --git a/soup.md b/soup.md\n--- a/soup.md\n+++ b/soup.md\n@@ -1 +1 @@\n-salt\n+pepper\n"
CHANGED = Changed(files=1, added=1, removed=1, patch=PATCH)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        yield opened


async def keep(front: Front, changed: Changed, text: str = "season it") -> None:
    made = command(text)
    await front.running(made)
    now = front.clock.now_ms()
    await front.ledger.changes.keep(LastChange(room=ROOM, command=made.event, at=now, changed=changed))
    front.clock.advance(90)


async def told(front: Front) -> list[Parcel]:
    await front.hear(typed("/diff"))
    return await front.deliver()


async def diff(front: Front) -> str:
    [said] = await told(front)
    body: str = said.content["body"]
    return body


async def test_where_nothing_was_changed_there_is_nothing_to_show(front: Front) -> None:
    assert await diff(front) == changes.NOTHING_CHANGED


async def test_it_shows_lines_and_says_whose_they_are(front: Front) -> None:
    await keep(front, CHANGED)

    assert await diff(front) == (
        f"1 file changed (+1 −1) by the turn for `season it`, 1 min ago:\n\n```diff\n{PATCH.strip()}\n```"
    )


async def test_of_a_turn_that_is_not_known_any_more_the_lines_are_shown(front: Front) -> None:
    change = LastChange(room=ROOM, command=EventId("$gone"), at=front.clock.now_ms(), changed=CHANGED)
    await front.ledger.changes.keep(change)

    assert (await diff(front)).startswith("1 file changed (+1 −1) by the turn, 0 s ago:\n\n```diff\n")


async def test_lines_that_are_not_kept_any_more_are_not_shown(front: Front) -> None:
    await keep(front, replace(CHANGED, patch=""))

    assert (await diff(front)).endswith(f"1 min ago. {changes.PATCH_FORGOTTEN}")


async def test_what_hides_or_closes_the_fence_is_seen_as_it_is(front: Front) -> None:
    await keep(front, replace(CHANGED, patch="+\u202eevil\x1b[31m\n+```\n+@room\n"))

    shown = await diff(front)

    assert "+\\u202eevil\\u001b[31m\n+```\n" in shown
    assert shown.endswith("\n````")


async def test_a_long_one_is_a_beginning_and_a_file(front: Front) -> None:
    patch = "".join(f"+line {number:05}\n" for number in range(5_000))
    await keep(front, replace(CHANGED, patch=patch, cut=True))

    asks = typed("/diff")
    await front.hear(asks)
    attached = await front.ledger.outbox.attachment(txn_id(asks.event, "diff"))
    said, file = await front.deliver()

    assert attached is not None
    assert attached.data == patch.encode()
    body = said.content["body"]
    assert "+line 00000\n+line 00001\n" in body
    assert "+line 04999" not in body
    assert body.endswith(f"{changes.IN_THE_FILE} {changes.CUT}")
    assert content_size(said.content) < MAX_CONTENT_BYTES
    assert (file.content["msgtype"], file.content["filename"]) == ("m.file", "changes.diff")
    assert file.content["info"] == {"mimetype": "text/x-diff", "size": len(patch)}


async def test_in_a_thread_both_are_said_there(front: Front) -> None:
    await keep(front, replace(CHANGED, patch="".join(f"+line {number:05}\n" for number in range(5_000))))
    root = EventId("$root")
    await front.hear(typed("/diff", thread=root))

    assert [parcel.thread for parcel in await front.deliver()] == [root, root]


async def test_a_line_that_is_too_long_by_itself_is_cut(front: Front) -> None:
    await keep(front, replace(CHANGED, patch="\u202e" * 9_000))

    said, _ = await told(front)

    assert "\\u202e" * 100 in said.content["body"]
    assert content_size(said.content) < MAX_CONTENT_BYTES


def test_the_beginning_of_what_is_short_is_all_of_it() -> None:
    assert changes.beginning(PATCH) == PATCH
