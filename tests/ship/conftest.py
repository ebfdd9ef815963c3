"""Marked `ship`: `make test-ship` runs them, and `make test` does not."""

import os
from pathlib import Path

import pytest

from rig.host import missing

HERE = Path(__file__).parent
WITHIN = 1200.0
"""Seconds for one story: it installs the whole program several times."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, and give them the time that they need."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.ship)
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(WITHIN))
            if missing():
                item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing())}"))
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root, as the user on a host is"))
