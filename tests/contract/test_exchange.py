"""What every exchange promises to its callers; a world (`exchange_worlds.py`) for each that there is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.exchange import EVERYTHING, MOST_BODY, Caller, MessageState, Outgoing, Scope, Wanted
from aiagentchat.core.ids import CallerName, InstanceName, MessageId, RoomId, TaskId, UserId
from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import MOST_HOPS, Address, Meta, MetaKind, Step
from aiagentchat.core.tasks import TaskState
from tests.contract.clerk_world import clerk_world
from tests.contract.exchange_worlds import WORLDS, World

ALICE = UserId("@alice:example.org")
THEM = Address(UserId("@other:example.org"), InstanceName("there"))
HOUR = 3_600_000


ALL_WORLDS = {**WORLDS, "clerk": clerk_world}


@pytest.fixture(params=sorted(ALL_WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with ALL_WORLDS[request.param]() as opened:
        yield opened


def caller_in(*rooms: RoomId, scopes: frozenset[Scope] = EVERYTHING, name: str = "script") -> Caller:
    return Caller(name=CallerName(name), scopes=dict.fromkeys(rooms, scopes))


READER = frozenset({Scope.READ})
WRITER = frozenset({Scope.SEND})


async def test_a_caller_sees_the_rooms_of_its_scope_and_no_others(world: World) -> None:
    ours, _ = await world.room("ours"), await world.room("secret")

    [seen] = await world.exchange.rooms(caller_in(ours, scopes=READER))

    assert (seen.room, seen.name, seen.scopes) == (ours, "ours", READER)


async def test_a_caller_of_everything_sees_all_rooms(world: World) -> None:
    rooms = {await world.room("one"), await world.room("two")}

    seen = await world.exchange.rooms(Caller(name=CallerName("operator"), everywhere=EVERYTHING))

    assert {each.room for each in seen} == rooms


async def test_what_is_sent_has_an_id_and_what_was_asked(world: World) -> None:
    room = await world.room("ours")
    outgoing = Outgoing(room=room, body="Hello.", kind=MetaKind.QUESTION, to=THEM)

    sent = await world.exchange.send(caller_in(room), outgoing)

    assert sent.state in (MessageState.ACCEPTED, MessageState.SENT)
    assert (sent.room, sent.body, sent.meta.kind, sent.meta.to) == (room, "Hello.", MetaKind.QUESTION, THEM)
    assert sent.meta.instance == world.us.instance
    assert (await world.exchange.status(caller_in(room), sent.id)).id == sent.id


async def test_only_a_session_answers(world: World) -> None:
    room = await world.room("ours")
    answer = Outgoing(room=room, body="Yes.", kind=MetaKind.ANSWER, in_reply_to=MessageId("m1"))
    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(caller_in(room), answer)
    sent = await world.exchange.send(replace(caller_in(room), instance=InstanceName("laptop")), answer)

    assert refused.value.code == "not_allowed"
    assert (sent.meta.instance, sent.meta.in_reply_to) == ("laptop", "m1")


async def test_the_same_key_sends_once(world: World) -> None:
    room = await world.room("ours")
    outgoing = Outgoing(room=room, body="Hello.")

    first = await world.exchange.send(caller_in(room), outgoing, key="k")
    second = await world.exchange.send(caller_in(room), outgoing, key="k")
    others = await world.exchange.send(caller_in(room, name="somebody"), outgoing, key="k")

    assert first.id == second.id != others.id


async def test_the_same_key_may_say_another_moment_of_expiry(world: World) -> None:
    room = await world.room("ours")
    outgoing = Outgoing(room=room, body="Hello.", to=THEM, expires_at=world.now_ms() + HOUR)

    first = await world.exchange.send(caller_in(room), outgoing, key="k")
    later = replace(outgoing, expires_at=world.now_ms() + 2 * HOUR)
    second = await world.exchange.send(caller_in(room), later, key="k")
    over = await world.exchange.send(caller_in(room), replace(outgoing, expires_at=1), key="k")

    assert first.id == second.id == over.id
    assert second.meta.expires_at == outgoing.expires_at


async def test_the_same_key_for_something_else_is_a_conflict(world: World) -> None:
    room = await world.room("ours")
    await world.exchange.send(caller_in(room), Outgoing(room=room, body="Hello."), key="k")

    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(caller_in(room), Outgoing(room=room, body="Good bye."), key="k")

    assert refused.value.code == "conflict"


async def test_a_room_that_a_caller_may_not_know_of_does_not_exist(world: World) -> None:
    ours, secret = await world.room("ours"), await world.room("secret")
    texts = []

    for room in (secret, RoomId("!nowhere:example.org")):
        with pytest.raises(ExchangeRefused) as refused:
            await world.exchange.send(caller_in(ours), Outgoing(room=room, body="Hello."))
        texts.append((refused.value.code, str(refused.value)))
        with pytest.raises(ExchangeRefused) as refused:
            await world.exchange.read(caller_in(ours), room, limit=10)
        assert refused.value.code == "unknown"

    assert texts[0] == texts[1]
    assert texts[0][0] == "unknown"


async def test_reading_and_sending_are_two_scopes(world: World) -> None:
    room = await world.room("ours")

    with pytest.raises(ExchangeRefused) as not_sent:
        await world.exchange.send(caller_in(room, scopes=READER), Outgoing(room=room, body="Hello."))
    with pytest.raises(ExchangeRefused) as not_read:
        await world.exchange.read(caller_in(room, scopes=WRITER), room, limit=10)

    assert (not_sent.value.code, not_read.value.code) == ("not_allowed", "not_allowed")


@pytest.mark.parametrize("body", ["", "  \n", "x" * (MOST_BODY + 1)])
async def test_what_is_no_message_is_refused(world: World, body: str) -> None:
    room = await world.room("ours")

    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(caller_in(room), Outgoing(room=room, body=body))

    assert refused.value.code == "invalid"


async def test_what_has_expired_is_not_sent(world: World) -> None:
    room = await world.room("ours")

    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(caller_in(room), Outgoing(room=room, body="Hello.", expires_at=world.now_ms() - HOUR))

    assert refused.value.code == "invalid"


async def test_what_a_program_sends_is_at_the_beginning(world: World) -> None:
    room = await world.room("ours")

    sent = await world.exchange.send(caller_in(room), Outgoing(room=room, body="Hello.", to=THEM, budget=5))

    assert (sent.meta.hop, sent.meta.budget) == (0, 5)


async def test_what_a_turn_sends_is_one_hop_further_and_has_less_left(world: World) -> None:
    room = await world.room("ours")
    cause = Meta(id=MessageId("m1"), to=world.us, hop=2, budget=7)
    run = replace(caller_in(room), home=room, in_turn=True, cause=cause)

    sent = await world.exchange.send(run, Outgoing(room=room, body="Hello.", to=THEM, budget=100))

    assert (sent.meta.hop, sent.meta.budget) == (3, 6)


async def test_what_a_turn_for_a_person_sends_is_the_first_hop(world: World) -> None:
    room = await world.room("ours")

    sent = await world.exchange.send(replace(caller_in(room), home=room, in_turn=True), Outgoing(room=room, body="Hi."))

    assert sent.meta.hop == 1


@pytest.mark.parametrize(
    "cause",
    [Meta(id=MessageId("m1"), hop=MOST_HOPS), Meta(id=MessageId("m1"), budget=0)],
    ids=["too far", "nothing left"],
)
async def test_nothing_follows_from_what_is_too_far_or_used_up(world: World, cause: Meta) -> None:
    room = await world.room("ours")
    run = replace(caller_in(room), home=room, in_turn=True, cause=cause)

    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.send(run, Outgoing(room=room, body="Hello.", to=THEM))

    assert refused.value.code in ("full", "not_allowed")


async def test_the_state_tells_how_far_a_message_has_come(world: World) -> None:
    room = await world.room("ours")
    us = caller_in(room)
    sent = await world.exchange.send(us, Outgoing(room=room, body="How late is it?", to=THEM))
    states = []

    for state in (MessageState.SENT, MessageState.DELIVERED, MessageState.READ):
        await world.become(sent.id, state)
        states.append((await world.exchange.status(us, sent.id)).state)
    await world.become(sent.id, MessageState.ANSWERED, answer="Late.")
    over = await world.exchange.status(us, sent.id)

    assert states == [MessageState.SENT, MessageState.DELIVERED, MessageState.READ]
    assert (over.state, over.answer) == (MessageState.ANSWERED, "Late.")


async def test_a_message_of_a_room_that_a_caller_may_not_read_does_not_exist(world: World) -> None:
    ours, secret = await world.room("ours"), await world.room("secret")
    sent = await world.exchange.send(caller_in(secret), Outgoing(room=secret, body="Hello."))

    for message in (sent.id, MessageId("m-none")):
        with pytest.raises(ExchangeRefused) as refused:
            await world.exchange.status(caller_in(ours, name="other"), message)
        assert refused.value.code == "unknown"


async def test_asking_ends_with_the_answer(world: World) -> None:
    room = await world.room("ours")
    us = caller_in(room)
    question = Outgoing(room=room, body="How late is it?", kind=MetaKind.QUESTION, to=THEM)
    sent = await world.exchange.send(us, question, key="k")

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(world.exchange.ask(us, question, seconds=30, key="k"))
        await world.become(sent.id, MessageState.ANSWERED, answer="Late.")

    assert (asking.result().state, asking.result().answer) == (MessageState.ANSWERED, "Late.")


async def test_asking_ends_with_what_is_known_when_nobody_answers(world: World) -> None:
    room = await world.room("ours")

    message = await world.exchange.ask(caller_in(room), Outgoing(room=room, body="Is anybody there?"), seconds=0.01)

    assert message.state in (MessageState.ACCEPTED, MessageState.SENT)


async def test_reading_pages_from_the_end_to_the_beginning(world: World) -> None:
    room = await world.room("ours")
    for number in range(5):
        await world.say(room, f"message {number}", ALICE)

    last = await world.exchange.read(caller_in(room), room, limit=3)
    first = await world.exchange.read(caller_in(room), room, limit=3, before=last.before)

    assert [each.body for each in last.messages] == ["message 2", "message 3", "message 4"]
    assert [each.body for each in first.messages] == ["message 0", "message 1"]
    assert first.before is None


async def test_looking_finds_words_in_any_order_and_only_where_the_caller_may_read(world: World) -> None:
    ours, secret = await world.room("ours"), await world.room("secret")
    await world.say(ours, "The build is green again.", ALICE)
    await world.say(ours, "The build is red.", ALICE)
    await world.say(secret, "The build here is green, too.", ALICE)

    page = await world.exchange.history(
        caller_in(ours), Wanted(rooms=frozenset({ours, secret}), words="green build", limit=10)
    )

    assert [each.body for each in page.messages] == ["The build is green again."]


async def test_who_is_there_is_told_with_whether_it_lives(world: World) -> None:
    entry = Instance(user=THEM.user, name=InstanceName("there"), kind=InstanceKind.DAEMON, host="there")
    await world.appear(replace(entry, seen_at=world.now_ms()))
    await world.appear(replace(entry, name=InstanceName("gone"), seen_at=world.now_ms() - HOUR))

    seen = {instance.name: alive for instance, alive in await world.exchange.who(Caller(name=CallerName("script")))}

    assert (seen[InstanceName("there")], seen[InstanceName("gone")]) == (True, False)


async def test_a_task_is_given_and_listed_and_cancelled(world: World) -> None:
    room = await world.room("ours")
    us = caller_in(room)

    task = await world.exchange.assign_task(us, room, THEM, "Write the tests.\nAll of them.")
    listed = await world.exchange.tasks(us, room)
    cancelled = await world.exchange.update_task(us, room, task.id, Step.CANCELLED, "Not needed.")

    assert (task.title, task.to, task.state) == ("Write the tests.", THEM, TaskState.ASSIGNED)
    assert [each.id for each in listed] == [task.id]
    assert (cancelled.state, cancelled.note) == (TaskState.CANCELLED, "Not needed.")
    assert list(await world.exchange.tasks(us, room)) == []
    assert [each.id for each in await world.exchange.tasks(us, room, everything=True)] == [task.id]


async def test_the_same_key_gives_a_task_once(world: World) -> None:
    room = await world.room("ours")

    first = await world.exchange.assign_task(caller_in(room), room, THEM, "Write the tests.", key="k")
    second = await world.exchange.assign_task(caller_in(room), room, THEM, "Write the tests.", key="k", deadline=1)

    assert first.id == second.id
    assert len(await world.exchange.tasks(caller_in(room))) == 1


async def test_a_task_that_is_over_stays_so(world: World) -> None:
    room = await world.room("ours")
    us = caller_in(room)
    task = await world.exchange.assign_task(us, room, THEM, "Write the tests.")
    await world.exchange.update_task(us, room, task.id, Step.CANCELLED, "")

    with pytest.raises(ExchangeRefused) as refused:
        await world.exchange.update_task(us, room, task.id, Step.PROGRESS, "")

    assert refused.value.code == "conflict"


async def test_tasks_of_other_rooms_do_not_exist(world: World) -> None:
    ours, secret = await world.room("ours"), await world.room("secret")
    task = await world.exchange.assign_task(caller_in(secret), secret, THEM, "Keep quiet.")

    codes = []
    for room, wanted in ((secret, task.id), (ours, task.id), (ours, TaskId("t-none"))):
        with pytest.raises(ExchangeRefused) as refused:
            await world.exchange.update_task(caller_in(ours), room, wanted, Step.DONE, "")
        codes.append(refused.value.code)

    assert codes == ["unknown"] * 3
    assert list(await world.exchange.tasks(caller_in(ours))) == []
