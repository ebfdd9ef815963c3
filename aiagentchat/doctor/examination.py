"""The whole examination: what is asked, in which order, and side by side."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from aiagentchat.config.load import load
from aiagentchat.config.made import with_made
from aiagentchat.config.secrets import closed_folder, load_secrets, store_key_bytes
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import UserId
from aiagentchat.core.rooms import Made
from aiagentchat.doctor import cells
from aiagentchat.doctor.account import account_checks, visit
from aiagentchat.doctor.assault import Progress
from aiagentchat.doctor.cells import Found
from aiagentchat.doctor.examine import Check, answer, aside
from aiagentchat.doctor.gateway import gateway_check
from aiagentchat.doctor.isolation import attack_rows, ladder_rows, planted_rows
from aiagentchat.doctor.machine import Patient, machine_checks
from aiagentchat.doctor.rows import Row, fail
from aiagentchat.store.glance import Known, known
from aiagentchat.store.vault import KEY_FILE, Vault

LADDER_SECONDS = 60.0
KNOWN_SECONDS = 10.0
"""How long the database may take to say what it knows; without it, less is found out."""


class Part(StrEnum):
    """What can be asked for alone."""

    CHECKS = "checks"
    ATTACKS = "attacks"


async def examine(
    config: Path,
    environ: Mapping[str, str],
    *,
    parts: Sequence[Part],
    now_ms: Callable[[], int],
    progress: Progress = lambda done, of: None,  # noqa: ARG005
) -> list[Row]:
    """Every row, in the order of the table. Raises nothing but cancellation; then nothing is left of it."""
    try:
        settings = await aside(lambda: load(config, environ))
    except ConfigError as error:
        said = " ".join(error.problems)
        return [fail("config.file", said, "Correct it, then ask again: everything else depends on it.")]
    knows = await _known(settings, environ)
    written = settings
    settings, _ = await aside(lambda: with_made(written, knows.made))
    patient = Patient(settings=settings, environ=environ, known=knows, closed=closed_folder(config))
    rows = await _checks(patient, now_ms) if Part.CHECKS in parts else []
    found, problems = await _ladder(settings, environ)
    if Part.CHECKS in parts:
        rows += problems or ladder_rows(found, settings)
        rows += await answer(gateway_check(settings, found.chosen))
    if Part.ATTACKS in parts:
        rows += await attack_rows(found, settings, progress=progress)
        rows += await planted_rows(found, settings, environ)
    return rows


async def _known(settings: Settings, environ: Mapping[str, str]) -> Known:
    user = UserId(settings.matrix.user_id)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_SECONDS):
            return await aside(lambda: known(settings.database, user, _vault(settings, environ)))
    return Known(login=None, installation="", made=Made())


async def _checks(patient: Patient, now_ms: Callable[[], int]) -> list[Row]:
    async with asyncio.TaskGroup() as group:
        machine = [group.create_task(answer(check)) for check in machine_checks(patient)]
        account = group.create_task(_account(patient, now_ms))
    return [row for task in (*machine, account) for row in task.result()]


def _vault(settings: Settings, environ: Mapping[str, str]) -> Vault:
    given = None
    with contextlib.suppress(ConfigError):  # secrets that cannot be used have a row of their own
        given = load_secrets(environ).store_key
    key = None if given is None else store_key_bytes(given.reveal())
    return Vault(settings.database.with_name(KEY_FILE), key)


async def _account(patient: Patient, now_ms: Callable[[], int]) -> list[Row]:
    """One after the other: what a later one asks depends on what an earlier one has found."""

    async def all_of_them() -> list[Row]:
        async with visit(patient) as visiting:
            return [row for check in account_checks(patient, visiting, now_ms) for row in await answer(check)]

    # Secrets that cannot be read are said by a row of their own; here they only mean that nobody can be asked.
    within = 30.0 * (5 + len(patient.settings.rooms))
    return await answer(Check(id="matrix.login", ask=all_of_them, within=within))


async def _ladder(settings: Settings, environ: Mapping[str, str]) -> tuple[Found, list[Row]]:
    """What was found, and rows if it could not be tried at all."""
    found = Found(chosen=None, why_not="the ways of isolation could not be tried.")

    async def ask() -> list[Row]:
        nonlocal found
        found = await cells.look(settings, environ)
        return []

    problems = await answer(Check(id="isolation.chosen", ask=ask, within=LADDER_SECONDS))
    return found, problems
