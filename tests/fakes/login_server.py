"""The part of a homeserver that knows who is logged in, over real HTTP; what it says is what Synapse says.

tests/contract/test_login.py and tests/contract/test_refresh_tokens.py meet the same answers from a real one.
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
        self.attempts = 0
        """How often somebody wanted to log in."""
        self.gives_nonsense = False
        """A login is answered with something else."""
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
        self.wants_quiet = False
        """Every request that needs a login is asked to wait."""
        self.user = USER
        """Who has logged in, by the homeserver's account."""
        self.lifetime_ms: int | None = None
        """How long a token of a login that asks for a refresh token is said to be good; None: it gives none."""
        self.refreshes: list[str] = []
        """The refresh token of every refresh."""
        self.refresh_status = 200
        """What a refresh is answered with."""
        self.renewable: dict[str, str] = {}
        """Refresh tokens that are good, each with its device."""
        self._replaced: dict[str, str] = {}
        """What is given up when this new token is used for the first time."""

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
        self.renewable.clear()

    def refresh_token(self, token: str, device: str = "D1") -> str:
        """A refresh token that is good."""
        self.renewable[token] = device
        return token

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        self.addresses.append(request.path_qs)
        if request.path.endswith("/login"):
            return self._login(await request.json(), request)
        if request.path.endswith("/refresh"):
            return self._refresh(await request.json(), request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        await request.read()
        self.asked.append((request.path.rpartition("/")[2], token))
        if self.wants_quiet:
            return web.json_response({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests"}, status=429)
        if self.nonsense is not None:
            return web.Response(status=401, body=self.nonsense, content_type="application/json")
        if token not in self.good:
            code = "M_UNKNOWN_TOKEN" if token else "M_MISSING_TOKEN"
            soft = {"soft_logout": token in self.worn_off} if token else {}
            return web.json_response({"errcode": code, "error": "Not you", **soft}, status=401)
        self.renewable.pop(self._replaced.pop(token, ""), None)
        body: dict[str, Any] = {"user_id": USER, "device_id": self.good[token]}
        return web.json_response(body | {"event_id": "$sent", "room_id": "!r", "content_uri": "mxc://hs/1"})

    def _login(self, body: dict[str, Any], request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return web.json_response({"errcode": "M_UNKNOWN", "error": "a login needs no token"}, status=400)
        self.attempts += 1
        if self.gives_nonsense:
            return web.json_response({"user_id": self.user, "device_id": "D1", "access_token": 5})
        if self.busy_for_ms is not None:
            busy = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": self.busy_for_ms}
            return web.json_response(busy, status=429)
        device = str(body.get("device_id") or "")
        self.logins.append(device)
        if body["password"] != PASSWORD:
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "Invalid username or password"}, status=403)
        token = f"token-{len(self.logins)}"
        self._give(token, device or "NEW")
        given = {"user_id": self.user, "device_id": device or "NEW", "access_token": token}
        if self.lifetime_ms is None or body.get("refresh_token") is not True:
            return web.json_response(given)
        refresh = self.refresh_token(f"refresh-{len(self.logins)}", device or "NEW")
        return web.json_response({**given, "refresh_token": refresh, "expires_in_ms": self.lifetime_ms})

    def _refresh(self, body: dict[str, Any], request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            return web.json_response({"errcode": "M_UNKNOWN", "error": "a refresh needs no token"}, status=400)
        old = str(body["refresh_token"])
        self.refreshes.append(old)
        if self.refresh_status == web.HTTPTooManyRequests.status_code:
            busy = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 7000}
            return web.json_response(busy, status=429)
        if self.refresh_status != web.HTTPOk.status_code:
            return web.json_response({"errcode": "M_UNKNOWN", "error": "Oh"}, status=self.refresh_status)
        if old not in self.renewable:
            gone = {"errcode": "M_FORBIDDEN", "error": "refresh token isn't valid anymore"}
            return web.json_response(gone, status=403)
        device = self.renewable[old]
        self.renewable.pop(self._replaced.pop(old, ""), None)
        token, refresh = f"renewed-{len(self.refreshes)}", f"refresh-of-{len(self.refreshes)}"
        self._give(token, device)
        self.refresh_token(refresh, device)
        self._replaced |= {token: old, refresh: old}
        return web.json_response(
            {
                "access_token": token,
                "refresh_token": refresh,
                "expires_in_ms": 300_000 if self.lifetime_ms is None else self.lifetime_ms,
            }
        )

    def _give(self, token: str, device: str) -> None:
        if self.stillborn:
            self.worn_off.add(token)
        else:
            self.token(token, device)


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
