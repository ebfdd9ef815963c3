"""The account: login once, the same device ever after, and a token that is renewed before it wears off.

nio's client is used as transport, with its own retries switched off: it would wait inside a send, without a limit, and
the pacing of what goes out is ours. What is encrypted goes through nio's Olm machine beside it (`crypto/machine.py`).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import nio
import stamina
import structlog
from nio.client.async_client import AsyncClient, AsyncClientConfig

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.ledger import Accounts, Login
from aiagentchat.matrix import grants
from aiagentchat.matrix.crypto.rooms import EncryptedRooms
from aiagentchat.matrix.errors import PASSING, TOKEN_REFUSED, TRANSPORT, TRIES, TRY_SECONDS, error, fail

REQUEST_SECONDS = 60.0
"""How long one request may take, long polls aside."""
REFRESH_PAUSE_SECONDS = 1.0
"""How long a token is not renewed again after it was, however short the homeserver says that its life is."""
REFRESH_RETRY_SECONDS = 5.0
"""How long after a failure a token that is still good is not renewed again."""

_OK = 200
_UNAUTHORIZED = 401
_TOO_MANY = 429
_RENEWALS = 2
"""So often one request may be sent again: with what the refresh token gave, and with what the password gave."""

_LOGIN_ADVICE = (
    " (is MATRIX_PASSWORD right, and matrix.user_id? Correct it, or set MATRIX_ACCESS_TOKEN, and start it again)"
)
_ADDRESS_ADVICE = " (is matrix.homeserver the address of a homeserver?)"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are, and how we prove it. A token is taken before a stored login, a stored login before a password.

    A token with a refresh token is a beginning only: a stored login, which it has become, is taken before it.
    """

    homeserver: str
    user: UserId
    device_name: str
    token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the homeserver said to a request that nio has no words for."""

    content: Content
    headers: Mapping[str, str]
    wants_more: bool = False
    """Whether it is a "prove first that it is you", with the ways to do so."""


Freshen = Callable[[str], Awaitable[str]]
"""Called with the token that a request would use; the one to use. Raises nothing of the homeserver's."""
IsLost = Callable[[str], Awaitable[bool]]
"""Whether the keys of this device cannot be had any more: then it is of no use."""
Renew = Callable[[str, bool], Awaitable[bool]]
"""Called with the token that was refused and whether the logout was soft; True when there is another token now."""


async def _nothing_is_lost(_: str) -> bool:
    return False


TookUp = Callable[[Login], Awaitable[None]]
"""Told of each login that is taken up, the stored one at a start or one with the password; not of renewed tokens."""


async def _nobody_is_told(_: Login) -> None:
    pass


