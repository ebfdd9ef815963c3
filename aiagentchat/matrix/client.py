"""The account: login once, the same device ever after.

nio is used as transport (and, later, for encryption) with its own retries switched off: it would wait inside a send,
without a limit, and the pacing of what goes out is ours.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import nio
import stamina
import structlog
from nio.client.async_client import AsyncClient, AsyncClientConfig

from aiagentchat.core.errors import LoginFailed, MatrixError, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.ledger import Accounts, Login
from aiagentchat.matrix.errors import PASSING, TOKEN_REFUSED, TRANSPORT, TRIES, TRY_SECONDS, error, fail

REQUEST_SECONDS = 60.0
"""How long one request may take, long polls aside."""

_OK = 200
_UNAUTHORIZED = 401
_LOGIN = "/login"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are, and how we prove it. A token is taken before a stored login, a stored login before a password."""

    homeserver: str
    user: UserId
    device_name: str
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the homeserver said to a request that nio has no words for."""

    content: Content
    headers: Mapping[str, str]
    wants_more: bool = False
    """Whether it is a "prove first that it is you", with the ways to do so."""


Renew = Callable[[str, bool], Awaitable[bool]]
"""Called with the token that was refused and whether the logout was soft; True when there is another token now."""


class _Renewing(AsyncClient):
    """nio's client, in which a request that meets a soft logout does not notice it.

    Here, below everything that nio does with an answer, because nio forgets its token at a soft logout: other requests
    that are under way would be sent without one.
    """

    def __init__(self, *args: Any, renew: Renew, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._renew = renew
        self.accepted = ""
        """The newest token that was good for something."""

    async def send(
        self,
        method: str,
        path: str,
        data: Any = None,  # noqa: ANN401 - as nio has it
        headers: dict[str, str] | None = None,
        trace_context: Any | None = None,  # noqa: ANN401
        timeout: float | None = None,
    ) -> aiohttp.ClientResponse:
        """One request, and once more when it found us logged out and we could log in again."""
        is_login = path.partition("?")[0].endswith(_LOGIN)
        given = dict(headers or {})
        used = given.pop("Authorization", "").removeprefix("Bearer ")
        if is_login:
            answer: aiohttp.ClientResponse = await super().send(method, path, data, given, trace_context, timeout)
            return answer
        answer = await self._send_as(used, method, path, data, given, trace_context, timeout)
        if answer.status != _UNAUTHORIZED:
            return answer
        problem = await self.parse_body(answer)
        if str(problem.get("errcode")) not in TOKEN_REFUSED or not await self._renew(
            used, problem.get("soft_logout") is True
        ):
            return answer
        if not isinstance(data, str | bytes | None):
            # What was being uploaded is half read.
            raise aiohttp.ClientConnectionError("logged in again in the middle of the request")
        return await self._send_as(self.access_token, method, path, data, given, trace_context, timeout)

    def load_store(self) -> None:
        """Nothing is encrypted yet, so there is no store of keys."""

    async def parse_body(self, transport_response: aiohttp.ClientResponse) -> dict[Any, Any]:
        """The JSON object of an answer; empty where it has none, whatever is there instead."""
        try:
            said: object = await super().parse_body(transport_response)
        except (ValueError, LookupError, RecursionError):  # no UTF-8, no charset, no end
            return {}
        return said if isinstance(said, dict) else {}

    async def _send_as(
        self,
        token: str,
        method: str,
        path: str,
        data: Any,  # noqa: ANN401
        headers: dict[str, str],
        *rest: Any,  # noqa: ANN401
    ) -> aiohttp.ClientResponse:
        given = {**headers, "Authorization": f"Bearer {token}"} if token else headers
        answer: aiohttp.ClientResponse = await super().send(method, path, data, given, *rest)
        if answer.status == _OK and token == self.access_token:
            self.accepted = token
        return answer


class Client:
    """nio's client with a login that is kept, and renewed when the homeserver asks for that."""

    def __init__(self, account: Account, accounts: Accounts) -> None:
        self._account = account
        self._accounts = accounts
        self._renewing = asyncio.Lock()
        self._last_login = ""
        """The token that the last login with the password gave."""
        self.nio = _Renewing(
            account.homeserver,
            account.user,
            config=AsyncClientConfig(
                max_limit_exceeded=0,
                max_timeouts=0,
                request_timeout=REQUEST_SECONDS,
                store_sync_tokens=False,
                encryption_enabled=False,
            ),
            renew=self._renew,
        )

    async def log_in(self) -> None:
        """Be logged in. Raises LoginFailed, RateLimited, or Unreachable when the homeserver does not answer."""
        account = self._account
        stored = await self._accounts.login(account.user)
        if account.token is not None:
            await self._use(Login(user=account.user, device="", access_token=account.token))
        elif stored is not None and await self._still_valid(stored):
            return
        elif account.password is not None:
            await self._with_password(account.password, stored.device if stored is not None else "")
        else:
            raise LoginFailed(
                f"no way to log in as {account.user}: "
                "set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD (or one of them as …_FILE) in the environment"
            )

    async def ask(
        self,
        what: str,
        method: str,
        path: str,
        content: Content | None = None,
        *,
        or_nothing: bool = False,
        or_stages: bool = False,
    ) -> Answer:
        """Ask what nio has no words for; with `or_nothing` what is not there is empty. Raises as `Outbound` does.

        With `or_stages` a wish for more proof ("User-Interactive Authentication") is an answer and no error.
        """
        data = None if content is None else json.dumps(content)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.nio.access_token}"}
        try:
            answer = await self.nio.send(method, path, data, headers)
            said = await self.nio.parse_body(answer)
        except TRANSPORT as problem:
            raise Unreachable(f"{what}: {type(problem).__name__}") from problem
        if answer.status == _OK:
            return Answer(said, answer.headers)
        if or_stages and answer.status == _UNAUTHORIZED and isinstance(said.get("flows"), list):
            return Answer(said, answer.headers, wants_more=True)
        if or_nothing and said.get("errcode") == "M_NOT_FOUND":
            return Answer({}, answer.headers)
        refused: Any = nio.ErrorResponse.from_dict(said)
        refused.transport_response = answer
        raise error(what, refused)

    async def close(self) -> None:
        """End all connections."""
        await self.nio.close()

    async def _still_valid(self, stored: Login) -> bool:
        try:
            await self._use(stored)
        except LoginFailed:
            log.warning("matrix.stored_login_refused", user=stored.user, device=stored.device)
            return False
        return True

    async def _use(self, login: Login) -> None:
        self.nio.restore_login(login.user, login.device, login.access_token)
        try:
            answer = await self.nio.whoami()
        except TRANSPORT as problem:
            raise Unreachable(f"whoami: {type(problem).__name__}") from problem
        if not isinstance(answer, nio.WhoamiResponse):
            raise _final(error("whoami", answer))
        if answer.user_id != login.user:
            raise LoginFailed(f"the access token belongs to {answer.user_id}, but matrix.user_id is {login.user}")
        # Not the token of `login`: it may have been renewed on the way.
        await self._keep(
            Login(user=login.user, device=answer.device_id or login.device, access_token=self.nio.access_token)
        )

    async def _renew(self, used: str, soft: bool) -> bool:
        """Whether there is another token than `used` now: somebody got one meanwhile, or we do.

        A hard logout is somebody's decision, and is respected. A login is not followed by another one before it was
        good for anything, so that a homeserver that is out of order is not asked for ever. Raises as `log_in` does.
        """
        async with self._renewing:
            if self.nio.access_token != used:
                return True
            is_of_use = used != self._last_login or used == self.nio.accepted
            if not soft or self._account.password is None or not is_of_use:
                return False
            log.warning("matrix.soft_logout", user=self._account.user, device=self.nio.device_id)
            device = self.nio.device_id or await self._stored_device()
            await self._with_password(self._account.password, device)
            return True

    async def _stored_device(self) -> str:
        stored = await self._accounts.login(self._account.user)
        return stored.device if stored is not None else ""

    async def _with_password(self, password: str, device: str) -> None:
        # The device of the last life, so that a restart is no new device in everybody's list.
        self.nio.device_id = device
        try:
            answer = await self.nio.login(password, self._account.device_name)
        except TRANSPORT as problem:
            raise Unreachable(f"login: {type(problem).__name__}") from problem
        if not isinstance(answer, nio.LoginResponse):
            raise _final(error("login", answer), " (is MATRIX_PASSWORD right?)")
        self._last_login = answer.access_token
        await self._keep(Login(user=self._account.user, device=answer.device_id, access_token=answer.access_token))

    async def _keep(self, login: Login) -> None:
        self.nio.restore_login(login.user, login.device, login.access_token)
        await self._accounts.save_login(login)
        log.info("matrix.logged_in", user=login.user, device=login.device)


def _final(problem: MatrixError, advice: str = "") -> MatrixError:
    """A login that is refused will be refused again."""
    return LoginFailed(f"{problem}{advice}") if isinstance(problem, Refused) else problem


@stamina.retry(on=PASSING, attempts=TRIES, timeout=TRY_SECONDS)
async def resolve_alias(client: Client, alias: str) -> RoomId:
    """The room behind an alias. Raises Refused if there is none, Unreachable if the server does not say."""
    try:
        answer = await client.nio.room_resolve_alias(alias)
    except TRANSPORT as problem:
        raise Unreachable(f"alias {alias}: {type(problem).__name__}") from problem
    if not isinstance(answer, nio.RoomResolveAliasResponse):
        fail(f"alias {alias}", answer)
    return RoomId(answer.room_id)
