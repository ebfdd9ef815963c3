"""However a homeserver fails, the sync ends in time, and with the right error."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.messages import Kind
from aiagentchat.core.ports.matrix import Before, Gap, Missed
from aiagentchat.matrix import history, reading, sync
from aiagentchat.matrix.client import Account, Client
from aiagentchat.matrix.history import MOST_PAGES, OLDER_PAGES
from aiagentchat.matrix.sync import TIMELINE_LIMIT, MatrixHomeserver
from tests.fakes.accounts import MemoryAccounts
from tests.fakes.wire import Say, Wire, bytes_, drip, http, silence, tell, wire

ME = UserId("@claude:hs")
ROOM = RoomId("!kitchen:hs")
BOUND = 0.3
"""Seconds that a sync may take in these tests."""
PATIENCE = 10.0
EMPTY = {"next_batch": "s1"}


class Line:
    """We, and the server at the other end."""

    def __init__(self, wire: Wire, client: Client) -> None:
        self.wire = wire
        self.client = client
        self.homeserver = MatrixHomeserver(client, ME)

    def says(self, *answers: Say) -> None:
        """What the server answers, one after the other, the last one for ever."""
        self.wire.answers = [*answers]

    @property
    def asked(self) -> list[dict[str, str]]:
        """The queries."""
        return [query for _, query in self.wire.asked]

    def limits(self) -> list[int]:
        """How many events of a room each sync asked for."""
        return [json.loads(query["filter"])["room"]["timeline"]["limit"] for query in self.asked]

    async def missed(self, *, since: str | None = "s0", oldest: int = 0, most: int = 100) -> Missed:
        """What was said in a gap."""
        async with asyncio.timeout(PATIENCE):
            return await self.homeserver.missed(Gap(room=ROOM, before="p0"), since=since, oldest=oldest, most=most)


@pytest.fixture
async def line(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Line]:
    monkeypatch.setattr(sync, "FIRST_SYNC_SECONDS", BOUND)
    monkeypatch.setattr(sync, "GRACE_SECONDS", BOUND)
    async with wire() as server:
        client = Client(Account(homeserver=server.url, user=ME, device_name="test"), MemoryAccounts())
        client.nio.restore_login(ME, "DEVICE", "token")
        try:
            yield Line(server, client)
        finally:
            await client.close()


def refusal(status: int, code: str, **more: object) -> Say:
    return tell({"errcode": code, "error": "no", **more}, status=status)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
BAD = [
    pytest.param(bytes_(b""), id="hangs up"),
    pytest.param(bytes_(b"\x00\x01garbage\r\n\r\n"), id="says garbage"),
    pytest.param(silence(), id="says nothing"),
    pytest.param(bytes_(HEAD), id="hangs up after the head"),
    pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: "), id="drips the head"),
    pytest.param(drip(HEAD + b'{"next_batch": "s1"'), id="drips the body"),
    pytest.param(http(200, b'{"next_batch": "s1"', length=500), id="says half of it"),
    pytest.param(http(200, b'{"next_batch": "s1"'), id="says half a JSON"),
    pytest.param(http(200, b"<html>hello</html>", kind="text/html"), id="says HTML"),
    pytest.param(http(200, b""), id="says an empty answer"),
    pytest.param(http(200, b"[" * 100_000), id="says something very deep"),
    pytest.param(http(200, b"zip", "Content-Encoding: gzip"), id="packs it wrongly"),
    pytest.param(tell(["next_batch"]), id="says a list"),
    pytest.param(tell({"rooms": {}}), id="gives no token"),
    pytest.param(http(502, b"<html>Bad Gateway</html>", kind="text/html"), id="has a proxy that is alone"),
    pytest.param(http(404, b"<html>Not Found</html>", kind="text/html"), id="is not there"),
    pytest.param(refusal(500, "M_UNKNOWN"), id="is broken"),
]


@pytest.mark.parametrize("answer", BAD)
async def test_a_server_that_fails_is_unreachable_and_the_next_sync_goes_through(line: Line, answer: Say) -> None:
    line.says(answer)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unreachable):
            await line.homeserver.sync("s0", timeout=0)
        line.says(tell(EMPTY))
        batch = await line.homeserver.sync("s0", timeout=0)
    assert batch.token == "s1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(refusal(401, "M_UNKNOWN_TOKEN"), LoginFailed, id="does not know us"),
        pytest.param(refusal(400, "M_UNKNOWN"), Refused, id="does not take our token"),
        pytest.param(refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=1500), RateLimited, id="asks us to wait"),
    ],
)
async def test_a_server_that_says_no_is_understood(line: Line, answer: Say, error: type[MatrixError]) -> None:
    line.says(answer)

    with pytest.raises(error) as said:
        await line.homeserver.sync("s0", timeout=0)
    assert getattr(said.value, "retry_after", 1.5) == 1.5


# ── what is asked ──


async def test_the_first_sync_asks_for_the_state_of_all_rooms_and_the_others_wait_for_news(line: Line) -> None:
    line.says(silence(), tell(EMPTY))

    with pytest.raises(Unreachable):
        await line.homeserver.sync("s0", timeout=30)
    for _ in range(2):
        await line.homeserver.sync("s0", timeout=30)

    assert [(query.get("full_state"), query["timeout"], query["since"]) for query in line.asked] == [
        ("true", "0", "s0"),
        ("true", "0", "s0"),
        (None, "30000", "s0"),
    ]


async def test_an_account_without_a_token_asks_without(line: Line) -> None:
    line.says(tell(EMPTY))

    await line.homeserver.sync(None, timeout=0)

    assert "since" not in line.asked[0]


async def test_an_answer_that_is_too_large_is_not_read_and_asked_for_with_less(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_SYNC_BYTES", 1000)
    long = tell({**EMPTY, "x": "x" * 1000})
    line.says(*[long] * 6, tell(EMPTY))

    for _ in range(6):
        with pytest.raises(Unreachable, match="more than 1000 bytes"):
            await line.homeserver.sync("s0", timeout=0)
    for _ in range(2):
        await line.homeserver.sync("s0", timeout=0)

    assert line.limits() == [TIMELINE_LIMIT, 10, 5, 2, 1, 1, 1, TIMELINE_LIMIT]


@pytest.mark.parametrize(
    ("date", "now"),
    [
        ("Date: Sat, 21 Nov 2026 14:51:38 GMT", 1_795_272_698_000),
        ("Date: yesterday", None),
        ("X: y", None),
    ],
)
async def test_the_clock_of_the_server_is_in_the_head_of_its_answer(line: Line, date: str, now: int | None) -> None:
    line.says(tell(EMPTY, date))

    assert (await line.homeserver.sync("s0", timeout=0)).now == now


# ── where we are ──


def rooms(**more: object) -> Say:
    return tell({**EMPTY, "rooms": more})


ENCRYPTION = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
QUIET: dict[str, Any] = {"timeline": {"events": []}}
SECRET = {"state": {"events": [ENCRYPTION]}, "timeline": {"events": []}}


async def test_what_is_encrypted_is_known_for_good(line: Line) -> None:
    line.says(rooms(join={"!open": QUIET, "!secret": SECRET}), rooms(join={"!open": QUIET, "!secret": QUIET}))
    seen = []

    for _ in range(2):
        await line.homeserver.sync("s0", timeout=0)
        seen.append([line.client.rooms.known(RoomId(room)) for room in ("!open", "!secret", "!other")])

    assert seen == [[False, True, None]] * 2


async def test_a_room_that_becomes_encrypted_is_known_at_once(line: Line) -> None:
    line.says(rooms(join={"!a": QUIET}), rooms(join={"!a": {"timeline": {"events": [ENCRYPTION]}}}))

    for _ in range(2):
        await line.homeserver.sync("s0", timeout=0)

    assert line.client.rooms.known(RoomId("!a"))


async def test_of_a_room_that_we_are_out_of_nothing_is_known_but_that_it_is_encrypted(line: Line) -> None:
    line.says(rooms(join={"!a": QUIET, "!s": SECRET}), rooms(leave={"!a": {}, "!b": {}, "!s": {}}))

    for _ in range(2):
        await line.homeserver.sync("s0", timeout=0)

    assert [line.client.rooms.known(RoomId(room)) for room in ("!a", "!b", "!s")] == [None, None, True]


# ── gaps ──


def said(number: int, sent_at: int) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "event_id": f"${number}",
        "sender": "@anna:hs",
        "origin_server_ts": sent_at,
        "content": {"msgtype": "m.text", "body": str(number)},
    }


def page(*events: object, end: object = None) -> Say:
    return tell({"chunk": list(events), "start": "x", **({} if end is None else {"end": end})})


def bodies(missed: Missed) -> list[str]:
    return [event.body for event in missed.events]


async def test_pages_are_read_back_to_the_last_and_told_in_order(line: Line) -> None:
    line.says(page(said(4, 4), said(3, 3), end="p1"), page(end="p2"), page(said(2, 2), said(1, 1)))

    missed = await line.missed()

    assert (bodies(missed), missed.whole) == (["1", "2", "3", "4"], True)
    assert [(query["from"], query["to"], query["dir"]) for query in line.asked] == [
        ("p0", "s0", "b"),
        ("p1", "s0", "b"),
        ("p2", "s0", "b"),
    ]
    assert {path for path, _ in line.wire.asked} == {f"/_matrix/client/v3/rooms/{ROOM}/messages"}


async def test_without_a_token_there_is_no_other_end(line: Line) -> None:
    line.says(page(said(1, 1)))

    await line.missed(since=None)

    assert "to" not in line.asked[0]


async def test_a_wrong_clock_does_not_end_the_reading(line: Line) -> None:
    line.says(page(said(3, 30), said(2, 1), end="p1"), page(said(1, 20), said(0, 0)))

    missed = await line.missed(oldest=10)

    assert (bodies(missed), missed.whole, missed.aged) == (["0", "1", "3"], True, True)


async def test_without_a_token_a_page_of_which_everything_is_too_old_ends_the_reading(line: Line) -> None:
    line.says(page(said(3, 30), end="p1"), page(said(2, 2), said(1, 1), end="p2"), page(said(0, 20)))

    missed = await line.missed(oldest=10, since=None)

    assert (bodies(missed), missed.aged) == (["3"], True)
    assert len(line.asked) == 2


async def test_a_page_with_a_wrong_clock_hides_nothing_that_is_behind_it(line: Line) -> None:
    line.says(page(said(3, 30), end="p1"), page(said(2, 2), said(1, 1), end="p2"), page(said(0, 20)))

    missed = await line.missed(oldest=10)

    assert (bodies(missed), missed.whole, missed.aged) == (["0", "3"], True, True)


async def test_after_so_many_pages_the_rest_is_missing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_PAGES", 2)
    line.says(page(said(3, 30), end="p1"), page(said(2, 20), end="p2"), page(said(1, 10)))

    missed = await line.missed()

    assert (bodies(missed), missed.whole) == (["2", "3"], False)


async def test_what_was_said_before_we_came_is_nothing_that_is_missing(line: Line) -> None:
    came = {**said(2, 2), "type": "m.room.member", "state_key": ME, "content": {"membership": "join"}}
    first = page(said(3, 3), came, said(1, 1), end="p1")
    line.says(first, first, page())

    missed = [await line.missed(most=2), await line.missed(oldest=2)]

    for each in missed:
        assert [(event.kind, event.body) for event in each.events] == [(Kind.JOINED, ""), (Kind.TEXT, "3")]
        assert (each.whole, each.aged) == (True, False)


@pytest.mark.parametrize("end", ["p0", 5])
async def test_pages_that_lead_nowhere_end(line: Line, end: object) -> None:
    line.says(page(said(1, 1), end=end))

    assert bodies(await line.missed()) == ["1"]
    assert len(line.asked) == 1


async def test_pages_without_an_end_are_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_PAGES", 3)
    line.says(*(page(end=f"p{number}") for number in range(1, 9)))

    with pytest.raises(Unreachable):
        await line.missed()
    assert len(line.asked) == 3 < MOST_PAGES


async def test_pages_that_come_too_slowly_are_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "GAP_SECONDS", BOUND)
    line.says(page(said(1, 1), end="p1"), drip(HEAD))

    with pytest.raises(Unreachable):
        await line.missed()


@pytest.mark.parametrize("answer", [page("x", 5), tell({"chunk": "x"}), tell({})])
async def test_a_page_of_nonsense_holds_nothing(line: Line, answer: Say) -> None:
    line.says(answer)

    assert (await line.missed()).events == ()


async def test_a_history_that_is_refused_is_refused(line: Line) -> None:
    line.says(refusal(403, "M_FORBIDDEN"))

    with pytest.raises(Refused):
        await line.missed()


# ── what was said before ──


def message(event: str, body: str, **more: Any) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": body, **more.pop("content", {})}
    return {"type": "m.room.message", "event_id": event, "sender": "@anna:hs", "content": content, **more}


def replacement(event: str, target: str, body: str) -> dict[str, Any]:
    new = {"m.new_content": {"msgtype": "m.text", "body": body}}
    return message(event, f"* {body}", content={**new, "m.relates_to": {"rel_type": "m.replace", "event_id": target}})


async def test_what_was_said_before_an_event_is_asked_for_from_its_place(line: Line) -> None:
    line.says(tell({"start": "place"}), tell({"chunk": [message("$2", "two"), message("$1", "one")], "end": "p1"}))
    found = await line.homeserver.older(ROOM, Before(EventId("$3")), most=2)

    assert ([event.body for event in found.events], found.before) == (["one", "two"], "p1")
    (context, first), (path, query) = line.wire.asked
    assert (context.endswith(("/context/%243", "/context/$3")), first["limit"]) == (True, "0")
    assert (path.endswith("/messages"), query["dir"], query["from"], query["limit"]) == (True, "b", "place", "2")


async def test_it_is_read_on_until_there_are_enough(line: Line) -> None:
    line.says(
        tell(
            {
                "chunk": [{"type": "m.room.encrypted", "event_id": "$x", "sender": "@anna:hs", "content": {}}],
                "end": "p1",
            }
        ),
        tell({"chunk": [message("$2", "two")], "end": "p2"}),
        tell({"chunk": [message("$1", "one")]}),
    )
    found = await line.homeserver.older(ROOM, None, most=2)

    assert ([event.body for event in found.events], found.before) == (["one", "two"], None)
    assert [query.get("from") for query in line.asked] == [None, "p1", "p2"]


async def test_pages_without_an_end_are_not_read_for_ever(line: Line) -> None:
    line.says(*(tell({"chunk": [], "end": f"p{number}"}) for number in range(50)))
    found = await line.homeserver.older(ROOM, "p", most=2)

    assert (found.events, found.before) == ((), f"p{OLDER_PAGES - 1}")
    assert len(line.asked) == OLDER_PAGES


async def test_what_was_edited_comes_with_its_last_edit_behind_it(line: Line) -> None:
    edited = message("$1", "one", unsigned={"m.relations": {"m.replace": replacement("$e", "$1", "1")}})
    line.says(tell({"chunk": [message("$2", "two"), edited]}))
    found = await line.homeserver.older(ROOM, None, most=9)

    assert [(event.kind, event.body) for event in found.events] == [
        (Kind.TEXT, "one"),
        (Kind.EDIT, "1"),
        (Kind.TEXT, "two"),
    ]


async def test_a_place_that_is_not_told_is_no_answer(line: Line) -> None:
    line.says(tell({}))

    with pytest.raises(Unreachable):
        await line.homeserver.older(ROOM, Before(EventId("$3")), most=2)
