"""What is wrong with a request is said in words, and the framework's are not."""

from pathlib import Path
from typing import Any

import pytest

from aiagentchat.gateway.mistakes import mistaken
from aiagentchat.gateway.tokens import OPERATOR
from tests.unit.gateway_stage import Stage, make_stage

FRAMEWORK = ("should", "Input", "Field", "pattern", "valid ")
HELLO = {"room": "a", "body": "Hello."}


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return await make_stage(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/send", {"room": "a"}, "body: it is missing."),
        ("POST", "/send", {"room": "", "body": ""}, "room: it is empty; body: it is empty."),
        ("POST", "/send", {**HELLO, "x": 1}, "x: there is no such field."),
        ("POST", "/send", {**HELLO, "body": 1}, "body: write a text."),
        ("POST", "/send", {**HELLO, "body": "\ud800"}, "body: write a text; a half of a character is none."),
        ("POST", "/send", {**HELLO, "body": "x" * 40_000}, "body: it is too long: at most 32000 characters."),
        ("POST", "/send", {**HELLO, "to": "@x"}, "to: whom it is for is written @user:server, or @user:server/inst"),
        ("POST", "/send", {**HELLO, "thread": "root"}, "thread: a thread is named by the id of its first event"),
        ("POST", "/send", {**HELLO, "kind": "x"}, "kind: it must be 'message', 'task', 'question', 'status' or 'an"),
        ("POST", "/send", {**HELLO, "budget": 1.5}, "budget: write a whole number."),
        ("POST", "/send", {**HELLO, "budget": -1}, "budget: it must be at least 0."),
        ("POST", "/send", {**HELLO, "budget": 1001}, "budget: it must be at most 1000."),
        ("POST", "/send", {**HELLO, "expires_at": "soon"}, "expires_at: write a whole number."),
        ("POST", "/send", [], "body: write an object."),
        ("GET", "/read?room=a&before=x", None, "before: write a whole number."),
        ("GET", "/history?kind=x", None, "kind: it must be 'message'"),
        ("GET", "/tasks?all=perhaps", None, "all: write true or false."),
        ("GET", "/status/a%20b", None, "message: the id of a message has letters"),
        ("POST", "/messages/send", {"room_id": "!a:b", "message": ""}, "message: it is empty."),
        ("POST", "/messages/send", {"room_id": "", "message": "x"}, "room_id: it is empty."),
        ("POST", "/messages/get", {"room_id": "!a:b", "before": ""}, "before: write what the page before has told."),
        ("POST", "/send", {**HELLO, "task": ""}, "task: the id of a task has letters"),
        ("POST", "/send", {**HELLO, "to": ""}, "to: whom it is for is written @user:server, or @user:server/inst"),
        ("POST", "/rooms/create", {"name": "", "invite": []}, "name: it is empty."),
        ("POST", "/login", {"username": "a", "password": ""}, "password: it is empty."),
        ("POST", "/rooms/create", {"name": "x", "invite": ["bob"]}, "invite.0: an account is written @user:server."),
        ("POST", "/login", {"username": "@a:b", "password": "x"}, "username: a caller's name has a-z"),
    ],
)
async def test_what_is_wrong_is_named_with_what_would_be_right(
    stage: Stage, method: str, path: str, body: Any, detail: str
) -> None:
    answer = await stage.ask(method, path, body, token=OPERATOR, at_socket=True)

    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.json["detail"].startswith(detail)
    assert not any(word in answer.json["detail"] for word in FRAMEWORK)


@pytest.mark.parametrize(
    ("header", "path", "detail"),
    [
        (("idempotency-key", "two words"), "/send", "Idempotency-Key: a key has 1 to 128"),
        (("last-event-id", "abc"), "/events", "Last-Event-ID: write the id of an event, which is a number."),
    ],
)
async def test_so_is_what_a_header_says(stage: Stage, header: tuple[str, str], path: str, detail: str) -> None:
    method, body = ("POST", HELLO) if path == "/send" else ("GET", None)
    answer = await stage.ask(method, path, body, headers=[header])

    assert answer.status == 422
    assert answer.json["detail"].startswith(detail)


def test_only_so_many_are_named_and_what_nobody_thought_of_in_the_words_of_whoever_found_it() -> None:
    wrong = [{"type": "new", "loc": ("body", f"f{n}"), "msg": "odd"} for n in range(7)]

    assert mistaken(wrong).detail == "f0: odd; f1: odd; f2: odd; f3: odd; f4: odd."
    assert mistaken([{"type": "new", "loc": (), "msg": "odd"}]).detail == "request: odd."
