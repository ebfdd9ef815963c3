"""The gateway's client: what it asks, what it tries again, and what it makes of a no."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.gateway import TRIES, TRIES_IN_DOUBT, Gateway, NobodyThere, parsed
from aiagentchat.cli.exchange.wire import Place, place
from aiagentchat.cli.exchange.wishes import Search, Words
from tests.fakes.gateway_server import TOKEN, GatewayServer, at_port, at_socket

HELLO = Words(room="den", body="hello", to="@agent:hs/workshop")


@pytest.fixture
def server() -> GatewayServer:
    return GatewayServer()


class Naps(list[float]):
    """The pauses that were made, without making them."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def gateway(server: GatewayServer, naps: Naps, tmp_path: Path) -> Iterator[Gateway]:
    with at_socket(server, tmp_path) as socket:
        yield Gateway(Place(str(socket), socket=socket), TOKEN, sleep=naps, chance=lambda: 0.5)


def test_a_message_goes_out_with_what_was_given_and_its_key(gateway: Gateway, server: GatewayServer) -> None:
    message = gateway.send(HELLO, "k1")

    assert message["id"] == "m1"
    assert server.asked == [
        ("POST", "/send", {}, {"room": "den", "body": "hello", "kind": "message", "to": "@agent:hs/workshop"})
    ]
    assert server.headers[0]["idempotency-key"] == "k1"
    assert server.headers[0]["authorization"] == f"Bearer {TOKEN}"


def test_an_answer_that_is_lost_does_not_send_twice(gateway: Gateway, server: GatewayServer, naps: Naps) -> None:
    server.cuts = 2
    message = gateway.send(HELLO, "k1")

    assert message["id"] == "m1"
    assert [headers["idempotency-key"] for headers in server.headers] == ["k1", "k1", "k1"]
    assert list(server.messages) == ["k1"]
    assert len(naps) == 2


def test_who_does_not_wait_any_longer_is_told_whether_anything_was_sent(
    gateway: Gateway, server: GatewayServer
) -> None:
    gateway.who()
    server.problems = [(503, "busy", "Not now.")] * TRIES
    with pytest.raises(NotDone):
        gateway.ask(HELLO, "k", 1)
    before = gateway.given_up("k")
    server.cuts = 100
    with pytest.raises(NotDone):
        gateway.ask(HELLO, "k", 1)

    assert before == "nothing was sent"
    assert gateway.given_up("k").startswith("the answer is not waited for any longer. What was sent stands")


def test_what_may_have_arrived_is_said_to_be_in_doubt(gateway: Gateway, server: GatewayServer, naps: Naps) -> None:
    server.cuts = 100
    with pytest.raises(NotDone, match="with --key k1 is taken once") as raised:
        gateway.send(HELLO, "k1")

    assert raised.value.exit is Exit.UNCERTAIN
    assert len(server.asked) == TRIES_IN_DOUBT
    assert naps == sorted(naps)


def test_what_has_no_key_and_may_have_arrived_is_not_tried_again(gateway: Gateway, server: GatewayServer) -> None:
    server.cuts = 1
    with pytest.raises(NotDone) as raised:
        gateway.update("den", "t1", "done", "")

    assert raised.value.exit is Exit.UNCERTAIN
    assert len(server.asked) == 1


def test_a_question_that_is_cut_is_asked_again_and_is_never_in_doubt(gateway: Gateway, server: GatewayServer) -> None:
    server.cuts = 1
    assert gateway.who() == server.instances

    server.cuts = 100
    with pytest.raises(NobodyThere):
        gateway.who()


def test_nobody_there_is_found_out_soon(tmp_path: Path, naps: Naps) -> None:
    gone = Gateway(place(str(tmp_path / "operator.sock")), TOKEN, sleep=naps)
    with pytest.raises(NobodyThere, match="nothing was sent") as raised:
        gone.send(HELLO, "k1")

    assert raised.value.exit is Exit.UNREACHABLE
    assert len(naps) == TRIES - 1


def test_where_nobody_is_there_nobody_is_listened_to_either(tmp_path: Path, naps: Naps) -> None:
    gone = Gateway(place(str(tmp_path / "operator.sock")), TOKEN, sleep=naps)
    with pytest.raises(NobodyThere):
        next(gone.events([], None))

    assert len(naps) == TRIES - 1


def test_who_was_heard_may_be_away_for_a_while(server: GatewayServer, tmp_path: Path, naps: Naps) -> None:
    server.streams = ["id: 7\nevent: message\ndata: {}\n\n"]
    told: list[str] = []
    with at_socket(server, tmp_path) as socket:
        gateway = Gateway(Place(str(socket), socket=socket), TOKEN, sleep=naps, chance=lambda: 0.5)
        gateway.outage = told.append
        events = gateway.events([], None)
        assert next(events)["id"] == "7"
    with pytest.raises(NotDone):
        next(events)

    assert len(naps) == TRIES_IN_DOUBT
    assert told == [f"nobody answers at {socket} any more (there is no such socket); it is tried again for a while"]


def test_one_that_is_busy_is_asked_again(gateway: Gateway, server: GatewayServer) -> None:
    server.problems = [(503, "busy", "Too many."), (504, "too_slow", "Slow.")]

    assert gateway.send(HELLO, "k1")["id"] == "m1"


