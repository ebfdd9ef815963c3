"""What is said about Loki names fields, events and labels that there are: Alloy's file, the pushing, the queries."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiagentchat.observability.push import METADATA
from tests.docs.test_log_event_docs import documented

ROOT = Path(__file__).parents[2]
ALLOY = (ROOT / "deploy/alloy/config.alloy").read_text(encoding="utf-8")
EVENTS_PAGE = (ROOT / "docs/reference/log-events.md").read_text(encoding="utf-8")
DEBUG = (ROOT / "docs/how-to/debug.md").read_text(encoding="utf-8")

LABELS = {"service_name", "env", "host", "level"}
BOUND = {"room", "event_id", "command", "turn", "run"}
"""Fields that lines carry without being repeated in the table (`docs/reference/log-events.md`)."""
EVERY_LINE = {"level", "logger", "timestamp", "event", "exception"}


def block(name: str) -> str:
    """The inside of a block of Alloy's file."""
    found = re.search(rf"^ *{re.escape(name)} \{{\n(.*?)^ *\}}\n(?=\n| *\}}|\Z)", ALLOY, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def keys(text: str) -> set[str]:
    """The keys of the map in a block."""
    return set(re.findall(r"^ +(\w+) *= \"?[\w]*\"?,$", text, re.MULTILINE))


def fields() -> set[str]:
    """Every field that the page of log events names."""
    return {field for _, _, names in documented() for field in names} | BOUND | EVERY_LINE


def queries() -> Iterator[str]:
    """Every LogQL of the debugging guide."""
    for fenced in re.findall(r"^```logql\n(.*?)^```$", DEBUG, re.MULTILINE | re.DOTALL):
        yield from (line for line in fenced.splitlines() if line.strip() and not line.startswith("#"))


def test_the_page_of_log_events_says_which_fields_lines_carry_by_themselves() -> None:
    assert all(f"`{field}`" in EVENTS_PAGE.partition("## The daemon")[0] for field in BOUND)


def test_what_alloy_keeps_are_fields_of_the_log() -> None:
    assert keys(block("stage.json")) - fields() == set()
    assert keys(block("stage.structured_metadata")) == set(METADATA)
    assert set(METADATA) <= keys(block("stage.json"))
    assert set(METADATA) <= BOUND


def test_there_are_few_labels() -> None:
    external = re.search(r"external_labels = \{(.*?)\}", ALLOY, re.DOTALL)
    assert external
    made = set(re.findall(r"^ +(\w+) +=", external[1], re.MULTILINE))

    assert made | keys(block("stage.labels")) == LABELS


def test_alloys_file_says_that_it_was_not_verified_and_its_braces_are_even() -> None:
    assert "NOT VERIFIED" in ALLOY
    assert ALLOY.count("{") == ALLOY.count("}")


def test_the_guide_has_queries() -> None:
    assert len(list(queries())) >= 8


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_names_only_labels_fields_and_events_that_there_are(query: str) -> None:
    selectors = re.findall(r"\{([^}]*)\}", query)
    labels = {name for selector in selectors for name in re.findall(r"(\w+)\s*[=!]~?\"", selector)}
    filters = set(re.findall(r"\| (\w+)\s*(?:[=!<>]=?~?)\s*[\"\d`]", query))
    grouped = {name.strip() for group in re.findall(r"by \(([^)]*)\)", query) for name in group.split(",")}
    unwrapped = set(re.findall(r"unwrap (\w+)", query))
    names = {name for name, *_ in documented()}
    events = set(re.findall(r"event=\"([^\"]+)\"", query))
    patterns = re.findall(r"event=~[\"`]([^\"`]+)[\"`]", query)

    assert labels <= LABELS
    assert filters | unwrapped <= fields()
    assert grouped <= fields() | LABELS
    assert events <= names
    assert all(any(re.fullmatch(part, name) for name in names) for each in patterns for part in each.split("|"))
    assert not (filters - set(METADATA) - LABELS) or "| json" in query
