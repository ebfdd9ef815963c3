"""The real ledger, on a file that needs no migration: one is made in each process, and copied for every test."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiagentchat.core.ports.clock import Clock
from aiagentchat.store.database import open_database
from aiagentchat.store.ledger import Ledger, open_ledger

_made: list[tempfile.TemporaryDirectory[str]] = []


@asynccontextmanager
async def fresh_ledger(path: Path, *, clock: Clock | None = None) -> AsyncIterator[Ledger]:
    """As `open_ledger`; where there is no file yet, it begins with one that was migrated before."""
    made = await _template()
    if not path.exists():  # noqa: ASYNC240 - as quick as what it saves is slow
        shutil.copy(made, path)
    async with open_ledger(path, clock=clock) as ledger:
        yield ledger


async def _template() -> Path:
    if not _made:
        folder = tempfile.TemporaryDirectory(prefix="aiagentchat-ledger-")
        async with open_database(Path(folder.name) / "ledger.db"):
            pass  # which closes it, so that all of it is in the one file
        _made.append(folder)
    return Path(_made[0].name) / "ledger.db"
