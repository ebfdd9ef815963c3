"""The routes, as callers see them."""

from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.errors import ExchangeRefused, RateLimited, Refused, StoreError, Unreachable
from aiagentchat.core.exchange import CODES, MessageState
from aiagentchat.core.ids import MessageId
from aiagentchat.core.rooms import RoomWish
from aiagentchat.gateway import front
from aiagentchat.gateway.callers import MOST_LOGINS
from aiagentchat.gateway.problems import STATUSES
from aiagentchat.gateway.tokens import OPERATOR, PORT, caller_file
from tests.contract.store_fixtures import OTHER_ROOM, ROOM
from tests.fakes.exchange import ALICE, US
from tests.unit.gateway_stage import Stage, make_stage

READER, BOT = caller_file("reader"), caller_file("bot")
THEM = "@other:example.org/there"


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return await make_stage(tmp_path)


def test_every_code_has_a_status_and_every_refusal_of_the_exchange_is_one() -> None:
    assert set(STATUSES) >= CODES


async def test_a_message_is_accepted_and_its_state_is_told(stage: Stage) -> None:
    sent = await stage.ask("POST", "/send", {"room": "a", "body": "Hello.", "kind": "question", "to": THEM})
    await stage.exchange.become(MessageId(sent.json["id"]), MessageState.ANSWERED, answer="Hello yourself.")
    status = await stage.ask("GET", f"/status/{sent.json['id']}")

    assert (sent.status, sent.json["room"], sent.json["state"], sent.json["caller"]) == (202, ROOM, "accepted", "port")
    assert (sent.json["kind"], sent.json["to"], sent.json["instance"]) == ("question", THEM, US.instance)
    assert (status.status, status.json["state"], status.json["answer"]) == (200, "answered", "Hello yourself.")


async def test_a_key_sends_once_and_is_refused_for_something_else(stage: Stage) -> None:
    key = [("idempotency-key", "k-1")]

    first = await stage.ask("POST", "/send", {"room": "a", "body": "Hello."}, headers=key)
    second = await stage.ask("POST", "/send", {"room": ROOM, "body": "Hello."}, headers=key)
    other = await stage.ask("POST", "/send", {"room": "a", "body": "Good bye."}, headers=key)

    assert first.json["id"] == second.json["id"]
    assert (other.status, other.code) == (409, "conflict")


async def test_a_question_is_answered_in_one_request(stage: Stage) -> None:
    body = {"room": "a", "body": "Is anybody there?", "seconds": 0}

    asked = await stage.ask("POST", "/ask", body)

    assert (asked.status, asked.json["state"]) == (200, "accepted")


async def test_rooms_and_what_is_said_there_are_read(stage: Stage) -> None:
    for number in range(3):
        stage.exchange.say(ROOM, f"message {number}", sender=ALICE)

    last = await stage.ask("GET", "/read?room=a&limit=2", token=READER)
    first = await stage.ask("GET", f"/read?room=a&limit=2&before={last.json['before']}", token=READER)

    assert [said["body"] for said in last.json["messages"]] == ["message 1", "message 2"]
    assert [said["body"] for said in first.json["messages"]] == ["message 0"]
    assert first.json["before"] is None


async def test_a_caller_reads_nothing_of_other_rooms(stage: Stage) -> None:
    stage.exchange.say(OTHER_ROOM, "secret")

    answers = [
        await stage.ask("GET", f"/read?room={OTHER_ROOM}", token=READER),
        await stage.ask("GET", "/read?room=b", token=READER),
        await stage.ask("GET", "/read?room=nowhere", token=READER),
        await stage.ask("GET", f"/history?room={OTHER_ROOM}&words=secret", token=READER),
        await stage.ask("GET", "/history?words=secret", token=READER),
        await stage.ask("GET", "/messages/recent", token=READER),
        await stage.ask("GET", "/rooms/list", token=READER),
        await stage.ask("GET", "/status", token=READER),
        await stage.ask("POST", "/messages/get", {"room_id": OTHER_ROOM}, token=READER),
    ]

    assert [answer.status for answer in answers] == [404, 404, 404, 404, 200, 200, 200, 200, 404]
    assert len({answer.body for answer in answers[:4]}) == 1
    assert [b"secret" in answer.body or OTHER_ROOM.encode() in answer.body for answer in answers] == [False] * 9


