"""The gate itself: its socket, its limits, its end; and that nothing that is thrown at it brings it down."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from aiagentchat.config.secrets import Secret
from aiagentchat.core.isolation import Network
from aiagentchat.egress.gate import MOST_LOGGED, Gate
from aiagentchat.egress.limits import Limits, Pace, Traffic
from aiagentchat.egress.rules import Address
from aiagentchat.egress.upstream import Upstream
from tests.fakes.outside import FakeOutside
from tests.unit.egress_stage import (
    KEY,
    PATIENCE,
    PROXY,
    TOKEN,
    Run,
    Stage,
    api_server,
    ask,
    ask_model,
    connected,
    stage,
)


def make(path: Path, *, uid: int | None = None, token: str = TOKEN, limits: Limits | None = None) -> Gate:
    return Gate(
        socket=path,
        token=token,
        upstream=lambda: Upstream(api_key=Secret(KEY)),
        network=Network.API,
        hosts=(),
        on_blocked=lambda _: None,
        outside=FakeOutside(),
        uid=uid,
        limits=limits,
    )


ROOT = Path(__file__).parents[2]


async def greeted(path: Path) -> int:
    """The status of the shortest question there is."""
    return (await ask(path, "HEAD", "/")).status


# ── the socket ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
async def test_only_its_user_may_connect_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "s"
    os.umask(umask)
    async with make(path).serving():
        found = path.stat()
        status = await greeted(path)

    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert status == 200


def test_the_socket_is_never_open_to_others_on_the_way(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from aiagentchat.egress.listen import listening\n"
        "os.umask(0)\n"
        "path = Path(sys.argv[1])\n"
        "seen = []\n"
        "def look(event, arguments):\n"
        "    if event == 'os.chmod' and path.exists(): seen.append(oct(path.stat().st_mode & 0o777))\n"
        "sys.addaudithook(look)\n"
        "with listening(path, None): pass\n"
        "print(*seen)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "s")]
    said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)

    assert said.stdout.split() == ["0o600"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_the_socket_belongs_to_the_user_of_the_run(tmp_path: Path) -> None:
    async with make(tmp_path / "s", uid=65_001).serving():
        found = (tmp_path / "s").stat()

    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (65_001, 0o600)


async def test_a_path_longer_than_the_address_of_a_socket_will_do(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 100) / ("b" * 100) / "way-out.sock"
    path.parent.mkdir(parents=True)
    async with make(path).serving():
        status = await greeted(path)

    assert len(str(path)) > 200
    assert status == 200
    assert not path.exists()


async def test_one_that_an_earlier_life_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    async with make(path).serving():
        status = await greeted(path)

    assert status == 200
    assert not path.exists()


async def test_what_is_no_socket_stays_and_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("somebody's", encoding="utf-8")

    with pytest.raises(OSError, match="in use"):
        async with make(path).serving():
            pass
    assert path.read_text(encoding="utf-8") == "somebody's"


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="in use"):
        async with make(tmp_path / "s").serving():
            pass
    assert not (tmp_path / "elsewhere").exists()


async def test_the_socket_of_a_younger_gate_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with make(path).serving():
        path.unlink()
        with socket.socket(socket.AF_UNIX) as younger:
            younger.bind(str(path))

    assert path.exists()


async def test_a_socket_that_somebody_removed_is_not_missed(tmp_path: Path) -> None:
    async with make(tmp_path / "s").serving():
        (tmp_path / "s").unlink()

    assert not (tmp_path / "s").exists()


async def test_without_a_folder_there_is_no_gate(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with make(tmp_path / "missing" / "s").serving():
            pass


def test_a_gate_without_a_token_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="token"):
        make(tmp_path / "s", token="")


# ── its life ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_at_the_end_nobody_is_served_any_more_and_no_task_is_left() -> None:
    async with ExitStackOfRuns() as runs, stage() as at:
        run = await runs.connect(at.path)
        assert (await run.ask("HEAD", "/")).status == 200
        path = at.path
    rest = await run.rest()

    assert rest == b""
    assert not path.exists()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("egress")] == []


class ExitStackOfRuns:
    """Connections that outlive the gate."""

    def __init__(self) -> None:
        self._writers = ExitStack()

    async def __aenter__(self) -> "ExitStackOfRuns":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writers.close()

    async def connect(self, path: Path) -> Run:
        reader, writer = await asyncio.open_unix_connection(path)
        self._writers.callback(writer.transport.abort)
        return Run(reader, writer)


async def test_what_goes_wrong_in_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"^mine$"):
        async with make(tmp_path / "s").serving():
            raise LookupError("mine")

    assert not (tmp_path / "s").exists()


async def test_a_cancelled_block_ends_the_gate(tmp_path: Path) -> None:
    ready = asyncio.Event()

    async def serve() -> None:
        async with make(tmp_path / "s").serving():
            ready.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve())
        await ready.wait()
        serving.cancel()

    assert serving.cancelled()
    assert not (tmp_path / "s").exists()


async def test_a_gate_can_serve_again(tmp_path: Path) -> None:
    gate = make(tmp_path / "s")
    statuses = []
    for _ in range(2):
        async with gate.serving():
            statuses.append(await greeted(tmp_path / "s"))

    assert statuses == [200, 200]


def test_the_numbers_of_a_gate_are_a_value(tmp_path: Path) -> None:
    assert make(tmp_path / "s").traffic == Traffic()


# ── its limits ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_more_connections_than_allowed_are_turned_away_and_later_ones_are_not() -> None:
    async with stage(limits=Limits(connections=2)) as at:
        async with connected(at.path) as one, connected(at.path) as two:
            first = [await one.ask("HEAD", "/"), await two.ask("HEAD", "/")]
            async with connected(at.path) as three:
                turned_away = await three.rest()
            again = await one.ask("HEAD", "/")
        later = await until_served(at)

    assert [answer.status for answer in first] == [200, 200]
    assert turned_away.startswith(b"HTTP/1.1 503")
    assert b'"overloaded_error"' in turned_away
    assert (again.status, later) == (200, 200)


async def until_served(at: Stage) -> int:
    """The first answer that is not a refusal for want of a place."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with connected(at.path) as run:
                run.writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
                said = await run.hear_raw_head()
            if not said.startswith(b"HTTP/1.1 503"):
                return int(said.split()[1])


