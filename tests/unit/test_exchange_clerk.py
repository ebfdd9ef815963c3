"""The clerk, where the contract suite does not look: limits, ways, waiting."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import EVERYTHING, Caller, MessageState, Outgoing, Scope, Wanted
from aiagentchat.core.ids import CallerName, InstanceName, RoomId, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import Address, MetaKind, Step
from aiagentchat.exchange import clerk
from tests.contract.clerk_world import US, ClerkWorld, clerk_world

ALL = Caller(name=CallerName("script"), everywhere=EVERYTHING)
TALKER = Caller(name=CallerName("talker"), everywhere=frozenset({Scope.READ, Scope.SEND}))
THEM = Address(UserId("@them:example.org"))


@pytest.fixture
async def world() -> AsyncIterator[ClerkWorld]:
    async with clerk_world() as opened:
        assert isinstance(opened, ClerkWorld)
        yield opened


async def test_a_turn_here_needs_the_scope_for_it(world: ClerkWorld) -> None:
    room = await world.room("ours")

    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(TALKER, Outgoing(room=room, body="Work.", to=US))
    sent = await world.exchange.send(ALL, Outgoing(room=room, body="Work.", to=US))
    await world.send_all()
    [begun] = await world.ledger.inbox.unrouted(10)

    assert refused.value.code == "not_allowed"
    assert (begun.event, begun.caller, begun.body) == (f"${sent.meta.id}" and begun.event, "script", "Work.")
    assert begun.meta == sent.meta


async def test_others_and_nobody_are_spoken_to_without_it(world: ClerkWorld) -> None:
    room = await world.room("ours")

    for wish in (Outgoing(room=room, body="x", to=THEM), Outgoing(room=room, body="x")):
        assert (await world.exchange.send(TALKER, wish)).state is MessageState.ACCEPTED
    await world.send_all()

    assert await world.ledger.inbox.unrouted(10) == []


async def test_an_instance_that_this_account_does_not_have_is_not_spoken_to(world: ClerkWorld) -> None:
    room = await world.room("ours")
    laptop = Address(US.user, InstanceName("laptop"))

    with pytest.raises(ExchangeRefused, match="laptop") as refused:
        await world.exchange.send(ALL, Outgoing(room=room, body="x", to=laptop))
    world.directory.register_session(InstanceName("laptop"))
    sent = await world.exchange.send(ALL, Outgoing(room=room, body="x", to=laptop))

    assert refused.value.code == "unknown"
    assert sent.meta.to == laptop


async def test_a_session_of_ours_is_asked_and_answers(world: ClerkWorld) -> None:
    room = await world.room("ours")
    laptop = Address(US.user, InstanceName("laptop"))
    session = replace(TALKER, instance=laptop.instance)
    world.directory.register_session(InstanceName("laptop"))
    asked = await world.exchange.send(TALKER, Outgoing(room=room, body="Tea?", kind=MetaKind.QUESTION, to=laptop))
    await world.send_all()
    [waits] = await world.ledger.inbox.unrouted(10)

    answer = Outgoing(room=room, body="Yes.", kind=MetaKind.ANSWER, in_reply_to=asked.id)
    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(TALKER, answer)
    await world.exchange.send(session, answer)
    await world.send_all()
    found = await world.exchange.status(TALKER, asked.id)

    assert (waits.caller, waits.is_for(US.user)) == ("talker", True)
    assert refused.value.code == "not_allowed"
    assert (found.state, found.answer) == (MessageState.ANSWERED, "Yes.")


async def test_in_a_halted_room_nothing_is_asked_of_agents_and_people_are_told(world: ClerkWorld) -> None:
    room = await world.room("ours")
    world.halted[room] = "Agents have talked enough here."

    for to in (US, THEM):
        with pytest.raises(ExchangeRefused, match="talked enough") as refused:
            await world.exchange.send(ALL, Outgoing(room=room, body="x", to=to))
        assert refused.value.code == "halted"
    sent = await world.exchange.send(ALL, Outgoing(room=room, body="x", kind=MetaKind.STATUS, to=THEM))
    [view] = await world.exchange.rooms(ALL)

    assert sent.state is MessageState.ACCEPTED
    assert view.halted == "Agents have talked enough here."


async def test_a_key_is_good_when_its_message_would_not_be_accepted_any_more(world: ClerkWorld) -> None:
    room = await world.room("ours")
    wish = Outgoing(room=room, body="x", to=THEM, expires_at=world.now_ms() + 1000)
    first = await world.exchange.send(ALL, wish, key="k")
    world.clock.advance(10)
    world.halted[room] = "Halted."

    again = await world.exchange.send(ALL, wish, key="k")

    assert again == first


async def test_open_messages_are_bounded_in_a_room_and_in_all(
    world: ClerkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerk, "MOST_OPEN_IN_ROOM", 2)
    monkeypatch.setattr(clerk, "MOST_OPEN", 3)
    rooms = [await world.room(name) for name in ("one", "two", "three")]

    async def send(room: RoomId, caller: Caller = ALL) -> str:
        try:
            await world.exchange.send(caller, Outgoing(room=room, body="x", to=THEM))
        except ExchangeRefused as refused:
            return refused.code
        return "accepted"

    codes = [await send(room) for room in (rooms[0], rooms[0], rooms[0], rooms[1], rooms[2])]
    other = await send(rooms[0], TALKER)

    assert codes == ["accepted", "accepted", "full", "accepted", "full"]
    assert other == "accepted"


async def test_what_comes_at_once_is_bounded_as_well(world: ClerkWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clerk, "MOST_OPEN_IN_ROOM", 2)
    room = await world.room("ours")

    found = await asyncio.gather(
        *(world.exchange.send(ALL, Outgoing(room=room, body=f"{number}")) for number in range(5)),
        return_exceptions=True,
    )

    assert sum(isinstance(each, ExchangeRefused) for each in found) == 3


async def test_who_has_sent_a_message_knows_its_state_also_without_reading_the_room(world: ClerkWorld) -> None:
    room = await world.room("ours")
    writer = Caller(name=CallerName("writer"), scopes={room: frozenset({Scope.SEND})})
    sent = await world.exchange.send(writer, Outgoing(room=room, body="x"))

    assert await world.exchange.status(writer, sent.id) == sent
    assert await world.exchange.status(TALKER, sent.id) == sent


async def test_an_answer_that_comes_while_somebody_waits_is_told_at_once(world: ClerkWorld) -> None:
    room = await world.room("ours")
    wish = Outgoing(room=room, body="x", to=THEM)

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(world.exchange.ask(TALKER, wish, seconds=30, key="k"))
        sent = await world.exchange.send(TALKER, wish, key="k")
        await world.become(sent.id, MessageState.ANSWERED, answer="Yes.")

    assert asking.result().answer == "Yes."


async def test_rooms_that_are_not_ours_are_not_searched(world: ClerkWorld) -> None:
    await world.room("ours")

    page = await world.exchange.history(ALL, Wanted(rooms=frozenset({RoomId("!nowhere:example.org")})))

    assert page.messages == ()


async def test_tasks_are_asked_for_where_the_caller_may(world: ClerkWorld) -> None:
    room = await world.room("ours")
    reader = Caller(name=CallerName("reader"), scopes={room: frozenset({Scope.READ})})
    task = await world.exchange.assign_task(TALKER, room, THEM, "Mend it.")

    codes = []
    for call in (
        world.exchange.assign_task(reader, room, THEM, "Mend it."),
        world.exchange.update_task(reader, room, task.id, Step.DONE, ""),
        world.exchange.tasks(Caller(name=CallerName("nobody")), room),
    ):
        with pytest.raises(ExchangeRefused) as refused:
            await call
        codes.append(refused.value.code)

    assert codes == ["not_allowed", "not_allowed", "unknown"]


async def test_of_the_rooms_of_instances_a_caller_sees_those_that_it_may_know(world: ClerkWorld) -> None:
    ours, secret = await world.room("ours"), await world.room("secret")
    entry = Instance(
        user=THEM.user, name=InstanceName("there"), kind=InstanceKind.DAEMON, host="h", rooms=(ours, secret)
    )
    await world.appear(entry)

    reader = Caller(name=CallerName("reader"), scopes={ours: frozenset({Scope.READ})})
    seen = {each.name: each.rooms for each, _ in await world.exchange.who(reader)}
    whole = {each.name: each.rooms for each, _ in await world.exchange.who(ALL)}

    assert (seen[entry.name], whole[entry.name]) == ((ours,), (ours, secret))
