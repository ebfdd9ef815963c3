"""Tasks are looked after by the clock, and by what the ledger says, so that a restart forgets nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand, MoveTask, OpenTask
from aiagentchat.core.ids import EventId, InstanceName, MessageId, TaskId, UserId
from aiagentchat.core.meta import Address
from aiagentchat.core.parcels import MESSAGE
from aiagentchat.core.tasks import QUIET_MS, Ours, Task, TaskState, Word, armed
from aiagentchat.exchange.reminders import LEAST_NAP, LONGEST_NAP, Reminders
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, command, settle, waiting_texts
from tests.contract.store_fixtures import ROOM as KITCHEN
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger

MINUTE = 60_000
ANNA = UserId("@anna:hs")
GIVER = Address(UserId("@ada:hs"), InstanceName("desk"))
TAKER = Address(UserId("@bot:hs"), InstanceName("workshop"))


class Service:
    """The service on a ledger, and the time that it goes by."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = FakeClock()
        self.reminders = Reminders(tasks=ledger.tasks, clock=self.clock)

    def task(self, name: str = "t1", **more: object) -> Task:
        now = self.clock.now_ms()
        made = Task(
            id=TaskId(name),
            room=KITCHEN,
            thread=EventId("$root"),
            title="Tidy up",
            by=GIVER,
            to=TAKER,
            ours=Ours.GIVEN,
            created_at=now,
            changed_at=now,
            message=MessageId(name),
        )
        return armed(replace(made, **more))  # type: ignore[arg-type]

    async def give(self, *tasks: Task) -> None:
        await self.ledger.tasks.change([OpenTask(each) for each in tasks], self.clock.now_ms())

    async def take(self, task: Task, event: str = "$a") -> None:
        """A command is to do it; its thread was told so."""
        made = replace(command(event), thread=task.thread)
        await settle(self.ledger, AcceptCommand(made, of_thread=True, task=task), event=event)
        await waiting_texts(self.ledger)

    async def later(self, milliseconds: int) -> tuple[float, list[str]]:
        """So much later: for how long nothing is to be done then, and what was said."""
        self.clock.advance(milliseconds / 1000)
        nap, said = await self.reminders.round(), []
        while (claimed := await self.ledger.outbox.claim(NOW, device="D")) is not None:
            await self.ledger.outbox.sent(claimed.parcel.txn, EventId(f"$sent-{claimed.parcel.txn}"), NOW)
            said += [claimed.parcel.content["body"]] if claimed.parcel.type == MESSAGE else []
        return nap, said


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Service(ledger)


async def test_without_tasks_it_sleeps_for_long(service: Service) -> None:
    assert await service.later(0) == (LONGEST_NAP, [])


async def test_it_sleeps_until_something_is_due_but_not_for_too_long_nor_too_short(service: Service) -> None:
    await service.give(service.task(deadline=service.clock.now_ms() + 4 * MINUTE))

    assert (await service.later(0))[0] == LONGEST_NAP
    assert (await service.later(3 * MINUTE - 20_000))[0] == 20.0
    assert (await service.later(19_999))[0] == LEAST_NAP


async def test_it_reminds_once_before_the_deadline_and_once_after_it(service: Service) -> None:
    await service.give(service.task(deadline=service.clock.now_ms() + 40 * MINUTE))
    said = [text for _ in range(60) for text in (await service.later(MINUTE))[1]]

    assert ["is due" in text or "was due" in text for text in said] == [True, True]
    assert "(in 10 min)" in said[0]


async def test_it_breaks_a_silence_once_and_the_next_one_again(service: Service) -> None:
    await service.give(service.task())
    _, first = await service.later(QUIET_MS)
    _, second = await service.later(QUIET_MS)
    word = Word(state=TaskState.WORKING, at=service.clock.now_ms(), by=TAKER)
    await service.ledger.tasks.change([MoveTask(room=KITCHEN, task=TaskId("t1"), word=word)], 0)
    _, third = await service.later(QUIET_MS)

    assert ["Nothing was heard" in text for text in (*first, *second, *third)] == [True, True]
    assert (len(first), len(second), len(third)) == (1, 0, 1)


async def test_a_restart_neither_forgets_nor_repeats(service: Service) -> None:
    await service.give(service.task())
    _, first = await service.later(QUIET_MS)
    service.reminders = Reminders(tasks=service.ledger.tasks, clock=service.clock)

    assert len(first) == 1
    assert await service.later(MINUTE) == (LONGEST_NAP, [])


async def test_what_moved_since_it_was_noted_is_looked_at_again_later(service: Service) -> None:
    stale = replace(service.task(), remind_at=service.clock.now_ms())
    await service.give(stale)

    assert await service.later(0) == (LONGEST_NAP, [])
    assert await service.ledger.tasks.next_due() == service.clock.now_ms() + QUIET_MS


async def test_the_person_who_gave_it_is_rung(service: Service) -> None:
    await service.take(service.task(ours=Ours.TAKEN, by=Address(ANNA)))
    await service.ledger.commands.start(EventId("$a"), service.clock.now_ms())
    service.clock.advance(QUIET_MS / 1000 + 1)
    await service.reminders.round()
    claimed = await service.ledger.outbox.claim(service.clock.now_ms(), device="D")

    assert claimed is not None
    assert claimed.parcel.content["m.mentions"] == {"user_ids": [ANNA]}


async def test_what_was_not_begun_by_its_deadline_is_ended(service: Service) -> None:
    await service.take(service.task(ours=Ours.TAKEN, deadline=service.clock.now_ms() + MINUTE))
    _, early = await service.later(MINUTE - 1)
    _, said = await service.later(1)
    found = await service.ledger.commands.get(EventId("$a"))

    assert early == []
    assert said[0].startswith("⌛ expired: it was to be begun by")
    assert found is not None
    assert found.state is CommandState.CANCELLED
    assert await service.later(MINUTE) == (LONGEST_NAP, [])


async def test_what_was_begun_in_time_is_left_alone(service: Service) -> None:
    await service.take(service.task(ours=Ours.TAKEN, deadline=service.clock.now_ms() + MINUTE))
    await service.ledger.commands.start(EventId("$a"), service.clock.now_ms())

    assert (await service.later(2 * MINUTE))[1] == []


async def test_it_looks_again_when_something_was_given(service: Service) -> None:
    await service.give(service.task())
    naps: list[float] = []

    async def wait(timeout: float) -> bool:
        naps.append(timeout)
        raise asyncio.CancelledError

    service.ledger.tasks.bell.wait = wait  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await service.reminders.run()

    assert naps == [LONGEST_NAP]


async def test_what_somebody_else_looked_after_meanwhile_is_left_alone(service: Service) -> None:
    now = service.clock.now_ms()
    stale = [
        service.task(ours=Ours.TAKEN, deadline=now),
        service.task("t2", changed_at=now - QUIET_MS),
    ]

    async def due(_: int, __: int) -> list[Task]:
        return stale

    service.ledger.tasks.due = due  # type: ignore[method-assign, assignment]

    assert await service.later(0) == (LONGEST_NAP, [])
