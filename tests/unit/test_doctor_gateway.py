"""What the doctor says of the door for programs; a real one, with a fake exchange behind it."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.app.owner import own
from aiagentchat.config.schema import Gateway as Section
from aiagentchat.config.settings import Settings
from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.examine import answer
from aiagentchat.doctor.gateway import GATEWAY, gateway_check
from aiagentchat.doctor.rows import Row, Verdict
from aiagentchat.gateway.service import SOCKET
from tests.unit.execute_house import make_settings
from tests.unit.gateway_server import serving


def settings(folder: Path, *, enabled: bool | None = None, port: int = 8870) -> Settings:
    return replace(make_settings(folder), gateway=Section(enabled=enabled, port=port))


async def look(found: Settings, isolation: Isolation | None = Isolation.STRICT) -> Row:
    [row] = await answer(gateway_check(found, isolation))
    assert row.id == GATEWAY
    return row


async def test_one_that_listens_is_said_with_its_places(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        with own(tmp_path / "data"):
            row = await look(settings(tmp_path, port=served.port))

    assert row.verdict is Verdict.OK
    assert row.detail == (
        f"It listens at {served.folder / SOCKET} and 127.0.0.1:{served.port}; the socket is the daemon's alone."
    )


async def test_a_port_that_something_else_has_is_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # nobody answers there
        taken = other.getsockname()[1]
        async with serving(tmp_path, port=0):
            with own(tmp_path / "data"):
                row = await look(settings(tmp_path, port=taken))

    assert row.verdict is Verdict.WARN
    assert f"not at 127.0.0.1:{taken}" in row.detail


@pytest.mark.parametrize("which", ["socket", "folder"])
async def test_a_socket_that_others_could_open_is_wrong_and_the_command_against_it_said(
    tmp_path: Path, which: str
) -> None:
    async with serving(tmp_path, port=0) as served:
        place, mode = (served.folder / SOCKET, "600") if which == "socket" else (served.folder, "700")
        place.chmod(0o777)
        with own(tmp_path / "data"):
            row = await look(settings(tmp_path, port=0))

    assert (row.verdict, row.fix) == (Verdict.FAIL, f"Run: chmod {mode} {place}")


async def test_one_that_should_be_there_and_does_not_answer_is_wrong(tmp_path: Path) -> None:
    with own(tmp_path / "data"):
        row = await look(settings(tmp_path))

    assert row.verdict is Verdict.FAIL
    assert "does not answer" in row.detail
    assert "gateway.not_open" in row.fix


async def test_one_that_should_not_be_there_is_said(tmp_path: Path) -> None:
    async with serving(tmp_path, port=0):
        with own(tmp_path / "data"):
            row = await look(settings(tmp_path, enabled=False))

    assert row.verdict is Verdict.WARN
    assert "restart" in row.fix


@pytest.mark.parametrize(
    ("enabled", "isolation", "verdict", "words"),
    [
        (None, Isolation.STRICT, Verdict.OK, "it will listen at"),
        (False, Isolation.STRICT, Verdict.OK, "Off, as config.yaml says."),
        (None, Isolation.LANDLOCK, Verdict.OK, "Off, because in landlock what runs in a room could get at it"),
        (None, None, Verdict.NOT_APPLICABLE, "depends on the isolation"),
        (True, Isolation.NONE, Verdict.WARN, "where what runs in a room could get at it (isolation: none)"),
        (True, None, Verdict.WARN, "where what runs in a room could get at it (isolation: none that works)"),
    ],
)
async def test_without_a_daemon_it_is_said_whether_there_will_be_one(
    tmp_path: Path, enabled: bool | None, isolation: Isolation | None, verdict: Verdict, words: str
) -> None:
    row = await look(settings(tmp_path, enabled=enabled), isolation)

    assert row.verdict is verdict
    assert words in row.detail