def test_who_comes_too_often_waits_behind_those_who_wait_already() -> None:
    pace = Pace(per_second=10, at_once=2)

    assert [pace.take(100.0) for _ in range(4)] == pytest.approx([0, 0, 0.1, 0.2])
    assert pace.take(100.2) == pytest.approx(0.1)
    assert [pace.take(1_000.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])  # no more than that is saved up


async def test_a_flood_of_requests_is_slowed_down_and_answered(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with make(tmp_path / "s", limits=Limits(requests_per_second=20, requests_at_once=1)).serving():
            said = [await greeted(tmp_path / "s") for _ in range(4)]

    assert said == [200] * 4
    assert [line["event"] for line in logs].count("egress.slowed") == 1


async def test_a_thousand_connections_do_not_stop_the_others() -> None:
    async with stage() as at, connected(at.path) as run:
        await run.ask("HEAD", "/")
        for _ in range(1000):
            async with connected(at.path):
                pass
        answer = await run.ask("HEAD", "/")

    assert answer.status == 200


HUNGRY = """
import asyncio, os, resource, sys
from pathlib import Path
from tests.unit.test_egress_gate import make

async def serve():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    await asyncio.to_thread(int)  # what a thread needs to be opened is open
    async with make(Path(sys.argv[1])).serving():
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        print("hungry", flush=True)
        # The log says that nobody can be let in, and a line on stdin that there is room again.
        await asyncio.to_thread(sys.stdin.readline)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(serve())
"""


async def test_without_file_descriptors_the_gate_waits_for_some(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HUNGRY, str(tmp_path / "s")]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, cwd=ROOT)
    assert process.stdin
    assert process.stdout
    async with asyncio.timeout(PATIENCE):
        await process.stdout.readuntil(b"hungry\n")
        async with connected(tmp_path / "s") as run:
            run.writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            complaint = await process.stdout.readline()
            process.stdin.write(b"\n")
            answer = await run.hear_raw_head()
        process.stdin.write(b"\n")
        await process.communicate()

    assert b"egress.not_accepted" in complaint
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_head_that_does_not_end_is_refused() -> None:
    async with stage(limits=Limits(header_seconds=0.1)) as at, connected(at.path) as run:
        said = await run.exchange(b"HEAD / HTTP/1.1\r\nHost: x\r\n")

    assert said.startswith(b"HTTP/1.1 408")


