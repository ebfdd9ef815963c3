"""The account's data in memory; tests/contract/test_account_data.py holds it to a real homeserver."""

import asyncio
import json
from typing import Any

from aiagentchat.core.errors import MatrixError
from aiagentchat.core.parcels import Content

START_MS = 1_800_000_000_000
"""The homeserver's clock, which is not ours."""


class FakeAccountData:
    """The AccountData port, as every device of the account sees it."""

    def __init__(self) -> None:
        self.now: int | None = START_MS
        self.kept: dict[str, Any] = {}
        self.writes = 0
        self._troubles: list[MatrixError] = []

    def advance(self, seconds: float) -> None:
        """The homeserver's clock goes on."""
        assert self.now is not None
        self.now += round(seconds * 1000)

    def fail(self, *errors: MatrixError) -> None:
        """Answer the next requests with these errors."""
        self._troubles += errors

    async def read(self, type_: str) -> tuple[Content, int | None]:
        """The content, empty if there is none, and the homeserver's clock."""
        await self._stumble()
        return self.kept.get(type_, {}), self.now

    async def write(self, type_: str, content: Content) -> None:
        """Put `content` in the place of what was there."""
        await self._stumble()
        self.kept[type_] = json.loads(json.dumps(content))
        self.writes += 1

    async def _stumble(self) -> None:
        await asyncio.sleep(0)  # a request takes a moment, in which others have their turn
        if self._troubles:
            raise self._troubles.pop(0)
