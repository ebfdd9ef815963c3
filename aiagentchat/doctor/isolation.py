"""How rooms are kept apart here: which ways work, which one is taken, and whether it holds when it is attacked."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiagentchat.agents.claude_code.binary import find
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AgentUnavailable, AppError
from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.assault import Progress, RaidFailed, assault
from aiagentchat.doctor.attacks import PLANTED, RAIDED, Attack
from aiagentchat.doctor.cells import Found
from aiagentchat.doctor.judge import Sighting, judge
from aiagentchat.doctor.lab import NOBODY_ELSE, Users
from aiagentchat.doctor.planted import planted
from aiagentchat.doctor.rows import Row, fail, ok, unknown, warn
from aiagentchat.process.sandbox.ladder import Tried

FAILED = "attacks"
"""The row that stands for all attacks when they could not be tried."""
FAILED_PLANTED = "cli"
"""The same, for what is planted for the agent's program."""


def ladder_rows(found: Found, settings: Settings) -> list[Row]:
    """A row for each way that was tried, and one for what is taken."""
    return [*(_tried(each, found) for each in found.tried), _chosen(found, settings)]


def _tried(tried: Tried, found: Found) -> Row:
    id_ = f"isolation.{tried.isolation}"
    if tried.works:
        return ok(id_, "Works here.")
    why = f"Does not work here: {tried.why.rstrip('.')}."
    fix = "\n".join(tried.fix)
    # What is worse than the one that is taken is not missed.
    if found.chosen is not None and found.chosen.is_at_least(tried.isolation):
        return unknown(id_, why)
    return warn(id_, why, fix)


def _chosen(found: Found, settings: Settings) -> Row:
    id_, minimum = "isolation.chosen", settings.isolation_minimum
    asked = f"isolation: {settings.isolation}, isolation_minimum: {minimum}"
    if found.chosen is None:
        why = found.why_not or "no way of isolation that works here is enough."
        return fail(id_, f"Nothing is run: {why} ({asked})", f"Make {minimum} work, as said above.")
    if found.chosen is Isolation.NONE and len(settings.rooms) > 1:
        said = f"Nothing is run: without isolation the {len(settings.rooms)} rooms could reach each other ({asked})."
        return fail(id_, said, "Make strict work, or keep one room.")
    if found.chosen is Isolation.NONE:
        return warn(id_, f"Nothing holds the agent ({asked}).", "Make strict work, and write isolation: auto.")
    if not found.chosen.is_at_least(Isolation.USERS):
        said = f"Rooms are kept apart by {found.chosen} ({asked}), which does not hold everything."
        return warn(id_, said, "Make strict work, and write isolation: auto.")
    return ok(id_, f"Rooms are kept apart by {found.chosen} ({asked}).")


async def attack_rows(
    found: Found,
    settings: Settings,
    *,
    progress: Progress = lambda done, of: None,  # noqa: ARG005
    attacks: Sequence[Attack] = RAIDED,
) -> list[Row]:
    """Every attack, first where nothing stops it and then in the chosen isolation."""
    isolation = found.chosen
    if isolation is None:
        return [unknown(FAILED, "Not tried: no isolation is chosen, so nothing is run.")]
    try:
        bare = await _sighting(Isolation.NONE, NOBODY_ELSE, progress, attacks)
        if isolation is Isolation.NONE:
            inside = bare
        else:
            inside = await _sighting(isolation, users_of(isolation, settings), progress, attacks)
    except RaidFailed as error:
        return [fail(FAILED, f"Not known what holds: {error}.", "Look at the rows about isolation first.")]
    except AppError as error:
        return [fail(FAILED, f"Not known what holds: {error}", "Look at the rows about isolation first.")]
    return [judge(attack, inside, bare) for attack in attacks]


async def planted_rows(found: Found, settings: Settings, environ: Mapping[str, str]) -> list[Row]:
    """What a room plants for the agent's program: started as anybody would, and as the daemon does where it would."""
    if found.chosen is None:
        return []  # the other attacks have said so
    try:
        program = find(next(iter(settings.agents.values())).binary, environ, settings.data_dir)
    except AgentUnavailable as error:
        return [unknown(attack.id, f"Not tried: {error}.") for attack in PLANTED]
    if shutil.which("git") is None:
        return [unknown(attack.id, "Not tried: git is not installed.") for attack in PLANTED]
    try:
        bare, inside = await _planted_twice(program, found.chosen, users_of(found.chosen, settings))
    except RaidFailed as error:
        return [fail(FAILED_PLANTED, f"Not known what holds: {error}.", "Look at the rows about the agent first.")]
    return [judge(attack, inside, bare) for attack in PLANTED]


async def _planted_twice(program: Path, isolation: Isolation, users: Users) -> tuple[Sighting, Sighting]:
    bare = await planted(Isolation.NONE, program, ours=False)
    return bare, await planted(isolation, program, ours=True, users=users)


async def _sighting(isolation: Isolation, users: Users, progress: Progress, attacks: Sequence[Attack]) -> Sighting:
    return await assault(isolation, attacks, users=users, progress=progress)


def users_of(isolation: Isolation, settings: Settings) -> Users:
    """Whom the two rooms of the lab become: for root, the last two of `room_uids`, which real rooms get last."""
    if os.geteuid() != 0 or isolation not in {Isolation.STRICT, Isolation.USERS}:
        return NOBODY_ELSE
    last = settings.room_uids[1]
    return Users(attacker=last, victim=last - 1)
