"""What nio and its transport say → our errors. The text of the server stays in the log."""

import asyncio
from typing import Any, NoReturn

import aiohttp

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable

TRANSPORT = (aiohttp.ClientError, asyncio.TimeoutError, TimeoutError, OSError)
"""What a request can raise when there is no answer."""
PASSING = (Unreachable, RateLimited)
"""What may be over in a moment."""
TRIES = 5
TRY_SECONDS = 30.0
"""How long a single question, outside of the loops that have their own pace, is asked again."""
DEFAULT_RETRY_AFTER = 5.0
"""Seconds to wait when a 429 does not say how long."""

TOKEN_REFUSED = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"})
"""The account is there, and the token is not (any more) one of its tokens."""
_LOG_IN_AGAIN = (
    "this device was logged out, or the token is not one of this homeserver's; give it a fresh MATRIX_ACCESS_TOKEN, or "
    "MATRIX_PASSWORD so that it can log in by itself, and start it again"
)
_NO_LOGIN = {
    **dict.fromkeys(TOKEN_REFUSED, _LOG_IN_AGAIN),
    "M_USER_DEACTIVATED": "the account is gone for good; use another one",
    "M_USER_LOCKED": "the account is locked; whoever runs the homeserver can unlock it",
}
"""What the operator can do about it."""
_FOREVER = range(400, 500)
_TOO_LARGE = 413


def fail(what: str, response: Any) -> NoReturn:  # noqa: ANN401 - nio's responses have no common type that says so
    """Raise the error that `response`, an answer to `what`, amounts to."""
    raise error(what, response)


def error(what: str, response: Any) -> MatrixError:  # noqa: ANN401
    """The error that `response` amounts to."""
    code = str(getattr(response, "status_code", "") or "")
    transport = getattr(response, "transport_response", None)
    status = int(getattr(transport, "status", 0) or 0)
    text = f"{what}: {status or 'no status'} {code} {getattr(response, 'message', '')}".strip()
    if status == 429 or code == "M_LIMIT_EXCEEDED":
        wait = getattr(response, "retry_after_ms", None)
        return RateLimited(text, retry_after=wait / 1000 if isinstance(wait, int | float) else DEFAULT_RETRY_AFTER)
    if code in _NO_LOGIN:
        return LoginFailed(f"{text} ({_NO_LOGIN[code]})")
    # Without a code it is not the homeserver that speaks: a proxy that says 404 while its backend is away. But what
    # is too large for a proxy stays too large.
    if status == _TOO_LARGE or (status in _FOREVER and code):
        return Refused(text, status=status, errcode=code)
    return Unreachable(text, status=status, errcode=code)
