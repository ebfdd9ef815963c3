"""In front of the routes: whose request it is, how large, how many, how long."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from aiagentchat.core.instances import MOST_SESSIONS
from aiagentchat.gateway import door
from aiagentchat.gateway.door import MOST_BYTES, MOST_OF_CALLER, MOST_REQUESTS, Door, Kind, Place, Traffic
from aiagentchat.gateway.problems import Refusal
from aiagentchat.gateway.tokens import OPERATOR, PORT, caller_file
from tests.fakes.changes import Changes
from tests.unit.gateway_stage import NUMBER, USER, Answer, Stage, make_stage

READER = caller_file("reader")


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return await make_stage(tmp_path)


def behind(stage: Stage, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
    """Another app behind the door of the port."""
    stage.port = Door(app, place=Place(port=NUMBER), callers=stage.callers, traffic=stage.traffic)


async def say(send: Send, text: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": text})


@pytest.mark.parametrize("token", [None, "wrong", "", OPERATOR], ids=["none", "wrong", "empty", "the operator's"])
async def test_without_a_token_that_is_good_at_the_port_nothing_is_answered(stage: Stage, token: str | None) -> None:
    answer = await stage.ask("GET", "/who", token=token)

    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert stage.exchange.asked == []


async def test_a_token_in_the_address_or_in_a_cookie_is_none(stage: Stage) -> None:
    token = stage.token(PORT)

    answers = [
        await stage.ask("GET", f"/who?access_token={token}&token={token}", token=None),
        await stage.ask("GET", "/who", token=None, headers=[("cookie", f"token={token}")]),
        await stage.ask("GET", "/who", token=None, headers=[("authorization", f"Basic {token}")]),
    ]

    assert [answer.status for answer in answers] == [401] * 3


@pytest.mark.parametrize("token", [OPERATOR, PORT, READER])
async def test_every_token_is_good_at_the_socket(stage: Stage, token: str) -> None:
    answer = await stage.ask("GET", "/who", token=token, at_socket=True)

    assert answer.status == 200


async def test_another_user_is_refused_at_the_socket_whatever_token_he_has(stage: Stage) -> None:
    answer = await stage.ask("GET", "/who", token=OPERATOR, at_socket=True, peer=USER + 1)

    assert (answer.status, answer.code) == (403, "wrong_peer")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("host", "evil.example:8870"), "wrong_host"),
        (("origin", "https://evil.example"), "wrong_origin"),
        (("sec-fetch-site", "cross-site"), "wrong_origin"),
    ],
)
async def test_what_a_web_page_brings_is_refused_with_a_good_token_too(
    stage: Stage, header: tuple[str, str], code: str
) -> None:
    answers = [
        await stage.ask("GET", "/who", headers=[header]),
        await stage.ask("GET", "/health", token=None, headers=[header]),
        await stage.ask("POST", "/send", {"room": "a", "body": "x"}, headers=[header]),
    ]

    assert [answer.code for answer in answers] == [code] * 3
    assert stage.exchange.asked == []


async def test_no_answer_is_kept_or_guessed_at_by_a_browser(stage: Stage) -> None:
    for answer in (await stage.ask("GET", "/who"), await stage.ask("GET", "/who", token=None)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("length", [str(MOST_BYTES + 1), "many", "-1", "1e9"])
async def test_a_body_that_says_it_is_too_large_is_not_read(stage: Stage, length: str) -> None:
    answer = await stage.ask("POST", "/send", {"room": "a", "body": "x"}, headers=[("content-length", length)])

    assert (answer.status, answer.code) == (413, "too_large")


async def test_a_body_that_turns_out_too_large_is_refused(stage: Stage) -> None:
    answer = await stage.ask("POST", "/send", body=b"x" * (MOST_BYTES + 1), headers=[("content-length", "")])

    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_a_form_could_send_is_refused(stage: Stage, kind: str) -> None:
    answer = await stage.ask("POST", "/send", {"room": "a", "body": "x"}, headers=[("content-type", kind)])

    assert (answer.status, answer.code) == (415, "wrong_type")


async def test_a_body_may_say_how_it_is_written(stage: Stage) -> None:
    kind = ("content-type", "application/json; charset=utf-8")

    assert (await stage.ask("POST", "/send", {"room": "a", "body": "x"}, headers=[kind])).status == 202


async def test_a_caller_that_asks_too_much_at_once_is_told_so_and_others_are_served(stage: Stage) -> None:
    going, release = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_: Scope, __: Receive, send: Send) -> None:
        going.release()
        await release.wait()
        await say(send, b"done")

    behind(stage, slow)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stage.ask("GET", "/who")) for _ in range(MOST_OF_CALLER)]
        for _ in tasks:
            await going.acquire()
        refused = await stage.ask("GET", "/who")
        other = group.create_task(stage.ask("GET", "/who", token=READER))
        await going.acquire()
        release.set()

    assert (refused.status, refused.code) == (503, "busy")
    assert [task.result().status for task in [*tasks, other]] == [200] * (MOST_OF_CALLER + 1)
    assert stage.traffic.requests.total() == 0


def test_all_callers_together_are_bounded() -> None:
    traffic = Traffic()
    traffic.requests.update({f"caller{number}": 1 for number in range(MOST_REQUESTS)})

    with pytest.raises(Refusal, match="64 at once"), traffic.taking("another", Kind.REQUEST):
        raise AssertionError


def test_streams_are_counted_apart() -> None:
    traffic = Traffic()

    with traffic.taking("a", Kind.STREAM), traffic.taking("a", Kind.REQUEST), traffic.taking("a", Kind.SESSION):
        assert (traffic.streams["a"], traffic.requests["a"], traffic.sessions["a"]) == (1, 1, 1)

    assert (traffic.streams.total(), traffic.requests.total(), traffic.sessions.total()) == (0, 0, 0)


async def test_all_sessions_of_a_daemon_may_be_of_one_caller(stage: Stage) -> None:
    changes = Changes()
    stage.feed.on_quiet = changes.tell

    async def stay(number: int) -> Answer:
        return await stage.ask("GET", f"/events?instance=s{number}")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks = [group.create_task(stay(number)) for number in range(MOST_SESSIONS)]
        await changes.until(lambda: len(stage.directory.sessions) == MOST_SESSIONS)
        refused = await stay(MOST_SESSIONS)
        plain = group.create_task(stage.ask("GET", "/events"))
        await changes.until(lambda: stage.traffic.streams)
        stage.front.streams.close()

    assert (refused.status, refused.code) == (503, "busy")
    assert [task.result().status for task in [*tasks, plain]] == [200] * (MOST_SESSIONS + 1)
    assert stage.traffic.sessions.total() == 0


async def test_what_takes_too_long_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REQUEST_SECONDS", 0.01)
    cancelled = []

    async def stuck(scope: Scope, _: Receive, __: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(scope["path"])

    behind(stage, stuck)
    answer = await stage.ask("GET", "/who")

    assert (answer.status, answer.code) == (504, "too_slow")
    assert cancelled == ["/who"]


async def test_a_fault_of_ours_is_said_without_its_words(stage: Stage) -> None:
    async def broken(_: Scope, __: Receive, ___: Send) -> None:
        raise RuntimeError("secret")

    behind(stage, broken)
    answer = await stage.ask("GET", "/who")

    assert (answer.status, answer.code) == (500, "failed")
    assert b"secret" not in answer.body


async def test_a_fault_in_a_route_is_a_problem_too(stage: Stage) -> None:
    async def broken(_: object) -> None:
        raise RuntimeError("secret")

    stage.exchange.who = broken  # type: ignore[assignment,method-assign]
    answer = await stage.ask("GET", "/who")

    assert (answer.status, answer.code) == (500, "failed")


async def test_an_answer_that_has_begun_and_fails_just_ends(stage: Stage) -> None:
    async def broken(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("secret")

    behind(stage, broken)
    answer = await stage.ask("GET", "/who")

    assert (answer.status, answer.body) == (200, b"")


async def test_nothing_is_answered_to_who_has_gone(stage: Stage) -> None:
    sent: list[Any] = []

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8870"), (b"authorization", f"Bearer {stage.token(PORT)}".encode())]
    await stage.port({"type": "http", "method": "GET", "path": "/who", "headers": headers, "state": {}}, gone, send)

    assert sent == []


async def test_nothing_but_http_is_spoken(stage: Stage) -> None:
    await stage.port({"type": "websocket"}, None, None)  # type: ignore[arg-type]

    assert stage.exchange.asked == []


async def test_whoever_uses_a_tool_is_found_out_like_everybody_else(stage: Stage) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "who", "arguments": {}}}
    accept = ("accept", "application/json, text/event-stream")
    session = ("aiagentchat-instance", "somebody")

    answer = await stage.ask("POST", "/mcp", call, token=READER, headers=[accept])
    assert (answer.status, json.loads(answer.body)["result"]["isError"]) == (200, False)
    assert [caller.name for _, caller in stage.exchange.asked] == ["reader"]
    assert (await stage.ask("POST", "/mcp", call, token=None, headers=[accept])).status == 401
    assert (await stage.ask("POST", "/mcp", call, token=READER, headers=[accept, session])).status == 403
    assert (await stage.ask("GET", "/mcp", token=READER)).status == 405
    assert len(stage.exchange.asked) == 1


async def test_a_file_may_come_in_the_arguments_of_a_tool_and_nowhere_else(stage: Stage) -> None:
    large = b'"' + b"x" * (2 * MOST_BYTES) + b'"'

    assert (await stage.ask("POST", "/mcp", body=large)).status != 413
    assert (await stage.ask("POST", "/send", body=large)).status == 413
    assert (await stage.ask("POST", "/mcp", body=large * 20)).status == 413
