"""All services or none, and an end in two parts: first the work, then the telling."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from aiagentchat.app import daemon
from aiagentchat.app.build import House, Service
from aiagentchat.app.daemon import Asked, first_app_error, serve
from aiagentchat.core.errors import AppError, LoginFailed, OwnedElsewhere, StoreError
from aiagentchat.core.health import SyncHealth
from tests.fakes.changes import PATIENCE, Changes
from tests.fakes.log import FakeLog


class Parts:
    """A house whose services do what the test says, and that writes down what happened."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.asked = Asked()
        self.turns_over = asyncio.Event()
        self.waiting = 0
        """Parcels that wait."""
        self.owed = 0
        self.sends = True
        self.report: Callable[[], None] = lambda: None
        self._fail: dict[str, Exception | None] = {}
        self._news = Changes()

    def house(self) -> House:
        services = [
            Service("receiver", lambda: self._serve("receiver")),
            Service("sender", lambda: self._serve("sender"), tells=True),
        ]
        return House(
            services=services,
            apply=lambda _: None,
            look_around=self._look_around,
            drain=self._drain,
            report_interrupted=self._report,
            unsent=self._unsent,
            owed=self._owed,
            sync=SyncHealth,
            missing=self._missing,
        )

    def tell(self, what: str) -> None:
        self.story.append(what)
        self._news.tell()

    def fail(self, service: str, error: Exception | None) -> None:
        """The service fails; or returns, without an error."""
        self._fail[service] = error
        self._news.tell()

    async def until(self, what: str) -> None:
        await self._news.until(lambda: what in self.story)

    @asynccontextmanager
    async def serving(self, *beside: str) -> AsyncIterator["asyncio.Task[None]"]:
        """It serves, until the test has it end."""
        tasks = [lambda name=name: self._beside(name) for name in beside]
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            task = group.create_task(serve(self.house(), self.asked, *tasks))
            await self.until("receiver begins")
            await self.until("looked around")
            yield task

    async def _serve(self, name: str) -> None:
        self.tell(f"{name} begins")
        try:
            await self._news.until(lambda: name in self._fail, patience=None)
            if (error := self._fail[name]) is not None:
                raise error
        finally:
            self.tell(f"{name} ends")

    async def _beside(self, name: str) -> None:
        self.tell(f"{name} begins")
        try:
            await asyncio.Event().wait()
        finally:
            self.tell(f"{name} ends")

    async def _look_around(self) -> None:
        self.tell("looked around")

    async def _drain(self) -> None:
        self.tell("drains")
        await self.turns_over.wait()

    async def _report(self) -> None:
        self.tell("reports")
        self.report()

    async def _unsent(self) -> int:
        self.tell(f"{self.waiting} wait")
        self.waiting -= self.sends
        return self.waiting + self.sends

    async def _missing(self) -> list[str]:
        return []

    async def _owed(self) -> int:
        return self.owed


@pytest.fixture
def parts() -> Parts:
    return Parts()


END = ["receiver ends", "reports", "0 wait", "sender ends"]


async def test_a_stop_ends_the_work_then_reports_then_ends_the_telling(parts: Parts) -> None:
    async with parts.serving("reload"):
        parts.asked.stop.set()

    assert [what for what in parts.story if "reload" not in what][-4:] == END
    assert parts.story.index("reload ends") < parts.story.index("reports")


async def test_what_the_rooms_are_told_is_waited_for(parts: Parts) -> None:
    parts.waiting = 2
    async with parts.serving():
        parts.asked.stop.set()

    assert parts.story[-5:] == ["reports", "2 wait", "1 wait", "0 wait", "sender ends"]


async def test_rooms_that_cannot_be_told_are_not_waited_for_long(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "LAST_WORDS_SECONDS", 0.0)
    parts.waiting, parts.sends = 1, False
    async with parts.serving():
        parts.asked.stop.set()

    assert parts.story[-1] == "sender ends"


async def test_what_cannot_be_written_down_does_not_keep_it_from_ending(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise StoreError("disk full")

    log = FakeLog()
    monkeypatch.setattr(daemon, "log", log)
    parts.report = full
    async with parts.serving():
        parts.asked.stop.set()

    assert parts.story[-2:] == ["reports", "sender ends"]
    assert log.of("daemon.not_reported") == [{"error": "disk full"}]


async def test_a_drain_lets_the_turns_end_first(parts: Parts) -> None:
    async with parts.serving():
        parts.asked.drain.set()
        await parts.until("drains")
        before = list(parts.story)
        parts.turns_over.set()

    assert "receiver ends" not in before
    assert parts.story[-4:] == END


async def test_a_stop_in_a_drain_ends_it_now(parts: Parts) -> None:
    async with parts.serving():
        parts.asked.drain.set()
        await parts.until("drains")
        parts.asked.stop.set()

    assert not parts.turns_over.is_set()
    assert parts.story[-4:] == END


@pytest.mark.parametrize("reason", [OwnedElsewhere("taken"), LoginFailed("logged out")], ids=str)
async def test_a_service_that_fails_ends_them_all_and_the_rooms_are_told(parts: Parts, reason: AppError) -> None:
    with pytest.raises(BaseExceptionGroup) as group:
        async with parts.serving():
            parts.fail("receiver", reason)

    assert first_app_error(group.value) is reason
    assert parts.story[-4:] == END


async def test_a_service_that_returns_is_broken(parts: Parts) -> None:
    with pytest.raises(BaseExceptionGroup) as group:
        async with parts.serving():
            parts.fail("receiver", None)

    assert "service receiver returned" in str(first_app_error(group.value))


async def test_when_nobody_can_tell_any_more_nobody_is_waited_for(parts: Parts) -> None:
    reason = LoginFailed("logged out")
    with pytest.raises(BaseExceptionGroup) as group:
        async with parts.serving():
            parts.fail("sender", reason)

    assert first_app_error(group.value) is reason
    assert "receiver ends" in parts.story
    assert "reports" not in parts.story