@pytest.mark.parametrize("ref", ["a", "A", ROOM, "#team:example.org"])
async def test_a_room_has_a_name_an_id_and_aliases(stage: Stage, ref: str) -> None:
    stage.exchange.say(ROOM, "here")
    stage.aliases["#team:example.org"] = ROOM
    read = await stage.ask("POST", "/messages/get", {"room_id": ref}, token=READER)

    assert [said["body"] for said in read.json["messages"]] == ["here"]
    assert stage.looked_up == [ref] * ref.startswith("#")


async def test_a_room_that_is_not_there_is_answered_with_those_that_are(stage: Stage) -> None:
    stage.aliases["#secret:example.org"] = OTHER_ROOM
    refs = ["nowhere", "#nowhere", "#nowhere:example.org", "#secret:example.org"]
    answers = [await stage.ask("POST", "/messages/get", {"room_id": ref}, token=READER) for ref in refs]

    assert {answer.json["detail"] for answer in answers} == {"There is no such room for you. There are: a."}
    assert stage.looked_up == refs[2:]


@pytest.mark.parametrize("hangs", [False, True])
async def test_where_the_homeserver_does_not_answer_no_alias_is_said_to_be_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(front, "ALIAS_SECONDS", 0.05)
    stage.no_alias, stage.alias_hangs = Unreachable("away"), hangs
    answer = await stage.ask("POST", "/messages/get", {"room_id": "#team:example.org"}, token=READER)

    assert (answer.status, answer.code) == (503, "unavailable")
    assert "Give the room's name or its id" in answer.json["detail"]


@pytest.mark.parametrize("path", ["/status/", "/rooms/list/", "//status", "/mcp/", "/health/"])
async def test_a_path_with_one_more_slash_is_no_route_and_leads_nowhere(stage: Stage, path: str) -> None:
    answer = await stage.ask("GET", path)

    assert (answer.status, answer.code) == (404, "no_route")


async def test_who_may_read_may_not_send(stage: Stage) -> None:
    sent = await stage.ask("POST", "/send", {"room": "a", "body": "Hello."}, token=READER)

    assert (sent.status, sent.code) == (403, "not_allowed")


async def test_words_are_looked_for_in_all_rooms_or_in_some(stage: Stage) -> None:
    stage.exchange.say(ROOM, "The build is green.")
    stage.exchange.say(OTHER_ROOM, "The build is red.")

    everywhere = await stage.ask("GET", "/history?words=build")
    here = await stage.ask("GET", "/history?words=build&room=b&kind=answer")

    assert [said["body"] for said in everywhere.json["messages"]] == ["The build is green.", "The build is red."]
    assert here.json["messages"] == []


async def test_everybody_is_told_who_is_there(stage: Stage) -> None:
    who = await stage.ask("GET", "/who")

    assert (who.status, who.json) == (200, {"instances": []})


async def test_a_task_is_given_and_brought_to_its_end(stage: Stage) -> None:
    given = await stage.ask("POST", "/tasks", {"room": "a", "to": THEM, "text": "Mend the tap."}, token=BOT)
    listed = await stage.ask("GET", "/tasks?room=a", token=BOT)
    task = given.json["id"]
    done = await stage.ask("PATCH", f"/tasks/{task}", {"room": "a", "step": "done", "note": "Dry."}, token=BOT)
    left = await stage.ask("GET", "/tasks", token=BOT)
    everything = await stage.ask("GET", "/tasks?all=true", token=BOT)

    assert (given.status, given.json["to"], given.json["state"]) == (202, THEM, "assigned")
    assert [each["id"] for each in listed.json["tasks"]] == [task]
    assert (done.json["state"], done.json["note"]) == ("done", "Dry.")
    assert left.json["tasks"] == []
    assert [each["id"] for each in everything.json["tasks"]] == [task]


async def test_whom_a_message_is_for_must_be_somebody(stage: Stage) -> None:
    answers = [
        await stage.ask("POST", "/send", {"room": "a", "body": "Hello.", "to": "somebody"}),
        await stage.ask("POST", "/tasks", {"room": "a", "to": "@a:b/No Name", "text": "Hello."}),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(422, "invalid")] * 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"room": "a"}, id="no text"),
        pytest.param({"room": "a", "body": ""}, id="an empty text"),
        pytest.param({"room": "a", "body": "x" * 32_001}, id="a long text"),
        pytest.param({"room": "a", "body": 5}, id="a number"),
        pytest.param({"room": "a", "body": "x", "more": 1}, id="more than there is"),
        pytest.param({"room": "a", "body": "x", "kind": "refused"}, id="what only daemons say"),
        pytest.param({"room": "a", "body": "x", "expires_at": 1.5}, id="half a millisecond"),
        pytest.param({"room": "a", "body": "x", "in_reply_to": "m 1"}, id="no id"),
        pytest.param([], id="a list"),
    ],
)
async def test_a_body_of_another_shape_is_invalid_and_is_not_repeated(stage: Stage, body: Any) -> None:
    answer = await stage.ask("POST", "/send", body)

    assert (answer.status, answer.code) == (422, "invalid")
    assert b"x" * 100 not in answer.body
    assert stage.exchange.messages == {}


