"""A program that speaks with the gateway of a daemon of the rig, and does not give up."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from rig.daemon import Daemon

AGAIN_SECONDS = 0.1
"""Between two tries, while the gateway is away or wants us to wait."""
TRY_SECONDS = 30.0
_LATER = frozenset({429, 503, 504})


def free_port() -> int:
    """One that nobody listens at; for `gateway.port`, where 0 is none."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Refused(Exception):
    """The gateway does not do it. The text is its problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"HTTP {status} {dict(problem)}")
        self.status = status
        self.code = str(problem.get("code", ""))


class GatewayClient:
    """Made by `gateway_client`."""

    def __init__(self, http: aiohttp.ClientSession, token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, method: str, path: str, said: object = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
        """One request. Raises `Refused`."""
        given = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self._http.request(method, path, json=said, headers=given) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise Refused(answer.status, json.loads(text))
            is_json = "json" in answer.headers.get("Content-Type", "")
            return json.loads(text) if is_json else text.decode()

    async def send(self, room: str, body: str, **more: object) -> dict[str, Any]:
        """Send a message, once."""
        sent: dict[str, Any] = await self.ask("POST", "/send", {"room": room, "body": body, **more})
        return sent

    @asynccontextmanager
    async def listening(self, instance: str) -> AsyncIterator[None]:
        """Meanwhile the caller has a session of that name."""
        where, forever = f"/events?instance={instance}", aiohttp.ClientTimeout(total=None)
        async with self._http.get(where, headers=self._headers, timeout=forever) as stream:
            await stream.content.readline()
            yield

    async def send_surely(self, room: str, body: str, key: str, **more: object) -> dict[str, Any]:
        """Send a message until it is accepted, whatever becomes of the gateway meanwhile."""
        wish = {"room": room, "body": body, **more}
        while True:
            try:
                sent: dict[str, Any] = await self.ask("POST", "/send", wish, Idempotency_Key=key)
            except Refused as refused:
                if refused.status not in _LATER:
                    raise
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                pass
            else:
                return sent
            await asyncio.sleep(AGAIN_SECONDS)


@asynccontextmanager
async def gateway_client(
    daemon: Daemon, file: str = "port.token", *, at_socket: bool = False
) -> AsyncIterator[GatewayClient]:
    """Somebody who has the token in that file. Without a port of its own in the daemon's settings, at the socket."""
    folder = Path(daemon.data_dir) / "gateway"
    port = None if at_socket else daemon.settings.get("gateway", {}).get("port")
    connector = None if port else aiohttp.UnixConnector(str(folder / "operator.sock"))
    base = f"http://127.0.0.1:{port}" if port else "http://gateway"
    secret = (folder / file).read_text(encoding="ascii").strip()
    timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout) as http:
        yield GatewayClient(http, secret)
