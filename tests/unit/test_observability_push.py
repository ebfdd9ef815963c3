"""Log lines to Loki: nobody who logs waits, what is lost is counted, and of its own trouble it says little."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from aiagentchat.core.backoff import MOST_SECONDS
from aiagentchat.core.redact import Redactor
from aiagentchat.observability import push
from aiagentchat.observability.push import (
    BATCH_BYTES,
    COMPLAIN_SECONDS,
    LONGEST_LINE,
    Answer,
    Counts,
    LokiHandler,
    Manner,
    Target,
)
from tests.fakes.loki import FakeLoki, running_loki

LABELS = {"service_name": "aiagentchat", "host": "here"}


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with running_loki() as running:
        yield running


class Told:
    """Takes what is said on stderr, and the time that goes by."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.waits: list[float] = []
        self.clock = 1000.0

    def manner(self, **more: Any) -> Manner:
        manner = Manner(linger=0, flush=20, wait=self.waits.append, say=self.lines.append, now=lambda: self.clock)
        return replace(manner, **more)


@contextmanager
def pushing(target: str, told: Told, *, post: Any = None, **more: Any) -> Iterator[LokiHandler]:
    redactor = Redactor([("LOKI_TOKEN", "secret-token")])
    handler = LokiHandler(
        Target(url=target, labels=LABELS), redacting=lambda: redactor, post=post, manner=told.manner(**more)
    )
    handler.start()
    try:
        yield handler
    finally:
        handler.close()


def say(handler: LokiHandler, *texts: str, level: int = logging.INFO) -> None:
    for text in texts:
        handler.handle(logging.LogRecord("x", level, "x.py", 1, text, (), None))


def numbers(count: int) -> list[str]:
    return [json.dumps({"event": "x.y", "number": number}) for number in range(count)]


def until(is_so: Callable[[], object]) -> None:
    """For what no request shows: looks again and again."""
    step = threading.Event()
    for _ in range(2000):
        if is_so():
            return
        step.wait(0.01)
    raise AssertionError("it has not come to that")


# ── what arrives ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_arrive_in_their_order_with_few_labels_and_the_ids_as_metadata(loki: FakeLoki) -> None:
    ids = {"room": "!a:hs", "command": "$c", "event_id": "$e", "run": "r", "turn": "t"}
    with pushing(loki.url, Told()) as handler:
        say(handler, json.dumps({"event": "turn.ended", **ids, "state": "done", "cost": 3}))
        say(handler, "no JSON", json.dumps({"event": "x", "room": 7, "run": ""}), level=logging.ERROR)
        loki.until(lambda: len(loki.kept) == 3)

    assert [kept.labels for kept in loki.kept] == [{**LABELS, "level": level} for level in ("info", "error", "error")]
    assert [kept.metadata for kept in loki.kept] == [ids, {}, {}]
    assert handler.counts() == Counts(sent=3, requests=loki.begun)


def test_a_request_has_a_megabyte_of_lines_at_most(loki: FakeLoki) -> None:
    loki.open.clear()
    with pushing(loki.url, Told()) as handler:
        say(handler, *("x" * 100_000 for _ in range(25)))
        loki.open.set()
        loki.until(lambda: len(loki.kept) == 25)

    assert max(loki.sizes) <= BATCH_BYTES + 2_000
    assert loki.begun >= 3


def test_a_line_that_is_too_long_is_cut_and_taken(loki: FakeLoki) -> None:
    with pushing(loki.url, Told()) as handler:
        say(handler, "é" * LONGEST_LINE)
        loki.until(lambda: loki.kept)

    assert len(loki.lines[0].encode()) == LONGEST_LINE
    assert handler.counts().cut == 1


@pytest.mark.parametrize("authorization", [None, "Bearer secret-token"])
def test_who_we_are_is_said_in_a_header_and_printed_nowhere(loki: FakeLoki, authorization: str | None) -> None:
    target = Target(url=loki.url, labels=LABELS, authorization=authorization)
    handler = LokiHandler(target, manner=Told().manner())
    handler.start()
    say(handler, "a line")
    loki.until(lambda: loki.kept)
    handler.close()

    assert loki.headers[0].get("Authorization") == authorization
    assert loki.headers[0]["Content-Encoding"] == "gzip"
    assert "secret-token" not in repr(target)


# ── when it does not answer ───────────────────────────────────────────────────────────────────────────────────────