async def test_problems_are_told_by_their_codes(stage: Stage) -> None:
    codes = []
    for code in sorted(CODES):
        stage.exchange.broken = ExchangeRefused(code, "Because.")
        answer = await stage.ask("GET", "/who")
        codes.append((answer.code, answer.status, answer.json["detail"]))

    assert codes == [(code, STATUSES[code], "Because.") for code in sorted(CODES)]


async def test_what_the_ledger_cannot_do_now_is_said_without_its_words(stage: Stage) -> None:
    async def broken(_: object) -> None:
        raise StoreError("/secret/path is full")

    stage.exchange.who = broken  # type: ignore[assignment,method-assign]
    answer = await stage.ask("GET", "/who")

    assert (answer.status, answer.code) == (503, "unavailable")
    assert b"secret" not in answer.body


async def test_what_is_not_there_is_told_as_a_problem(stage: Stage) -> None:
    answers = [
        await stage.ask("GET", "/nothing"),
        await stage.ask("GET", "/send"),
        await stage.ask("OPTIONS", "/send"),
        await stage.ask("POST", "/send", body=b"{"),
        await stage.ask("POST", "/send", body=b"\xff\xfe"),
        await stage.ask("GET", "/status/not%20one"),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [
        (404, "no_route"),
        (405, "wrong_method"),
        (405, "wrong_method"),
        (400, "malformed"),
        (400, "malformed"),
        (422, "invalid"),
    ]


async def test_health_needs_no_token_and_tells_nothing_else_without_one(stage: Stage) -> None:
    health, known = await stage.ask("GET", "/health", token=None), await stage.ask("GET", "/health")

    assert health.json == {"status": "healthy"}
    assert known.json == {"status": "healthy", "homeserver_connected": True, "uptime_seconds": 0}


async def test_who_asks_whether_it_is_ready_needs_no_token(stage: Stage) -> None:
    ready = await stage.ask("GET", "/ready", token=None)

    assert (ready.status, ready.json) == (200, {"ready": True})


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ({"sync_age": None}, "the homeserver was not heard yet"),
        ({"sync_age": 200.4}, "the homeserver was not heard for 200 s"),
        ({"store_works": False}, "the database cannot be written"),
        (
            {"agents": {"claude": False, "other": True}},
            "the program of agent claude cannot be started, or does not answer",
        ),
    ],
)
async def test_what_is_missing_is_told_to_whoever_has_a_token(
    stage: Stage, missing: dict[str, Any], sentence: str
) -> None:
    import dataclasses

    stage.vitals = dataclasses.replace(stage.vitals, **missing)
    stranger, known = await stage.ask("GET", "/ready", token=None), await stage.ask("GET", "/ready")
    alive = await stage.ask("GET", "/health", token=None)

    assert (stranger.status, stranger.code) == (503, "unavailable")
    assert stranger.json["detail"] == "The daemon is not ready."
    assert (known.status, known.json["detail"]) == (503, f"The daemon is not ready: {sentence}.")
    assert alive.status == 200


async def test_a_program_that_hangs_keeps_nobody_from_hearing_that_the_daemon_lives(stage: Stage) -> None:
    stage.agents_hang = True

    assert [(await stage.ask("GET", path)).status for path in ("/health", "/status")] == [200, 200]


async def test_a_daemon_that_is_cut_off_is_degraded(stage: Stage) -> None:
    import dataclasses

    stage.vitals = dataclasses.replace(stage.vitals, sync_age=None)
    health, status = await stage.ask("GET", "/health"), await stage.ask("GET", "/status")

    assert (health.json["status"], health.json["homeserver_connected"]) == ("degraded", False)
    assert (status.json["status"], status.json["sync_age_seconds"]) == ("degraded", None)


