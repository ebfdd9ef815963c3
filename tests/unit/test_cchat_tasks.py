"""Tasks without a gateway: as a daemon that listens follows them, by what was said in the room."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.cli.exchange.direct import MOST_LOOKED, Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.core.effects import PutParcel
from aiagentchat.core.ids import EventId, InstanceName, MessageId, TaskId, UserId
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, Step, read_meta, written
from aiagentchat.core.tasks import Ours, Task, TaskState, Word, typed_meta
from aiagentchat.gateway.models import TaskView, task_view
from aiagentchat.matrix.events import read
from aiagentchat.render.task_words import news
from aiagentchat.route.access import Roles
from aiagentchat.route.tasks import news as followed_by_a_daemon
from tests.fakes.front import open_front
from tests.fakes.people import ANNA, BEN, EVE, KITCHEN, ME, ROOM, settings
from tests.fakes.plain_homeserver import PAGE, PlainHomeserver

GARDEN = "!garden:hs"
BOT = BEN
BOX = Address(BOT, InstanceName("box"))
"""A daemon of somebody else's account, to whom Anna gives work."""


@pytest.fixture
def homeserver() -> PlainHomeserver:
    return PlainHomeserver(ANNA, ROOM, GARDEN)


def direct(homeserver: PlainHomeserver, me: str = ANNA) -> Direct:
    homeserver.me = me
    return Direct(homeserver, me)  # type: ignore[arg-type]


def assign(homeserver: PlainHomeserver, to: str = str(BOX), *, me: str = ANNA, key: str = "k") -> Json:
    deadline = homeserver.now + 7_200_000
    return direct(homeserver, me).assign(ROOM, to, "Mend the tap.\nAll of it.", deadline=deadline, key=key)


def listed(homeserver: PlainHomeserver, *, everything: bool = True, me: str = ANNA) -> list[Json]:
    return [*direct(homeserver, me).tasks(ROOM, everything=everything)]


def works(homeserver: PlainHomeserver, task: Json, state: TaskState, note: str = "", who: Address = BOX) -> None:
    """A daemon tells the thread what has become of a task that was given to it."""
    kept = Task(
        id=TaskId(task["id"]),
        room=ROOM,
        thread=EventId(task["thread"]),
        title="",
        by=Address(UserId(task["by"])),
        to=who,
        ours=Ours.TAKEN,
        state=state,
    )
    parcel = news(kept, Word(state=state, at=homeserver.now, note=note))
    homeserver.hear(ROOM, who.user, parcel.content, parcel.thread)


def said_last(homeserver: PlainHomeserver, room: str = ROOM) -> dict[str, Any]:
    return homeserver.rooms[room][-1]


def meta_of(event: dict[str, Any]) -> Meta:
    meta = read_meta(event["content"])
    assert isinstance(meta, Meta)
    return meta


# ── giving one ──


def test_a_task_is_given_once_under_one_key(homeserver: PlainHomeserver) -> None:
    first, second = assign(homeserver), assign(homeserver)
    [event] = homeserver.rooms[ROOM]
    meta = meta_of(event)

    assert (first["id"], first["thread"]) == (second["id"], second["thread"])
    assert first == TaskView.model_validate(first, strict=False).model_dump(mode="json")
    assert (first["title"], first["by"], first["to"], first["state"]) == ("Mend the tap.", ANNA, str(BOX), "assigned")
    assert event["content"]["body"] == "[TASK] Mend the tap.\nAll of it."
    assert event["content"]["m.mentions"] == {"user_ids": [BOT]}
    assert (meta.kind, meta.task, str(meta.to), meta.instance, meta.hop) == (
        MetaKind.TASK,
        first["id"],
        str(BOX),
        None,
        0,
    )
    [found] = listed(homeserver)
    assert {**found, "created_at": 0, "changed_at": 0} == {**first, "created_at": 0, "changed_at": 0}


def test_a_key_is_known_for_longer_than_the_homeserver_knows_a_transaction(homeserver: PlainHomeserver) -> None:
    first = assign(homeserver)
    works(homeserver, first, TaskState.WORKING, "Half of it.")
    homeserver.forget_transactions()
    homeserver.now += 8_000_000
    again = direct(homeserver).assign(ROOM, str(BOX), "Mend the tap.", deadline=first["deadline"], key="k")

    assert (again["id"], again["thread"], again["state"]) == (first["id"], first["thread"], "working")
    assert len(homeserver.rooms[ROOM]) == 2


