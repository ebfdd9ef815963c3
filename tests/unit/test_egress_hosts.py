"""The gate in front of other hosts: who is reached, at which address, and who is not."""

import asyncio
import base64
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from aiohttp import web

from aiagentchat.core.isolation import Network
from aiagentchat.egress.limits import Limits
from tests.fakes.outside import FakeOutside
from tests.unit.egress_stage import KEY, PATIENCE, PROXY, TOKEN, Api, Header, Run, api_server, ask, connected, stage

API, ALLOWLIST, FULL = Network.API, Network.ALLOWLIST, Network.FULL
PUBLIC, PRIVATE = "93.184.215.14", "10.1.2.3"
MAPPED = ip_address("::ffff:127.0.0.1")
"""Written in one way or the other, by the version of Python."""
NAMES = {
    "pypi.org": [PUBLIC],
    "files.pythonhosted.org": [PUBLIC],
    "open.example": [PUBLIC],
    "six.example": ["2606:4700::1"],
    "inside.example": [PRIVATE],
    "mixed.example": [PRIVATE, "169.254.169.254", PUBLIC],
    "rebound.pythonhosted.org": ["127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "ours.example": ["198.51.100.7", "93.184.215.99"],
    "localhost": ["127.0.0.1"],
    "dead.example": ["93.184.215.15"],
}
HOSTS = ("pypi.org", "*.pythonhosted.org", "corp.example:8443", "10.1.2.3:80")
ADDRESSES = (PUBLIC, PRIVATE, "127.0.0.1", "2606:4700::1", "169.254.169.254", "::ffff:127.0.0.1", "93.184.215.99")


def outside(port: int, names: dict[str, list[str]] | None = None) -> FakeOutside:
    """Every address, on every port that is asked for here, is the same server."""
    servers = {(address, asked): port for address in ADDRESSES for asked in (80, 443, 22, 8443, 8080)}
    return FakeOutside({**NAMES, **(names or {})}, servers, own=("127.0.0.1", "93.184.215.99"))


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of somebody who repeats what he hears until it ends, and then hangs up."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(repeat, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def web_server() -> AsyncIterator[Api]:
    async with api_server() as running:
        yield running


async def tunnel(run: Run, to: str, *headers: Header) -> bytes:
    """Ask for a tunnel; the head of the answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (PROXY, *headers))
    run.writer.write(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{lines}\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        return await run.hear_raw_head()


# ── tunnels ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("network", "hosts", "to"),
    [
        pytest.param(ALLOWLIST, HOSTS, "pypi.org:443", id="a listed host"),
        pytest.param(ALLOWLIST, HOSTS, "PyPI.org.:443", id="in a spelling of its own"),
        pytest.param(ALLOWLIST, HOSTS, "files.pythonhosted.org:443", id="below a pattern"),
        pytest.param(ALLOWLIST, HOSTS, "10.1.2.3:80", id="a listed private address"),
        pytest.param(ALLOWLIST, ("inside.example",), "inside.example:443", id="a listed name that leads inside"),
        pytest.param(ALLOWLIST, ("localhost:8080",), "localhost:8080", id="this machine, when it is listed"),
        pytest.param(FULL, (), "open.example:443", id="any public host"),
        pytest.param(FULL, (), "open.example:22", id="on any port"),
        pytest.param(FULL, (), "six.example:443", id="by IPv6"),
        pytest.param(FULL, (), "[2606:4700:0::1]:443", id="an IPv6 address"),
        pytest.param(FULL, (), f"{PUBLIC}:443", id="an IPv4 address"),
        pytest.param(FULL, (), "mixed.example:443", id="a name that leads inside, too, at its public address"),
        pytest.param(FULL, ("10.1.2.3:80",), "10.1.2.3:80", id="a listed private address beside all public ones"),
    ],
)
async def test_a_host_is_reached(echo: int, network: Network, hosts: Sequence[str], to: str) -> None:
    async with stage(network=network, hosts=hosts, outside=outside(echo)) as at, connected(at.path) as run:
        head = await tunnel(run, to)
        said = await said_in_tunnel(run, b"hello")

    assert head == b"HTTP/1.1 200 \r\n\r\n"
    assert said == b"hello"
    assert at.blocked == []


async def said_in_tunnel(run: Run, words: bytes) -> bytes:
    run.writer.write(words)
    run.writer.write_eof()
    return await run.rest()


@pytest.mark.parametrize(
    ("network", "hosts", "to", "told"),
    [
        pytest.param(API, (), "pypi.org:443", "pypi.org:443", id="nothing but the api"),
        pytest.param(API, HOSTS, "pypi.org:443", "pypi.org:443", id="whatever is listed"),
        pytest.param(ALLOWLIST, HOSTS, "open.example:443", "open.example:443", id="an unlisted host"),
        pytest.param(ALLOWLIST, HOSTS, "pypi.org:22", "pypi.org:22", id="another port"),
        pytest.param(ALLOWLIST, HOSTS, "pypi.org.open.example:443", "pypi.org.open.example:443", id="another domain"),
        pytest.param(ALLOWLIST, HOSTS, f"{PUBLIC}:443", f"{PUBLIC}:443", id="the address of a listed name"),
        pytest.param(ALLOWLIST, HOSTS, "10.1.2.3:443", "10.1.2.3:443", id="a listed address on another port"),
        pytest.param(FULL, (), "inside.example:443", "inside.example:443", id="a name that leads inside"),
        pytest.param(FULL, (), "localhost:80", "localhost:80", id="this machine"),
        pytest.param(FULL, (), "LOCALHOST.:80", "localhost:80", id="this machine, in another spelling"),
        pytest.param(FULL, (), "127.0.0.1:80", "127.0.0.1:80", id="its address"),
        pytest.param(FULL, (), "[::1]:80", "[::1]:80", id="its IPv6 address"),
        pytest.param(FULL, (), "[::ffff:127.0.0.1]:80", f"[{MAPPED}]:80", id="its address in disguise"),
        pytest.param(FULL, (), "mapped.example:80", "mapped.example:80", id="a name that leads to the disguise"),
        pytest.param(FULL, (), "169.254.169.254:80", "169.254.169.254:80", id="the metadata of a cloud"),
        pytest.param(FULL, (), "metadata.example:80", "metadata.example:80", id="a name for it"),
        pytest.param(FULL, (), "ours.example:443", "ours.example:443", id="a public address of this machine"),
        pytest.param(FULL, (), "93.184.215.99:443", "93.184.215.99:443", id="that address itself"),
        pytest.param(
            ALLOWLIST,
            HOSTS,
            "rebound.pythonhosted.org:80",
            "rebound.pythonhosted.org:80",
            id="a pattern leads not inside",
        ),
    ],
)
async def test_a_host_is_blocked_and_named(
    echo: int, network: Network, hosts: Sequence[str], to: str, told: str
) -> None:
    async with stage(network=network, hosts=hosts, outside=outside(echo)) as at:
        answer = await ask(at.path, "CONNECT", to, PROXY)

    assert answer.status == 403
    assert at.blocked == [told]
    assert at.gate.traffic.blocked == 1
    assert answer.body.startswith(told.encode())
    assert b"network_hosts" in answer.body
    assert at.outside.dialled == []


@pytest.mark.parametrize(
    "to",
    [
        "2130706433:80",
        "0x7f000001:80",
        "0177.0.0.1:80",
        "127.1:80",
        "pypi.org",
        "pypi.org:",
        "pypi.org:0",
        "pypi.org:99999",
        "user@pypi.org:443",
        "run:secret@pypi.org:443",
        "pypi.org/:443",
        "https://pypi.org:443",
        "pypi.org:443:443",
        "[fe80::1%eth0]:80",
        "[::1",
        "::1:80",
        "pypi.org%00.evil.com:443",
        "pypi%2eorg:443",
        "pypi.org..:443",
        "*.pypi.org:443",
        "/v1/messages",
    ],
)
async def test_a_spelling_that_is_none_reaches_nobody(echo: int, to: str) -> None:
    async with stage(network=FULL, hosts=HOSTS, outside=outside(echo)) as at:
        answer = await ask(at.path, "CONNECT", to, PROXY)

    assert answer.status == 400
    assert (at.outside.asked, at.outside.dialled) == ([], [])


@pytest.mark.parametrize("to", [b"pypi.org\0.evil.com:443", b"m\xc3\xbcnchen.de:443", b"pypi.org\t:443", b"a b:443"])
async def test_bytes_that_are_no_address_are_no_request(echo: int, to: bytes) -> None:
    async with stage(network=FULL, hosts=HOSTS, outside=outside(echo)) as at, connected(at.path) as run:
        said = await run.exchange(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n" % (to, *encoded(PROXY)))

    assert said.startswith(b"HTTP/1.1 400")
    assert (at.outside.asked, at.outside.dialled) == ([], [])


def encoded(header: Header) -> tuple[bytes, bytes]:
    return header[0].encode(), header[1].encode()


def basic(text: str) -> Header:
    return "proxy-authorization", "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("shown", [PROXY, basic(f":{TOKEN}"), basic(f"anybody:{TOKEN}")])
async def test_whose_token_is_right_may_have_any_name(echo: int, shown: Header) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at, connected(at.path) as run:
        run.writer.write(b"CONNECT open.example:443 HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n" % encoded(shown))
        said = await run.hear_raw_head()

    assert said.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param((), id="nothing"),
        pytest.param((basic("run:wrong"),), id="another token"),
        pytest.param((basic(TOKEN),), id="the token as the user"),
        pytest.param((basic(f"run:{TOKEN}:x"),), id="more than the token"),
        pytest.param((("proxy-authorization", "Basic !!!"),), id="no base64"),
        pytest.param((("proxy-authorization", f"Bearer {TOKEN}"),), id="another scheme"),
        pytest.param((("authorization", PROXY[1]),), id="another header"),
        pytest.param((("x-api-key", TOKEN),), id="as it is shown for the model"),
    ],
)
@pytest.mark.parametrize(("method", "to"), [("CONNECT", "open.example:443"), ("GET", "http://open.example/")])
async def test_who_does_not_show_the_token_reaches_nobody(
    echo: int, method: str, to: str, shown: tuple[Header, ...]
) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at:
        answer = await ask(at.path, method, to, *shown)

    assert answer.status == 407
    assert answer.headers["proxy-authenticate"].startswith("Basic ")
    assert (at.outside.asked, at.blocked) == ([], [])


async def test_who_was_asked_for_the_token_shows_it_on_the_same_connection(echo: int) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at, connected(at.path) as run:
        asked = await run.ask("CONNECT", "open.example:443")
        blocked = await run.ask("CONNECT", "localhost:80", PROXY)
        head = await tunnel(run, "open.example:443")

    assert (asked.status, blocked.status) == (407, 403)
    assert head.startswith(b"HTTP/1.1 200")


async def test_a_tunnel_of_http_1_0_is_a_tunnel(echo: int) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at, connected(at.path) as run:
        run.writer.write(b"CONNECT open.example:443 HTTP/1.0\r\n%s: %s\r\n\r\n" % encoded(PROXY))
        head = await run.hear_raw_head()
        said = await said_in_tunnel(run, b"hello")

    assert head.startswith(b"HTTP/1.1 200")
    assert said == b"hello"


async def test_what_is_said_into_the_tunnel_at_once_arrives(echo: int) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at, connected(at.path) as run:
        run.writer.write(b"CONNECT open.example:443 HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\nearly " % encoded(PROXY))
        await run.hear_raw_head()
        said = await said_in_tunnel(run, b"bird")

    assert said == b"early bird"


async def test_much_goes_through_a_tunnel_both_ways_and_is_counted(echo: int) -> None:
    much = bytes(range(256)) * 8192
    async with stage(network=FULL, outside=outside(echo)) as at, connected(at.path) as run:
        await tunnel(run, "open.example:443")
        said = await said_in_tunnel(run, much)

    assert said == much
    assert at.gate.traffic.bytes_in > len(much)
    assert at.gate.traffic.bytes_out > len(much)


@pytest.mark.parametrize("header", [("content-length", "5"), ("transfer-encoding", "chunked")])
async def test_a_tunnel_that_is_asked_for_with_a_body_is_refused(echo: int, header: Header) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at, connected(at.path) as run:
        head = await tunnel(run, "open.example:443", header)

    assert head.startswith(b"HTTP/1.1 400")
    assert at.outside.dialled == []


async def test_a_tunnel_in_which_nothing_moves_ends(echo: int) -> None:
    limits = Limits(idle_seconds=0.2)
    async with stage(network=FULL, outside=outside(echo), limits=limits) as at, connected(at.path) as run:
        await tunnel(run, "open.example:443")
        rest = await run.rest()

    assert rest == b""


async def test_when_the_run_leaves_the_host_hears_of_it() -> None:
    left = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1):
                pass
        except ConnectionError:
            pass
        left.set()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with stage(network=FULL, outside=outside(port)) as at:
            async with connected(at.path) as run:
                await tunnel(run, "open.example:443")
            async with asyncio.timeout(PATIENCE):
                await left.wait()


async def test_when_the_host_breaks_off_the_run_hears_of_it() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(slam, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with stage(network=FULL, outside=outside(port)) as at, connected(at.path) as run:
            await tunnel(run, "open.example:443")
            run.writer.write(b"x")
            rest = await run.rest()

    assert rest == b""


@pytest.mark.parametrize("in_the_middle", [b"", b"x"])
async def test_when_the_connection_to_the_host_is_reset_the_run_hears_of_it(in_the_middle: bytes) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.write(in_the_middle)
        await writer.drain()
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with stage(network=FULL, outside=outside(port)) as at, connected(at.path) as run:
            await tunnel(run, "open.example:443")
            run.writer.write(b"x" * 2**20)
            rest = await run.rest()

    assert rest in (b"", in_the_middle)


async def test_when_the_run_leaves_in_a_plain_answer_the_host_hears_of_it() -> None:
    left = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 2**16)
                await writer.drain()
        except ConnectionError:
            left.set()
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with stage(network=FULL, outside=outside(port)) as at:
            async with connected(at.path) as run:
                await run.say("GET", "http://open.example/", PROXY)
                await run.hear_head()
            async with asyncio.timeout(PATIENCE):
                await left.wait()


async def test_a_host_may_answer_before_it_has_heard_everything() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        writer.close()

    async with await asyncio.start_server(hasty, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with stage(network=FULL, outside=outside(port)) as at, connected(at.path) as run:
            head = b"POST http://open.example/ HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: 9999\r\n\r\nhalf"
            run.writer.write(head % encoded(PROXY))
            said = await run.rest()

    assert said.startswith(b"HTTP/1.1 413")
    assert said.endswith(b"no")


@pytest.mark.parametrize(
    ("to", "status", "sentence"),
    [
        ("nowhere.example:443", 502, b"No address was found for nowhere.example:443.\n"),
        ("dead.example:443", 502, b"dead.example:443 could not be reached.\n"),
    ],
)
async def test_who_is_not_there_is_not_blocked(echo: int, to: str, status: int, sentence: bytes) -> None:
    async with stage(network=FULL, outside=outside(echo)) as at:
        answer = await ask(at.path, "CONNECT", to, PROXY)

    assert (answer.status, answer.body) == (status, sentence)
    assert at.blocked == []


async def test_who_does_not_answer_in_time_is_given_up() -> None:
    class Hanging(FakeOutside):
        async def addresses(self, name: str) -> Sequence[object]:  # type: ignore[override]
            await asyncio.Event().wait()
            raise AssertionError(name)

    async with stage(network=FULL, outside=Hanging(), limits=Limits(connect_seconds=0.1)) as at:
        answer = await ask(at.path, "CONNECT", "open.example:443", PROXY)

    assert (answer.status, answer.body) == (504, b"open.example:443 did not answer in time.\n")


async def test_the_next_address_is_tried_when_the_first_does_not_answer(echo: int) -> None:
    there = outside(echo, {"many.example": ["93.184.215.15", "2606:4700::99", PUBLIC]})
    async with stage(network=FULL, outside=there) as at, connected(at.path) as run:
        head = await tunnel(run, "many.example:443")

    assert head.startswith(b"HTTP/1.1 200")
    assert there.dialled == ["93.184.215.15", "2606:4700::99", PUBLIC]


async def test_only_the_public_addresses_of_a_name_are_tried(echo: int) -> None:
    there = outside(echo)
    async with stage(network=FULL, outside=there) as at, connected(at.path) as run:
        await tunnel(run, "mixed.example:443")

    assert there.dialled == [PUBLIC]


async def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_dialled(echo: int) -> None:
    class Rebinding(FakeOutside):
        async def addresses(self, name: str) -> Sequence[object]:  # type: ignore[override]
            found = await super().addresses(name)
            return found if self.asked == [name] else []

    there = Rebinding({"open.example": [PUBLIC]}, {(PUBLIC, 443): echo})
    async with stage(network=FULL, outside=there) as at, connected(at.path) as run:
        head = await tunnel(run, "open.example:443")

    assert head.startswith(b"HTTP/1.1 200")
    assert (there.asked, there.dialled) == (["open.example"], [PUBLIC])


async def test_what_is_named_is_short_and_shows_no_secret() -> None:
    label = "a" * 60
    async with stage() as at:
        answer = await ask(at.path, "CONNECT", f"{label}.{label}.{label}.{label}.x:443", PROXY)
        await ask(at.path, "CONNECT", f"{KEY}.evil.example:443", PROXY)

    assert len(at.blocked[0]) == 120
    assert at.blocked[0].endswith(".x:443")
    assert at.blocked[1] == "[redacted: Anthropic key].evil.example:443"
    assert len(answer.body) < 400


# ── plain requests ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_plain_request_reaches_a_host_as_that_host_would_get_it(web_server: Api) -> None:
    async with stage(network=ALLOWLIST, hosts=HOSTS, outside=outside(web_server.port)) as at:
        answer = await ask(
            at.path,
            "POST",
            "http://PyPI.org/a%2Fb//c?d=http://e",
            PROXY,
            ("authorization", "Bearer the-rooms-own"),
            ("cookie", "a=b"),
            ("connection", "x-mine"),
            ("x-mine", "1"),
            body=b"hello",
        )

    [heard] = web_server.heard
    assert (answer.status, answer.body) == (200, b"{}")
    assert (heard.method, heard.path, heard.body) == ("POST", "/a%2Fb//c?d=http://e", b"hello")
    assert heard.values("host") == ["pypi.org"]
    assert heard.values("authorization") == ["Bearer the-rooms-own"]
    assert heard.values("proxy-authorization") == heard.values("x-mine") == []
    assert TOKEN not in str(heard)
    assert KEY not in str(heard)


@pytest.mark.parametrize(
    ("address", "path", "host"),
    [
        ("http://pypi.org", "/", "pypi.org"),
        ("HTTP://pypi.org?a", "/?a", "pypi.org"),
        ("http://pypi.org:443/x", "/x", "pypi.org:443"),
        ("http://10.1.2.3:80/x", "/x", "10.1.2.3"),
    ],
)
async def test_an_address_is_taken_apart(web_server: Api, address: str, path: str, host: str) -> None:
    async with stage(network=ALLOWLIST, hosts=HOSTS, outside=outside(web_server.port)) as at:
        await ask(at.path, "GET", address, PROXY)

    assert web_server.heard[0].path == path
    assert web_server.heard[0].values("host") == [host]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("http://open.example/", 403),
        ("http://10.1.2.3:8080/", 403),
        ("http://localhost/", 403),
        ("http://pypi.org@localhost/", 400),
        ("http://pypi.org:80@localhost/", 400),
        ("http://localhost\\@pypi.org/", 400),
        ("http://2130706433/", 400),
        ("http:///", 400),
        ("http://", 400),
        ("http://pypi.org/#x", 400),
        ("http:pypi.org/", 400),
        ("https://pypi.org/", 400),
        ("ftp://pypi.org/", 400),
        ("ws://pypi.org/", 400),
        ("file:///etc/passwd", 400),
        ("pypi.org/", 400),
    ],
)
async def test_an_address_that_is_not_open_is_refused(web_server: Api, address: str, status: int) -> None:
    async with stage(network=ALLOWLIST, hosts=HOSTS, outside=outside(web_server.port)) as at:
        answer = await ask(at.path, "GET", address, PROXY)

    assert answer.status == status
    assert web_server.heard == []
    assert len(at.blocked) == (status == 403)


async def test_several_plain_requests_share_a_connection(web_server: Api) -> None:
    async with stage(network=FULL, outside=outside(web_server.port)) as at, connected(at.path) as run:
        answers = [
            await run.ask("GET", "http://open.example/1", PROXY),
            await run.ask("POST", "http://open.example/2", PROXY, chunks=[b"a", b"b"]),
            await run.ask("HEAD", "http://open.example/3", PROXY),
            await run.ask("POST", "/v1/files", ("x-api-key", TOKEN)),
        ]

    assert [answer.status for answer in answers] == [200, 200, 200, 403]
    assert [heard.body for heard in web_server.heard] == [b"", b"ab", b""]


async def test_a_plain_answer_is_passed_on_as_it_is() -> None:
    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://elsewhere/", "Set-Cookie": "a=b"})

    async with api_server(serve) as api, stage(network=FULL, outside=outside(api.port)) as at:
        answer = await ask(at.path, "GET", "http://open.example/", PROXY)

    assert answer.status == 302
    assert (answer.headers["location"], answer.headers["set-cookie"]) == ("http://elsewhere/", "a=b")


@asynccontextmanager
async def saying(words: bytes) -> AsyncIterator[int]:
    """The port of somebody who says this to whoever has asked, and hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"half", id="shorter than it says"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"half\r\n", id="without an end"
        ),
    ],
)
async def test_a_host_that_dies_in_its_answer_leaves_none_that_looks_whole(words: bytes, seen: bytes) -> None:
    async with saying(words) as port, stage(network=FULL, outside=outside(port)) as at, connected(at.path) as run:
        await run.say("GET", "http://open.example/", PROXY)
        said = await run.rest()

    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(seen)


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: %s\r\n\r\n" % (b"x" * 200_000),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
async def test_a_host_that_does_not_speak_http_is_told_of(words: bytes) -> None:
    async with saying(words) as port, stage(network=FULL, outside=outside(port)) as at:
        answer = await ask(at.path, "GET", "http://open.example/", PROXY)

    assert (answer.status, answer.body) == (502, b"open.example:80 could not be reached.\n")