async def test_the_status_has_the_rooms_of_the_caller(stage: Stage) -> None:
    status = await stage.ask("GET", "/status", token=READER)

    assert status.json["caller"] == "reader"
    assert [(room["name"], room["scopes"]) for room in status.json["rooms"]] == [("a", ["read"])]


async def test_numbers_are_told_in_the_text_of_prometheus(stage: Stage) -> None:
    await stage.ask("GET", "/nothing")
    metrics = await stage.ask("GET", "/metrics")
    text = metrics.body.decode()

    assert metrics.headers["content-type"].startswith("text/plain")
    assert "aiagentchat_parcels_waiting 7.0\n" in text
    assert 'aiagentchat_gateway_answers_total{status="404"} 1.0\n' in text
    assert "_created" not in text


async def test_the_rooms_of_a_plain_matrix_service_are_listed(stage: Stage) -> None:
    rooms = await stage.ask("GET", "/rooms/list", token=BOT)

    assert [(room["room_id"], room["name"], room["scopes"]) for room in rooms.json["rooms"]] == [
        (ROOM, "a", ["read", "send"]),
        (OTHER_ROOM, "b", ["read", "run", "send"]),
    ]


async def test_messages_are_sent_and_read_as_by_a_plain_matrix_service(stage: Stage) -> None:
    stage.exchange.say(OTHER_ROOM, "before")

    async def arrive(seconds: float) -> None:
        stage.clock.advance(seconds)
        [message] = stage.exchange.messages
        await stage.exchange.become(message, MessageState.SENT)

    stage.clock.sleep = arrive  # type: ignore[method-assign]
    sent = await stage.ask("POST", "/messages/send", {"room_id": ROOM, "message": "Hello."})
    got = await stage.ask("POST", "/messages/get", {"room_id": ROOM, "limit": 1})
    recent = await stage.ask("GET", "/messages/recent?limit=5")

    assert (sent.status, sent.json["state"]) == (202, "sent")
    assert sent.json["event_id"].startswith("$")
    assert [said["body"] for said in got.json["messages"]] == ["Hello."]
    assert got.json["end"] is None
    assert ([said["body"] for said in recent.json["messages"]], recent.json["total_rooms"]) == (["before", "Hello."], 2)


async def test_a_message_that_is_not_in_its_room_a_moment_later_has_no_event_yet(stage: Stage) -> None:
    async def pass_by(seconds: float) -> None:
        stage.clock.advance(seconds)

    stage.clock.sleep = pass_by  # type: ignore[method-assign]
    sent = await stage.ask("POST", "/messages/send", {"room_id": ROOM, "message": "Hello."})

    assert (sent.status, sent.json["event_id"], sent.json["state"]) == (202, None, "accepted")


async def test_only_the_operator_makes_rooms(stage: Stage) -> None:
    wish = {"name": "Kitchen", "topic": "Taps", "invite": ["@anna:example.org"]}

    made = await stage.ask("POST", "/rooms/create", wish, token=OPERATOR, at_socket=True)
    others = [
        await stage.ask("POST", "/rooms/create", wish, token=PORT),
        await stage.ask("POST", "/rooms/create", wish, token=PORT, at_socket=True),
        await stage.ask("POST", "/rooms/create", wish, token=BOT),
    ]

    assert (made.status, made.json) == (201, {"room_id": "!made:example.org"})
    assert stage.wished == [RoomWish(name="Kitchen", topic="Taps", is_public=False, invite=["@anna:example.org"])]  # type: ignore[list-item]
    assert [(answer.status, answer.code) for answer in others] == [(403, "not_allowed")] * 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RateLimited("slowly", retry_after=1.0), "full"),
        (Refused("foreign text", errcode="M_FORBIDDEN"), "invalid"),
        (Unreachable("foreign text"), "unavailable"),
    ],
)
async def test_a_room_that_the_homeserver_does_not_make_is_a_problem(stage: Stage, error: Any, code: str) -> None:
    stage.no_room = error

    answer = await stage.ask("POST", "/rooms/create", {"name": "x"}, token=OPERATOR, at_socket=True)

    assert answer.code == code
    assert b"foreign" not in answer.body