def test_a_task_is_found_by_its_id_in_whatever_room_it_is(homeserver: PlainHomeserver) -> None:
    given = assign(homeserver)
    works(homeserver, given, TaskState.WORKING, "Half of it.")
    found = direct(homeserver).task(given["id"])

    assert (found["id"], found["room"], found["state"], found["note"]) == (given["id"], ROOM, "working", "Half of it.")
    with pytest.raises(NotDone) as raised:
        direct(homeserver).task("t0123456789ab")
    assert raised.value.exit is Exit.UNKNOWN


def test_another_key_gives_another_task(homeserver: PlainHomeserver) -> None:
    ids = [assign(homeserver, key=key)["id"] for key in ("one", "two")]

    assert [each["id"] for each in listed(homeserver)] == [*reversed(ids)]


@pytest.mark.parametrize(
    ("to", "ahead", "sentence"),
    [("@bot", 1, "write @user:server"), (str(BOX), -1, "that moment is over already; nothing was sent")],
)
def test_a_task_that_makes_no_sense_is_not_given(
    homeserver: PlainHomeserver, to: str, ahead: int, sentence: str
) -> None:
    deadline = homeserver.now + ahead * 60_000
    with pytest.raises(NotDone, match=sentence) as raised:
        direct(homeserver).assign(ROOM, to, "Mend it.", deadline=deadline, key="k")

    assert raised.value.exit is Exit.USAGE
    assert homeserver.rooms[ROOM] == []


@pytest.mark.parametrize(
    "do",
    [
        lambda asked: asked.tasks(ROOM, everything=True),
        lambda asked: asked.assign(ROOM, str(BOX), "Mend it.", deadline=None, key="k"),
        lambda asked: asked.update(ROOM, "t1", "done", ""),
    ],
)
def test_an_encrypted_room_is_refused(homeserver: PlainHomeserver, do: Callable[[Direct], object]) -> None:
    homeserver.encrypted.add(ROOM)
    with pytest.raises(NotDone, match="is encrypted") as raised:
        do(direct(homeserver))

    assert raised.value.exit is Exit.ENCRYPTED
    assert homeserver.rooms[ROOM] == []


def test_which_room_is_read_must_be_said(homeserver: PlainHomeserver) -> None:
    with pytest.raises(NotDone, match="--room") as raised:
        direct(homeserver).tasks(None, everything=True)

    assert raised.value.exit is Exit.USAGE


# ── what has become of them ──


