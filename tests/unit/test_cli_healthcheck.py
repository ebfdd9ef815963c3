"""What a health check sees of a daemon."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from aiagentchat.app.owner import own
from aiagentchat.cli.main import app
from tests.unit.test_app_live import GOOD


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    return file


@pytest.fixture
def listener(config: Path) -> Iterator[socket.socket]:
    """The operator's socket of a daemon."""
    folder = config.parent / "data" / "gateway"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "operator.sock"))
        made.listen()
        yield made


def check(config: Path) -> tuple[int, str]:
    shown = CliRunner().invoke(app, ["healthcheck", "--config", str(config)])
    return shown.exit_code, shown.stderr


def test_settings_that_are_wrong_are_not_healthy(tmp_path: Path) -> None:
    code, said = check(tmp_path / "config.yaml")

    assert (code, "config.yaml" in said) == (1, True)


def test_without_a_daemon_it_is_not_healthy(config: Path) -> None:
    code, said = check(config)

    assert (code, "no daemon runs" in said) == (1, True)


def test_without_a_gateway_the_daemon_is_seen_by_its_lock(config: Path) -> None:
    with own(config.parent / "data"):
        assert check(config) == (0, "")


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("500 Oh", 1)])
def test_it_is_as_healthy_as_it_says(config: Path, listener: socket.socket, status: str, code: int) -> None:
    def answer() -> None:
        taken, _ = listener.accept()
        with taken:
            taken.recv(4096)
            taken.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())

    thread = Thread(target=answer)
    thread.start()
    with own(config.parent / "data"):
        seen, said = check(config)
    thread.join()

    assert (seen, "500" in said) == (code, code == 1)


def test_one_that_does_not_answer_is_not_healthy(config: Path, listener: socket.socket) -> None:
    listener.close()

    with own(config.parent / "data"):
        code, said = check(config)

    assert (code, "does not answer" in said) == (1, True)