def test_after_an_outage_every_line_arrives_once() -> None:
    """It is down, for real, for three tries."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = Told()
    with ExitStack() as stack:
        again: list[FakeLoki] = []

        def wait(seconds: float) -> None:
            told.waits.append(seconds)
            if len(told.waits) == 3:
                again.append(stack.enter_context(running_loki(port)))

        with pushing(f"http://127.0.0.1:{port}", told, wait=wait) as handler:
            say(handler, *numbers(50))
            until(lambda: handler.counts().sent == 50)

        assert again[0].lines == numbers(50)
        assert (handler.counts().retries, handler.counts().dropped) == (3, 0)
        assert len(told.lines) == 1


def test_nobody_who_logs_waits_for_a_slow_server(loki: FakeLoki) -> None:
    loki.open.clear()
    with pushing(loki.url, Told()) as handler:
        say(handler, "first")
        loki.until(lambda: loki.begun == 1)
        say(handler, *numbers(5_000))

        assert (loki.begun, loki.answered) == (1, 0)
        assert handler.counts().waiting == 5_000
        loki.open.set()
        loki.until(lambda: len(loki.kept) == 5_001)

    assert loki.lines == ["first", *numbers(5_000)]


async def test_the_loop_goes_on_while_the_server_holds_a_request(loki: FakeLoki) -> None:
    loki.open.clear()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with pushing(loki.url, Told()) as handler:
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(others())
            for text in numbers(1_000):
                say(handler, text)
                await asyncio.sleep(0)
            beside.cancel()

        assert loki.answered == 0
        assert turns >= 999
        loki.open.set()
        loki.until(lambda: len(loki.kept) == 1_000)


def test_when_the_queue_is_full_the_oldest_go_and_are_counted(loki: FakeLoki) -> None:
    loki.open.clear()
    with pushing(loki.url, Told(), most_lines=100) as handler:
        say(handler, "first")
        loki.until(lambda: loki.begun == 1)
        say(handler, *numbers(1_000))

        assert handler.counts().waiting == 100
        assert handler.counts().dropped == 900
        loki.open.set()
        loki.until(lambda: len(loki.kept) == 101)

    assert loki.lines == ["first", *numbers(1_000)[-100:]]


def test_large_lines_fill_the_queue_before_there_are_many(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "MOST_BYTES", 1_000_000)
    loki.open.clear()
    with pushing(loki.url, Told()) as handler:
        say(handler, "first")
        loki.until(lambda: loki.begun == 1)
        say(handler, *("x" * 100_000 for _ in range(50)))

        assert handler.counts().waiting == 10
        loki.open.set()


# ── when it does not want ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_storm_of_refusals_that_pass_is_waited_out(loki: FakeLoki, status: int) -> None:
    told = Told()
    loki.answers = [(status, "too much", {"Retry-After": "3"})] * 30
    with pushing(loki.url, told) as handler:
        say(handler, *numbers(20))
        loki.until(lambda: len(loki.kept) == 20)

    assert loki.lines == numbers(20)
    assert handler.counts().retries == len(told.waits) == 30
    assert min(told.waits) >= 3
    assert max(told.waits) <= MOST_SECONDS
    assert len(set(told.waits)) > 20


def test_a_server_that_asks_for_a_day_is_asked_again_within_a_minute(loki: FakeLoki) -> None:
    told = Told()
    loki.answers = [(429, "", {"Retry-After": "86400"}), (429, "", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})]
    with pushing(loki.url, told) as handler:
        say(handler, "a line")
        loki.until(lambda: loki.kept)

    assert told.waits[0] == MOST_SECONDS
    assert told.waits[1] <= 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 413])
def test_what_will_never_be_taken_is_dropped_and_counted_and_the_next_goes_on(loki: FakeLoki, status: int) -> None:
    told = Told()
    loki.answers = [(status, "no, secret-token\nis no good", {})]
    with pushing(loki.url, told) as handler:
        say(handler, "bad")
        until(lambda: handler.counts().refused == 1)
        say(handler, "good")
        loki.until(lambda: loki.kept)

    assert loki.lines == ["good"]
    assert told.waits == []
    [line] = told.lines
    assert f"(HTTP {status}: no, [redacted: LOKI_TOKEN] is no good); 0 wait, 0 were dropped, 1 refused\n" in line


def test_of_its_own_trouble_it_says_one_line_a_minute_and_logs_nothing(
    loki: FakeLoki, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = Told()

    def wait(seconds: float) -> None:
        told.waits.append(seconds)
        told.clock += COMPLAIN_SECONDS / 10

    loki.answers = [(503, "", {})] * 25
    with pushing(loki.url, told, wait=wait, flush=10_000) as handler:
        say(handler, "a line")
        loki.until(lambda: loki.kept)

    assert len(told.lines) == 3
    assert told.lines[0].startswith("aiagentchat: Loki does not take log lines (HTTP 503); 0 wait")
    assert caplog.records == []


def test_a_fault_of_ours_in_sending_ends_nothing() -> None:
    told = Told()
    answers: list[Any] = [ZeroDivisionError("secret"), Answer(204), Answer(204)]

    def post(_: bytes, __: float) -> Answer:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Answer)
        return answer

    with pushing("http://nowhere", told, post=post) as handler:
        say(handler, "one")
        until(lambda: handler.counts().sent == 1)
        say(handler, "two")
        until(lambda: handler.counts().sent == 2)

    assert "(no answer: ZeroDivisionError)" in told.lines[0]


def test_a_line_that_cannot_be_written_is_counted(loki: FakeLoki) -> None:
    with pushing(loki.url, Told()) as handler:
        handler.handle(logging.LogRecord("x", logging.INFO, "x.py", 1, "this %d fails", ("text",), None))

    assert handler.counts() == Counts(dropped=1)


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_at_the_end_what_waits_is_sent(loki: FakeLoki) -> None:
    with pushing(loki.url, Told(), linger=3600) as handler:
        say(handler, *numbers(10))

    assert loki.lines == numbers(10)
    assert handler.counts() == Counts(sent=10, requests=1)


def test_the_end_is_not_held_up_by_a_server_that_holds_its_request(loki: FakeLoki) -> None:
    told = Told()
    loki.open.clear()
    with pushing(loki.url, told, flush=0.05) as handler:
        say(handler, "first")
        loki.until(lambda: loki.begun == 1)
        say(handler, *numbers(10))

    assert loki.answered == 0
    assert handler.counts().dropped == 11
    assert told.lines[-1] == "aiagentchat: 11 log lines did not reach Loki before the end\n"


def test_at_the_end_nothing_is_tried_twice(loki: FakeLoki) -> None:
    told = Told()
    loki.answers = [(503, "", {})] * 5
    with pushing(loki.url, told, linger=3600) as handler:
        say(handler, "a line")

    assert (loki.begun, handler.counts().dropped, told.waits) == (1, 1, [])


def test_when_its_time_is_over_nothing_is_tried(loki: FakeLoki) -> None:
    told = Told()
    with pushing(loki.url, told, linger=3600, flush=0) as handler:
        say(handler, "a line")

    assert handler.counts().sent == 0
    assert handler.counts().dropped == 1


def test_what_was_never_started_ends_at_once() -> None:
    LokiHandler(Target(url="http://nowhere", labels={})).close()


# ── in its place ──────────────────────────────────────────────────────────────────────────────────────────────────

PROGRAM = """
import logging, structlog
from aiagentchat.core.log_content import LogContent, Said
from aiagentchat.core.backoff import MOST_SECONDS
from aiagentchat.core.redact import Redactor
from aiagentchat.observability.log import set_up
from aiagentchat.observability.push import LokiHandler, Target, counts

