"""The part of a homeserver that knows who is logged in, over real HTTP; what it says is what Synapse says.

tests/contract/test_login.py meets the same answers from a real one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

PASSWORD = "correct horse"
USER = "@claude:hs"


class LoginServer:
    """Knows one account."""

    def __init__(self) -> None:
        self.url = ""
        self.good: dict[str, str] = {}
        """Tokens that are accepted, each with its device."""
        self.worn_off: set[str] = set()
        """Tokens that ask for a soft logout; any other one was logged out."""
        self.logins: list[str] = []
        """The device of every login, as it was asked for; "" for a new one."""
        self.asked: list[tuple[str, str]] = []
        """Path and token of all other requests."""
        self.addresses: list[str] = []
        """Path and query of every request."""
        self.stillborn = False
        """New tokens have worn off at once."""
        self.nonsense: bytes | None = None
        """Every request that needs a login is answered with a 401 and this."""
        self.busy_for_ms: int | None = None
        """Logins are refused for so long."""

    def token(self, token: str, device: str = "D1") -> str:
        """A token that is good."""
        self.good[token] = device
        return token

    def wear_off(self) -> None:
        """All tokens need a new login."""
        self.worn_off |= set(self.good)
        self.good.clear()

    def log_out(self) -> None:
        """All devices are logged out."""
        self.good.clear()

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        self.addresses.append(request.path_qs)
        if request.path.endswith("/login"):
            return self._login(await request.json(), request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        await request.read()
        self.asked.append((request.path.rpartition("/")[2], token))
        if self.nonsense is not None:
            return web.Response(status=401, body=self.nonsense, content_type="application/json")
        if token not in self.good:
            code = "M_UNKNOWN_TOKEN" if token else "M_MISSING_TOKEN"
            soft = {"soft_logout": token in self.worn_off} if token else {}
            return web.json_response({"errcode": code, "error": "Not you", **soft}, status=401)
        body: dict[str, Any] = {"user_id": USER, "device_id": self.good[token]}
        return web.json_response(body | {"event_id": "$sent", "room_id": "!r", "content_uri": "mxc://hs/1"})

    def _login(self, body: dict[str, Any], request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return web.json_response({"errcode": "M_UNKNOWN", "error": "a login needs no token"}, status=400)
        if self.busy_for_ms is not None:
            busy = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": self.busy_for_ms}
            return web.json_response(busy, status=429)
        device = str(body.get("device_id") or "")
        self.logins.append(device)
        if body["password"] != PASSWORD:
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "Invalid username or password"}, status=403)
        token = f"token-{len(self.logins)}"
        if self.stillborn:
            self.worn_off.add(token)
        else:
            self.token(token, device or "NEW")
        return web.json_response({"user_id": USER, "device_id": device or "NEW", "access_token": token})


@asynccontextmanager
async def login_server() -> AsyncIterator[LoginServer]:
    """One, on loopback."""
    server = LoginServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