def test_one_that_stays_busy_is_there_and_was_asked_for_nothing(gateway: Gateway, server: GatewayServer) -> None:
    server.problems = [(503, "busy", "Too many.")] * TRIES
    with pytest.raises(NotDone, match="not made") as raised:
        gateway.send(HELLO, "k1")

    assert raised.value.exit is Exit.UNAVAILABLE
    assert not isinstance(raised.value, NobodyThere)
    assert server.messages == {}


@pytest.mark.parametrize("how", ["gone", "busy"])
def test_what_was_taken_is_never_said_to_be_unsent(server: GatewayServer, naps: Naps, tmp_path: Path, how: str) -> None:
    with at_socket(server, tmp_path) as socket:

        def clock() -> float:
            if server.messages and how == "gone":
                socket.unlink(missing_ok=True)
            elif server.messages:
                server.problems = [(503, "busy", "Too many.")] * 2 * TRIES
            return 0.0

        gateway = Gateway(Place("here", socket=socket), TOKEN, sleep=naps, chance=lambda: 0.5, clock=clock)
        with pytest.raises(NotDone, match="message m1 was taken") as asked:
            gateway.ask(HELLO, "k1", 600)
        with pytest.raises(NotDone) as after:
            gateway.who()

    assert asked.value.exit is Exit.NO_ANSWER
    assert not isinstance(asked.value, NobodyThere)
    assert not isinstance(after.value, NobodyThere)
    assert "nothing was sent" not in f"{asked.value} {after.value}"


@pytest.mark.parametrize(
    ("status", "code", "exit_"),
    [
        (404, "unknown", Exit.UNKNOWN),
        (403, "not_allowed", Exit.NOT_ALLOWED),
        (422, "invalid", Exit.USAGE),
        (409, "conflict", Exit.CONFLICT),
        (429, "full", Exit.FULL),
        (423, "halted", Exit.HALTED),
        (503, "unavailable", Exit.UNAVAILABLE),
        (413, "too_large", Exit.USAGE),
        (400, "something_new", Exit.USAGE),
        (500, "failed", Exit.FAILED),
    ],
)
def test_each_no_has_its_exit_code_and_the_gateways_words(
    gateway: Gateway, server: GatewayServer, status: int, code: str, exit_: Exit
) -> None:
    server.problems = [(status, code, "So it is.")]
    with pytest.raises(NotDone, match=r"So it is\.") as raised:
        gateway.send(HELLO, "k1")

    assert raised.value.exit is exit_


def test_a_token_of_somebody_else_is_a_matter_of_the_login(server: GatewayServer) -> None:
    with at_port(server) as url, pytest.raises(NotDone, match="does not accept the token") as raised:
        Gateway(place(url), "gw_other").who()

    assert raised.value.exit is Exit.LOGIN
    assert "gw_other" not in str(raised.value)


def test_a_long_wait_is_made_of_short_ones_with_one_key(server: GatewayServer, tmp_path: Path) -> None:
    times = iter([0.0, 0.0, 300.0, 300.0, 600.0, 600.0, 600.0])
    with at_socket(server, tmp_path) as socket:
        gateway = Gateway(Place("", socket=socket), TOKEN, clock=lambda: next(times))
        message = gateway.ask(HELLO, "k1", 600)

    assert message["state"] == "sent"
    assert [body["seconds"] for _, _, _, body in server.asked] == [300, 300]
    assert list(server.messages) == ["k1"]


def test_a_wait_ends_with_the_answer(gateway: Gateway, server: GatewayServer) -> None:
    server.state, server.more = "answered", {"answer": "It is."}

    assert gateway.ask(HELLO, "k1", 600)["answer"] == "It is."
    assert len(server.asked) == 1


def test_a_search_asks_for_what_was_given(gateway: Gateway, server: GatewayServer) -> None:
    gateway.history(Search(words="a b", room="den", since=5, limit=9))

    assert server.asked[0][2] == {"words": ["a b"], "room": ["den"], "since": ["5"], "limit": ["9"]}


def test_a_stream_that_breaks_goes_on_where_it_was(gateway: Gateway, server: GatewayServer) -> None:
    server.streams = [
        "retry: 1000\nid: 40\n\n",
        'retry: 1000\nid: 40\n\nid: 41\nevent: message\ndata: {"body": "one"}\n\n: nothing new\n\n',
        "id: 42\nevent: edited\ndata: {}\n\n",
    ]
    events = gateway.events(["den"], None)

    assert [next(events), next(events)] == [
        {"id": "41", "event": "message", "data": {"body": "one"}},
        {"id": "42", "event": "edited", "data": {}},
    ]
    with pytest.raises(NotDone):
        next(events)
    places = [headers.get("last-event-id") for headers in server.headers]
    assert places == [None, "40", "41", "42"]


def test_a_socket_may_lie_deep(server: GatewayServer, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with at_socket(server, tmp_path) as socket:
        (deep / "gateway").symlink_to(socket.parent)
        found = Gateway(Place("", socket=deep / "gateway" / socket.name), TOKEN).who()

    assert found == server.instances


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gateway", "neither a web address nor the path of a socket"),
        ("ftp://127.0.0.1", "neither a web address nor the path of a socket"),
        ("http://me:secret@127.0.0.1", "neither a web address nor the path of a socket"),
        ("http://gateway.example.org", "use https"),
    ],
)
def test_a_place_that_cannot_be_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        place(text)


def test_what_is_no_event_of_a_stream_is_left_out() -> None:
    lines = iter(["data: {", 'data: "a": 1}', "", "data: nonsense", "", "data: 7", "", ": a comment", "", "data: {}"])

    assert [event["data"] for event in parsed(lines)] == [{"a": 1}]
