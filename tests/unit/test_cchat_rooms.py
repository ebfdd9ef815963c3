"""Without a gateway: which rooms there are and who is there, what is read page by page, files, and waiting."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from aiagentchat.cli.exchange.direct import Direct
from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.rooms import meant_by, states, view
from aiagentchat.cli.exchange.wishes import Json, Search, Words
from aiagentchat.core.exchange import Scope
from aiagentchat.core.ids import RoomId
from aiagentchat.core.instances import INSTANCE
from aiagentchat.core.meta import META_KEY, Meta, MetaKind, read_meta
from tests.fakes.plain_homeserver import PlainHomeserver

ME, BOT = "@me:hs", "@bot:hs"
DEN, ATTIC = RoomId("!den:hs"), RoomId("!attic:hs")
QUESTION = Words(room=DEN, body="Is it dry?", kind="question", to=f"{BOT}/box")


@pytest.fixture
def homeserver() -> PlainHomeserver:
    return PlainHomeserver(ME, DEN, ATTIC)


def direct(homeserver: PlainHomeserver, **more: Any) -> Direct:
    return Direct(homeserver, ME, **more)  # type: ignore[arg-type]


def ticking() -> Callable[[], float]:
    """A clock on which each look takes a second."""
    seconds = count()
    return lambda: float(next(seconds))


# ── rooms, and who is there ──


def test_a_room_has_its_name_and_what_one_may_do_there(homeserver: PlainHomeserver) -> None:
    homeserver.names = {DEN: "Den", ATTIC: "Attic"}
    homeserver.closed.add(ATTIC)
    found = {each.name: each for each in direct(homeserver).rooms()}

    assert (found["Den"].room, found["Den"].scopes) == (DEN, frozenset({Scope.READ, Scope.SEND}))
    assert (found["Attic"].room, found["Attic"].scopes) == (ATTIC, frozenset({Scope.READ}))


def test_in_an_encrypted_room_one_may_do_nothing(homeserver: PlainHomeserver) -> None:
    homeserver.encrypted.add(DEN)
    found = {each.room: each for each in direct(homeserver).rooms()}

    assert (found[DEN].encrypted, found[DEN].scopes, found[DEN].name) == (True, frozenset(), DEN)


def event(kind: str, content: object, **more: Any) -> dict[str, Any]:
    return {"type": kind, "state_key": "", "sender": "@maker:hs", "content": content, **more}


CREATE = event("m.room.create", {"room_version": "12"})


@pytest.mark.parametrize(
    ("events", "may"),
    [
        ([], True),
        ([CREATE], True),
        ([CREATE, event("m.room.power_levels", {"events_default": 1})], False),
        ([CREATE, event("m.room.power_levels", {"events_default": 1, "users": {ME: 1}})], True),
        ([CREATE, event("m.room.power_levels", {"events": {"m.room.message": 9}, "users": {ME: 8}})], False),
        ([CREATE, event("m.room.power_levels", {"events": {"m.room.message": "9"}})], True),
        ([CREATE, event("m.room.power_levels", {"events": 7, "users": "x"})], True),
        ([CREATE, event("m.room.power_levels", "x")], True),
        ([{**CREATE, "sender": ME}, event("m.room.power_levels", {"events_default": 100})], True),
    ],
)
def test_who_may_send_follows_from_the_levels(events: list[Json], may: bool) -> None:
    state = states({"rooms": {"join": {DEN: {"state": {"events": events}}}}})[DEN]

    assert (Scope.SEND in view(DEN, state, ME).scopes) is may


def test_what_changed_last_counts_and_what_is_no_state_does_not() -> None:
    before, after = event("m.room.name", {"name": "Old"}), event("m.room.name", {"name": " New "})
    said = {"type": "m.room.name", "content": {"name": "Said"}}
    told = {"state": {"events": [before]}, "timeline": {"events": [after, said]}}

    assert view(DEN, states({"rooms": {"join": {DEN: told}}})[DEN], ME).name == "New"


def test_a_room_without_a_name_is_called_by_its_alias() -> None:
    state = states(
        {"rooms": {"join": {DEN: {"state": {"events": [event("m.room.canonical_alias", {"alias": "#d:hs"})]}}}}}
    )

    assert view(DEN, state[DEN], ME).name == "#d:hs"


@pytest.mark.parametrize("answer", [{}, {"rooms": []}, {"rooms": {"join": 7}}])
def test_an_answer_without_rooms_has_none(answer: Json) -> None:
    assert states(answer) == {}


def test_who_is_there_is_asked_in_one_request(homeserver: PlainHomeserver) -> None:
    content = {"kind": "daemon", "status": "online", "version": 1}
    entry = {"type": INSTANCE, "sender": BOT, "state_key": f"_{BOT}/box", "content": content}
    homeserver.instances = {DEN: [{**entry, "origin_server_ts": homeserver.now}], ATTIC: [{**entry, "sender": ME}]}

    assert [(each["address"], each["alive"]) for each in direct(homeserver).who()] == [(f"{BOT}/box", True)]
    assert homeserver.asked == ["/sync"]


def test_a_homeserver_with_a_cache_is_asked_anew_each_time(homeserver: PlainHomeserver) -> None:
    for _ in range(2):
        direct(homeserver).who()
    first, second = map(json.loads, homeserver.filters)

    assert first.pop("presence") != second.pop("presence")
    assert first == second


@pytest.mark.parametrize(
    ("name", "alias", "words"),
    [
        ("Den", "#Workshop:hs", {"den", "#workshop:hs", "workshop"}),
        ("plans: spring", "", {"plans: spring"}),
        ("#plans: spring", "", {"#plans: spring"}),
        (":rocket: launch", "#:hs", {":rocket: launch", "#:hs"}),
        (" ", "", set()),
    ],
)
def test_only_of_an_alias_the_server_may_be_left_out(name: str, alias: str, words: set[str]) -> None:
    assert meant_by(name, alias) == words


@pytest.mark.parametrize("named", [":rocket: launch", "#"])
def test_no_room_is_meant_by_nothing(homeserver: PlainHomeserver, named: str) -> None:
    homeserver.names = {DEN: named}
    with pytest.raises(NotDone, match="no room that you are in is called") as raised:
        direct(homeserver).send(Words(room="", body="x"), "k")

    assert raised.value.exit is Exit.UNKNOWN
    assert homeserver.rooms[DEN] == []


def test_of_several_rooms_with_a_name_one_is_to_be_chosen(homeserver: PlainHomeserver) -> None:
    homeserver.names = {DEN: "Den", ATTIC: "den"}
    with pytest.raises(NotDone, match="2 rooms that you are in are called den; give its id or an alias") as raised:
        direct(homeserver).send(Words(room="den", body="x"), "k")

    assert raised.value.exit is Exit.USAGE


# ── page by page ──


@pytest.mark.parametrize("search", [None, Search(words="number", room=DEN, limit=2)])
def test_no_message_is_left_out_between_two_pages(homeserver: PlainHomeserver, search: Search | None) -> None:
    for number in range(5):
        homeserver.say(DEN, BOT, {"body": f"number {number}"})
    asked, found, before = direct(homeserver), list[str](), None
    for _ in range(3):
        if search is None:
            page = asked.read(DEN, limit=2, before=before)
        else:
            page = asked.history(Search(words="number", room=DEN, limit=2, before=before))
        found[:0] = [each["body"] for each in page["messages"]]
        before = page["before"]

    assert found == [f"number {number}" for number in range(5)]
    assert before is None


def test_a_page_reads_as_after_the_edits_that_stand_behind_it(homeserver: PlainHomeserver) -> None:
    first = homeserver.say(DEN, BOT, {"body": "I"})
    homeserver.say(DEN, ME, {"body": "hurry"})
    for text in ("I have", "I have mended it."):
        relation = {"rel_type": "m.replace", "event_id": first}
        homeserver.say(DEN, BOT, {"body": f"* {text}", "m.new_content": {"body": text}, "m.relates_to": relation})
    last = direct(homeserver).read(DEN, limit=1, before=None)
    before = direct(homeserver).read(DEN, limit=1, before=last["before"])
    within = direct(homeserver).read(DEN, limit=1, before="$3")

    assert [each["body"] for each in last["messages"]] == ["hurry"]
    [message] = before["messages"]
    assert (message["body"], message["edited_at"]) == ("I have mended it.", homeserver.now)
    assert within["messages"][0]["body"] == "hurry"
    assert direct(homeserver).read(DEN, limit=2, before="$3")["messages"][0] == message


# ── what a program says ──


def test_what_a_program_says_to_nobody_begins_nothing(homeserver: PlainHomeserver) -> None:
    direct(homeserver, by_agent=True).send(Words(room=DEN, body="The **build** is green."), "k")
    [said] = homeserver.rooms[DEN]
    meta = read_meta(said["content"])

    assert isinstance(meta, Meta)
    assert (meta.kind, meta.to, said["content"]["m.mentions"]) == (MetaKind.MESSAGE, None, {})


def test_a_file_is_uploaded_and_shown_once_under_one_key(homeserver: PlainHomeserver) -> None:
    for _ in range(2):
        direct(homeserver, by_agent=True).send_file(DEN, "a.txt", b"hello", "Look.", "k")
    [said] = homeserver.rooms[DEN]
    content = said["content"]

    assert homeserver.files[content["url"]] == b"hello"
    assert (content["msgtype"], content["filename"], content["body"]) == ("m.file", "a.txt", "Look.")
    assert content["info"] == {"mimetype": "text/plain", "size": 5}
    assert isinstance(read_meta(content), Meta)


def test_a_person_sends_a_file_without_meta(homeserver: PlainHomeserver) -> None:
    direct(homeserver).send_file(DEN, "a.txt", b"hello", "", "k")

    assert META_KEY not in homeserver.rooms[DEN][0]["content"]


def test_no_file_is_uploaded_for_an_encrypted_room(homeserver: PlainHomeserver) -> None:
    homeserver.encrypted.add(DEN)
    with pytest.raises(NotDone, match="is encrypted"):
        direct(homeserver).send_file(DEN, "a.txt", b"hello", "", "k")

    assert homeserver.files == {}


# ── waiting for an answer ──


def test_who_has_waited_in_vain_is_told_how_far_the_message_has_come(homeserver: PlainHomeserver) -> None:
    asked = direct(homeserver, clock=ticking())
    first = asked.ask(QUESTION, "k", 3)
    homeserver.read_to(DEN, BOT, str(first["event_id"]))
    second = asked.ask(QUESTION, "k", 3)

    assert (first["state"], second["state"]) == ("sent", "read")
    assert second["sent_at"] is not None


def test_a_message_that_is_no_longer_heard_of_was_sent(homeserver: PlainHomeserver) -> None:
    asked = direct(homeserver, clock=ticking())
    asked.send(QUESTION, "k")
    for _ in range(9):
        homeserver.say(DEN, BOT, {"body": "Something else."})

    assert asked.ask(QUESTION, "k", 3)["state"] == "sent"


def test_a_message_that_is_deleted_while_one_waits_was_sent(homeserver: PlainHomeserver) -> None:
    seconds = ticking()

    def delete_what_was_said() -> float:
        for each in homeserver.rooms[DEN]:
            each["content"] = {}
        return seconds()

    message = direct(homeserver, clock=delete_what_was_said).ask(QUESTION, "k", 3)

    assert (message["state"], message["body"]) == ("sent", QUESTION.body)


def test_an_outage_while_one_waits_does_not_deny_what_was_sent(homeserver: PlainHomeserver) -> None:
    def leave_at_the_second_look() -> float:
        homeserver.problem = NotDone("it does not answer", Exit.UNREACHABLE) if homeserver.rooms[DEN] else None
        return 0.0

    with pytest.raises(NotDone, match="was sent, and there was no answer yet when this came: it does not") as raised:
        direct(homeserver, clock=leave_at_the_second_look).ask(QUESTION, "k", 3)

    assert raised.value.exit is Exit.NO_ANSWER
    assert len(homeserver.rooms[DEN]) == 1


# ── a doubt ──


def test_who_is_left_in_doubt_is_told_the_key_that_settles_it(homeserver: PlainHomeserver) -> None:
    homeserver.problem_with_puts = NotDone("it does not answer; is it there?", Exit.UNCERTAIN)
    with pytest.raises(NotDone, match=r"may have arrived; the same command with --key k1 says nothing twice") as raised:
        direct(homeserver).send(QUESTION, "k1")

    assert raised.value.exit is Exit.UNCERTAIN


def test_a_tool_is_told_of_no_key_for_it_has_none(homeserver: PlainHomeserver) -> None:
    homeserver.problem_with_puts = NotDone("it does not answer; is it there?", Exit.UNCERTAIN)
    with pytest.raises(NotDone) as raised:
        direct(homeserver, by_agent=True).send(QUESTION, "k1")

    assert "--key" not in str(raised.value)
