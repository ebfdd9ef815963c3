"""The gateway over real HTTP, as far as `cchat` speaks with it: on a socket and on 127.0.0.1, and it breaks on demand.

What it answers has the names of docs/reference/http.md, whose real side is tested there.
"""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "gw_test"
PATIENCE = 20.0
NOW = 1_764_120_000_000
WORKSHOP = {
    "user": "@agent:hs",
    "name": "workshop",
    "address": "@agent:hs/workshop",
    "kind": "daemon",
    "host": "box",
    "rooms": ["!den:hs"],
    "skills": ["python"],
    "status": "online",
    "version": "0.1.0",
    "seen_at": NOW,
    "alive": True,
}
ATTIC = {**WORKSHOP, "name": "attic", "address": "@agent:hs/attic", "alive": False, "status": "online"}


class GatewayServer:
    """What it was asked, and how it is to answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, list[str]], dict[str, Any]]] = []
        """Method, path, query and body of every request that came in whole."""
        self.headers: list[dict[str, str]] = []
        self.messages: dict[str, dict[str, Any]] = {}
        """What was accepted, by its key."""
        self.instances: list[dict[str, Any]] = [WORKSHOP, ATTIC]
        self.state = "sent"
        """What a message that is asked about has come to."""
        self.more: dict[str, Any] = {}
        """Other fields of such a message."""
        self.asked_to_wait = threading.Event()
        self.answer_now: threading.Event | None = None
        """What an /ask waits for before it is answered."""
        self.cuts = 0
        """So many answers are not given, though what was asked is done."""
        self.problems: list[tuple[int, str, str]] = []
        """Status, code and detail of the next answers."""
        self.problems_of: dict[str, list[tuple[int, str, str]]] = {}
        """The same of one path."""
        self.said: list[dict[str, Any]] = []
        self.before: int | str | None = None
        """Where the page before begins; a homeserver has texts for that."""
        self.tasks: list[dict[str, Any]] = []
        self.streams: list[str] = []
        """What the next streams say; then they end."""

    def serve(self, method: str, path: str, body: dict[str, Any], key: str | None) -> Any:
        """The answer."""
        match method, path.split("/")[1:]:
            case "POST", ["send" | "ask"]:
                accepted = self._accepted(body, key)
                self.asked_to_wait.set()
                if self.answer_now is not None:
                    self.answer_now.wait(PATIENCE)
                return accepted
            case "GET", ["status"]:
                return {
                    "version": "0.1.0",
                    "user": "@agent:hs",
                    "instance": "workshop",
                    "caller": "operator",
                    "status": "healthy",
                    "homeserver_connected": True,
                    "uptime_seconds": 7300,
                    "parcels_waiting": 2,
                    "commands": {"queued": 1},
                    "messages": {},
                    "rooms": [
                        {"room_id": "!den:hs", "name": "den", "scopes": ["read"], "encrypted": False, "halted": ""}
                    ],
                }
            case "GET", ["status", id_]:
                return self._message({"body": "hello", "to": "@agent:hs/attic"}, id_)
            case "GET", ["rooms", "list"]:
                return {"rooms": [{"room_id": "!den:hs", "name": "den"}]}
            case "GET", ["who"]:
                return {"instances": self.instances}
            case "GET", ["read" | "history"]:
                return {"messages": self.said, "before": self.before}
            case "GET", ["messages", "recent"]:
                return {"messages": self.said[-1:], "total_rooms": 1}
            case "GET", ["tasks"]:
                return {"tasks": self.tasks}
            case "POST", ["tasks"]:
                return {"id": "t1", "state": "assigned", **body}
            case "PATCH", ["tasks", id_]:
                return {"id": id_, "state": body["step"]}
            case _:
                raise AssertionError(f"{method} {path} is no route")

    def _accepted(self, body: dict[str, Any], key: str | None) -> dict[str, Any]:
        assert key is not None, "nothing is sent without a key"
        if key not in self.messages:
            self.messages[key] = self._message(body, f"m{len(self.messages) + 1}")
        return self.messages[key]

    def _message(self, body: dict[str, Any], id_: str) -> dict[str, Any]:
        moments = dict.fromkeys(("accepted_at", "sent_at", "delivered_at", "read_at", "ended_at"), NOW)
        empty = {"to": None, "why": "", "answer": "", "event_id": "$e"}
        return {**empty, **moments, **body, "id": id_, "state": self.state, **self.more}


class _Handler(BaseHTTPRequestHandler):
    gateway: GatewayServer

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_PATCH(self) -> None:
        self._do()

    def _do(self) -> None:
        gateway, parts = self.gateway, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else {}
        gateway.headers.append({name.lower(): value for name, value in self.headers.items()})
        gateway.asked.append((self.command, parts.path, parse_qs(parts.query), body))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._problem(401, "unauthenticated", "This is no token of ours.")
        elif gateway.problems:
            self._problem(*gateway.problems.pop(0))
        elif problems := gateway.problems_of.get(parts.path):
            self._problem(*problems.pop(0))
        elif parts.path == "/events":
            self._stream()
        else:
            answer = gateway.serve(self.command, parts.path, body, self.headers.get("Idempotency-Key"))
            if gateway.cuts:
                gateway.cuts -= 1  # as when the daemon dies between its commit and its answer
                self.close_connection = True
            else:
                self._answer(202 if self.command == "POST" else 200, answer)

    def _stream(self) -> None:
        if not self.gateway.streams:
            self._problem(403, "not_allowed", "No more.")
            return
        text = self.gateway.streams.pop(0)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
        self.close_connection = True

    def _problem(self, status: int, code: str, detail: str) -> None:
        self._answer(status, {"status": status, "code": code, "detail": detail})

    def _answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        with suppress(BrokenPipeError):  # whoever asked has gone
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
        pass


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def at_socket(gateway: GatewayServer, data_dir: Path) -> Iterator[Path]:
    """Serve on the operator's socket of a data_dir, with its token beside it."""
    folder = data_dir / "gateway"
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / "operator.token"
    token.touch(mode=0o600)
    token.write_text(f"{TOKEN}\n")
    server = _UnixServer(str(folder / "operator.sock"), type("Handler", (_Handler,), {"gateway": gateway}))
    with _served(server):
        yield folder / "operator.sock"
    (folder / "operator.sock").unlink(missing_ok=True)


@contextmanager
def at_port(gateway: GatewayServer) -> Iterator[str]:
    """Serve on 127.0.0.1; the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gateway": gateway}))
    with _served(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
