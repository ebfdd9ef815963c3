"""The Loki that tests push to answers as the real one was measured to; and what we push is taken by it.

Left out of the fake: OTLP, tenants, queries, and limits that depend on load.
"""

import gzip
import http.client
import json
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from aiagentchat.observability.push import LokiHandler, Manner, Target
from tests.fakes.loki import MOST_LABELS, MOST_LINE, PATH, FakeLoki, running_loki

HOUR, DAY = 3600, 24 * 3600


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with running_loki() as running:
        yield running


def push(loki: FakeLoki, body: object, *, zipped: bool = False, path: str = PATH) -> tuple[int, str]:
    data = json.dumps(body).encode() if not isinstance(body, bytes) else body
    headers = {"Content-Type": "application/json", **({"Content-Encoding": "gzip"} if zipped else {})}
    connection = http.client.HTTPConnection(urlsplit(loki.url).netloc, timeout=20)
    connection.request("POST", path, gzip.compress(data) if zipped else data, headers)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def streams(*values: list[Any], labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"streams": [{"stream": {"app": "x"} if labels is None else labels, "values": list(values)}]}


def value(line: str = "a line", *, ago: float = 0, **metadata: Any) -> list[Any]:
    return [str(int((time.time() - ago) * 1e9)), line, metadata]


@pytest.mark.parametrize("zipped", [False, True])
def test_lines_with_structured_metadata_are_taken(loki: FakeLoki, zipped: bool) -> None:
    assert push(loki, streams(value(room="!abc:hs")), zipped=zipped) == (204, "")
    assert loki.kept[0].metadata == {"room": "!abc:hs"}


def test_lines_may_come_out_of_order(loki: FakeLoki) -> None:
    assert push(loki, streams(value(), value(ago=60)))[0] == 204


def test_a_stream_without_labels_gets_one(loki: FakeLoki) -> None:
    assert push(loki, streams(value(), labels={}))[0] == 204
    assert loki.kept[0].labels == {"service_name": "unknown_service"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"{", "couldn't parse push request", id="no JSON"),
        pytest.param(b"[]", "couldn't parse push request", id="another shape"),
        pytest.param(streams([1, "a line"]), "couldn't parse push request", id="a timestamp that is a number"),
        pytest.param(streams(value(attempt=1)), "couldn't parse push request", id="metadata that is no text"),
        pytest.param(streams(value(), labels={"a-b": "x"}), "error parsing labels", id="a label with a dash"),
        pytest.param(
            streams(value(), labels={f"l{n}": "x" for n in range(MOST_LABELS + 1)}),
            "has 16 label names",
            id="16 labels",
        ),
        pytest.param(streams(value("x" * (MOST_LINE + 1))), "Max entry size", id="a line that is too long"),
        pytest.param(streams(value(ago=8 * DAY)), "timestamp too old", id="eight days old"),
        pytest.param(streams(value(ago=-2 * HOUR)), "timestamp too new", id="in two hours"),
    ],
)
def test_what_makes_no_sense_is_refused(loki: FakeLoki, body: object, said: str) -> None:
    status, text = push(loki, body)

    assert (status, loki.kept) == (400, [])
    assert said in text


def test_too_many_streams_are_one_limit_that_passes(loki: FakeLoki) -> None:
    loki.most_streams = 3
    taken = [push(loki, streams(value(), labels={"room": str(number)}))[0] for number in range(4)]

    assert taken == [204, 204, 204, 429]


def test_another_path_is_not_there(loki: FakeLoki) -> None:
    assert push(loki, streams(value()), path="/push")[0] == 404


@pytest.mark.parametrize("path", ["", "/", PATH])
def test_what_we_push_is_taken(loki: FakeLoki, path: str) -> None:
    handler = LokiHandler(Target(url=loki.url + path, labels={"service_name": "aiagentchat"}), manner=Manner(linger=0))
    handler.start()
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, '{"event": "turn.ended", "room": "!abc:hs"}', (), None)
    handler.handle(record)
    loki.until(lambda: loki.kept)
    handler.close()

    [kept] = loki.kept
    assert kept.labels == {"service_name": "aiagentchat", "level": "warning"}
    assert kept.metadata == {"room": "!abc:hs"}
    assert abs(kept.at / 1e9 - record.created) < 0.001
