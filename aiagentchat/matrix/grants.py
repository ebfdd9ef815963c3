"""What the homeserver gives for a password or for a refresh token.

nio's own login cannot ask for refresh tokens, so both requests are ours.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from aiagentchat.core.errors import LoginFailed, Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.ledger import Login

LOGIN, REFRESH = "/_matrix/client/v3/login", "/_matrix/client/v3/refresh"
WITHOUT_TOKEN = (LOGIN, REFRESH)
"""What is asked without an access token."""
LEAD_SECONDS = 60.0
"""So long before it wears off a token is renewed, but not before it has lived for four fifths of its life."""
LEAD_PART = 0.2

_OK = 200


class Answered(Protocol):
    """An answer of the homeserver."""

    @property
    def content(self) -> Content:
        """What it said."""
        ...


class Asks(Protocol):
    """`Client.ask`."""

    async def ask(self, what: str, method: str, path: str, content: Content | None = None) -> Answered:
        """Ask the homeserver."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A password, and for which device."""

    user: UserId
    password: str
    device: str
    """The device of an earlier login; empty for a new one."""
    device_name: str


async def by_password(client: Asks, proof: Proof, now_ms: int) -> Login:
    """Log in. Raises as `Client.ask`, and LoginFailed where the homeserver knows us by another name."""
    asked: dict[str, Any] = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": proof.user},
        "password": proof.password,
        "initial_device_display_name": proof.device_name,
        "refresh_token": True,
    }
    asked |= {"device_id": proof.device} if proof.device else {}
    said = (await client.ask("login", "POST", LOGIN, asked)).content
    if said.get("user_id", proof.user) != proof.user:
        raise LoginFailed(wrong_user("MATRIX_PASSWORD", str(said.get("user_id")), proof.user))
    return _read("login", said, Login(user=proof.user, device=proof.device, access_token=""), now_ms)


async def by_refresh_token(client: Asks, login: Login, now_ms: int) -> Login:
    """`login` with its next tokens, or its next access token alone. Raises as `Client.ask`.

    The homeserver gives up the old ones when a new one is used, and not before: so an answer that was lost, or that we
    could not keep, can be asked for again.
    """
    said = (await client.ask("refresh", "POST", REFRESH, {"refresh_token": login.refresh_token})).content
    return _read("refresh", said, login, now_ms)


def wrong_user(what: str, theirs: str, ours: UserId) -> str:
    """What to do about a login of somebody else."""
    return (
        f"{what} belongs to {theirs}, but matrix.user_id is {ours}; give it one of {ours}, or correct matrix.user_id, "
        "and start it again"
    )


def _read(what: str, said: Content, before: Login, now_ms: int) -> Login:
    token, device = said.get("access_token"), said.get("device_id", before.device)
    refresh = said.get("refresh_token", before.refresh_token)
    if not _is_text(token) or not isinstance(device, str) or not (refresh is None or _is_text(refresh)):
        raise Unreachable(f"{what}: an answer that makes no sense", status=_OK)
    renew_at = renewal(said.get("expires_in_ms"), now_ms)
    return Login(user=before.user, device=device, access_token=token, refresh_token=refresh, renew_at=renew_at)


def renewal(lifetime_ms: object, now_ms: int) -> int | None:
    """When to renew what lives so long from now; None if it does not say how long."""
    if type(lifetime_ms) is not int or lifetime_ms < 0:
        return None
    lead = min(LEAD_SECONDS * 1000, lifetime_ms * LEAD_PART)
    return now_ms + round(lifetime_ms - lead)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)
