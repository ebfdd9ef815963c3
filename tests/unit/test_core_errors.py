"""Every error has two faces: one for the operator, one for the room."""

import inspect

import pytest

from aiagentchat.core import errors
from aiagentchat.core.errors import (
    AgentDied,
    AgentError,
    AgentUnavailable,
    AlreadyRunning,
    AppError,
    ConfigError,
    LoginFailed,
    MatrixError,
    RateLimited,
    Refused,
    StoreError,
    StoreFromFuture,
    Unreachable,
    human_message,
)

EVERY = sorted(
    (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AppError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_is_in_the_tree_at_the_top_of_its_file(kind: type[AppError]) -> None:
    assert errors.__doc__ is not None
    assert f" {kind.__name__} " in f" {errors.__doc__.replace(chr(10), ' ')} "


@pytest.mark.parametrize("error", [OSError("/etc/shadow: permission denied"), ValueError("secret"), KeyError("token")])
def test_the_text_of_a_foreign_error_reaches_no_room(error: Exception) -> None:
    assert human_message(error) == AppError.human


@pytest.mark.parametrize(
    "error", [AppError("token"), StoreError("/data/x.db"), MatrixError("403 M_FORBIDDEN"), AgentError("exit 1")]
)
def test_what_the_operator_reads_reaches_no_room(error: AppError) -> None:
    assert str(error) not in human_message(error)
    assert human_message(error) == type(error).human


def test_an_agent_that_cannot_be_started_tells_the_room_what_is_missing() -> None:
    assert human_message(AgentUnavailable("no such file: claude", human="Install it.")) == "Install it."


def test_an_agent_that_died_says_that_its_work_stands() -> None:
    assert "is done" in human_message(AgentDied("signal 9"))


def test_all_problems_of_a_configuration_are_told_at_once() -> None:
    error = ConfigError(["line 1: a", "line 2: b"])

    assert str(error) == "line 1: a\nline 2: b"
    assert error.problems == ["line 1: a", "line 2: b"]


def test_a_rate_limit_says_how_long() -> None:
    assert RateLimited("429", retry_after=2.5).retry_after == 2.5


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([]), 2),
        (LoginFailed("no"), 3),
        (AlreadyRunning("pid 1"), 4),
        (Unreachable("gone"), 1),
        (Refused("no"), 1),
        (StoreFromFuture("9"), 5),
        (StoreError("disk full"), 1),
    ],
)
def test_the_exit_code_tells_the_cause(error: AppError, code: int) -> None:
    assert error.exit_code == code
