"""docs/reference/http.md and openapi.json say what the gateway does, and nothing else."""

import re
from pathlib import Path

import pytest
from jsonschema_rs import validator_for

from aiagentchat.core.exchange import MOST_BODY
from aiagentchat.core.instances import MOST_SESSIONS
from aiagentchat.exchange.clerk import MOST_OPEN, MOST_OPEN_IN_ROOM
from aiagentchat.exchange.expiry import MOST_DAYS
from aiagentchat.gateway import door
from aiagentchat.gateway.callers import MOST_LOGINS
from aiagentchat.gateway.problems import STATUSES
from aiagentchat.gateway.serving import HEADER_SECONDS, MOST_CONNECTIONS, MOST_HEADER_BYTES
from rig import openapi_page

TEXT = (Path(__file__).parents[2] / "docs/reference/http.md").read_text(encoding="utf-8")
DESCRIPTION = openapi_page.description()
METHODS = {"get", "post", "patch"}
OPERATIONS = [
    (path, method, operation) for path, item in DESCRIPTION["paths"].items() for method, operation in item.items()
]


def test_the_page_has_every_route_with_what_it_answers() -> None:
    documented = set(re.findall(r"^\| `([A-Z]+) (/\S+)` \| (\d+) \|", TEXT, re.MULTILINE))
    routes = {(method.upper(), path, min(operation["responses"])) for path, method, operation in OPERATIONS}

    assert documented - {("GET", "/openapi.json", "200")} == routes


def test_the_page_has_every_code_with_its_status() -> None:
    assert {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", TEXT, re.MULTILINE)} == dict(
        STATUSES
    )


def test_the_page_has_the_limits_that_hold() -> None:
    limits = dict(
        re.findall(r"^\| ([^|`]+?|`body` of a message|streams of `/events`) \| ([^|]+) \|$", TEXT, re.MULTILINE)
    )

    assert limits["`body` of a message"] == f"{MOST_BODY:,} bytes"
    assert limits["a request's body"] == f"{door.MOST_BYTES // 1024} KiB"
    assert limits["a request's headers"] == f"{MOST_HEADER_BYTES // 1024} KiB"
    assert limits["requests at once"] == f"{door.MOST_REQUESTS}; {door.MOST_OF_CALLER} of one caller"
    assert limits["streams of `/events`"] == f"{door.MOST_STREAMS}; {door.MOST_STREAMS_OF_CALLER} of one caller"
    assert limits["streams that are sessions"] == f"{MOST_SESSIONS}, also of one caller"
    assert limits["the time in which a request that has begun must have all of them"] == f"{HEADER_SECONDS:.0f} seconds"
    assert limits["connections"] == f"{MOST_CONNECTIONS} at each place"
    assert limits["logins that have not expired"] == str(MOST_LOGINS)
    [of_caller] = [text for name, text in limits.items() if name.startswith("messages of a caller")]
    assert of_caller == f"{MOST_OPEN_IN_ROOM} in a room, {MOST_OPEN:,} in all"
    [not_taken] = [
        text for name, text in re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE) if "not taken up" in name
    ]
    assert not_taken.startswith(f"{MOST_DAYS} days")


def test_the_description_in_the_docs_is_the_one_that_is_answered() -> None:
    assert openapi_page.PAGE.read_text(encoding="utf-8") == openapi_page.written()  # python -m rig.openapi_page


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])
def test_every_route_says_what_it_does_who_may_and_how_it_refuses(
    path: str, method: str, operation: dict[str, object]
) -> None:
    responses = operation["responses"]
    assert isinstance(responses, dict)

    assert method in METHODS
    assert operation["description"]
    assert {int(status) for status in responses} >= set(STATUSES.values())
    assert all("application/problem+json" in responses[str(status)]["content"] for status in STATUSES.values())
    assert ("security" in operation) == (
        path not in {"/health", "/ready", "/login"} or (path, method) == ("/login", "get")
    )


def _schemas() -> list[tuple[str, dict[str, object]]]:
    return list(DESCRIPTION["components"]["schemas"].items())


@pytest.mark.parametrize(("name", "schema"), _schemas(), ids=[name for name, _ in _schemas()])
def test_the_examples_are_of_the_shapes_that_they_are_examples_of(name: str, schema: dict[str, object]) -> None:
    examples = schema.get("examples", [])
    assert isinstance(examples, list)
    whole = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}

    assert [list(map(str, validator_for(whole).iter_errors(example))) for example in examples] == [[]] * len(examples)


def test_what_is_sent_and_what_is_answered_has_examples() -> None:
    parts = {"SaidView", "InstanceView", "RoomItem"}
    """Those that stand in others."""
    without = {name for name, schema in _schemas() if "properties" in schema and not schema.get("examples")}

    assert without - parts == {"Tasks", "Messages", "Recent"}
