"""A Loki that answers a push as the real one was measured to (single binary of 2026, default limits).

What it is held to, and what it leaves out, is in tests/contract/test_loki.py.
"""

import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

PATIENCE = 20.0
PATH = "/loki/api/v1/push"
MOST_LABELS = 15
MOST_LINE = 262_144
OLDEST_SECONDS = 7 * 24 * 3600
NEWEST_SECONDS = 3600
MOST_STREAMS = 4_900
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Refused(Exception):
    """A request that is answered with 400 or 429, and this text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Kept(NamedTuple):
    """A line that was taken."""

    labels: dict[str, str]
    at: int
    line: str
    metadata: dict[str, str]


class FakeLoki:
    """Takes lines, or answers what a test has told it to, once each."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.begun = 0
        """Requests that have come."""
        self.answered = 0
        self.headers: list[dict[str, str]] = []
        self.sizes: list[int] = []
        """Bytes of the bodies, unpacked."""
        self.answers: list[tuple[int, str, dict[str, str]]] = []
        """What the next requests are answered with, whatever is in them."""
        self.open = threading.Event()
        """Not set: every request is taken in and waits."""
        self.open.set()
        self.most_streams = MOST_STREAMS
        self.url = ""
        self._changed = threading.Condition()

    @property
    def lines(self) -> list[str]:
        return [kept.line for kept in self.kept]

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait for what a request brings about."""
        with self._changed:
            assert self._changed.wait_for(is_so, PATIENCE), "it has not come to that"

    def begin(self, headers: dict[str, str], size: int) -> None:
        with self._changed:
            self.begun += 1
            self.headers.append(headers)
            self.sizes.append(size)
            self._changed.notify_all()

    def answer(self, path: str, body: bytes) -> tuple[int, str, dict[str, str]]:
        with self._changed:
            if self.answers:
                return self.answers.pop(0)
            if path != PATH:
                return 404, "404 page not found", {}
            try:
                self.kept += self._taken(body)
            except Refused as refused:
                return refused.status, str(refused), {}
            return 204, "", {}

    def end(self) -> None:
        with self._changed:
            self.answered += 1
            self._changed.notify_all()

    def _taken(self, body: bytes) -> list[Kept]:
        try:
            streams = json.loads(body)["streams"]
            found = [(stream.get("stream", {}), value) for stream in streams for value in stream["values"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(400, f"couldn't parse push request: {error}") from None
        kept = [self._entry(labels, value) for labels, value in found]
        known = {json.dumps(each.labels, sort_keys=True) for each in (*self.kept, *kept)}
        if len(known) > self.most_streams:
            raise Refused(429, "maximum active stream limit exceeded when trying to create stream")
        return kept

    @staticmethod
    def _entry(labels: dict[str, str], value: list[Any]) -> Kept:
        at, line, metadata = [*value, {}][:3]
        if not isinstance(at, str) or not at.isdigit() or not isinstance(line, str):
            raise Refused(
                400, "couldn't parse push request: Value looks like Number/Boolean/None, but can't find its end"
            )
        if not all(isinstance(each, str) for each in metadata.values()):
            raise Refused(400, "couldn't parse push request: Value is not a string")
        if bad := [name for name in labels if not _LABEL.fullmatch(name)]:
            raise Refused(400, f"error parsing labels: parse error: unexpected character in {bad[0]}")
        if len(labels) > MOST_LABELS:
            raise Refused(400, f"entry for stream has {len(labels)} label names; limit {MOST_LABELS}")
        if len(line.encode()) > MOST_LINE:
            raise Refused(400, f"Max entry size '{MOST_LINE}' bytes exceeded for stream")
        age = time.time() - int(at) / 1e9
        if age > OLDEST_SECONDS:
            raise Refused(400, "entry for stream has timestamp too old")
        if age < -NEWEST_SECONDS:
            raise Refused(400, "entry for stream has timestamp too new")
        return Kept(labels or {"service_name": "unknown_service"}, int(at), line, metadata)


def _handler(loki: FakeLoki) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            loki.begin(dict(self.headers.items()), len(body))
            loki.open.wait(PATIENCE)
            status, text, headers = loki.answer(self.path, body)
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())
            except OSError:
                pass  # whoever asked does not wait any more
            loki.end()

        def log_message(self, *_: object) -> None:
            """Said to nobody."""

    return Handler


@contextmanager
def running_loki(port: int = 0) -> Iterator[FakeLoki]:
    """One that listens on loopback."""
    loki = FakeLoki()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(loki))
    server.daemon_threads = True
    loki.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield loki
    finally:
        loki.open.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
