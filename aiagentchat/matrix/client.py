"""The account: login once, the same device ever after.

nio is used as transport (and, later, for encryption) with its own retries switched off: it would wait inside a send,
without a limit, and the pacing of what goes out is ours.
"""

from dataclasses import dataclass, field

import nio
import stamina
import structlog
from nio.client.async_client import AsyncClient, AsyncClientConfig

from aiagentchat.core.errors import LoginFailed, MatrixError, Refused, Unreachable
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.ports import Accounts, Login
from aiagentchat.matrix.errors import PASSING, TRANSPORT, TRIES, TRY_SECONDS, error, fail

REQUEST_SECONDS = 60.0
"""How long one request may take, long polls aside."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are, and how we prove it. A token is taken before a stored login, a stored login before a password."""

    homeserver: str
    user: UserId
    device_name: str
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


class Client:
    """nio's client with a login that is kept."""

    def __init__(self, account: Account, accounts: Accounts) -> None:
        self._account = account
        self._accounts = accounts
        self.nio = AsyncClient(
            account.homeserver,
            account.user,
            config=AsyncClientConfig(
                max_limit_exceeded=0,
                max_timeouts=0,
                request_timeout=REQUEST_SECONDS,
                store_sync_tokens=False,
                encryption_enabled=False,
            ),
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
            await self._with_password(account.password, stored)
        else:
            raise LoginFailed(
                f"no way to log in as {account.user}: "
                "set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD (or one of them as …_FILE) in the environment"
            )

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
        await self._keep(
            Login(user=login.user, device=answer.device_id or login.device, access_token=login.access_token)
        )

    async def _with_password(self, password: str, stored: Login | None) -> None:
        # The device of the last life, so that a restart is no new device in everybody's list.
        self.nio.device_id = stored.device if stored is not None else ""
        try:
            answer = await self.nio.login(password, self._account.device_name)
        except TRANSPORT as problem:
            raise Unreachable(f"login: {type(problem).__name__}") from problem
        if not isinstance(answer, nio.LoginResponse):
            raise _final(error("login", answer))
        await self._keep(Login(user=self._account.user, device=answer.device_id, access_token=answer.access_token))

    async def _keep(self, login: Login) -> None:
        self.nio.restore_login(login.user, login.device, login.access_token)
        await self._accounts.save_login(login)
        log.info("matrix.logged_in", user=login.user, device=login.device)


def _final(problem: MatrixError) -> MatrixError:
    """A login that is refused will be refused again."""
    return LoginFailed(str(problem)) if isinstance(problem, Refused) else problem


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
