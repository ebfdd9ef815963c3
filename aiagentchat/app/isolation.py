"""What is settled before anything is run: what holds the runs, and that nothing of an earlier life is in the way."""

import os
from collections.abc import Mapping
from pathlib import Path

import structlog

from aiagentchat.agents.claude_code.binary import find, readable_for
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AgentUnavailable, ConfigError, IsolationRefused
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.process.cgroup import NotDelegatedError, Subtree, claim
from aiagentchat.process.leftovers import clear_sockets
from aiagentchat.process.sandbox.ladder import choose
from aiagentchat.render.words import isolation_warning

GATES = "gates"
"""The folder in data_dir for the sockets of the runs' ways out."""

log = structlog.get_logger(__name__)


async def ready_for_runs(settings: Settings, environ: Mapping[str, str]) -> Held:
    """Choose the isolation, by trying it, and make the folders that runs need.

    Raises IsolationRefused when less than `isolation_minimum` can be had, and ConfigError when a folder cannot be made.
    """
    try:
        if os.geteuid() == 0:
            # The rooms' users go through these to what is theirs; they cannot list them.
            settings.data_dir.chmod(0o711)
            if not settings.workspaces.exists():
                settings.workspaces.mkdir(parents=True)
                settings.workspaces.chmod(0o711)
        clear_sockets(settings.data_dir / GATES)
        if os.geteuid() == 0:
            (settings.data_dir / GATES).chmod(0o711)  # a room's user goes through here to its way out
    except OSError as error:
        raise ConfigError([f"{error.filename or settings.data_dir}: {error.strerror}"]) from error
    uid = settings.room_uids[0] if os.geteuid() == 0 else None
    choice = await choose(
        settings.isolation,
        settings.isolation_minimum,
        folder=settings.data_dir,
        uid=uid,
        reach=needed(settings, environ),
    )
    held = Held(choice.isolation, choice.landlock_abi)
    require_apart(held, settings)
    log.info("isolation.chosen", isolation=held.isolation, landlock_abi=held.landlock_abi)
    for each in choice.tried:
        if not each.works:
            log.warning("isolation.not_possible", isolation=each.isolation, why=each.why, fix=list(each.fix))
    if (warning := isolation_warning(held)) is not None:
        log.warning("isolation.degraded", isolation=held.isolation, warning=warning)
    return held


def require_apart(held: Held, settings: Settings) -> None:
    """Raises IsolationRefused when there are more rooms than can be kept apart."""
    if held.isolation is Isolation.NONE and len(settings.rooms) > 1:
        raise IsolationRefused(
            f"There is no isolation here, and without it the {len(settings.rooms)} rooms could read and change each "
            "other's files: keep one room (`aiagentchat rooms` lists them), or see `aiagentchat doctor` for what is "
            "missing."
        )


def delegated_cgroups() -> Subtree | None:
    """Where runs can have a cgroup of their own; for before any other process is started. None: nowhere."""
    try:
        subtree = claim()
    except NotDelegatedError as error:
        log.info("cgroup.not_delegated", why=str(error))
        return None
    log.info("cgroup.delegated", path=str(subtree.path))
    return subtree


def has_own_users(held: Held) -> bool:
    """Whether each room's runs are a user of their own: where we may change users, and the way has a use for it."""
    return os.geteuid() == 0 and held.isolation in {Isolation.STRICT, Isolation.USERS}


def needed(settings: Settings, environ: Mapping[str, str]) -> list[Path]:
    """What the users of the rooms must be able to get to, beside data_dir: workspaces, and the agents' programs."""
    paths = [settings.workspaces, *(room.workspace.parent for room in settings.rooms if room.workspace)]
    for agent in settings.agents.values():
        try:
            paths += readable_for(find(agent.binary, environ, settings.data_dir))
        except AgentUnavailable:
            continue  # said elsewhere, and again in the room
    return paths
