"""What is not answered in time ends."""

import asyncio
from dataclasses import replace

import pytest

from aiagentchat.core.exchange import Message, MessageState
from aiagentchat.core.ids import CallerName, MessageId, RoomId, UserId
from aiagentchat.core.meta import Address, Meta
from aiagentchat.exchange.expiry import GRACE_MS, LOOK_SECONDS, MOST_DAYS, Expiry, overdue
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, backend, ledger
from tests.contract.test_store_messages import accept, made, send_all, state_of
from tests.fakes.clock import FakeClock

__all__ = ["backend", "ledger"]
WEEK = MOST_DAYS * 86_400_000
AT = Message(
    meta=Meta(id=MessageId("m1"), to=Address(UserId("@them:example.org")), expires_at=NOW + 1000),
    room=RoomId("!a:b"),
    caller=CallerName("ci"),
    body="x",
    accepted_at=NOW,
)
SOMETIME = replace(AT, meta=replace(AT.meta, expires_at=None))


@pytest.mark.parametrize(
    ("message", "state", "now", "why"),
    [
        pytest.param(AT, "accepted", NOW + 1000, None, id="its moment"),
        pytest.param(AT, "accepted", NOW + 1001, "not in the room", id="not sent in time"),
        pytest.param(AT, "sent", NOW + 1001, None, id="a receipt may be on its way"),
        pytest.param(AT, "sent", NOW + 1001 + GRACE_MS, "Nobody took it up in time", id="not taken up in time"),
        pytest.param(AT, "delivered", NOW + 1001 + GRACE_MS, "Nobody took it up in time", id="not begun in time"),
        pytest.param(AT, "read", NOW + 1001 + GRACE_MS, None, id="begun in time"),
        pytest.param(AT, "read", NOW + WEEK + 1, "not answered", id="begun, and forgotten"),
        pytest.param(SOMETIME, "sent", NOW + WEEK, None, id="it may take its time"),
        pytest.param(SOMETIME, "sent", NOW + WEEK + 1, "Nobody took it up within 7 days", id="forgotten"),
    ],
)
def test_what_is_not_begun_in_time_is_over(message: Message, state: str, now: int, why: str | None) -> None:
    found = overdue(replace(message, state=MessageState(state)), now)

    assert (found is None) == (why is None)
    assert (why or "") in (found or "")


async def test_again_and_again_it_is_looked_for_what_is_over(ledger: Ledger) -> None:
    clock = FakeClock(NOW)
    late = await accept(ledger, made("m1", expires_at=NOW + 1000))
    patient = await accept(ledger, made("m2"))
    await send_all(ledger)

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(Expiry(ledger.messages, clock).run())
        assert await clock.pass_nap() == LOOK_SECONDS
        await clock.until_asleep()
        before = await state_of(ledger, late)
        clock.advance(GRACE_MS / 1000)
        await clock.until_asleep()
        serving.cancel()

    assert before is MessageState.SENT
    assert await state_of(ledger, late) is MessageState.EXPIRED
    assert await state_of(ledger, patient) is MessageState.SENT
