"""The inbox: nothing lost, nothing taken twice, effects and mark together."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.approvals import Approval, ApprovalState
from aiagentchat.core.commands import CommandState
from aiagentchat.core.effects import AcceptCommand, CountRefusal, DecideApproval, Effect, NewSession, PutParcel
from aiagentchat.core.ids import ApprovalId, CallerName, EventId, InstanceName, MessageId, TxnId
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.meta import Address, Meta, MetaKind, NoMeta, Read
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import (
    ANNA,
    BERT,
    NOW,
    OTHER_ROOM,
    OTHER_SESSION,
    ROOM,
    SESSION,
    OpenLedger,
    accept,
    command,
    incoming,
    parcel,
    settle,
    state_of,
    stop,
)

FULL = Incoming(
    event=EventId("$full"),
    room=OTHER_ROOM,
    sender=BERT,
    sent_at=NOW - 5,
    kind=Kind.REACTION,
    body="👍\n\0 it's",
    target=EventId("$target"),
    mentions=frozenset({ANNA, BERT}),
)


async def test_an_event_comes_back_as_it_was_taken_in(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t1", [FULL], NOW)

    assert await ledger.inbox.unrouted(10) == [FULL]


BY_AGENT = Incoming(
    event=EventId("$agent"),
    room=ROOM,
    sender=BERT,
    sent_at=NOW,
    kind=Kind.TEXT,
    meta=Meta(id=MessageId("m1"), kind=MetaKind.TASK, to=Address(ANNA, InstanceName("attic")), budget=0, hop=2),
    by_agent=True,
)
BY_CALLER = replace(BY_AGENT, event=EventId("~m1"), by_agent=False, caller=CallerName("ci"), txn=TxnId("t1"))


@pytest.mark.parametrize("meta", [BY_AGENT.meta, NoMeta(), NoMeta("hop has the wrong shape")])
async def test_what_an_agent_says_comes_back_as_it_was_taken_in(ledger: Ledger, meta: Read) -> None:
    said = replace(BY_AGENT, meta=meta)
    await ledger.inbox.take_in("t1", [said], NOW)

    assert await ledger.inbox.unrouted(10) == [said]


async def test_what_a_caller_has_sent_is_no_work_before_it_is_in_its_room_and_holds_up_nobody(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t1", [BY_CALLER, incoming("$a")], NOW)

    assert [event.event for event in await ledger.inbox.unrouted(10)] == ["$a"]
    assert await ledger.inbox.get(BY_CALLER.event) == BY_CALLER


async def test_an_event_of_ours_that_comes_by_sync_waits_for_no_parcel(ledger: Ledger) -> None:
    came = replace(BY_CALLER, caller=None)
    await ledger.inbox.take_in("t1", [came], NOW)

    assert await ledger.inbox.unrouted(10) == [replace(came, txn=None)]


async def test_there_is_no_token_before_the_first_sync(ledger: Ledger) -> None:
    assert await ledger.inbox.token() is None


async def test_the_token_moves_on_without_new_events(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t1", [], NOW)
    await ledger.inbox.take_in("t2", [], NOW)

    assert await ledger.inbox.token() == "t2"


async def test_events_and_token_outlive_the_process(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as first:
        await first.inbox.take_in("t1", [incoming("$a")], NOW)

    async with backend(tmp_path / "ledger.db") as second:
        assert await second.inbox.token() == "t1"
        assert await second.inbox.unrouted(10) == [incoming("$a")]


async def test_a_replayed_event_counts_once_and_keeps_its_first_text(ledger: Ledger) -> None:
    assert await ledger.inbox.take_in("t1", [incoming("$a", "first")], NOW) == 1
    assert await ledger.inbox.take_in("t2", [incoming("$a", "again"), incoming("$b"), incoming("$b")], NOW) == 1

    assert [event.body for event in await ledger.inbox.unrouted(10)] == ["first", "hello"]
    assert await ledger.inbox.token() == "t2"


async def test_the_oldest_events_come_first_whatever_their_clock_says(ledger: Ledger) -> None:
    late = replace(incoming("$late"), sent_at=NOW + 99)
    await ledger.inbox.take_in("t1", [late, incoming("$early"), incoming("$third")], NOW)

    assert [event.event for event in await ledger.inbox.unrouted(2)] == ["$late", "$early"]


async def test_half_a_surrogate_pair_does_not_stop_the_others(ledger: Ledger) -> None:
    broken = replace(incoming("$broken", "a\ud83db"), target=EventId("\udc00"))
    await ledger.inbox.take_in("t1", [broken, incoming("$sound")], NOW)

    assert [event.body for event in await ledger.inbox.unrouted(10)] == ["a?b", "hello"]


async def test_a_settled_event_is_not_offered_again(ledger: Ledger) -> None:
    assert await settle(ledger, event="$a")

    assert await ledger.inbox.unrouted(10) == []


async def test_a_second_settling_applies_nothing(ledger: Ledger) -> None:
    await settle(ledger, event="$a")

    assert not await ledger.inbox.settle(EventId("$a"), [AcceptCommand(command("$a")), PutParcel(parcel("p"))], NOW)
    assert await ledger.commands.get(EventId("$a")) is None
    assert await ledger.outbox.unsent() == 0


async def test_an_event_that_never_came_cannot_be_settled(ledger: Ledger) -> None:
    assert not await ledger.inbox.settle(EventId("$never"), [PutParcel(parcel("p"))], NOW)
    assert await ledger.outbox.unsent() == 0


async def test_an_effect_that_fails_takes_the_others_and_the_mark_with_it(ledger: Ledger) -> None:
    class Strange:
        """An effect that nobody knows."""

    effects: list[Effect] = [PutParcel(parcel("p")), Strange()]  # type: ignore[list-item]
    await ledger.inbox.take_in("t1", [incoming("$a")], NOW)

    with pytest.raises(AssertionError):
        await ledger.inbox.settle(EventId("$a"), effects, NOW)
    assert await ledger.outbox.unsent() == 0
    assert await ledger.inbox.unrouted(10) == [incoming("$a")]


async def test_a_command_is_queued_once(ledger: Ledger) -> None:
    await accept(ledger, command("$a"))
    await settle(ledger, AcceptCommand(replace(command("$a"), text="other")), event="$echo")

    assert await ledger.commands.queue(ROOM) == [command("$a")]


async def test_a_command_is_born_queued_or_rejected_and_nothing_else(ledger: Ledger) -> None:
    await accept(ledger, replace(command("$no"), state=CommandState.REJECTED))
    await accept(ledger, replace(command("$odd", OTHER_ROOM), state=CommandState.RUNNING))

    assert await state_of(ledger, EventId("$no")) is CommandState.REJECTED
    assert await ledger.commands.get(EventId("$odd")) is None
    assert await ledger.sessions.current(OTHER_ROOM) is None


async def test_the_first_command_of_a_room_brings_it_into_its_session(ledger: Ledger) -> None:
    await accept(ledger, command("$a", session=SESSION), command("$b", session=OTHER_SESSION))

    assert await ledger.sessions.current(ROOM) == SESSION
    assert await ledger.sessions.current(OTHER_ROOM) is None


async def test_a_new_session_is_for_what_is_accepted_later(ledger: Ledger) -> None:
    await accept(ledger, command("$a"))
    await settle(ledger, NewSession(ROOM, OTHER_SESSION))

    assert await ledger.sessions.current(ROOM) == OTHER_SESSION
    assert [queued.session for queued in await ledger.commands.queue(ROOM)] == [SESSION]


async def test_a_room_may_have_a_new_session_before_its_first_command(ledger: Ledger) -> None:
    await settle(ledger, NewSession(ROOM, OTHER_SESSION))
    await accept(ledger, command("$a", session=SESSION))

    assert await ledger.sessions.current(ROOM) == OTHER_SESSION


async def test_refusals_are_counted_for_each_room_and_day(ledger: Ledger) -> None:
    await settle(ledger, CountRefusal(ROOM, "2026-01-01"), CountRefusal(ROOM, "2026-01-01"), event="$a")
    await settle(ledger, CountRefusal(ROOM, "2026-01-02"), event="$b")

    assert await ledger.rooms.refusals(ROOM, "2026-01-01") == 2
    assert await ledger.rooms.refusals(ROOM, "2026-01-02") == 1
    assert await ledger.rooms.refusals(OTHER_ROOM, "2026-01-01") == 0


async def test_new_events_ring_the_inbox(ledger: Ledger) -> None:
    await ledger.inbox.take_in("t1", [], NOW)
    assert not await ledger.inbox.bell.wait(0)

    await ledger.inbox.take_in("t2", [incoming("$a")], NOW)
    assert await ledger.inbox.bell.wait(0)


async def test_an_accepted_command_rings_the_commands(ledger: Ledger) -> None:
    await settle(ledger, NewSession(ROOM, SESSION), event="$a")
    assert not await ledger.commands.bell.wait(0)

    await accept(ledger, command("$b"))
    assert await ledger.commands.bell.wait(0)
    assert not await ledger.outbox.bell.wait(0)


async def test_a_stop_rings_the_commands(ledger: Ledger) -> None:
    await stop(ledger, EventId("$a"))

    assert await ledger.commands.bell.wait(0)


async def test_a_decision_rings_the_commands(ledger: Ledger) -> None:
    asked = Approval(id=ApprovalId("a"), room=ROOM, command=EventId("$c"), tool="Bash", expires_at=NOW)
    await ledger.approvals.ask(asked, [], NOW)
    await settle(ledger, DecideApproval(approval=asked.id, state=ApprovalState.ALLOWED, by=ANNA))

    assert await ledger.commands.bell.wait(0)


async def test_a_parcel_from_routing_rings_the_outbox(ledger: Ledger) -> None:
    await settle(ledger, PutParcel(parcel("p")))

    assert await ledger.outbox.bell.wait(0)
    assert not await ledger.commands.bell.wait(0)


async def test_a_room_with_a_backlog_does_not_hold_up_the_others(ledger: Ledger) -> None:
    backlog = [incoming(f"$busy{number}") for number in range(20)]
    await ledger.inbox.take_in("t1", [*backlog, replace(incoming("$quiet"), room=OTHER_ROOM)], NOW)

    offered = [event.event for event in await ledger.inbox.unrouted(3)]

    assert offered == ["$busy0", "$quiet", "$busy1"]


async def test_a_room_alone_is_offered_in_its_order(ledger: Ledger) -> None:
    backlog = [incoming(f"$busy{number}") for number in range(20)]
    await ledger.inbox.take_in("t1", backlog, NOW)
    routed = []

    while events := await ledger.inbox.unrouted(100):
        for event in events:
            routed.append(event.event)
            await ledger.inbox.settle(event.event, [], NOW)

    assert routed == [event.event for event in backlog]