async def test_a_login_with_the_operators_token_gives_one_that_reads_and_sends_where_it_says(stage: Stage) -> None:
    wish = {"username": "guest", "password": stage.token(OPERATOR), "rooms": ["b"]}

    login = await stage.ask("POST", "/login", wish, token=None, at_socket=True)
    token = login.json["access_token"]
    rooms = await stage.ask("GET", "/rooms/list", token=token)
    sent = await stage.ask("POST", "/send", {"room": "b", "body": "Hello."}, token=token)

    assert login.status == 200
    assert (login.json["caller"], login.json["token_type"], login.json["user_id"]) == ("guest", "Bearer", US.user)
    assert [(room["name"], room["scopes"]) for room in rooms.json["rooms"]] == [("b", ["read", "send"])]
    assert (sent.status, sent.json["caller"]) == (202, "guest")
    assert [given.digest == token for given in stage.logins.given] == [False]
    assert ("gateway login", token) in stage.told


async def test_a_login_as_a_configured_caller_gives_what_that_may(stage: Stage) -> None:
    for password in (OPERATOR, BOT):
        wish = {"username": "bot", "password": stage.token(password)}
        login = await stage.ask("POST", "/login", wish, token=None, at_socket=True)
        rooms = await stage.ask("GET", "/rooms/list", token=login.json["access_token"])

        assert [room["scopes"] for room in rooms.json["rooms"]] == [["read", "send"], ["read", "run", "send"]]


async def test_a_login_never_gives_more_than_its_password_may(stage: Stage) -> None:
    wish = {
        "username": "reader",
        "password": stage.token(READER),
        "rooms": ["a"],
        "may": ["read", "send", "run"],
    }

    login = await stage.ask("POST", "/login", wish, token=None, at_socket=True)
    rooms = await stage.ask("GET", "/rooms/list", token=login.json["access_token"])
    elsewhere = await stage.ask("POST", "/login", {**wish, "rooms": ["b"]}, token=None, at_socket=True)

    assert [(room["name"], room["scopes"]) for room in rooms.json["rooms"]] == [("a", ["read"])]
    assert elsewhere.code == "unknown"


async def test_a_login_with_anything_else_gives_nothing(stage: Stage) -> None:
    login = await stage.ask(
        "POST", "/login", {"username": "x", "password": stage.token(OPERATOR)}, token=None, at_socket=True
    )
    passwords = ["wrong", stage.token(PORT), stage.token(READER), login.json["access_token"]]

    answers = [
        await stage.ask("POST", "/login", {"username": "bot", "password": each}, token=None, at_socket=True)
        for each in passwords
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(401, "unauthenticated")] * 4


async def test_logins_are_at_the_socket_alone(stage: Stage) -> None:
    wish = {"username": "guest", "password": stage.token(OPERATOR)}

    answers = [
        await stage.ask("POST", "/login", wish, token=None),
        await stage.ask("POST", "/login", wish, token=PORT),
        await stage.ask("GET", "/login/auto", token=OPERATOR),
        await stage.ask("GET", "/login/auto", token=PORT),
        await stage.ask("GET", "/login/auto", token=PORT, at_socket=True),
    ]

    assert [answer.code for answer in answers] == [
        "unauthenticated",
        "not_allowed",
        "unauthenticated",
        "not_allowed",
        "not_allowed",
    ]


async def test_the_names_of_other_tokens_are_no_names_for_logins(stage: Stage) -> None:
    wish = {"username": "operator", "password": stage.token(OPERATOR)}

    answer = await stage.ask("POST", "/login", wish, token=None, at_socket=True)

    assert answer.code == "invalid"


async def test_the_operator_logs_in_without_saying_anything(stage: Stage) -> None:
    login = await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)
    token = login.json["access_token"]
    rooms = await stage.ask("GET", "/rooms/list", token=token)
    again = await stage.ask("GET", "/login/auto", token=token, at_socket=True)

    assert [room["scopes"] for room in rooms.json["rooms"]] == [["read", "send"]] * 2
    assert again.code == "not_allowed"


async def test_a_login_expires(stage: Stage) -> None:
    login = await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)
    token = login.json["access_token"]
    before = await stage.ask("GET", "/who", token=token)
    stage.clock.advance(86_400)
    after = await stage.ask("GET", "/who", token=token)

    assert (before.status, after.status) == (200, 401)


async def test_a_login_is_good_in_later_lives(stage: Stage) -> None:
    login = await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)
    stage.callers._given.clear()
    await stage.callers.prepare()

    assert (await stage.ask("GET", "/who", token=login.json["access_token"])).status == 200


async def test_logins_are_bounded(stage: Stage) -> None:
    for _ in range(MOST_LOGINS):
        assert (await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)).status == 200

    full = await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)
    stage.clock.advance(86_400)
    later = await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)

    assert (full.code, later.status) == ("full", 200)
