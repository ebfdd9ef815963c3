"""What several files of unit tests ask for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.send import postman
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.log import FakeLog
from tests.unit.postman_stage import Post


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """A postman on a ledger of its own."""
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Post(ledger)


@pytest.fixture
def postman_log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    """What the postman says to the operator."""
    made = FakeLog()
    monkeypatch.setattr(postman, "log", made)
    return made