handler = LokiHandler(Target(url={url!r}, labels={{"service_name": "aiagentchat"}}))
assert counts() is None
set_up({form!r}, redacting=lambda: Redactor([("PASSWORD", "correct-horse")]), also=handler)
handler.start()
log = structlog.get_logger("test")
log.info("event.decided", text=Said("make tea", LogContent.FULL), room="!a:hs", password="correct-horse")
log.info("event.decided", text=Said("not this"))
try:
    body = "nor this"
    raise ZeroDivisionError("a bug")
except ZeroDivisionError:
    log.exception("event.broken", kind="text")
logging.getLogger("library").warning("from %s", "correct-horse")
handler.close()
assert counts().sent == 4
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_is_pushed_is_what_a_line_of_json_is(loki: FakeLoki, form: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(url=loki.url, form=form)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)

    lines = [json.loads(line) for line in loki.lines]
    assert [line["event"] for line in lines] == [
        "event.decided",
        "event.decided",
        "event.broken",
        "from [redacted: PASSWORD]",
    ]
    assert lines[0]["text"] == "make tea"
    assert not any(part in json.dumps(lines) for part in ("correct", "horse", "not this", "nor this"))
    assert form == "console" or done.stdout.splitlines()[:3] == loki.lines[:3]
    assert done.stderr == ""
