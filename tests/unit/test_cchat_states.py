"""How far a message has come, without a gateway: by what its room tells afterwards."""

from typing import Any

import pytest

from aiagentchat.cli.exchange.direct import MOST_LOOKED, Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.sentences import how_far
from aiagentchat.cli.exchange.states import TYPED
from aiagentchat.cli.exchange.wishes import Json, Words
from aiagentchat.core.meta import META_KEY
from aiagentchat.exchange.expiry import GRACE_MS, NOT_TAKEN
from aiagentchat.gateway.models import MessageView
from tests.fakes.plain_homeserver import PAGE, PlainHomeserver

ME, BOT, EVE, ANNA = "@me:hs", "@bot:hs", "@eve:hs", "@anna:hs"
DEN, ATTIC = "!den:hs", "!attic:hs"
BOX = f"{BOT}/box"
ROOT = "$root"


@pytest.fixture
def homeserver() -> PlainHomeserver:
    return PlainHomeserver(ME, DEN, ATTIC)


def direct(homeserver: PlainHomeserver) -> Direct:
    return Direct(homeserver, ME)  # type: ignore[arg-type]


def ask(homeserver: PlainHomeserver, to: str | None = BOX, **more: Any) -> Json:
    """Ask something; what was sent."""
    return direct(homeserver).send(Words(room=DEN, body="Is it dry?", kind="question", to=to, **more), "k")


def reply(kind: str, to: Json, body: str = "It is.", **more: Any) -> dict[str, Any]:
    meta = {"version": 1, "id": f"a{more.get('part', 0)}", "kind": kind, "in_reply_to": to["id"], **more}
    return {"body": body, META_KEY: meta}


def stands(homeserver: PlainHomeserver, message: Json) -> Json:
    return direct(homeserver).status(message["id"])


def test_a_message_has_the_fields_that_the_gateway_gives_it(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver, expires_at=homeserver.now + 9_000_000, budget=3)
    found = stands(homeserver, asked)

    assert found == MessageView.model_validate(found).model_dump(mode="json")
    assert (found["caller"], found["to"], found["kind"], found["body"], found["budget"]) == (
        ME,
        BOX,
        "question",
        "Is it dry?",
        3,
    )
    assert (found["state"], found["event_id"], found["sent_at"]) == ("sent", asked["event_id"], homeserver.now)
    assert direct(homeserver).status(str(asked["event_id"])) == found


def test_an_answer_is_told_with_its_moment(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver)
    homeserver.say(DEN, BOT, reply("answer", asked, "It", last=False))
    event = homeserver.say(DEN, BOT, reply("answer", asked, "dries.", part=1))
    at = homeserver.now
    for number in range(2 * PAGE):
        homeserver.say(DEN, EVE, {"body": f"{number}"})
    found = stands(homeserver, asked)

    assert (found["state"], found["answer"], found["answer_event_id"], found["ended_at"]) == (
        "answered",
        "It\n\ndries.",
        event,
        at,
    )
    assert how_far(found, (), at).startswith(f"answered by {BOX} at ")


@pytest.mark.parametrize("kind", ["refused", "expired"])
def test_a_no_is_told_with_its_reason(homeserver: PlainHomeserver, kind: str) -> None:
    asked = ask(homeserver)
    homeserver.say(DEN, BOT, reply(kind, asked, "Ask @\u2060eve:hs."))

    assert (stands(homeserver, asked)["state"], stands(homeserver, asked)["why"]) == (kind, "Ask @eve:hs.")


def test_another_instance_answers_nothing(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver)
    homeserver.say(DEN, BOT, reply("answer", asked, instance="attic"))
    homeserver.say(DEN, EVE, reply("answer", asked, instance="box"))
    assert stands(homeserver, asked)["state"] == "sent"
    homeserver.say(DEN, BOT, reply("answer", asked, instance="box"))

    assert stands(homeserver, asked)["state"] == "answered"


@pytest.mark.parametrize(("more", "state"), [({}, "answered"), ({"is_falling_back": True}, "sent")])
def test_a_person_answers_by_a_reply(homeserver: PlainHomeserver, more: dict[str, Any], state: str) -> None:
    asked = ask(homeserver, to=ANNA)
    relation = {"m.in_reply_to": {"event_id": asked["event_id"]}, **more}
    homeserver.say(DEN, EVE, {"body": "No.", "m.relates_to": relation})
    homeserver.say(DEN, ANNA, {"body": "As a bone.", "m.relates_to": relation})
    found = stands(homeserver, asked)

    assert (found["state"], found["answer"]) == (state, "As a bone." if state == "answered" else "")


