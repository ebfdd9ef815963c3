"""Every LogQL that the documentation and the dashboards offer is one, by the grammar that Grafana's editor has."""

import json
import subprocess
from collections.abc import Sequence

import pytest

from rig.setup import ROOT, Node, SetupFailed, logql_parser
from tests.docs.test_loki_docs import queries

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def grammar() -> Node:
    """node with the grammar."""
    try:
        return logql_parser()
    except SetupFailed as failed:
        pytest.skip(f"there is no node with the grammar of LogQL: {failed}")


def wrong(grammar: Node, given: Sequence[str]) -> list[list[int]]:
    """For each query the places where it is none."""
    argv = [grammar.program, ROOT / "rig/logql/parse.mjs", grammar.modules]
    done = subprocess.run(argv, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=True)
    found: list[list[int]] = json.loads(done.stdout)
    return found


def test_every_query_of_the_dashboards_is_one(grammar: Node) -> None:
    dashboards = pytest.importorskip("rig.dashboards", reason="grafana-foundation-sdk is in requirements-dev.txt")
    given = list(dashboards.expressions("logql"))

    assert given
    assert dict(zip(given, wrong(grammar, given), strict=True)) == {query: [] for query in given}


def test_every_query_of_the_guide_is_one(grammar: Node) -> None:
    given = list(queries())

    assert dict(zip(given, wrong(grammar, given), strict=True)) == {query: [] for query in given}


@pytest.mark.parametrize("query", ['{a="b"', '{a="b"} | json | = 3', 'sum by (room (rate({a="b"}[5m]))', '{a="b"} |'])
def test_what_is_none_is_found(grammar: Node, query: str) -> None:
    assert wrong(grammar, [query]) != [[]]