async def test_a_connection_on_which_nothing_is_said_ends_without_a_word() -> None:
    async with stage(limits=Limits(idle_seconds=0.1)) as at, connected(at.path) as run:
        before = await run.ask("HEAD", "/")
        rest = await run.rest()

    assert (before.status, rest) == (200, b"")


async def test_a_body_that_does_not_go_on_is_given_up() -> None:
    async with api_server() as api, stage(api.url, limits=Limits(idle_seconds=0.2)) as at, connected(at.path) as run:
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Length: 9\r\n\r\nhalf"
        said = await run.exchange(head % TOKEN.encode())

    assert said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 504"))
    assert api.heard == []


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with stage(limits=Limits(header_bytes=4096)) as at, connected(at.path) as run:
        said = await run.exchange(b"HEAD / HTTP/1.1\r\nX: %s" % (b"x" * 200_000))

    assert said.startswith(b"HTTP/1.1 431")


async def test_a_refused_body_is_heard_out_for_a_while_so_that_the_refusal_arrives() -> None:
    async with stage() as at, connected(at.path) as run:
        head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        run.writer.write(head + b"x" * 100_000)
        await run.writer.drain()
        run.writer.write(b"x" * 900_000)
        said = await run.rest()

    assert said.startswith(b"HTTP/1.1 403")


# ── what is thrown at it ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", None, id="TLS"),
        pytest.param(b"hello\r\n\r\n", 400, id="one word"),
        pytest.param(b"GET /\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None, id="HTTP/2"),
        pytest.param(b"HEAD / HTTP/1.1\r\n\r\n", 400, id="without a host"),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n", 400, id="a space before the colon"),
        pytest.param(b"HEAD / HTTP/1.1\r\n Host: a\r\n\r\n", 400, id="a line that goes on before there is one"),
        pytest.param(b"HEAD /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="a NUL in the path"),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400, id="a NUL in a header"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, id="two lengths"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, id="a negative length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400, id="a signed length"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, id="another coding"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501, id="almost chunks"),
    ],
)
async def test_what_is_no_request_is_refused(raw: bytes, status: int | None) -> None:
    async with stage() as at, connected(at.path) as run:
        run.writer.write(raw)
        run.writer.write_eof()
        said = await run.rest()
        after = await greeted(at.path)

    assert said.startswith(b"HTTP/1.1 %d" % status if status else b"HTTP/1.1 4") or (not said and status is None)
    assert after == 200


async def test_two_readings_of_one_request_do_not_smuggle_another() -> None:
    inner = b"POST /v1/files HTTP/1.1\r\nHost: x\r\n\r\n"
    outer = (
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n"
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s"
    )
    async with api_server() as api, stage(api.url) as at, connected(at.path) as run:
        run.writer.write(outer % (TOKEN.encode(), len(inner) + 5, inner))
        run.writer.write_eof()
        said = await run.rest()

    assert [heard.path for heard in api.heard] == ["/v1/messages"]
    assert api.heard[0].body == b""
    assert api.heard[0].values("content-length") == []
    assert said.count(b"HTTP/1.1 403") == 1  # what follows is a request of its own, and refused as one


async def test_a_token_in_http_1_0_is_told_to_speak_a_newer_one() -> None:
    async with api_server() as api, stage(api.url) as at, connected(at.path) as run:
        said = await run.exchange(b"POST /v1/messages HTTP/1.0\r\nX-Api-Key: %s\r\n\r\n" % TOKEN.encode())

    assert said.startswith(b"HTTP/1.1 505")
    assert api.heard == []