@pytest.mark.parametrize(
    ("thread", "state"), [("main", "delivered"), ("its own", "delivered"), ("$another", "sent"), (None, "read")]
)
def test_a_receipt_says_how_far_whom_it_is_for_has_come(
    homeserver: PlainHomeserver, thread: str | None, state: str
) -> None:
    asked = ask(homeserver)
    homeserver.say(DEN, EVE, {"body": "Me, too."})
    later = homeserver.say(DEN, EVE, {"body": "And I."})
    homeserver.read_to(DEN, BOT, later, str(asked["event_id"]) if thread == "its own" else thread)
    found = stands(homeserver, asked)

    assert found["state"] == state
    assert found["delivered_at"] == (None if state == "sent" else homeserver.now)
    assert found["read_at"] == (homeserver.now if state == "read" else None)


def test_what_is_said_in_a_thread_is_delivered_by_a_receipt_for_that(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver, thread=ROOT)
    homeserver.read_to(DEN, BOT, str(asked["event_id"]), "main")
    assert stands(homeserver, asked)["state"] == "sent"
    homeserver.read_to(DEN, BOT, str(asked["event_id"]), ROOT)

    assert stands(homeserver, asked)["state"] == "delivered"


def test_receipts_of_others_and_of_what_was_said_before_say_nothing(homeserver: PlainHomeserver) -> None:
    before = homeserver.say(DEN, EVE, {"body": "Hello."})
    asked = ask(homeserver)
    homeserver.read_to(DEN, EVE, str(asked["event_id"]))
    homeserver.read_to(DEN, BOT, before)

    assert stands(homeserver, asked)["state"] == "sent"


@pytest.mark.parametrize("nonsense", [{"m.read": 7}, 7, {"m.read": {BOT: 7}}, {"m.read": {BOT: {"thread_id": 7}}}])
def test_receipts_that_are_none_are_none(homeserver: PlainHomeserver, nonsense: object) -> None:
    asked = ask(homeserver)
    homeserver.receipts[DEN] = {str(asked["event_id"]): nonsense}

    assert stands(homeserver, asked)["state"] == "sent"


def test_a_session_says_that_it_has_begun(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver)
    homeserver.say(DEN, BOT, reply("status", asked, state="progress", instance="box"))
    found = stands(homeserver, asked)

    assert (found["state"], found["read_at"], found["delivered_at"]) == ("read", homeserver.now, homeserver.now)


def test_what_nobody_has_begun_in_time_is_over_a_minute_later(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver, expires_at=homeserver.now + 1000)
    homeserver.read_to(DEN, BOT, str(asked["event_id"]), "main")
    homeserver.now += GRACE_MS
    assert stands(homeserver, asked)["state"] == "delivered"
    homeserver.now += 1000
    assert (stands(homeserver, asked)["state"], stands(homeserver, asked)["why"]) == ("expired", NOT_TAKEN)
    homeserver.read_to(DEN, BOT, str(asked["event_id"]))

    assert stands(homeserver, asked)["state"] == "read"


def test_what_a_person_types_is_found_and_nothing_is_claimed_of_it(homeserver: PlainHomeserver) -> None:
    said = ask(homeserver, to=None)
    found = stands(homeserver, said)

    assert (found["event_id"], found["to"], found["state"]) == (said["event_id"], None, "sent")
    assert how_far(found, (), homeserver.now).endswith(TYPED)


def test_what_we_have_said_comes_before_what_others_say_under_its_name(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver)
    content = homeserver.rooms[DEN][-1]["content"]
    homeserver.rooms = {ATTIC: [], **homeserver.rooms}
    homeserver.say(ATTIC, EVE, content)
    homeserver.say(DEN, EVE, content)

    assert stands(homeserver, asked)["event_id"] == asked["event_id"]


def test_what_is_not_found_says_where_it_was_looked_for(homeserver: PlainHomeserver) -> None:
    homeserver.encrypted.add(ATTIC)
    asked = ask(homeserver)
    for number in range(MOST_LOOKED * PAGE):
        homeserver.say(DEN, EVE, {"body": f"{number}"})
    homeserver.asked.clear()
    with pytest.raises(NotDone, match="of encrypted ones none") as raised:
        stands(homeserver, asked)

    assert raised.value.exit is Exit.UNKNOWN
    assert homeserver.asked.count(f"/rooms/{DEN}/messages") == MOST_LOOKED
    assert f"/rooms/{ATTIC}/messages" not in homeserver.asked


def test_an_edit_and_what_was_deleted_are_no_messages(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver)
    homeserver.rooms[DEN][-1]["content"] = {}
    with pytest.raises(NotDone):
        stands(homeserver, asked)


def test_a_room_that_was_left_meanwhile_hides_nothing_of_the_others(homeserver: PlainHomeserver) -> None:
    asked = ask(homeserver)
    homeserver.left.add(ATTIC)

    assert stands(homeserver, asked)["state"] == "sent"
