"""What systemd is told, and when: over a socket like its own, by a clock that the test moves."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from aiagentchat.app import notify
from aiagentchat.app.notify import STUCK_SECONDS, Pulse, Supervisor, ask_for_time, report, status
from aiagentchat.core.health import SyncHealth
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog

MINUTE = "60000000"
HEARD = SyncHealth(heard_at=1.0)


class Systemd:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)
        self._lines: list[str] = []

    def listen(self) -> None:
        """Take in what was said. The kernel holds only ten of them."""
        with suppress(BlockingIOError):
            while True:
                self._lines += self._socket.recv(4096).decode().splitlines()

    def heard(self) -> list[str]:
        """Every line since the last time."""
        self.listen()
        lines, self._lines = self._lines, []
        return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(str(tmp_path / "notify"))
    yield made
    made.close()


class Told:
    """A daemon that tells how it is."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.clock = FakeClock()
        self.sync = SyncHealth()
        self.draining = False

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """It tells, until the test has it end."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(report(self.supervisor, lambda: self.sync, lambda: self.draining, self.clock))
            yield
            task.cancel()


def supervised(systemd: Systemd, **more: str) -> Told:
    return Told(Supervisor({"NOTIFY_SOCKET": systemd.address, **more}, os.getpid()))


async def test_it_is_ready_when_the_first_sync_was_heard_and_not_before(systemd: Systemd) -> None:
    told = supervised(systemd)
    async with told.telling():
        await told.clock.pass_nap()
        await told.clock.until_asleep()
        before = systemd.heard()
        told.sync = HEARD
        await told.clock.pass_nap()
        await told.clock.until_asleep()
        after = systemd.heard()

    assert set(before) == {f"EXTEND_TIMEOUT_USEC={MINUTE}", "STATUS=Waits for the homeserver"}
    assert after == ["READY=1", "STATUS=Serves"]
    assert systemd.heard() == ["STOPPING=1", "STATUS=Ends"]


async def test_signs_of_life_come_three_times_as_often_as_the_watchdog_wants(systemd: Systemd) -> None:
    told = supervised(systemd, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
    told.sync = HEARD
    async with told.telling():
        naps = [await told.clock.pass_nap() for _ in range(3)]
        await told.clock.until_asleep()

    assert naps == [10.0, 10.0, 10.0]
    assert systemd.heard().count("WATCHDOG=1") == 4


async def test_a_homeserver_that_does_not_answer_is_no_reason_to_start_again(systemd: Systemd) -> None:
    told = supervised(systemd, WATCHDOG_USEC=MINUTE)
    told.sync = HEARD
    async with told.telling():
        for failures in range(1, round(STUCK_SECONDS / 20) + 5):
            await told.clock.until_asleep()
            told.sync = SyncHealth(heard_at=1.0, failures=failures)
            await told.clock.pass_nap()
            systemd.listen()
        await told.clock.until_asleep()
        heard = systemd.heard()

    assert heard.count("WATCHDOG=1") == failures + 1
    assert heard[-1] == f"STATUS=Serves, but the homeserver has not answered {failures} times in a row"


async def test_a_sync_that_hangs_gives_no_sign_of_life_any_more(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FakeLog()
    monkeypatch.setattr(notify, "log", log)
    told = supervised(systemd, WATCHDOG_USEC=MINUTE)
    told.sync = HEARD
    async with told.telling():
        while not log.lines:
            await told.clock.pass_nap()
            await asyncio.sleep(0)
            systemd.listen()
        signs = systemd.heard()

    assert signs.count("WATCHDOG=1") == STUCK_SECONDS / 20 + 1
    assert signs[-1] == "STATUS=Has not heard anything of a sync for more than 600 s"
    assert log.of("supervisor.sync_stuck") == [{"seconds": 600}]
    assert systemd.heard() == ["STOPPING=1", "STATUS=Ends"]


async def test_a_drain_is_said_and_goes_on_living(systemd: Systemd) -> None:
    told = supervised(systemd, WATCHDOG_USEC=MINUTE)
    told.sync, told.draining = HEARD, True
    async with told.telling():
        await told.clock.until_asleep()
        heard = systemd.heard()

    assert heard == ["READY=1", "WATCHDOG=1", "STATUS=Finishes what runs, and begins nothing new"]


async def test_a_start_that_waits_for_its_homeserver_asks_for_more_time(systemd: Systemd) -> None:
    told = supervised(systemd)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask_for_time(told.supervisor, told.clock))
        nap = await told.clock.pass_nap()
        await told.clock.until_asleep()
        task.cancel()

    assert nap < int(MINUTE) / 1_000_000
    assert systemd.heard().count(f"EXTEND_TIMEOUT_USEC={MINUTE}") == 2


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "@"}, {"NOTIFY_SOCKET": "relative"}])
async def test_without_a_socket_nothing_is_said(environ: dict[str, str]) -> None:
    supervisor = Supervisor({**environ, "WATCHDOG_USEC": MINUTE}, os.getpid())
    clock = FakeClock()

    await ask_for_time(supervisor, clock)
    await report(supervisor, SyncHealth, lambda: False, clock)
    supervisor.tell("READY=1")
    assert not supervisor.listens


def test_a_socket_may_have_no_place_in_the_file_system() -> None:
    systemd = Systemd(f"@aiagentchat-test-{os.getpid()}")
    Supervisor({"NOTIFY_SOCKET": systemd.address}, os.getpid()).tell("READY=1")

    assert systemd.heard() == ["READY=1"]
    systemd.close()


def test_a_supervisor_that_is_gone_is_said_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FakeLog()
    monkeypatch.setattr(notify, "log", log)
    supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}, os.getpid())
    for _ in range(2):
        supervisor.tell("WATCHDOG=1")

    assert log.of("supervisor.not_told") == [{"error": "No such file or directory"}]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        pytest.param({}, None, id="none wanted"),
        pytest.param({"WATCHDOG_USEC": "1500000"}, 1.5, id="wanted"),
        pytest.param({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "7"}, 1.5, id="of us"),
        pytest.param({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "8"}, None, id="of somebody else"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="off"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="no number"),
    ],
)
def test_the_watchdog_is_ours_or_nobodys(environ: dict[str, str], seconds: float | None) -> None:
    assert Supervisor({"NOTIFY_SOCKET": "/run/none", **environ}, 7).watchdog == seconds


def test_a_pulse_beats_while_syncs_succeed_or_fail() -> None:
    pulse = Pulse()
    beats = [
        pulse.beats(HEARD, 0.0),
        pulse.beats(HEARD, STUCK_SECONDS),
        pulse.beats(HEARD, STUCK_SECONDS + 1),
        pulse.beats(SyncHealth(heard_at=2.0), STUCK_SECONDS + 2),
        pulse.beats(SyncHealth(heard_at=2.0, failures=1), 2 * STUCK_SECONDS + 2),
        pulse.beats(SyncHealth(heard_at=2.0, failures=1), 3 * STUCK_SECONDS + 2),
    ]

    assert beats == [True, True, False, True, True, True]


def test_the_status_is_a_sentence_about_now() -> None:
    assert status(SyncHealth(), is_draining=False) == "Waits for the homeserver"
    assert status(HEARD, is_draining=False) == "Serves"
