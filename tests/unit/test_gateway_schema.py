"""schemathesis asks the served gateway everything that its description allows, and what it does not."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aiagentchat.gateway import door
from rig import openapi_page
from tests.unit.gateway_server import Served, serving_beside

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "8"))
"""Requests of each kind for each route; `make properties` has 500."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_beside(tmp_path_factory.mktemp("gateway")) as made:
        yield made


# Without what does not end, or waits: those have tests of their own.
schema = schemathesis.openapi.from_dict(openapi_page.description()).exclude(path=[door.EVENTS, door.ASK])


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_answered_that_is_not_described(case: schemathesis.Case[Any], served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.token()}"}

    case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS)
