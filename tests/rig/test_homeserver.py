"""The throw-away homeserver keeps its promises."""

import socket
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from rig.homeserver import Homeserver, HomeserverFailed

pytestmark = pytest.mark.long


def test_users_outlive_a_restart_and_the_address_stays(tmp_path: Path) -> None:
    with Homeserver(tmp_path / "server") as server:
        address = server.url
        anna = server.register("anna")
        server.restart()
        whoami = server.request("GET", "/_matrix/client/v3/account/whoami", token=anna.access_token)

        assert server.url == address
        assert whoami["user_id"] == anna.user_id == "@anna:localhost"
        assert server.account("anna").user_id == anna.user_id


def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    with Homeserver(tmp_path / "server", server_name="rig.test") as server:
        pid = server.pid

        assert pid
        assert server.register("bo").user_id == "@bo:rig.test"
    assert not psutil.pid_exists(pid)
    assert server.pid is None


def test_the_port_stays_reserved_while_the_server_is_down(tmp_path: Path) -> None:
    with closing(Homeserver(tmp_path / "server")) as server:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        with pytest.raises(HomeserverFailed, match="Connection refused"):
            server.request("GET", "/_matrix/client/versions")


def test_a_server_that_cannot_start_shows_what_it_wrote(tmp_path: Path) -> None:
    with closing(Homeserver(tmp_path / "server", server_name="not a name")) as server:
        with pytest.raises(HomeserverFailed, match="Server name 'not a name' has an invalid format"):
            server.start()
        assert server.pid is None


def test_default_limits_are_those_of_the_server(tmp_path: Path) -> None:
    with Homeserver(tmp_path / "server", limits="default") as server:
        token = server.register("anna").access_token
        room = server.request("POST", "/_matrix/client/v3/createRoom", {}, token=token)["room_id"]

        with pytest.raises(HomeserverFailed, match="M_LIMIT_EXCEEDED"):
            _talk_without_a_pause(server, room, token)


def _talk_without_a_pause(server: Homeserver, room: str, token: str) -> None:
    for number in range(100):
        path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}"
        server.request("PUT", path, {"msgtype": "m.text", "body": "hi"}, token=token)
