"""The gate in front of the model: the key is ours, the rest is as it came, and both directions flow."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from aiagentchat.config.secrets import Secret
from aiagentchat.core.isolation import Network
from aiagentchat.egress.answers import WRONG_TOKEN
from aiagentchat.egress.decide import Asked, Door, decide
from aiagentchat.egress.limits import Limits
from aiagentchat.egress.upstream import Upstream
from rig.model import Model
from rig.script import Step, script
from tests.unit.egress_stage import (
    KEY,
    PROXY,
    TOKEN,
    Api,
    Header,
    Stage,
    api_server,
    ask,
    ask_model,
    connected,
    stage,
)

MINE = ("x-api-key", TOKEN)
ATTACKER = "sk-ant-ATTACKER"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def at(api: Api) -> AsyncIterator[Stage]:
    async with stage(api.url) as running:
        yield running


def error_of(body: bytes) -> tuple[str, str]:
    """Type and message of an error of the Messages API."""
    said = json.loads(body)
    assert said["type"] == "error"
    return said["error"]["type"], said["error"]["message"]


# ── who we are ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shown", [MINE, ("authorization", f"Bearer {TOKEN}"), ("Authorization", f"bearer  {TOKEN}")])
async def test_the_key_is_put_in_the_place_of_the_token(api: Api, at: Stage, shown: Header) -> None:
    answer = await ask(at.path, "POST", "/v1/messages", shown, body=b"{}")

    [heard] = api.heard
    assert answer.status == 200
    assert heard.values("x-api-key") == [KEY]
    assert heard.values("authorization") == []
    assert TOKEN not in str(heard)


async def test_no_credential_of_the_room_reaches_the_model(api: Api, at: Stage) -> None:
    headers = [
        ("X-API-Key", ATTACKER),
        ("Authorization", f"Bearer {ATTACKER}"),
        ("Proxy-Authorization", f"Basic {ATTACKER}"),
        ("Cookie", f"session={ATTACKER}"),
        ("Cookie2", ATTACKER),
        ("X-Goog-Api-Key", ATTACKER),
        ("Api-Key", ATTACKER),
        ("X-Auth-Token", ATTACKER),
        ("X-Forwarded-For", ATTACKER),
        ("Forwarded", f"for={ATTACKER}"),
    ]
    answer = await ask_model(at.path, *headers)

    [heard] = api.heard
    assert answer.status == 200
    assert ATTACKER not in str(heard)
    assert heard.values("x-api-key") == [KEY]


async def test_what_is_said_beside_the_credential_arrives_as_it_was_sent(api: Api, at: Stage) -> None:
    sent = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "oauth-2025-04-20"),
        ("anthropic-beta", "interleaved-thinking-2025-05-14"),
        ("User-Agent", "claude-cli/2.1.329 (external, sdk-cli)"),
        ("X-Claude-Code-Session-Id", "a-session"),
        ("Accept-Encoding", "gzip, br"),
        ("Content-Type", "application/json"),
        ("X-Words", "grüße"),
    ]
    await ask(at.path, "POST", "/v1/messages?beta=true&a=%2F..%2f&b=+", MINE, *sent, body="{ü}".encode())

    [heard] = api.heard
    ours = {"x-api-key", "host", "content-length"}
    assert [(name.lower(), value) for name, value in heard.headers if name.lower() not in ours] == [
        (name.lower(), value) for name, value in sent
    ]
    assert (heard.path, heard.body) == ("/v1/messages?beta=true&a=%2F..%2f&b=+", "{ü}".encode())
    assert heard.values("host") == [f"127.0.0.1:{api.port}"]


async def test_what_the_run_does_not_say_is_not_made_up(api: Api, at: Stage) -> None:
    await ask(at.path, "POST", "/v1/messages", MINE)

    assert {name.lower() for name, _ in api.heard[0].headers} == {"host", "content-length", "x-api-key"}


async def test_what_belongs_to_the_connection_ends_with_it(api: Api, at: Stage) -> None:
    await ask_model(
        at.path, ("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("TE", "trailers"), ("Upgrade", "x")
    )

    names = {name.lower() for name, _ in api.heard[0].headers}
    assert not names & {"x-mine", "te", "upgrade"}


async def test_a_bearer_replaces_the_authorization_and_nothing_else(api: Api) -> None:
    upstream = Upstream(base_url=api.url, bearer=Secret("sk-ant-oat01-real"))
    async with stage(upstream=lambda: upstream) as at:
        shown = ("authorization", f"Bearer {TOKEN}")
        await ask(
            at.path, "POST", "/v1/messages", shown, ("anthropic-beta", "oauth-2025-04-20"), ("x-api-key", ATTACKER)
        )

    [heard] = api.heard
    assert heard.values("authorization") == ["Bearer sk-ant-oat01-real"]
    assert heard.values("anthropic-beta") == ["oauth-2025-04-20"]
    assert heard.values("x-api-key") == []


@pytest.mark.parametrize(("passthrough", "status"), [(True, 200), (False, 401)])
async def test_a_token_that_the_room_may_hold_is_accepted_from_it(api: Api, passthrough: bool, status: int) -> None:
    upstream = Upstream(base_url=api.url, bearer=Secret("sk-ant-oat01-real"), passthrough=passthrough)
    async with stage(upstream=lambda: upstream) as at:
        answer = await ask(at.path, "POST", "/v1/messages", ("authorization", "Bearer sk-ant-oat01-real"), body=b"{}")

    assert answer.status == status
    assert [heard.values("authorization") for heard in api.heard] == [["Bearer sk-ant-oat01-real"]] * passthrough


async def test_a_key_that_is_replaced_counts_from_the_next_request_on(api: Api) -> None:
    keys = iter(["first", "second"])

    def upstream() -> Upstream:
        return Upstream(base_url=api.url, api_key=Secret(next(keys)))

    async with stage(upstream=upstream) as at, connected(at.path) as run:
        await run.ask("POST", "/v1/messages", MINE, body=b"{}")
        await run.ask("POST", "/v1/messages", MINE, body=b"{}")

    assert [heard.values("x-api-key") for heard in api.heard] == [["first"], ["second"]]


async def test_a_key_that_is_taken_away_is_a_sentence_from_the_next_request_on(api: Api) -> None:
    keys = iter([Upstream(base_url=api.url, api_key=Secret("first")), None])

    async with stage(upstream=lambda: next(keys)) as at, connected(at.path) as run:
        first = await run.ask("POST", "/v1/messages", MINE, body=b"{}")
        second = await run.ask("POST", "/v1/messages", MINE, body=b"{}")

    assert (first.status, second.status) == (200, 401)
    assert b"has no key for the model any more" in second.body
    assert len(api.heard) == 1


async def test_the_path_of_the_upstream_comes_first(api: Api) -> None:
    async with stage(f"{api.url}/team/anthropic/") as at:
        await ask_model(at.path)

    assert api.heard[0].path == "/team/anthropic/v1/messages?beta=true"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"api_key": Secret("a"), "bearer": Secret("b")},
        {"api_key": Secret("a"), "passthrough": True},
        {"api_key": Secret("a"), "base_url": "ftp://x"},
        {"api_key": Secret("a"), "base_url": "https://user@x"},
        {"api_key": Secret("a"), "base_url": "https://x/?a=b"},
        {"api_key": Secret("a"), "base_url": "x"},
    ],
)
def test_an_upstream_that_makes_no_sense_cannot_be_made(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"upstream|bearer|base_url"):
        Upstream(**values)  # type: ignore[arg-type]


def test_an_upstream_prints_no_secret() -> None:
    assert KEY not in repr(Upstream(api_key=Secret(KEY)))


# ── what is reached ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/count_tokens?beta=true"])
async def test_the_endpoints_of_messages_are_reached(api: Api, at: Stage, target: str) -> None:
    assert (await ask(at.path, "POST", target, MINE, body=b"{}")).status == 200
    assert api.heard[0].path == target


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/models"),
        ("GET", "/v1/messages"),
        ("PUT", "/v1/messages"),
        ("DELETE", "/v1/messages"),
        ("OPTIONS", "/v1/messages"),
        ("OPTIONS", "*"),
        ("HEAD", "/v1/messages"),
        ("HEAD", "//"),
        ("GET", "/"),
        ("GET", "/api/hello"),
        ("POST", "/api/hello"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1/messages/batches"),
        ("POST", "//v1/messages"),
        ("POST", "/v1//messages"),
        ("POST", "/v1/./messages"),
        ("POST", "/v1/files/../messages"),
        ("POST", "/v1/messages/../files"),
        ("POST", "/v1/messages/%2e%2e/files"),
        ("POST", "/v1/messages%2f..%2ffiles"),
        ("POST", "/v1/%6dessages"),
        ("POST", "/V1/Messages"),
        ("POST", "/v1/messages;x=/v1/files"),
        ("POST", "/v1/messages#/v1/files"),
        ("POST", "/v1/messages?#/v1/files"),
        ("POST", "/v1/messages\\..\\files"),
        ("POST", "/x://v1/messages"),
        ("post", "/v1/messages"),
        ("TRACE", "/"),
    ],
)
async def test_everything_else_is_refused(api: Api, at: Stage, method: str, target: str) -> None:
    answer = await ask(at.path, method, target, MINE, body=b"")

    assert answer.status == 403
    assert api.heard == []
    assert at.blocked == []


async def test_a_refusal_says_what_is_reached_in_the_words_of_the_api(at: Stage) -> None:
    answer = await ask(at.path, "POST", "/v1/files", MINE, body=b"{}")

    assert answer.headers["content-type"] == "application/json"
    assert error_of(answer.body) == (
        "permission_error",
        "Only the Messages API is reached here: POST /v1/messages and /v1/messages/count_tokens.",
    )


@pytest.mark.parametrize("target", ["/", "/api/hello", "/?x=y"])
async def test_whoever_looks_whether_somebody_is_there_is_answered_here(api: Api, at: Stage, target: str) -> None:
    answer = await ask(at.path, "HEAD", target)

    assert (answer.status, answer.body) == (200, b"")
    assert api.heard == []


async def test_the_whole_address_of_the_upstream_is_no_way_around(api: Api, at: Stage) -> None:
    answer = await ask(at.path, "POST", f"{api.url}/v1/messages", MINE, PROXY, body=b"{}")

    assert answer.status == 403
    assert api.heard == []


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param((), id="nothing"),
        pytest.param((("x-api-key", ATTACKER),), id="another key"),
        pytest.param((("x-api-key", ""),), id="an empty key"),
        pytest.param((("x-api-key", TOKEN[:-1]),), id="a part of the token"),
        pytest.param((("x-api-key", f"{TOKEN}x"),), id="more than the token"),
        pytest.param((("x-api-key", f"Bearer {TOKEN}"),), id="the token in other words"),
        pytest.param((("authorization", TOKEN),), id="the token without its scheme"),
        pytest.param((("authorization", f"Basic {TOKEN}"),), id="in another scheme"),
        pytest.param((PROXY,), id="as it is shown for other hosts"),
        pytest.param((("cookie", f"x-api-key={TOKEN}"),), id="in a cookie"),
        pytest.param((("x-api-key", KEY),), id="the real key"),
    ],
)
async def test_who_does_not_show_the_token_of_the_run_is_not_answered(
    api: Api, at: Stage, shown: tuple[Header, ...]
) -> None:
    answer = await ask(at.path, "POST", "/v1/messages", *shown, body=b"{}")

    assert answer.status == 401
    assert error_of(answer.body)[0] == "authentication_error"
    assert api.heard == []


def test_an_empty_token_opens_nothing() -> None:
    door = Door(token=TOKEN, also="")

    assert decide(Asked(method=b"POST", target=b"/v1/messages", headers=[(b"x-api-key", b"")]), door) == WRONG_TOKEN


# ── what flows ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_arrives_while_it_is_written() -> None:
    heard = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await heard.wait()
        await response.write(b"data: last\n\n")
        return response

    async with api_server(stream) as api, stage(api.url) as at, connected(at.path) as run:
        await run.say("POST", "/v1/messages", MINE, body=b"{}")
        head, first = await run.hear_head(), await run.hear_part()
        heard.set()
        last, end = await run.hear_part(), await run.hear_part()

    assert head.headers["content-type"] == "text/event-stream"
    assert (first, last, end) == (b"data: first\n\n", b"data: last\n\n", None)


async def test_a_request_arrives_while_it_is_written() -> None:
    parts: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(request: web.Request) -> web.StreamResponse:
        async for part in request.content.iter_any():
            parts.put_nowait(part)
        return web.json_response({})

    async with api_server(listen) as api, stage(api.url) as at, connected(at.path) as run:
        run.writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n" % TOKEN.encode())
        run.writer.write(b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        first = await parts.get()
        run.writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        last = await parts.get()

    assert (first, last) == (b"first", b"last")


async def test_one_connection_serves_request_after_request(api: Api, at: Stage) -> None:
    async with connected(at.path) as run:
        answers = [await run.ask("POST", "/v1/messages", MINE, body=b"%d" % number) for number in range(3)]
        answers.append(await run.ask("POST", "/v1/files", MINE, body=b"small"))
        answers.append(await run.ask("HEAD", "/"))
        answers.append(await run.ask("POST", "/v1/messages", MINE, body=b"3"))

    assert [answer.status for answer in answers] == [200, 200, 200, 403, 200, 200]
    assert [heard.body for heard in api.heard] == [b"0", b"1", b"2", b"3"]


async def test_requests_that_come_at_once_are_answered_in_order(api: Api, at: Stage) -> None:
    one = b"POST /v1/messages?%d HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Length: 2\r\n%s\r\n{}"
    token = TOKEN.encode()
    raw = b"".join(one % (number, token, b"") for number in range(3)) + one % (3, token, b"Connection: close\r\n")
    async with connected(at.path) as run:
        said = await run.exchange(raw)

    assert said.count(b"HTTP/1.1 200") == 4
    assert [heard.path[-1] for heard in api.heard] == ["0", "1", "2", "3"]


async def test_a_body_in_chunks_arrives_whole(api: Api, at: Stage) -> None:
    async with connected(at.path) as run:
        answer = await run.ask("POST", "/v1/messages", MINE, chunks=[b"{", b'"a": 1', b"}"])

    assert answer.status == 200
    assert api.heard[0].body == b'{"a": 1}'
    assert api.heard[0].values("transfer-encoding") == ["chunked"]


async def test_who_waits_for_100_continue_gets_it(api: Api, at: Stage) -> None:
    async with connected(at.path) as run:
        run.writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n" % TOKEN.encode())
        run.writer.write(b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        first = await run.hear_raw_head()
        run.writer.write(b"{}")
        second = await run.hear_raw_head()

    assert first.startswith(b"HTTP/1.1 100")
    assert second.startswith(b"HTTP/1.1 200")
    assert api.heard[0].values("expect") == []


async def test_who_is_refused_is_not_asked_to_continue(at: Stage) -> None:
    async with connected(at.path) as run:
        said = await run.exchange(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )

    assert said.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in said


async def test_who_has_said_everything_still_gets_the_answer(api: Api, at: Stage) -> None:
    async with connected(at.path) as run:
        await run.say("POST", "/v1/messages", MINE, body=b"{}")
        run.writer.write_eof()
        answer = await run.hear()

    assert (answer.status, answer.body) == (200, b"{}")
    assert len(api.heard) == 1


async def test_what_the_upstream_answers_is_passed_on_as_it_is() -> None:
    packed = gzip.compress(b'{"type": "error"}')

    async def limited(_: web.Request) -> web.StreamResponse:
        headers = {"Retry-After": "7", "Content-Encoding": "gzip", "Set-Cookie": "ours=1", "Keep-Alive": "timeout=5"}
        return web.Response(status=429, body=packed, headers=headers)

    async with api_server(limited) as api, stage(api.url) as at:
        answer = await ask_model(at.path, ("accept-encoding", "gzip"))

    assert (answer.status, answer.body) == (429, packed)
    assert (answer.headers["retry-after"], answer.headers["content-encoding"]) == ("7", "gzip")
    assert answer.headers["content-length"] == str(len(packed))
    assert not answer.headers.keys() & {"set-cookie", "keep-alive"}


async def test_a_redirect_is_not_followed(api: Api) -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{api.url}/v1/messages"})

    async with api_server(elsewhere) as redirecting, stage(redirecting.url) as at:
        answer = await ask_model(at.path)

    assert answer.status == 307
    assert api.heard == []


async def test_cookies_of_the_upstream_are_not_kept() -> None:
    heard: list[list[str]] = []

    async def baking(request: web.Request) -> web.StreamResponse:
        heard.append(request.headers.getall("Cookie", []))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with api_server(baking) as api, stage(api.url) as at:
        await ask_model(at.path)
        await ask_model(at.path)

    assert heard == [[], []]


async def test_an_early_answer_is_heard_although_the_request_goes_on_and_mixes_with_no_other() -> None:
    heard: list[str] = []

    async def hasty(request: web.Request) -> web.StreamResponse:
        heard.append(request.path_qs)
        return web.json_response({"type": "error"}, status=413)

    async with api_server(hasty) as api, stage(api.url) as at, connected(at.path) as run:
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Length: 1000\r\n\r\nbegin"
        run.writer.write(head % TOKEN.encode())
        answer = await run.hear_raw_head()
        run.writer.write(b"more")
        rest = await run.rest()
        again = await ask_model(at.path)

    assert answer.startswith(b"HTTP/1.1 413")
    assert rest.endswith(b'{"type": "error"}')
    assert again.status == 413
    assert heard == ["/v1/messages", "/v1/messages?beta=true"]


async def test_an_answer_may_take_as_long_as_it_likes_while_something_comes() -> None:
    async def dawdle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(12):
            await asyncio.sleep(0.125)  # the upstream's own pace: longer in all than nothing may come
            await response.write(b".")
        return response

    async with api_server(dawdle) as api, stage(api.url, limits=Limits(idle_seconds=1.0)) as at:
        answer = await ask_model(at.path)

    assert answer.body == b"." * 12


async def test_everything_is_counted(api: Api, at: Stage) -> None:
    await ask_model(at.path, body=b"x" * 1000)
    await ask(at.path, "POST", "/v1/files", body=b"{}")
    await ask(at.path, "CONNECT", "pypi.org:443", PROXY)

    traffic = at.gate.traffic
    assert (traffic.requests, traffic.blocked) == (3, 1)
    assert 1000 < traffic.bytes_out < 2000
    assert 0 < traffic.bytes_in < 2000
    assert len(api.heard) == 1


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_body_that_says_it_is_too_large_is_not_passed_on(api: Api) -> None:
    async with stage(api.url, limits=Limits(body_bytes=2**20)) as at:
        answer = await ask_model(at.path, body=b"x" * (2**20 + 1))

    assert answer.status == 413
    assert error_of(answer.body) == (
        "request_too_large",
        "The request is larger than 1 MiB, and was not passed on.",
    )
    assert api.heard == []


async def test_who_says_that_his_body_is_too_large_need_not_send_it(api: Api, at: Stage) -> None:
    async with connected(at.path) as run:
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Length: %d\r\n\r\n"
        run.writer.write(head % (TOKEN.encode(), 32 * 2**20 + 1))
        answer = await run.hear_raw_head()

    assert answer.startswith(b"HTTP/1.1 413")
    assert api.heard == []


async def test_a_body_that_becomes_too_large_is_not_passed_on(api: Api) -> None:
    async with stage(api.url, limits=Limits(body_bytes=2**20)) as at, connected(at.path) as run:
        answer = await run.ask("POST", "/v1/messages", MINE, chunks=[b"x" * 2**16] * 17)

    assert answer.status == 413
    assert api.heard == []


async def test_a_body_of_exactly_the_limit_is_passed_on(api: Api) -> None:
    async with stage(api.url, limits=Limits(body_bytes=2**20)) as at:
        answer = await ask_model(at.path, body=b"x" * 2**20)

    assert answer.status == 200
    assert len(api.heard[0].body) == 2**20


async def test_an_upstream_that_is_not_there_is_an_error_of_the_api() -> None:
    async with stage("http://127.0.0.1:1") as at, connected(at.path) as run:
        answer = await run.ask("POST", "/v1/messages", MINE, body=b"{}")
        again = await run.ask("HEAD", "/")

    assert answer.status == 502
    assert error_of(answer.body) == (
        "api_error",
        "The model's API could not be reached, or broke off. Nothing was answered; try again.",
    )
    assert again.status == 200


async def test_an_upstream_that_says_nothing_is_an_error_of_the_api() -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with api_server(silent) as api, stage(api.url, limits=Limits(idle_seconds=0.2)) as at:
        answer = await ask_model(at.path)

    assert answer.status == 504
    assert error_of(answer.body)[0] == "api_error"


async def test_an_upstream_that_does_not_speak_http_is_an_error_of_the_api() -> None:
    def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with stage(url) as at:
            answer = await ask_model(at.path)

    assert answer.status == 502


@pytest.mark.parametrize("length", [None, 1000])
async def test_an_upstream_that_dies_in_its_answer_leaves_no_answer_that_looks_whole(length: int | None) -> None:
    async def dying(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.content_length = length
        await response.prepare(request)
        await response.write(b"data: half\n\n")
        assert request.transport
        request.transport.abort()
        return response

    async with api_server(dying) as api, stage(api.url) as at, connected(at.path) as run:
        await run.say("POST", "/v1/messages", MINE, body=b"{}")
        said = await run.rest()

    assert said.startswith(b"HTTP/1.1 200")
    assert b"data: half" in said
    assert not said.endswith(b"0\r\n\r\n")


async def test_an_upstream_that_falls_silent_in_its_answer_is_cut_off() -> None:
    async def stuck(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.Event().wait()
        return response

    limits = Limits(idle_seconds=0.2)
    async with api_server(stuck) as api, stage(api.url, limits=limits) as at, connected(at.path) as run:
        await run.say("POST", "/v1/messages", MINE, body=b"{}")
        said = await run.rest()

    assert said.endswith(b"half\r\n")


async def test_when_the_run_leaves_the_model_is_not_kept_busy() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    async with api_server(slow) as api, stage(api.url) as at:
        async with connected(at.path) as run:
            await run.say("POST", "/v1/messages", MINE, body=b"{}")
            await asked.wait()
        async with asyncio.timeout(10):
            await left.wait()

    assert at.gate.traffic.requests == 1


async def test_a_run_that_breaks_off_its_request_asks_nothing(api: Api, at: Stage) -> None:
    async with connected(at.path) as run:
        run.writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n" % TOKEN.encode())
        run.writer.write(b"Content-Length: 100\r\n\r\nhalf")
        run.writer.write_eof()
        said = await run.rest()

    assert said.startswith(b"HTTP/1.1 400")
    assert api.heard == []


async def test_who_reads_slowly_makes_the_upstream_wait() -> None:
    written, ended = 0, asyncio.Event()
    megabyte = b"x" * 2**20

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(200):
                await response.write(megabyte)
                written += 1
        finally:
            ended.set()
        return response

    limits = Limits(idle_seconds=0.5)
    async with api_server(flood) as api, stage(api.url, limits=limits) as at, connected(at.path) as run:
        await run.say("POST", "/v1/messages", MINE, body=b"{}")
        await run.hear_raw_head()
        run.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):  # until the gate has had enough of it
            await ended.wait()

    assert written < 30  # what sockets hold


async def test_an_answer_is_passed_on_through_the_offline_model(model: Model) -> None:
    prompt = script("hello", Step(text="from behind the gate"))
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}).encode()
    async with stage(model.url, network=Network.FULL) as at:
        answer = await ask_model(at.path, ("content-type", "application/json"), body=body)

    [request] = model.requests(prompt)
    assert b"from behind the gate" in answer.body
    assert request.headers["x-api-key"] == KEY
