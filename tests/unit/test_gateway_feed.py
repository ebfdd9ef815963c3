"""What is said, as it is said."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.schema import Gateway, GatewayCaller
from aiagentchat.core.errors import ExchangeRefused
from aiagentchat.core.ids import InstanceName, RoomId
from aiagentchat.gateway import feed as feeding
from aiagentchat.gateway.feed import PAGE, Streams
from aiagentchat.gateway.models import DAY_SECONDS
from aiagentchat.gateway.tokens import OPERATOR, PORT, caller_file
from tests.contract.store_fixtures import OTHER_ROOM, ROOM
from tests.fakes.exchange import FakeExchange
from tests.unit.gateway_stage import FakeFeed, Stage, make_stage

READER, BOT = caller_file("reader"), caller_file("bot")


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return await make_stage(tmp_path)


@pytest.fixture
def exchange() -> FakeExchange:
    made = FakeExchange()
    made.room(ROOM)
    made.room(OTHER_ROOM)
    return made


async def both() -> Collection[RoomId]:
    return [ROOM, OTHER_ROOM]


async def told(parts: AsyncIterator[bytes], most: int) -> list[tuple[int, str]]:
    """The next events, with their places."""
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(5):
        while len(found) < most:
            lines = (await anext(parts)).decode().splitlines()
            fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
            if "data" in fields:
                how = "" if fields["event"] == "message" else f" ({fields['event']})"
                found.append((int(fields["id"]), json.loads(fields["data"])["body"] + how))
    return found


async def test_who_comes_back_with_his_place_misses_nothing(exchange: FakeExchange) -> None:
    for number in range(PAGE + 5):
        exchange.say(ROOM, f"message {number}")

    async with aclosing(Streams(FakeFeed(exchange)).parts(both, 2)) as parts:
        heard = await told(parts, PAGE + 3)

    assert heard == [(number + 1, f"message {number}") for number in range(2, PAGE + 5)]


async def test_who_has_no_place_hears_what_is_said_from_now_on(exchange: FakeExchange) -> None:
    feed = FakeFeed(exchange)
    exchange.say(ROOM, "before")

    async with aclosing(Streams(feed).parts(both, None)) as parts:
        await anext(parts)
        exchange.say(ROOM, "one\ntwo")
        feed.ring()
        heard = await told(parts, 1)

    assert heard == [(2, "one\ntwo")]


async def test_who_listens_hears_what_a_message_has_come_to_also_after_he_was_away(exchange: FakeExchange) -> None:
    feed = FakeFeed(exchange)
    exchange.say(ROOM, "The build")
    async with aclosing(Streams(feed).parts(both, 0)) as parts:
        first = await told(parts, 1)
        await feed.edit(ROOM, 1, "The build is green.")
        feed.ring()
        then = await told(parts, 1)
    async with aclosing(Streams(feed).parts(both, 1)) as parts:
        again = await told(parts, 1)

        await feed.edit(ROOM, 1, "")
        feed.ring()
        gone = await told(parts, 1)

    assert first == [(1, "The build")]
    assert then == again == [(2, "The build is green. (edited)")]
    assert gone == [(3, " (deleted)")]


async def test_who_is_cut_off_before_the_first_event_knows_where_to_go_on(exchange: FakeExchange) -> None:
    exchange.say(ROOM, "before")

    async with aclosing(Streams(FakeFeed(exchange)).parts(both, None)) as parts:
        assert await anext(parts) == b"retry: 1000\nid: 1\n\n"


async def test_every_stream_is_woken(exchange: FakeExchange) -> None:
    feed = FakeFeed(exchange)
    streams = Streams(feed)

    async with aclosing(streams.parts(both, 0)) as one, aclosing(streams.parts(both, 0)) as other:
        for parts in (one, other):
            await anext(parts)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(told(parts, 1)) for parts in (one, other)]
            exchange.say(ROOM, "news")
            feed.ring()

    assert [task.result() for task in tasks] == [[(1, "news")]] * 2


async def test_when_nothing_is_said_a_stream_shows_that_it_lives(
    exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "HEARTBEAT_SECONDS", 0.01)

    async with aclosing(Streams(FakeFeed(exchange)).parts(both, 0)) as parts:
        said = [await anext(parts), await anext(parts)]

    assert said[1] == b": nothing new\n\n"


async def test_a_stream_goes_on_for_as_long_as_somebody_listens(
    exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_hour = int(3600 / feeding.HEARTBEAT_SECONDS)
    monkeypatch.setattr(feeding, "HEARTBEAT_SECONDS", 0.0)

    async with aclosing(Streams(FakeFeed(exchange)).parts(both, 0)) as parts:
        said = [await anext(parts) for _ in range(an_hour + 2)]

    assert set(said[1:]) == {b": nothing new\n\n"}


async def test_all_streams_end_with_the_gateway(exchange: FakeExchange) -> None:
    streams = Streams(FakeFeed(exchange))
    parts = streams.parts(both, 0)
    await anext(parts)

    streams.close()

    async with asyncio.timeout(5):
        assert [part async for part in parts] == []


FROM_START = [("last-event-id", "0")]


@pytest.mark.parametrize(
    ("target", "token", "there", "hidden"),
    [("/events", READER, b"news", b"secret"), ("/events?room=b", PORT, b"secret", b"news")],
)
async def test_the_route_tells_of_the_rooms_that_the_caller_may_read(
    stage: Stage, target: str, token: str, there: bytes, hidden: bytes
) -> None:
    stage.feed.on_quiet = stage.front.streams.close
    stage.exchange.say(OTHER_ROOM, "secret")
    stage.exchange.say(ROOM, "news")
    answer = await stage.ask("GET", target, token=token, headers=FROM_START)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert there in answer.body
    assert hidden not in answer.body


async def test_a_room_that_the_caller_may_not_read_is_none(stage: Stage) -> None:
    assert (await stage.ask("GET", "/events?room=b", token=READER, headers=FROM_START)).code == "unknown"


async def test_a_stream_ends_with_its_token(stage: Stage) -> None:
    stage.exchange.say(ROOM, "news")
    token = stage.token(PORT)

    def revoke() -> None:
        (stage.folder / PORT).unlink(missing_ok=True)
        stage.exchange.say(ROOM, "secret")
        stage.feed.ring()

    stage.feed.on_quiet = revoke
    answer = await stage.ask("GET", "/events", token=token, headers=FROM_START)

    assert b"news" in answer.body
    assert b"secret" not in answer.body


async def test_a_stream_ends_with_the_login(stage: Stage) -> None:
    login = (await stage.ask("GET", "/login/auto", token=OPERATOR, at_socket=True)).json["access_token"]

    def expire() -> None:
        stage.clock.advance(DAY_SECONDS + 1)
        stage.feed.ring()

    stage.feed.on_quiet = expire

    assert (await stage.ask("GET", "/events", token=login)).body.startswith(b"retry: 1000\n")
    assert (await stage.ask("GET", "/events", token=login)).code == "unauthenticated"


async def test_a_reload_that_narrows_what_a_caller_may_narrows_its_stream(stage: Stage) -> None:
    def narrow() -> None:
        stage.feed.on_quiet = stage.front.streams.close
        callers = {"bot": GatewayCaller.model_validate({"read": ["a"]})}
        stage.settings = replace(stage.settings, gateway=Gateway(callers=callers))
        stage.exchange.say(OTHER_ROOM, "secret")
        stage.exchange.say(ROOM, "news")
        stage.feed.ring()

    stage.feed.on_quiet = narrow
    stage.exchange.say(OTHER_ROOM, "before")
    answer = await stage.ask("GET", "/events", token=BOT, headers=FROM_START)

    assert b"before" in answer.body
    assert b"news" in answer.body
    assert b"secret" not in answer.body


async def test_a_place_that_is_none_is_refused(stage: Stage) -> None:
    assert (await stage.ask("GET", "/events", headers=[("last-event-id", "-1")])).code == "invalid"


async def test_a_session_is_there_for_as_long_as_its_stream_is_open_and_speaks_as_itself(stage: Stage) -> None:
    caller = stage.callers.find(stage.token(BOT))
    other = stage.callers.find(stage.token(PORT))
    assert caller is not None
    assert other is not None
    name = InstanceName("anna-laptop")

    with stage.front.sessions.held(caller.caller, name, [ROOM]):
        there = list(stage.directory.sessions)
        sent = await stage.ask("POST", "/send", {"room": "a", "body": "x", "instance": name}, token=BOT)
        stolen = await stage.ask("POST", "/send", {"room": "a", "body": "x", "instance": name}, token=PORT)
        with pytest.raises(ExchangeRefused), stage.front.sessions.held(other.caller, name, []):
            raise AssertionError
        taken = await stage.ask("GET", f"/events?instance={name}", token=PORT)
    gone = await stage.ask("POST", "/send", {"room": "a", "body": "x", "instance": name}, token=BOT)

    assert there == [name]
    assert (sent.status, sent.json["instance"]) == (202, name)
    assert (stolen.code, taken.code, gone.code) == ("not_allowed", "conflict", "not_allowed")
    assert stage.directory.sessions == {}


async def test_a_stream_with_a_name_is_a_session(stage: Stage) -> None:
    stage.feed.on_quiet = stage.front.streams.close
    seen: list[dict[InstanceName, object]] = []
    newest = stage.feed.newest

    async def watched() -> int:
        seen.append(dict(stage.directory.sessions))
        return await newest()

    stage.feed.newest = watched  # type: ignore[method-assign]
    await stage.ask("GET", "/events?instance=anna-laptop&room=a")

    assert [list(each) for each in seen] == [["anna-laptop"]]
    assert stage.directory.sessions == {}
