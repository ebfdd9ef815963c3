"""What a homeserver answers becomes one of four errors: try again, later, never, or not as this user."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import nio
import pytest

from aiagentchat.core.errors import LoginFailed, MatrixError, RateLimited, Refused, Unreachable, human_message
from aiagentchat.matrix.errors import DEFAULT_RETRY_AFTER, TRANSPORT, error, fail


@dataclass
class Transport:
    """The part of an HTTP answer that counts."""

    status: int


def answer(status: int, code: str = "", wait: Any = None) -> nio.RoomSendError:
    """What nio makes of an error: without a code it is one that it could not read."""
    body = {"errcode": code, "error": "Sensitive words", "retry_after_ms": wait} if code else {}
    made = nio.RoomSendError.from_dict(  # type: ignore[no-untyped-call]
        {key: value for key, value in body.items() if value is not None}, "!room:hs"
    )
    made.transport_response = Transport(status)
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(answer(400, "M_BAD_JSON"), Refused, id="nonsense"),
        pytest.param(answer(403, "M_FORBIDDEN"), Refused, id="not in the room"),
        pytest.param(answer(404, "M_NOT_FOUND"), Refused, id="no such thing"),
        pytest.param(answer(413, "M_TOO_LARGE"), Refused, id="too large"),
        pytest.param(answer(413), Refused, id="too large for a proxy"),
        pytest.param(answer(401, "M_UNKNOWN_TOKEN"), LoginFailed, id="a token that was revoked"),
        pytest.param(answer(401, "M_MISSING_TOKEN"), LoginFailed, id="no token"),
        pytest.param(answer(403, "M_USER_DEACTIVATED"), LoginFailed, id="an account that is gone"),
        pytest.param(answer(401, "M_USER_LOCKED"), LoginFailed, id="an account that is locked"),
        pytest.param(answer(429, "M_LIMIT_EXCEEDED", 1500), RateLimited, id="too many"),
        pytest.param(answer(429), RateLimited, id="too many for a proxy"),
        pytest.param(answer(400, "M_LIMIT_EXCEEDED", 1500), RateLimited, id="too many, with another status"),
        pytest.param(answer(500, "M_UNKNOWN"), Unreachable, id="a bug over there"),
        pytest.param(answer(502), Unreachable, id="a proxy without a backend"),
        pytest.param(answer(503), Unreachable, id="a server that starts"),
        pytest.param(answer(404), Unreachable, id="a proxy that does not know the backend yet"),
        pytest.param(answer(403), Unreachable, id="a page that asks for a password"),
        pytest.param(answer(200), Unreachable, id="an answer that says nothing"),
        pytest.param(object(), Unreachable, id="what is no answer at all"),
    ],
)
def test_an_answer_means_one_thing(response: object, expected: type[MatrixError]) -> None:
    assert type(error("send", response)) is expected
    with pytest.raises(expected):
        fail("send", response)


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(1500, 1.5), (0, 0.0), (None, DEFAULT_RETRY_AFTER)],
)
def test_a_limit_says_how_long(wait: Any, seconds: float) -> None:
    told = error("send", answer(429, "M_LIMIT_EXCEEDED", wait))

    assert isinstance(told, RateLimited)
    assert told.retry_after == seconds


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("M_UNKNOWN_TOKEN", "MATRIX_ACCESS_TOKEN"),
        ("M_MISSING_TOKEN", "MATRIX_PASSWORD"),
        ("M_USER_DEACTIVATED", "use another one"),
        ("M_USER_LOCKED", "unlock"),
    ],
)
def test_the_operator_reads_what_to_do_about_a_login(code: str, advice: str) -> None:
    assert advice in str(error("sync", answer(401, code)))


def test_the_operator_reads_what_was_asked_and_what_was_answered() -> None:
    assert str(error("send", answer(403, "M_FORBIDDEN"))) == "send: 403 M_FORBIDDEN Sensitive words"


def test_the_room_reads_nothing_of_the_homeservers_words() -> None:
    assert "Sensitive" not in human_message(error("send", answer(403, "M_FORBIDDEN")))


@pytest.mark.parametrize(
    "problem", [aiohttp.ClientConnectionError(), aiohttp.ClientPayloadError(), TimeoutError(), ConnectionResetError()]
)
def test_what_a_connection_can_raise_is_known(problem: Exception) -> None:
    assert isinstance(problem, TRANSPORT)
