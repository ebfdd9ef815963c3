"""Files that callers send: decoded, bounded, and put into the outbox of a room that they may send to."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.exchange import EVERYTHING, Caller, Scope
from aiagentchat.core.files import MOST_UNSENT
from aiagentchat.core.ids import CallerName
from aiagentchat.core.parcels import Attachment
from aiagentchat.exchange.filing import MIB, Filing
from aiagentchat.render.file_message import file_message
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import DEVICE, NOW, ROOM
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.pictures import png

CALLER = Caller(name=CallerName("script"), scopes={ROOM: EVERYTHING})


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with fresh_ledger(tmp_path / "ledger.db") as opened:
        yield opened


async def sent(ledger: Ledger, content: str, caller: Caller = CALLER, **given: str) -> tuple[str, bool]:
    filing = Filing(ledger.outbox, FakeClock(NOW), lambda: 1)
    told = await filing(caller, ROOM, {"name": "plot.png", "content": content, **given})
    return told.text, told.failed


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


async def test_a_file_goes_into_the_outbox_with_its_name_and_caption(ledger: Ledger) -> None:
    told, failed = await sent(ledger, coded(png()), caption="The *plot*", name="../../out/plot.png")

    assert not failed
    assert "on its way" in told
    attempt = await ledger.outbox.claim(NOW, device=DEVICE)
    assert attempt is not None
    assert attempt.parcel.content == file_message("plot.png", png(), "The *plot*")
    assert attempt.parcel.room == ROOM
    assert await ledger.outbox.attachment(attempt.parcel.txn) == Attachment(png())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("not base64!", "no base64"),
        ("é", "no base64"),
        ("", "empty"),
        (coded(bytes(MIB + 1)), "may have"),
    ],
    ids=["no code", "no ascii", "empty", "large"],
)
async def test_what_is_no_file_is_not_sent(ledger: Ledger, content: str, told: str) -> None:
    text, failed = await sent(ledger, content)

    assert failed
    assert told in text
    assert await ledger.outbox.claim(NOW, device=DEVICE) is None


async def test_whoever_may_not_send_sends_no_files(ledger: Ledger) -> None:
    reader = Caller(name=CallerName("reader"), scopes={ROOM: frozenset({Scope.READ})})
    text, failed = await sent(ledger, coded(b"hello"), reader)

    assert failed
    assert "may not" in text


async def test_files_do_not_pile_up_while_the_homeserver_is_away(ledger: Ledger) -> None:
    whole = coded(bytes(MIB))
    outcomes = [(await sent(ledger, whole))[1] for _ in range(MOST_UNSENT + 1)]

    assert outcomes == [False] * MOST_UNSENT + [True]
