"""The files of parcels: written with them, handed out alone, and gone when they are over."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.effects import AcceptCommand, ForgetAnswer, PutParcel
from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.store.ledger import Ledger
from aiagentchat.store.maintenance import look_through
from tests.contract.store_fixtures import ANNA, DEVICE, NOW, OpenLedger, command, parcel, settle

TXN = TxnId("p1")
FILE = Attachment(b"\0 confidential \xff" * 1000, b"small")
ASKED = EventId("$a")
WITH_FILE = replace(parcel("p1", "look"), attachment=FILE, command=ASKED)


async def test_a_parcel_is_claimed_without_its_file_which_is_handed_out_alone(ledger: Ledger) -> None:
    await ledger.outbox.put([WITH_FILE, parcel("p2")], NOW)
    claimed = await ledger.outbox.claim(NOW, device=DEVICE)

    assert claimed is not None
    assert (claimed.parcel, claimed.attached) == (replace(WITH_FILE, attachment=None), True)
    assert await ledger.outbox.attachment(TXN) == FILE
    assert await ledger.outbox.attachment(TxnId("p2")) is None


async def test_a_parcel_without_file_says_so(ledger: Ledger) -> None:
    await ledger.outbox.put([parcel("p1")], NOW)
    claimed = await ledger.outbox.claim(NOW, device=DEVICE)

    assert claimed is not None
    assert not claimed.attached


async def test_a_known_txn_keeps_its_file(ledger: Ledger) -> None:
    await ledger.outbox.put([WITH_FILE], NOW)
    await ledger.outbox.put([replace(WITH_FILE, attachment=Attachment(b"another"))], NOW)

    assert await ledger.outbox.attachment(TXN) == FILE


async def test_what_routing_says_may_have_a_file(ledger: Ledger) -> None:
    await settle(ledger, PutParcel(WITH_FILE))

    assert await ledger.outbox.attachment(TXN) == FILE


@pytest.mark.parametrize("ways", ["sent", "given_up"])
async def test_a_file_is_gone_when_its_parcel_is_over(ledger: Ledger, tmp_path: Path, ways: str) -> None:
    await ledger.outbox.put([WITH_FILE], NOW)
    await ledger.outbox.claim(NOW, device=DEVICE)
    if ways == "sent":
        await ledger.outbox.sent(TXN, EventId("$sent"), NOW)
    else:
        await ledger.outbox.give_up(TXN, "no", NOW)

    assert await ledger.outbox.attachment(TXN) is None
    assert await _gone(ledger, tmp_path)


async def test_a_file_that_nobody_has_seen_is_gone_when_its_answer_is_forgotten(ledger: Ledger, tmp_path: Path) -> None:
    await settle(ledger, AcceptCommand(command(ASKED)), event=ASKED)
    await ledger.outbox.put([WITH_FILE], NOW)
    await settle(ledger, ForgetAnswer(ASKED, ANNA))

    assert await ledger.outbox.attachment(TXN) is None
    assert await _gone(ledger, tmp_path)


async def test_a_file_stays_while_it_may_have_to_be_sent_again(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.outbox.put([WITH_FILE], NOW)
        await first.outbox.claim(NOW, device=DEVICE)
        await first.outbox.postpone(TXN, NOW)
        await first.outbox.claim(NOW, device=DEVICE)

    async with backend(tmp_path / "ledger.db") as second:
        await second.outbox.release_claims()
        assert await second.outbox.attachment(TXN) == FILE
    assert look_through(tmp_path / "ledger.db") == []


async def test_a_row_that_is_pruned_takes_its_file_along(ledger: Ledger) -> None:
    sent: Parcel = replace(WITH_FILE, command=None)
    await ledger.outbox.put([sent], NOW)
    await ledger.outbox.sent(TXN, EventId("$sent"), NOW)
    await ledger.housekeeping.prune(NOW + 1)
    await ledger.outbox.put([sent], NOW)

    assert await ledger.outbox.attachment(TXN) == FILE


async def _gone(ledger: Ledger, folder: Path) -> bool:
    await ledger.housekeeping.checkpoint()
    return not _found(folder)


def _found(folder: Path) -> bool:
    return any(b"confidential" in file.read_bytes() for file in folder.glob("ledger.db*"))
