"""The homeserver's API without a gateway: what is tried again, and what its refusals are called."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.homeserver import LONGEST_PAUSE, TRIES, Homeserver

CUT: tuple[int, Any] = (0, None)
"""The connection ends without an answer."""
FINE = (200, {"fine": True})


class Script:
    """What a homeserver answers, one after the other; the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [FINE]
        self.asked: list[tuple[str, str]] = []
        self.sent: list[tuple[bytes, str]] = []
        """What was posted, and what that is."""
        self.naps: list[float] = []
        self.url = ""
        self.close: Callable[[], None] = lambda: None
        """Nobody listens there any more."""

    @property
    def homeserver(self) -> Homeserver:
        return Homeserver(self.url, "syt_anna", sleep=self.naps.append, chance=lambda: 0.5)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.asked.append((self.command, self.path))
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "POST":
                script.sent.append((data, self.headers["Content-Type"]))
            status, body = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            if not status:
                self.close_connection = True
                return
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_PUT(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    script.close = server.socket.close
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_put_is_put_again_until_it_is_answered(script: Script) -> None:
    script.answers = [CUT, (502, "<html>"), FINE]

    assert script.homeserver.put("/rooms/r/send/t/1", {}) == {"fine": True}
    assert script.asked == [("PUT", "/_matrix/client/v3/rooms/r/send/t/1")] * 3


def test_what_may_not_happen_twice_is_asked_once(script: Script) -> None:
    script.answers = [CUT]
    with pytest.raises(NotDone):
        script.homeserver.post("/login", {})

    assert len(script.asked) == 1


def test_the_pause_is_the_one_that_the_homeserver_asks_for_up_to_a_limit(script: Script) -> None:
    limited = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too fast"}
    script.answers = [(429, {**limited, "retry_after_ms": 1500}), (429, {**limited, "retry_after_ms": 10**7}), FINE]
    script.homeserver.get("/sync")

    assert script.naps == [1.5, LONGEST_PAUSE]


@pytest.mark.parametrize(
    ("answer", "method", "exit_", "sentence"),
    [
        ((401, {"errcode": "M_UNKNOWN_TOKEN"}), "get", Exit.LOGIN, "make a new one with cchat login"),
        ((403, {"errcode": "M_FORBIDDEN", "error": "No\x1b[2J."}), "get", Exit.NOT_ALLOWED, "M_FORBIDDEN: No."),
        ((404, {"errcode": "M_NOT_FOUND"}), "get", Exit.UNKNOWN, "M_NOT_FOUND"),
        ((413, {"errcode": "M_TOO_LARGE"}), "put", Exit.USAGE, "M_TOO_LARGE"),
        ((400, {"errcode": "M_BAD_JSON"}), "put", Exit.FAILED, "M_BAD_JSON"),
        ((404, "<html>"), "get", Exit.UNREACHABLE, "answers with HTTP 404"),
        ((500, {"errcode": "M_UNKNOWN"}), "get", Exit.UNREACHABLE, "answers with HTTP 500"),
        ((429, {"errcode": "M_LIMIT_EXCEEDED"}), "put", Exit.FULL, "nothing was done"),
        (CUT, "get", Exit.UNREACHABLE, "does not answer"),
        (CUT, "put", Exit.UNCERTAIN, "does not answer"),
        ((502, "<html>"), "put", Exit.UNCERTAIN, "answers with HTTP 502"),
    ],
)
def test_each_failure_has_its_exit_code(
    script: Script, answer: tuple[int, Any], method: str, exit_: Exit, sentence: str
) -> None:
    script.answers = [answer]
    with pytest.raises(NotDone) as raised:
        script.homeserver.put("/x", {}) if method == "put" else script.homeserver.get("/x")

    assert raised.value.exit is exit_
    assert sentence in str(raised.value)
    assert len(script.asked) in (1, TRIES)


@pytest.mark.parametrize("after", [(429, {"errcode": "M_LIMIT_EXCEEDED"}), (502, "<html>")])
def test_a_doubt_stays_one_whatever_comes_after_it(script: Script, after: tuple[int, Any]) -> None:
    script.answers = [CUT, after]
    with pytest.raises(NotDone) as raised:
        script.homeserver.put("/x", {})

    assert raised.value.exit is Exit.UNCERTAIN


def test_a_doubt_stays_one_when_nobody_is_there_any_more(script: Script) -> None:
    def leave(_: float) -> None:
        script.close()

    script.answers = [CUT]
    with pytest.raises(NotDone) as raised:
        Homeserver(script.url, "syt_anna", sleep=leave).put("/x", {})

    assert raised.value.exit is Exit.UNCERTAIN


def test_what_has_an_end_is_not_tried_for_longer(script: Script) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    script.answers = [(502, "<html>")]
    bounded = Homeserver(script.url, "t", sleep=sleep, chance=lambda: 0.5, clock=lambda: now[0], until=1.0)
    with pytest.raises(NotDone, match="HTTP 502"):
        bounded.get("/x")
    tries, now[0] = len(script.asked), 1.0
    with pytest.raises(NotDone, match="takes too long") as raised:
        bounded.get("/x")

    assert tries == len(script.asked) == 2
    assert raised.value.exit is Exit.UNREACHABLE


def test_a_file_goes_as_it_is(script: Script) -> None:
    script.answers = [(200, {"content_uri": "mxc://hs/1"}), (200, {"content_uri": 7})]

    assert script.homeserver.upload(b"\x00\xff", name="a b.png", mime="image/png") == "mxc://hs/1"
    assert script.asked == [("POST", "/_matrix/media/v3/upload?filename=a+b.png")]
    assert script.sent == [(b"\x00\xff", "image/png")]
    with pytest.raises(NotDone, match="nothing was sent"):
        script.homeserver.upload(b"x", name="x", mime="text/plain")


def test_pages_are_read_back_until_there_is_no_more(script: Script) -> None:
    script.answers = [(200, {"chunk": [{"n": 3}, 7], "end": "a/b"}), (200, {"chunk": [{"n": 1}]})]
    pages = list(script.homeserver.back("!r:hs", None))

    assert pages == [([{"n": 3}], "a/b"), ([{"n": 1}], None)]
    assert "from=a%2Fb" in script.asked[1][1]


@pytest.mark.parametrize(
    "url",
    [
        "/run/socket",
        "matrix.example.org",
        "http://matrix.example.org",
        f"https://{'a' * 64}.example.org",
        "https://matrix..example.org",
    ],
)
def test_an_address_that_is_none_is_explained(url: str) -> None:
    with pytest.raises(NotDone) as raised:
        Homeserver(url, None)

    assert raised.value.exit is Exit.USAGE
