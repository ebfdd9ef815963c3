"""The homeserver's client-server API, with its failures as sentences of ours."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from aiagentchat.cli.chat.errors import NotReachable
from aiagentchat.config.secrets import Secret
from aiagentchat.core.errors import LoginFailed, Refused
from aiagentchat.render.hygiene import one_line

REQUEST_SECONDS = 30.0
"""How long one answer may take."""
LONG_POLL_SECONDS = 30.0
"""How long the homeserver may hold a request for news."""
MOST_TRIES = 5
"""How often one request is made while the homeserver says that it is too much."""
LONGEST_PAUSE = 30.0
"""The longest time that it may ask us to wait, each time."""

_SHOWN = 200


class Rest:
    """Made by `connect`."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: Secret) -> None:
        self.url = url
        self._http = http
        self._token = token

    async def get(self, path: str, query: Mapping[str, str] | None = None, *, hold: float = 0.0) -> dict[str, Any]:
        """Ask. `hold`: seconds that the homeserver may take before it answers."""
        return await self._request("GET", path, None, hold, query or {})

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do."""
        return await self._request("POST", path, body, 0.0, {})

    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do; the same path again does it no second time."""
        return await self._request("PUT", path, body, 0.0, {})

    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, hold: float, query: Mapping[str, str]
    ) -> dict[str, Any]:
        for _ in range(MOST_TRIES):
            status, answer = await self._once(method, path, body, hold, query)
            if status != 429:
                return self._judged(status, answer)
            await asyncio.sleep(_pause(answer))
        raise NotReachable(f"{self.url} says that we ask too often; try again in some minutes")

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, hold: float, query: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS + hold),
                self._http.request(
                    method,
                    f"{self.url}/_matrix/client/v3{path}",
                    json=body,
                    params=query,
                    headers={"Authorization": f"Bearer {self._token.reveal()}"},
                    allow_redirects=False,
                ) as response,
            ):
                answer = json.loads(await response.read())
                return response.status, answer if isinstance(answer, dict) else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotReachable(
                f"{self.url} does not answer ({_reason(error)}); is the address right, and the homeserver running?"
            ) from error
        except ValueError as error:
            raise NotReachable(f"{self.url} does not answer like a Matrix homeserver; is the address right?") from error

    def _judged(self, status: int, answer: dict[str, Any]) -> dict[str, Any]:
        code = one_line(str(answer.get("errcode", "")), _SHOWN)
        if status == 200:
            return answer
        if code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"):
            raise LoginFailed(
                f"{self.url} does not accept this login (any more); make a new access token, "
                "and give it with --token-file"
            )
        if status >= 500 or not code:
            raise NotReachable(f"{self.url} answers with HTTP {status}; is the address right, and the homeserver well?")
        said = one_line(str(answer.get("error", "")), _SHOWN)
        raise Refused(f"{code}: {said}" if said else code, status=status, errcode=code)


def path(*parts: str) -> str:
    """A path out of parts that may hold anything."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


@asynccontextmanager
async def connect(url: str, token: Secret) -> AsyncGenerator[Rest, None]:
    """The API, until the block ends."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        yield Rest(http, url, token)


def _pause(answer: Mapping[str, Any]) -> float:
    asked = answer.get("retry_after_ms")
    return min(asked / 1000, LONGEST_PAUSE) if isinstance(asked, int) and asked > 0 else 1.0


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "time is up"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    return type(error).__name__