class _Renewing(AsyncClient):
    """nio's client, in which a request that meets a soft logout does not notice it.

    Here, below everything that nio does with an answer, because nio forgets its token at a soft logout: other requests
    that are under way would be sent without one.
    """

    def __init__(self, *args: Any, freshen: Freshen, renew: Renew, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._freshen = freshen
        self._renew = renew
        self.accepted = ""
        """The newest token that was good for something."""
        self.refusals = 0
        """Answers that asked us to wait."""

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
        given = dict(headers or {})
        used = given.pop("Authorization", "").removeprefix("Bearer ")
        if path.partition("?")[0] in grants.WITHOUT_TOKEN:
            return self._counted(await super().send(method, path, data, given, trace_context, timeout))
        used = await self._freshen(used) if used else used
        answer = await self._send_as(used, method, path, data, given, trace_context, timeout)
        for _ in range(_RENEWALS):
            if not await self._is_renewed(used, answer):
                break
            if not isinstance(data, str | bytes | None):
                # What was being uploaded is half read.
                raise aiohttp.ClientConnectionError("logged in again in the middle of the request")
            used = self.access_token
            answer = await self._send_as(used, method, path, data, given, trace_context, timeout)
        return answer

    async def _is_renewed(self, used: str, answer: aiohttp.ClientResponse) -> bool:
        """Whether the answer was about the token, and there is another one now."""
        if answer.status != _UNAUTHORIZED:
            return False
        problem = await self.parse_body(answer)
        is_about_token = str(problem.get("errcode")) in TOKEN_REFUSED
        return is_about_token and await self._renew(used, problem.get("soft_logout") is True)

    def load_store(self) -> None:
        """The store of keys is opened when the device is known for sure (`crypto/start.py`)."""

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
        answer = self._counted(await super().send(method, path, data, given, *rest))
        if answer.status == _OK and token == self.access_token:
            self.accepted = token
        return answer

    def _counted(self, answer: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
        self.refusals += answer.status == _TOO_MANY
        return answer


class Client:
    """nio's client with a login that is kept, and renewed before it wears off or when the homeserver asks for that."""

    def __init__(
        self,
        account: Account,
        accounts: Accounts,
        *,
        is_lost: IsLost = _nothing_is_lost,
        took_up: TookUp = _nobody_is_told,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._accounts = accounts
        self._is_lost = is_lost
        self._took_up = took_up
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._renewing = asyncio.Lock()
        self._login = Login(user=account.user, device="", access_token="")
        """What is in force."""
        self._last_given = ""
        """The token that the last login or refresh gave."""
        self._last_login = ""
        """The token that the last login with the password gave."""
        self._is_in = False
        """Whether the device is settled for this life."""
        self._useless = ""
        """The refresh token that was refused."""
        self._refresh_after = 0.0
        """When (monotonic seconds) a token that is still good may be renewed again."""
        self._login_after = 0.0
        """When (monotonic seconds) the homeserver lets us log in again."""
        self._password_refused = ""
        """What the homeserver said to the password, once it has refused it."""
        self.rooms = EncryptedRooms()
        """Where nothing may be sent in the clear."""
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
            freshen=self._freshen,
            renew=self._renew,
        )

    async def log_in(self) -> None:
        """Be logged in. Raises LoginFailed, or Unreachable when the homeserver does not answer, or wants us to wait."""
        await self._log_in()
        self._is_in = True

    async def _log_in(self) -> None:
        account = self._account
        stored = await self._accounts.login(account.user)
        given = account.token is not None
        if stored is not None and not (given and account.refresh_token is None) and await self._still_valid(stored):
            return
        if account.token is not None:
            fresh = Login(user=account.user, device="", access_token=account.token, refresh_token=account.refresh_token)
            await self._use(fresh)
        elif account.password is not None:
            await self._with_password(account.password, stored.device if stored is not None else "")
        else:
            raise LoginFailed(
                f"no way to log in as {account.user}: "
                "set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD (or one of them as …_FILE) in the environment"
            )

    @property
    def device(self) -> str:
        """The device that we are; empty for a token that belongs to none."""
        return str(self.nio.device_id or "")

    @property
    def can_be_new(self) -> bool:
        """Whether we may log in as another device."""
        return self._account.token is None and self._account.password is not None

    async def be_new(self) -> None:
        """Log in as a device that there was not before. Raises as `log_in`."""
        assert self._account.password is not None
        await self._with_password(self._account.password, "")

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

    @property
    def refusals(self) -> int:
        """How often the homeserver has answered, whatever was asked, that we ask too much."""
        return self.nio.refusals

    async def close(self) -> None:
        """End all connections."""
        await self.nio.close()

    async def _still_valid(self, stored: Login) -> bool:
        try:
            await self._use(stored)
        except LoginFailed:
            if self._last_login or self._password_refused:
                raise  # on the way the password was tried; one login for each start
            log.warning("matrix.stored_login_refused", user=stored.user, device=stored.device)
            return False
        return True

    async def _use(self, login: Login) -> None:
        self._put_into_force(login)
        try:
            answer = await self.nio.whoami()
        except TRANSPORT as problem:
            raise Unreachable(f"whoami: {type(problem).__name__}") from problem
        if not isinstance(answer, nio.WhoamiResponse):
            raise _final(error("whoami", answer), _ADDRESS_ADVICE)
        if answer.user_id != login.user:
            raise LoginFailed(grants.wrong_user("the access token", answer.user_id, login.user))
        # Not what was given: it may have been renewed on the way.
        await self._keep(replace(self._login, device=answer.device_id or self._login.device))
        await self._tell_logged_in()

    async def _freshen(self, used: str) -> str:
        """The token to use in the place of `used`: another one if it is about to wear off and can be renewed.

        While it is good nobody waits for this, and nobody hears of it if it fails: the next request tries again.
        """
        if self._is_due(used) and not self._renewing.locked():
            async with self._renewing:
                self._refresh_after = self._monotonic() + REFRESH_PAUSE_SECONDS
                try:
                    await self._refresh()
                except Unreachable as problem:
                    self._refresh_after = self._monotonic() + max(REFRESH_RETRY_SECONDS, problem.retry_after)
                    log.warning("matrix.not_renewed", user=self._account.user, error=str(problem))
        return str(self.nio.access_token or used)

    def _is_due(self, used: str) -> bool:
        renew_at = self._login.renew_at
        if renew_at is None or used != self._login.access_token or self._monotonic() < self._refresh_after:
            return False
        return self._can_refresh() and self._now_ms() >= renew_at

    def _can_refresh(self) -> bool:
        return self._login.refresh_token not in (None, self._useless)

    async def _renew(self, used: str, soft: bool) -> bool:
        """Whether there is another token than `used` now: somebody got one meanwhile, or we do.

        A hard logout is somebody's decision, and is respected. What was given is not followed by another of its kind
        before it was good for anything, so that a homeserver that is out of order is not asked for ever. Raises
        LoginFailed, and Unreachable also where the homeserver wants us to wait: whoever asked is not too fast, and
        there is nothing that could be done meanwhile.
        """
        async with self._renewing:
            if self.nio.access_token != used:
                return True
            if not soft:
                return False
            if self._is_of_use(used, self._last_given) and await self._refresh():
                return True
            if self._account.password is None or not self._is_of_use(used, self._last_login):
                return False
            log.warning("matrix.soft_logout", user=self._account.user, device=self.nio.device_id)
            device = self.nio.device_id or await self._stored_device()
            await self._with_password(self._account.password, device)
            return True

    def _is_of_use(self, used: str, given: str) -> bool:
        return used != given or used == self.nio.accepted

    async def _refresh(self) -> bool:
        """Whether there are new tokens, which are kept before the first of them is used: until then the old are good.

        Raises Unreachable.
        """
        if not self._can_refresh():
            return False
        login = self._login
        try:
            fresh = await grants.by_refresh_token(self, login, self._now_ms())
        except RateLimited as problem:
            raise _wait(problem) from problem
        except (Refused, LoginFailed) as problem:
            self._useless = login.refresh_token or ""
            log.warning("matrix.refresh_refused", user=login.user, device=login.device, error=str(problem))
            return False
        await self._keep(fresh)
        self._last_given = fresh.access_token
        log.info("matrix.token_renewed", user=login.user, device=login.device)
        return True

    async def _stored_device(self) -> str:
        stored = await self._accounts.login(self._account.user)
        return stored.device if stored is not None else ""

    async def _with_password(self, password: str, device: str) -> None:
        """Log in; on the device of the last life, so that a restart is no new device in everybody's list.

        What was refused once is not tried again, and nothing is tried while the homeserver wants us to wait.
        """
        if self._password_refused:
            raise LoginFailed(self._password_refused)
        user = self._account.user
        if device and not self._is_in and await self._is_lost(device):
            # Else it would be found out when we are in, and a start would take two logins.
            log.warning("crypto.device_given_up", error="its keys cannot be had any more", device=device)
            device = ""
        if (wait := self._login_after - self._monotonic()) > 0:
            raise Unreachable(f"login: the homeserver lets {user} log in again in {wait:.0f} s", retry_after=wait)
        proof = grants.Proof(user=user, password=password, device=device, device_name=self._account.device_name)
        try:
            fresh = await grants.by_password(self, proof, self._now_ms())
        except RateLimited as problem:
            self._login_after = self._monotonic() + problem.retry_after
            log.warning("matrix.login_limited", user=user, wait_s=round(problem.retry_after, 1))
            raise _wait(problem) from problem
        except (Refused, LoginFailed) as problem:
            refused = _final(problem, _LOGIN_ADVICE)
            self._password_refused = str(refused)
            raise refused from problem
        await self._keep(fresh)
        self._last_given = self._last_login = fresh.access_token
        await self._tell_logged_in()

    async def _keep(self, login: Login) -> None:
        """Write it down, and only then use it."""
        await self._accounts.save_login(login)
        self._put_into_force(login)

    def _put_into_force(self, login: Login) -> None:
        self._login = login
        if login.device:
            self.nio.restore_login(login.user, login.device, login.access_token)
        else:  # the homeserver is about to say; nio does not take a login without
            self.nio.user_id, self.nio.access_token = login.user, login.access_token

    async def _tell_logged_in(self) -> None:
        log.info("matrix.logged_in", user=self._login.user, device=self._login.device)
        await self._took_up(self._login)


def _final(problem: MatrixError, advice: str) -> MatrixError:
    """A login that is refused will be refused again."""
    return LoginFailed(f"{problem}{advice}") if isinstance(problem, Refused) else problem


def _wait(problem: RateLimited) -> Unreachable:
    return Unreachable(str(problem), retry_after=problem.retry_after)


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