pieces = st.sampled_from(
    [
        b"POST ",
        b"HEAD / HTTP/1.1\r\n",
        b"CONNECT pypi.org:443 HTTP/1.1\r\n",
        b"POST /v1/messages HTTP/1.1\r\n",
        b"GET http://pypi.org/ HTTP/1.0\r\n",
        b"Host: x\r\n",
        b"X-Api-Key: " + TOKEN.encode() + b"\r\n",
        b"Proxy-Authorization: " + PROXY[1].encode() + b"\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"abc",
        b"\xff\0",
    ]
) | st.binary(max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12))
@example(
    [b"POST /v1/messages HTTP/1.1\r\n", b"Host: x\r\n", b"Expect: 100-continue\r\n", b"Content-Length: 3\r\n", b"\r\n"]
)
def test_whatever_is_said_the_gate_goes_on_and_finds_no_fault_of_its_own(said: list[bytes]) -> None:
    async def scene() -> int:
        limits = Limits(idle_seconds=1.0, header_seconds=1.0, linger_seconds=0.1)
        async with stage("http://127.0.0.1:1", limits=limits) as at:
            async with connected(at.path) as run:
                run.writer.write(b"".join(said))
                run.writer.write_eof()
                await run.rest()
            return await greeted(at.path)

    with capture_logs() as logs:
        status = asyncio.run(scene())

    assert status == 200
    assert [line for line in logs if line["event"] == "egress.broken"] == []


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    with capture_logs() as lines:
        yield lines


async def test_a_fault_of_ours_costs_one_connection_and_shows_no_text(logs: list[structlog.typing.EventDict]) -> None:
    def broken() -> Upstream:
        raise LookupError(f"a text with {KEY}")

    async with stage(upstream=broken) as at:
        async with connected(at.path) as run:
            await run.say("POST", "/v1/messages", ("x-api-key", TOKEN), body=b"{}")
            said = await run.rest()
        async with connected(at.path) as run:
            await run.say("HEAD", "/")
            again = await run.rest()

    assert (said, again) == (b"", b"")
    faults = [line for line in logs if line["event"] == "egress.broken"]
    assert [(line["error"], str(line["where"]).partition(":")[0]) for line in faults] == [
        ("LookupError", "test_egress_gate.py")
    ] * 2
    assert KEY not in str(logs)


async def test_a_fault_far_inside_is_named_by_its_place(logs: list[structlog.typing.EventDict]) -> None:
    class Broken(FakeOutside):
        async def addresses(self, name: str) -> Sequence[Address]:
            raise LookupError(name)

    async with stage(network=Network.FULL, outside=Broken()) as at, connected(at.path) as run:
        await run.say("CONNECT", "open.example:443", PROXY)
        said = await run.rest()

    assert said == b""
    assert [line["error"] for line in logs if line["event"] == "egress.broken"] == ["LookupError"]
    assert "open.example" not in str(logs)


async def test_the_log_names_each_host_once_and_not_too_many(logs: list[structlog.typing.EventDict]) -> None:
    async with stage() as at:
        for number in range(MOST_LOGGED + 5):
            await ask(at.path, "CONNECT", f"host{number}.example:443", PROXY)
            await ask(at.path, "CONNECT", f"host{number}.example:443", PROXY)

    hosts = [line["host"] for line in logs if line["event"] == "egress.blocked"]
    assert hosts == [f"host{number}.example:443" for number in range(MOST_LOGGED)]
    assert len(at.blocked) == 2 * (MOST_LOGGED + 5)


async def test_no_secret_and_no_word_of_the_run_is_logged(logs: list[structlog.typing.EventDict]) -> None:
    async with stage("http://127.0.0.1:1") as at:
        await ask_model(at.path, ("x-words", "what the room said"), body=b"what the room said")
        await ask(at.path, "CONNECT", "blocked.example:443", PROXY)

    assert {line["event"] for line in logs} == {"egress.upstream_failed", "egress.blocked"}
    assert not [word for word in (KEY, TOKEN, PROXY[1], "what the room said") if word in str(logs)]
