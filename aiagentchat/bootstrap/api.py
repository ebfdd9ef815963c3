"""The homeserver's HTTP API, for whoever sets it up: with this token or that, or with none. Errors are sentences."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from aiagentchat.config.secrets import Secret
from aiagentchat.core.errors import LoginFailed, RateLimited, Refused, Unreachable
from aiagentchat.render.hygiene import one_line

CLIENT = "/_matrix/client/v3"
ADMIN = "/_synapse/admin"

REQUEST_SECONDS = 60.0
"""How long one answer may take. Making an account means hashing its password, which is slow on purpose."""
LONGEST_WAIT = 60.0
"""The longest time that the homeserver may ask us to wait, for one request in all. It makes ten rooms and invites ten
people without; after that this takes its time."""

_DONE = (200, 201)
_NOT_FOUND, _TOO_MANY, _UNAUTHORIZED = 404, 429, 401
_SERVER_ERROR = 500
_SHOWN = 200


class Api:
    """Made by `connect`."""

    def __init__(self, http: aiohttp.ClientSession, url: str, waiting: Callable[[float], None]) -> None:
        self.url = url
        self._http = http
        self._waiting = waiting

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: Secret | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask, and wait as long as the homeserver says. Raises LoginFailed, RateLimited, Refused, Unreachable."""
        left = LONGEST_WAIT
        while True:
            status, answer = await self._once(method, path, body, token)
            if status != _TOO_MANY:
                return self._judged(status, answer)
            pause = _pause(answer)
            if pause > left:
                raise RateLimited(
                    f"{self.url} asks to wait {pause:.0f} s; do this again then, it goes on where it is",
                    retry_after=pause,
                )
            left -= pause
            self._waiting(pause)
            await asyncio.sleep(pause)

    async def find(self, path: str, *, token: Secret | None = None) -> Any:  # noqa: ANN401 - JSON
        """What is there; None if nothing is."""
        try:
            return await self.ask("GET", path, token=token)
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, token: Secret | None
    ) -> tuple[int, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self._http.request(
                    method, f"{self.url}{path}", json=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                answer = json.loads(await response.read())
                if response.status == _TOO_MANY and "Retry-After" in response.headers and isinstance(answer, dict):
                    answer.setdefault("retry_after_ms", 1000 * int(response.headers["Retry-After"]))
                return response.status, answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(
                f"{self.url} does not answer ({_reason(error)}); is the address right, and the homeserver running?"
            ) from error
        except (ValueError, RecursionError) as error:
            raise Unreachable(f"{self.url} does not answer like a Matrix homeserver; is the address right?") from error

    def _judged(self, status: int, answer: Any) -> Any:  # noqa: ANN401 - JSON
        if status in _DONE:
            return answer
        said = answer if isinstance(answer, dict) else {}
        code = one_line(str(said.get("errcode", "")), _SHOWN)
        if status >= _SERVER_ERROR or not (code or "flows" in said):
            said_so = f"{self.url} answers with HTTP {status}; is the address right, and the homeserver well?"
            raise Unreachable(said_so, status=status, errcode=code)
        if code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED"):
            raise LoginFailed(f"{self.url} does not accept the token that was given ({code})")
        if status == _UNAUTHORIZED and "flows" in said:
            raise WantsMore(said)
        words = one_line(str(said.get("error", "")), _SHOWN)
        raise Refused(f"{code}: {words}" if words else code, status=status, errcode=code)


class WantsMore(Refused):
    """The homeserver wants another proof first (user-interactive authentication): `said` has the ways to it."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        super().__init__("the homeserver asks for another proof first", status=_UNAUTHORIZED)
        self.said = said


def path(*parts: str) -> str:
    """A path out of parts that may hold anything."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


@asynccontextmanager
async def connect(url: str, waiting: Callable[[float], None]) -> AsyncGenerator[Api, None]:
    """The API, until the block ends. `waiting` is told of each wait."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        yield Api(http, url, waiting)


def _pause(answer: Any) -> float:  # noqa: ANN401 - JSON
    asked = answer.get("retry_after_ms") if isinstance(answer, dict) else None
    return asked / 1000 if isinstance(asked, int | float) and asked > 0 else 1.0


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "time is up"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # its own text names addresses, several of them
        return os.strerror(number) if number else "no connection"
    return type(error).__name__