async def test_words_before_the_answer_are_not_passed_on() -> None:
    words = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with saying(words) as port, stage(network=FULL, outside=outside(port)) as at, connected(at.path) as run:
        await run.say("GET", "http://open.example/", PROXY, ("connection", "close"))
        said = await run.rest()

    assert said.startswith(b"HTTP/1.1 200")


async def test_an_answer_without_a_length_arrives_whole() -> None:
    words = b"HTTP/1.0 200 OK\r\n\r\neverything"
    async with saying(words) as port, stage(network=FULL, outside=outside(port)) as at:
        answer = await ask(at.path, "GET", "http://open.example/", PROXY)

    assert (answer.status, answer.body) == (200, b"everything")


async def test_a_host_that_says_nothing_is_given_up() -> None:
    async def hush(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hush, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with stage(network=FULL, outside=outside(port), limits=Limits(idle_seconds=0.2)) as at:
            answer = await ask(at.path, "GET", "http://open.example/", PROXY)

    assert (answer.status, answer.body) == (504, b"open.example:80 did not answer in time.\n")


async def test_who_breaks_off_a_plain_request_leaves_none_that_looks_whole(web_server: Api) -> None:
    async with stage(network=FULL, outside=outside(web_server.port)) as at, connected(at.path) as run:
        head = b"POST http://open.example/ HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: 9\r\n\r\nhalf"
        run.writer.write(head % encoded(PROXY))
        run.writer.write_eof()
        said = await run.rest()

    assert said.startswith(b"HTTP/1.1 400")
    assert web_server.heard == []


async def test_a_plain_request_of_http_1_0_is_refused(web_server: Api) -> None:
    async with stage(network=FULL, outside=outside(web_server.port)) as at, connected(at.path) as run:
        said = await run.exchange(b"GET http://open.example/ HTTP/1.0\r\n%s: %s\r\n\r\n" % encoded(PROXY))

    assert said.startswith(b"HTTP/1.1 505")
    assert web_server.heard == []
