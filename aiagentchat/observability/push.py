"""Log lines straight to Loki, beside stdout, for hosts that have nothing to ship them with.

Whoever logs only puts the line into a bounded queue; one thread of its own sends batches. It waits longer and longer
while Loki does not take them, drops the oldest when the queue is full, and never logs: of its own trouble it says one
line on stderr, at most once a minute.
"""

import gzip
import http.client
import json
import logging
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from aiagentchat import __version__
from aiagentchat.core.backoff import MOST_SECONDS, delay
from aiagentchat.core.redact import Redacting, shapes_only

PATH = "/loki/api/v1/push"
METADATA = ("room", "command", "event_id", "run", "turn")
"""Fields of a line that become structured metadata: as labels they would make a stream for each room."""
MOST_LINES = 10_000
MOST_BYTES = 16 * 1024 * 1024
"""What waits at most; then the oldest goes."""
BATCH_BYTES = 1_000_000
"""Of lines in one request, before it is compressed."""
LONGEST_LINE = 262_144
"""Bytes that Loki takes as a line."""
LINGER_SECONDS = 1.0
"""For so long the first line of a batch waits for others."""
REQUEST_SECONDS = 10.0
FLUSH_SECONDS = 2.0
"""What the end may take."""
COMPLAIN_SECONDS = 60.0
_MOST_ANSWER = 2_048
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where lines go, and as what."""

    url: str
    """Its address, with or without PATH."""
    labels: Mapping[str, str]
    """What every line has; the level comes to it."""
    authorization: str | None = field(default=None, repr=False)
    """The header, whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Lines, since the start."""

    waiting: int = 0
    """In the queue, now."""
    sent: int = 0
    dropped: int = 0
    """Because the queue was full, or the end came."""
    refused: int = 0
    """In requests that Loki does not take, and never will."""
    cut: int = 0
    """Longer than Loki takes."""
    requests: int = 0
    retries: int = 0
    """Requests that were made again, or will be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Loki says to a request; 0: it did not answer."""

    status: int
    text: str = ""
    retry_after: float = 0.0

    @property
    def is_taken(self) -> bool:
        """Whether the lines are there."""
        return 200 <= self.status < 300

    @property
    def is_passing(self) -> bool:
        """Whether the same request may be taken later."""
        return self.status in (0, 429) or self.status >= 500


@dataclass(frozen=True, slots=True)
class _Entry:
    at: str
    level: str
    line: str
    size: int


Post = Callable[[bytes, float], Answer]
"""Sends a compressed body, within so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How patient it is, and who is told. Seconds."""

    linger: float = LINGER_SECONDS
    flush: float = FLUSH_SECONDS
    most_lines: int = MOST_LINES
    wait: Callable[[float], object] | None = None
    """Between two tries; None: until that has passed, or the end comes."""
    say: Callable[[str], object] = lambda line: sys.stderr.write(line)  # noqa: PLW0108 - stderr as it is then
    now: Callable[[], float] = time.monotonic


class LokiHandler(logging.Handler):
    """Never blocks whoever logs, and never raises."""

    def __init__(
        self,
        target: Target,
        *,
        redacting: Redacting = shapes_only,
        post: Post | None = None,
        manner: Manner | None = None,
    ) -> None:
        """`redacting` hides secrets in what Loki says; the lines have passed it before."""
        super().__init__()
        self._target = target
        self._redacting = redacting
        self._post = post or poster(target)
        self._manner = manner or Manner()
        self._stopping = threading.Event()
        self._wait = self._manner.wait or self._stopping.wait
        self._news = threading.Condition()
        self._queue: deque[_Entry] = deque()
        self._bytes = 0
        self._out = 0
        """Lines that are on their way."""
        self._counts = Counts()
        self._complained: float | None = None
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._serve, name="loki", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def counts(self) -> Counts:
        """How it went so far."""
        with self._news:
            return replace(self._counts, waiting=len(self._queue))

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging for each line."""
        try:
            line = self.format(record)
            size = len(line.encode("utf-8", "replace"))
            at = str(int(record.created * 1_000_000) * 1000)
        except Exception:  # noqa: BLE001 - the handler of stdout says whose line it is
            self._count(dropped=1)
            return
        if size > LONGEST_LINE:
            line, size = _cut(line), LONGEST_LINE
            self._count(cut=1)
        self._put(_Entry(at, record.levelname.lower(), line, size))

    def close(self) -> None:
        """Send what waits, for a moment, and end."""
        self._deadline = self._manner.now() + self._manner.flush
        self._stopping.set()
        with self._news:
            self._news.notify_all()
        if self._thread.ident is not None:
            self._thread.join(self._manner.flush)
        with self._news:
            left = len(self._queue) + self._out
            self._queue.clear()
            self._bytes = self._out = 0
        if left:
            self._count(dropped=left)
            self._manner.say(f"aiagentchat: {left} log lines did not reach Loki before the end\n")
        super().close()

    def _put(self, entry: _Entry) -> None:
        with self._news:
            self._queue.append(entry)
            self._bytes += entry.size
            dropped = 0
            while len(self._queue) > self._manner.most_lines or self._bytes > MOST_BYTES:
                self._bytes -= self._queue.popleft().size
                dropped += 1
            if dropped:
                self._counts = replace(self._counts, dropped=self._counts.dropped + dropped)
            if len(self._queue) == 1 or self._bytes >= BATCH_BYTES:
                self._news.notify_all()

    def _count(self, **more: int) -> None:
        with self._news:
            self._counts = replace(
                self._counts, **{name: getattr(self._counts, name) + number for name, number in more.items()}
            )

    def _serve(self) -> None:
        while (batch := self._next()) is not None:
            self._deliver(batch)

    def _next(self) -> list[_Entry] | None:
        """What goes with the next request; None: it is the end."""
        with self._news:
            self._news.wait_for(lambda: self._queue or self._stopping.is_set())
            self._news.wait_for(lambda: self._bytes >= BATCH_BYTES or self._stopping.is_set(), self._manner.linger)
            batch: list[_Entry] = []
            size = 0
            while self._queue and (not batch or size + self._queue[0].size <= BATCH_BYTES):
                batch.append(self._queue.popleft())
                size += batch[-1].size
            self._bytes -= size
            self._out = len(batch)
            return batch or None

    def _deliver(self, batch: Sequence[_Entry]) -> None:
        body = gzip.compress(body_of(batch, self._target.labels), compresslevel=5)
        failures = 0
        while (left := self._deadline - self._manner.now()) > 0:
            answer = self._ask(body, min(REQUEST_SECONDS, left))
            if answer.is_taken or not answer.is_passing:
                self._over(sent=len(batch)) if answer.is_taken else self._over(refused=len(batch))
                self._complain(answer)
                return
            failures += 1
            self._count(retries=1)
            self._complain(answer)
            if self._stopping.is_set():
                break  # no time for patience: what Loki does not take now is lost
            self._wait(max(delay(failures, random.random), min(answer.retry_after, MOST_SECONDS)))
        self._over(dropped=len(batch))

    def _ask(self, body: bytes, seconds: float) -> Answer:
        self._count(requests=1)
        try:
            return self._post(body, seconds)
        except Exception as error:  # noqa: BLE001 - the lines that come later must not wait for ever
            return Answer(0, type(error).__name__)

    def _over(self, **how: int) -> None:
        with self._news:
            if self._out:  # else the end has counted them
                self._out = 0
                self._count(**how)

    def _complain(self, answer: Answer) -> None:
        if answer.is_taken:
            return
        now = self._manner.now()
        if self._complained is not None and now - self._complained < COMPLAIN_SECONDS:
            return
        self._complained = now
        counts = self.counts()
        said = " ".join(self._redacting()(answer.text).split())[:_MOST_SHOWN]
        what = f"HTTP {answer.status}" if answer.status else "no answer"
        self._manner.say(
            f"aiagentchat: Loki does not take log lines ({what}{': ' if said else ''}{said}); {counts.waiting} wait, "
            f"{counts.dropped} were dropped, {counts.refused} refused\n"
        )


