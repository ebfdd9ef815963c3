"""Which hosts a room reaches, and what it reads about those that it does not."""

import asyncio
import base64
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.model import Model
from rig.people import People
from tests.e2e.house import House, move_in
from tests.process.test_raid import needs_bubblewrap, needs_root

BASH = {"allow": ["Bash"]}
ASK = "/usr/bin/curl -sS -m 10 -o /dev/null -w 'status %{{http_code}} %{{http_connect}}\\n' {} 2>&1; true"

pytestmark = [
    needs_bubblewrap,
    pytest.mark.usefixtures("cli"),
    pytest.mark.skipif(not Path("/usr/bin/curl").exists(), reason="curl is not installed"),
]


class Here(http.server.BaseHTTPRequestHandler):
    """A host that says hello."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    """A web server on loopback, in place of the internet; `127.0.0.1:PORT`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def _ask(house: House, *urls: str) -> str:
    return await house.shell("\n".join(ASK.format(url) for url in urls))


@pytest.mark.long
async def test_a_room_of_api_reaches_no_host_and_reads_which_and_why_once(
    people: People, model: Model, workplace: Path, host: str
) -> None:
    async with move_in(people, model, workplace, room=BASH) as house:
        said = await _ask(house, *["http://pypi.org/simple/", "https://pypi.org/simple/"] * 2)
        straight = await house.shell(f"/usr/bin/curl -sS -m 5 --noproxy '*' http://{host}/ 2>&1; true")

        assert said.count("403") >= 4
        assert "status 200" not in said
        assert "hello" not in straight
        assert house.told("wanted to reach") == 2  # each port is another host
        told = await house.anna.until_message(house.room, "pypi.org:443", sender=house.account.user_id)
        assert (
            "`network_hosts` of this room in config.yaml (and sets `network: allowlist`, where it is `api` now)"
            in told.body
        )


@pytest.mark.long
async def test_a_listed_host_is_reached_and_no_other(people: People, model: Model, workplace: Path, host: str) -> None:
    room = {**BASH, "network": "allowlist", "network_hosts": [host]}
    async with move_in(people, model, workplace, room=room) as house:
        other = f"127.0.0.1:{int(model.url.rpartition(':')[2])}"
        said = await house.shell(
            f"/usr/bin/curl -sS -m 10 --noproxy '' http://{host}/; echo;"
            f"/usr/bin/curl -sS -m 10 --noproxy '' -p http://{host}/; echo;"
            f"/usr/bin/curl -sS -m 10 --noproxy '' http://{other}/v1/models; echo;"
            "/usr/bin/python3 -c 'import os, urllib.request as u;"
            'os.environ.update(NO_PROXY="", no_proxy="");'
            f'print(u.urlopen("http://{host}/").read())\''
        )

        assert said.splitlines()[:2] == ["hello", "hello"]
        assert f"{other} is not reached from this room" in said
        assert "b'hello'" in said
        assert house.told(other) == 1
        assert house.told("wanted to reach") == 1


@pytest.mark.long
async def test_full_reaches_nothing_of_this_machine_and_its_networks(
    people: People, model: Model, workplace: Path, host: str
) -> None:
    room = {**BASH, "network": "full"}
    async with move_in(people, model, workplace, room=room) as house:
        addresses = (host, "localhost:1", "[::1]:80", "10.0.0.1", "192.168.1.1:8080", "169.254.169.254")
        asked = [f"/usr/bin/curl -sS -m 10 --noproxy '' http://{each}/ 2>&1; echo" for each in addresses]
        said = await house.shell("\n".join(asked))

        assert said.count("leads to an address that is not public") == len(addresses)
        assert "hello" not in said


RELAY = """
import http.client, os, sys, urllib.parse
port, token = int(sys.argv[1]), sys.argv[2]
def ask(method, path, headers):
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        c.request(method, path, b"{}", headers)
        return c.getresponse().status
    except OSError as error:
        return error.__class__.__name__
print(ask("POST", "/v1/messages", {"x-api-key": token}), ask("GET", "http://pypi.org/", {}))
"""


async def _relay(house: House, room: str) -> int:
    """The port on which a room finds its way out."""
    return int((await house.shell('echo "${ANTHROPIC_BASE_URL##*:}"', room=room)).strip())


@needs_root
@pytest.mark.long
async def test_the_way_out_of_another_room_is_no_way_out(people: People, model: Model, crossroads: Path) -> None:
    users: dict[str, Any] = {"isolation": "users", "isolation_minimum": "users", "as_root": True}
    async with move_in(people, model, crossroads, rooms=2, room=BASH, **users) as house:
        port = await _relay(house, house.rooms[1])  # its process is warm, and listens
        said = await house.shell(f"/usr/bin/python3 - {port} sk-ant-wrong <<'END'\n{RELAY}\nEND")
        outside = await _outside(port)

        assert said.strip() == "PermissionError PermissionError"
        assert outside == (401, 407)


async def _outside(port: int) -> tuple[int, int]:
    """What somebody on the machine whom nothing holds back gets there, with a wrong token."""

    async def status(request: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request.encode())
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    wrong = base64.b64encode(b"run:wrong").decode()
    asked = await status("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: wrong\r\nContent-Length: 2\r\n\r\n{}")
    proxied = await status(
        f"GET http://pypi.org/ HTTP/1.1\r\nHost: pypi.org\r\nProxy-Authorization: Basic {wrong}\r\n\r\n"
    )
    return asked, proxied