def story_of_work(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    works(homeserver, task, TaskState.ACCEPTED, "two others are before it")
    works(homeserver, task, TaskState.WORKING)
    works(homeserver, task, TaskState.WORKING, "Ask @ben:hs")
    works(homeserver, task, TaskState.DONE)


def story_of_a_cancel(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    works(homeserver, task, TaskState.ACCEPTED)
    direct(homeserver).update(ROOM, task["id"], "cancelled", "Not needed.")
    works(homeserver, task, TaskState.WORKING, "too late")


def story_of_a_second_try(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    works(homeserver, task, TaskState.WORKING)
    works(homeserver, task, TaskState.FAILED, "interrupted")
    works(homeserver, task, TaskState.ACCEPTED)


def story_of_a_refusal(homeserver: PlainHomeserver) -> None:
    works(homeserver, assign(homeserver), TaskState.REFUSED, "Not you.")


def story_of_others_words(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    works(homeserver, task, TaskState.DONE, "I was it.", Address(EVE, InstanceName("box")))
    works(homeserver, task, TaskState.CANCELLED, "Me, too.", Address(EVE, InstanceName("box")))
    works(homeserver, task, TaskState.WORKING, "Not I.", Address(BOT, InstanceName("attic")))


def story_of_a_taken_name(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    homeserver.say(ROOM, BOT, {**said_last(homeserver)["content"], "body": "[TASK] Break the tap."})
    works(homeserver, task, TaskState.ACCEPTED)


def story_of_news_alone(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    homeserver.rooms[ROOM].clear()
    works(homeserver, task, TaskState.ACCEPTED)
    works(homeserver, task, TaskState.WORKING, "half of it")


def story_of_no_address(homeserver: PlainHomeserver) -> None:
    meta = Meta(id=MessageId("m1"), kind=MetaKind.TASK)
    homeserver.say(ROOM, BOT, {"body": "[TASK] For nobody", META_KEY: written(meta)})
    homeserver.say(ROOM, BOT, {"body": "nonsense", META_KEY: {"version": 1}})
    homeserver.say(ROOM, BOT, {"body": "hello"}, type="m.sticker")


STORIES = {name.removeprefix("story_"): value for name, value in globals().items() if name.startswith("story_")}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_who_reads_afterwards_knows_what_a_daemon_knows_that_was_there(
    homeserver: PlainHomeserver, tmp_path: Path, story: Callable[[PlainHomeserver], None]
) -> None:
    story(homeserver)
    async with open_front(tmp_path / "ledger.db") as front:
        front.settings = settings(replace(KITCHEN, users=frozenset({ANNA, BEN})))
        roles = Roles(room=front.settings.rooms[0])
        for source in homeserver.rooms[ROOM]:
            event = read(ROOM, source, ME).told
            if event is not None:
                no_more: list[PutParcel] = []
                effects = await followed_by_a_daemon(front.desk, event, no_more, roles)
                await front.ledger.inbox.take_in("t", [event], 0)
                await front.ledger.inbox.settle(event.event, effects, 0)
        kept = [task_view(each).model_dump(mode="json") for each in await front.ledger.tasks.listed([ROOM], limit=9)]
        everything = await front.ledger.tasks.listed([ROOM], everything=True, limit=9)

    assert bool(everything) == (story is not story_of_no_address)
    # What a task is to us, each says for itself.
    assert [{**each, "ours": ""} for each in listed(homeserver, everything=False)] == [
        {**each, "ours": ""} for each in kept
    ]
    assert [each["state"] for each in listed(homeserver)] == [each.state for each in everything]


def test_the_newest_is_first_and_what_is_over_is_shown_only_with_all(homeserver: PlainHomeserver) -> None:
    first, second = assign(homeserver, key="one"), assign(homeserver, key="two")
    works(homeserver, first, TaskState.DONE)

    assert [each["id"] for each in listed(homeserver)] == [second["id"], first["id"]]
    assert [each["id"] for each in listed(homeserver, everything=False)] == [second["id"]]
    assert [each["ours"] for each in listed(homeserver)] == ["given", "given"]
    assert [each["ours"] for each in listed(homeserver, me=EVE)] == ["watched", "watched"]
    assert [each["ours"] for each in listed(homeserver, me=BOT)] == ["taken", "taken"]


def test_what_a_person_typed_has_its_title_once_somebody_takes_it(homeserver: PlainHomeserver) -> None:
    event = homeserver.say(ROOM, ANNA, {"body": "[TASK] @ben:hs: tidy up", "m.mentions": {"user_ids": [BOT]}})
    task = {"id": typed_meta(EventId(event)).task, "thread": event, "by": ANNA}
    assert listed(homeserver) == []
    works(homeserver, task, TaskState.ACCEPTED, who=Address(EVE, InstanceName("x")))
    assert listed(homeserver) == []
    works(homeserver, task, TaskState.ACCEPTED)

    [found] = listed(homeserver)
    assert (found["title"], found["state"], found["by"], found["to"]) == ("tidy up", "accepted", ANNA, str(BOX))


# ── saying what has become of one ──


def test_whoever_has_given_it_takes_it_back(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    works(homeserver, task, TaskState.ACCEPTED)
    after = direct(homeserver).update(None, task["id"], "cancelled", "Not needed.")
    event = said_last(homeserver)
    meta = meta_of(event)

    assert (after["state"], after["note"]) == ("cancelled", "Not needed.")
    assert (meta.kind, meta.step, meta.task, meta.to) == (MetaKind.STATUS, Step.CANCELLED, task["id"], BOX)
    assert meta.in_reply_to == meta_of(homeserver.rooms[ROOM][0]).id
    assert (event["content"]["msgtype"], event["content"]["body"]) == ("m.notice", "[STATUS] 🛑 cancelled: Not needed.")
    assert event["content"]["m.relates_to"]["event_id"] == task["thread"]
    assert [(each["state"], each["note"]) for each in listed(homeserver)] == [("cancelled", "Not needed.")]


def test_whoever_works_on_it_says_how_it_goes_and_its_result_is_the_answer(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver, to=BOT)
    mine = direct(homeserver, BOT)
    for step, note in (("accepted", ""), ("progress", "Half of it."), ("done", "It is dry.")):
        mine.update(ROOM, task["id"], step, note)
    kinds = [(meta_of(event).kind, meta_of(event).step) for event in homeserver.rooms[ROOM][1:]]

    assert kinds == [
        (MetaKind.STATUS, Step.ACCEPTED),
        (MetaKind.STATUS, Step.PROGRESS),
        (MetaKind.ANSWER, Step.DONE),
    ]
    assert str(meta_of(said_last(homeserver)).to) == ANNA
    assert [each["state"] for each in listed(homeserver)] == ["done"]
    asked = direct(homeserver).status(task["thread"])
    assert (asked["state"], asked["answer"]) == ("answered", "✅ done: It is dry.")


@pytest.mark.parametrize(
    ("me", "to", "step", "exit_", "sentence"),
    [
        (ANNA, str(BOX), "done", Exit.NOT_ALLOWED, f"Only {BOX}, who does task"),
        (BOT, str(BOX), "done", Exit.NOT_ALLOWED, f"Only {BOX}, who does task"),
        (EVE, str(BOX), "cancelled", Exit.NOT_ALLOWED, "You have not given task"),
        (ANNA, BOT, "progress", Exit.NOT_ALLOWED, f"Only {BOT}, who does task"),
    ],
)
def test_what_is_for_others_to_say_is_not_said(
    homeserver: PlainHomeserver, me: str, to: str, step: str, exit_: Exit, sentence: str
) -> None:
    task = assign(homeserver, to=to)
    with pytest.raises(NotDone, match=sentence) as raised:
        direct(homeserver, me).update(ROOM, task["id"], step, "")

    assert raised.value.exit is exit_
    assert len(homeserver.rooms[ROOM]) == 1


def test_what_is_over_or_was_said_is_not_said_again(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver, to=BOT)
    mine = direct(homeserver, BOT)
    for step in ("progress", "done"):
        mine.update(ROOM, task["id"], step, "x")
        with pytest.raises(NotDone, match="already, so nothing was changed") as raised:
            mine.update(ROOM, task["id"], step, "x")

        assert raised.value.exit is Exit.CONFLICT
    assert len(homeserver.rooms[ROOM]) == 3


def test_what_was_said_before_a_connection_broke_is_the_same_transaction(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver, to=BOT)
    direct(homeserver, BOT).update(ROOM, task["id"], "progress", "Half of it.")
    not_heard_yet = homeserver.rooms[ROOM].pop()
    homeserver.now += 60_000
    direct(homeserver, BOT).update(ROOM, task["id"], "progress", "Half of it.")

    assert not_heard_yet["event_id"] not in [event["event_id"] for event in homeserver.rooms[ROOM]]
    assert len(homeserver.rooms[ROOM]) == 1


def test_the_room_of_a_task_is_looked_up_and_ours_is_meant(homeserver: PlainHomeserver) -> None:
    homeserver.rooms = {GARDEN: [], **homeserver.rooms}
    task = assign(homeserver)
    homeserver.say(GARDEN, EVE, {**said_last(homeserver)["content"]})

    assert direct(homeserver).update(None, task["id"], "cancelled", "")["room"] == ROOM


def test_a_task_that_is_not_found_says_where_it_was_looked_for(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver)
    for number in range(MOST_LOOKED * PAGE):
        homeserver.say(ROOM, EVE, {"body": f"{number}"})
    for room, name in ((None, task["id"]), (ROOM, "t9"), (GARDEN, task["id"])):
        with pytest.raises(NotDone, match="here is no task") as raised:
            direct(homeserver).update(room, name, "cancelled", "")

        assert raised.value.exit is Exit.UNKNOWN
    assert direct(homeserver).update(ROOM, task["id"], "cancelled", "")["state"] == "cancelled"


def test_who_has_taken_it_moves_it_and_not_another_of_the_account(homeserver: PlainHomeserver) -> None:
    task = assign(homeserver, to=BOT)
    works(homeserver, task, TaskState.ACCEPTED)
    with pytest.raises(NotDone, match=f"Only {BOX}"):
        direct(homeserver, BOT).update(ROOM, task["id"], "done", "")
