"""Left out without AIAGENTCHAT_TEST_CLIENTS, so in `make test`, which has a few of these stories in tests/e2e."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ASKED_FOR = bool(os.environ.get("AIAGENTCHAT_TEST_CLIENTS"))
WITHIN = 180.0
"""Seconds for one story: it starts several clients, and both sides more than once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave them out, or give them the time that they need."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(WITHIN))
            if not ASKED_FOR:
                item.add_marker(pytest.mark.skip(reason="make test-clients runs them"))
