"""What lasts long before there is a loop is no daemon that hangs."""

import os
import socket
from pathlib import Path

import pytest

from aiagentchat.app.beforehand import alive
from aiagentchat.app.owner import own, owner_pid
from aiagentchat.app.sign_of_life import sign_of
from aiagentchat.core.errors import AlreadyRunning


def test_systemd_and_the_health_check_hear_of_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        with alive(data_dir, {"NOTIFY_SOCKET": str(tmp_path / "notify")}, doing="Makes tea", missing="tea"):
            told, sign, owner = systemd.recv(4096).decode(), sign_of(data_dir), owner_pid(data_dir)

    assert told.splitlines() == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=Makes tea"]
    assert sign is not None
    assert (sign.pid, list(sign.missing), owner) == (os.getpid(), ["tea"], os.getpid())
    assert owner_pid(data_dir) is None


def test_on_the_data_of_another_daemon_nothing_is_begun(tmp_path: Path) -> None:
    with own(tmp_path), pytest.raises(AlreadyRunning), alive(tmp_path, {}, doing="Makes tea", missing="tea"):
        pytest.fail("it was begun")
