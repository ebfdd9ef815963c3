"""What `aiagentchat healthcheck` finds; tests/ship/test_watched.py has it ask a real daemon."""

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.app.owner import SIGN, own
from aiagentchat.app.sign_of_life import sign_of
from aiagentchat.cli.main import app
from aiagentchat.gateway.service import SOCKET
from aiagentchat.gateway.tokens import FOLDER, OPERATOR
from tests.unit.gateway_server import serving
from tests.unit.test_app_live import GOOD


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    return file


def ask(config: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["healthcheck", "--config", str(config), *more])


@contextmanager
def answering(config: Path, answer: bytes, token: str | None = "secret") -> Iterator[list[bytes]]:
    """A daemon whose gateway answers one request with that; the requests that it has got."""
    folder = config.parent / "data" / FOLDER
    folder.mkdir(parents=True)
    if token is not None:
        (folder / OPERATOR).write_text(token)
    got: list[bytes] = []
    with own(folder.parent), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                got.append(connection.recv(4096))
                connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield got
        thread.join()


def response(status: str, said: object) -> bytes:
    body = json.dumps(said).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_daemon_that_answers_lives(config: Path) -> None:
    with answering(config, response("200 OK", {"status": "degraded"})) as got:
        shown = ask(config)

    assert (shown.exit_code, shown.stdout) == (0, "degraded\n")
    assert got[0].startswith(b"GET /health ")
    assert b"Authorization: Bearer secret" in got[0]


def test_one_that_is_ready_is_ready(config: Path) -> None:
    with answering(config, response("200 OK", {"ready": True})) as got:
        shown = ask(config, "--ready")

    assert (shown.exit_code, shown.stdout) == (0, "ready\n")
    assert got[0].startswith(b"GET /ready ")


def test_one_that_is_not_ready_says_what_is_missing(config: Path) -> None:
    problem = {"code": "unavailable", "detail": "The daemon is not ready: the database cannot be written."}
    with answering(config, response("503 Service Unavailable", problem)):
        shown = ask(config, "--ready")

    assert (shown.exit_code, shown.stderr) == (1, f"aiagentchat: {problem['detail']}\n")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", response("200 OK", []), b"HTTP/1.1 200 OK\r\n\r\nx"])
def test_what_is_no_answer_is_a_sentence(config: Path, answer: bytes) -> None:
    with answering(config, answer, token=None) as got:
        shown = ask(config)

    assert shown.exit_code == 1
    assert "its gateway does not answer" in shown.stderr
    assert b"Authorization" not in got[0]


def test_a_gateway_that_does_not_answer_is_no_gateway_that_is_not_there(config: Path) -> None:
    with answering(config, b"nonsense\r\n\r\n"):
        sign = config.parent / "data" / SIGN
        sign.write_text(json.dumps({"pid": os.getpid(), "missing": []}))
        shown = ask(config)

    assert shown.exit_code == 1
    assert "its gateway does not answer" in shown.stderr


def test_a_daemon_that_says_nothing_yet_is_said_to_say_nothing(config: Path) -> None:
    (config.parent / "data").mkdir()
    with own(config.parent / "data"):
        shown = ask(config)

    assert shown.exit_code == 1
    assert "its gateway does not answer" in shown.stderr


@contextmanager
def giving_a_sign(config: Path, missing: list[str], *, pid: int | None = None, age: float = 0.0) -> Iterator[None]:
    """A daemon without a gateway, that has said so much so long ago."""
    with own(config.parent / "data"):
        file = config.parent / "data" / SIGN
        file.write_text(json.dumps({"pid": pid or os.getpid(), "missing": missing}))
        then = file.stat().st_mtime - age
        os.utime(file, (then, then))
        yield


@pytest.mark.parametrize(
    ("missing", "words", "exit_code", "said"),
    [
        ([], (), 0, "alive\n"),
        ([], ("--ready",), 0, "ready\n"),
        (["tea is out"], (), 0, "degraded\n"),
        (
            ["tea is out", "so is milk"],
            ("--ready",),
            1,
            "aiagentchat: The daemon is not ready: tea is out; so is milk.\n",
        ),
    ],
)
def test_without_a_gateway_its_sign_of_life_says_how_it_is(
    config: Path, missing: list[str], words: tuple[str, ...], exit_code: int, said: str
) -> None:
    with giving_a_sign(config, missing):
        shown = ask(config, *words)

    assert (shown.exit_code, shown.output) == (exit_code, said)


def test_one_that_gives_no_sign_any_more_does_not_live(config: Path) -> None:
    with giving_a_sign(config, [], age=90.0):
        shown = ask(config)

    assert shown.exit_code == 1
    assert f"the daemon runs (pid {os.getpid()}), and has given no sign of life for 9" in shown.stderr


def test_the_sign_of_another_life_is_none(config: Path) -> None:
    with giving_a_sign(config, [], pid=1):
        shown = ask(config)
    with own(config.parent / "data"):  # the next life
        assert sign_of(config.parent / "data") is None

    assert shown.exit_code == 1


def test_without_a_daemon_nothing_is_asked(config: Path) -> None:
    shown = ask(config)

    assert shown.exit_code == 1
    assert "no daemon runs" in shown.stderr


def test_bad_settings_are_told_as_everywhere(config: Path) -> None:
    config.write_text("nonsense: 1")

    assert ask(config).exit_code == 2


async def test_a_gateway_answers_it_and_is_asked_first(config: Path, tmp_path: Path) -> None:
    async with serving(tmp_path):
        with giving_a_sign(config, ["tea is out"]):
            shown = await asyncio.to_thread(ask, config, "--ready")

    assert (shown.exit_code, shown.stdout) == (0, "ready\n")
