"""Fixtures of the contract suites."""

from collections.abc import Iterator

import pytest

from rig.homeserver import Homeserver
from tests.contract.store_fixtures import backend, ledger

__all__ = ["backend", "ledger"]


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homeserver]:
    """A homeserver that offers delayed events (MSC4140)."""
    with Homeserver(tmp_path_factory.mktemp("patient"), config={"max_event_delay_duration": "24h"}) as server:
        yield server