def counts() -> Counts | None:
    """How the handler that is in force has done; None: there is none."""
    found = (handler for handler in logging.getLogger().handlers if isinstance(handler, LokiHandler))
    return next((handler.counts() for handler in found), None)


def body_of(batch: Sequence[_Entry], labels: Mapping[str, str]) -> bytes:
    """The body of a push: one stream for each level."""
    streams: dict[str, list[object]] = {}
    for entry in batch:
        streams.setdefault(entry.level, []).append([entry.at, entry.line, _metadata(entry.line)])
    said = [{"stream": dict(labels, level=level), "values": values} for level, values in streams.items()]
    return json.dumps({"streams": said}, ensure_ascii=False).encode("utf-8", "replace")


def _metadata(line: str) -> dict[str, str]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return {name: value for name in METADATA if isinstance(value := fields.get(name), str) and value}


def _cut(line: str) -> str:
    """As much of it as Loki takes. It is no JSON any more, and found by its text alone."""
    return line.encode("utf-8", "replace")[:LONGEST_LINE].decode("utf-8", "ignore")


def poster(target: Target) -> Post:
    """Sends to `target`, with a connection for each request."""
    parts = urlsplit(target.url)
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers: dict[str, str] = {
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "User-Agent": f"aiagentchat/{__version__}",
        **({"Authorization": target.authorization} if target.authorization else {}),
    }

    def post(body: bytes, seconds: float) -> Answer:
        connection = connect(parts.hostname or "", parts.port, timeout=seconds)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read(_MOST_ANSWER).decode("utf-8", "replace")
            return Answer(response.status, text, _seconds(response.getheader("Retry-After")))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, str(error) or type(error).__name__)
        finally:
            connection.close()

    return post


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
