"""The daemon as systemd starts it: it says when it hears, that it lives, and that it ends."""

import socket
from pathlib import Path

from rig.model import Model
from rig.people import People
from tests.e2e.house import move_in


async def test_systemd_is_told_when_the_homeserver_was_heard_and_before_the_end(
    people: People, model: Model, workplace: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(workplace / "notify"))
        (workplace / "notify").chmod(0o666)
        systemd.settimeout(30)
        environ = {"NOTIFY_SOCKET": str(workplace / "notify"), "WATCHDOG_USEC": "60000000"}
        async with move_in(people, model, workplace, environ=environ) as house:
            said: list[str] = []
            while not said or "WATCHDOG=1" not in said[-1]:
                said.append(systemd.recv(4096).decode())
            heard = [line["event"] for line in house.daemon.lines()]
            await house.daemon.stop()
            end = systemd.recv(4096).decode()

    assert said[0] == "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Waits for the homeserver"
    assert said[-2:] == ["READY=1", "WATCHDOG=1\nSTATUS=Serves"]
    assert "sync.first" in heard
    assert end == "STOPPING=1\nSTATUS=Ends"
