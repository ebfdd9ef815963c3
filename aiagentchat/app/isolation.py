"""What is settled before anything is run: what holds the runs, and that nothing of an earlier life is in the way."""

import os

import structlog

from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError, IsolationRefused
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.process.leftovers import clear_sockets
from aiagentchat.process.sandbox.ladder import choose
from aiagentchat.render.words import isolation_warning

GATES = "gates"
"""The folder in data_dir for the sockets of the runs' ways out."""

log = structlog.get_logger(__name__)


async def ready_for_runs(settings: Settings) -> Held:
    """Choose the isolation, by trying it, and make the folders that runs need.

    Raises IsolationRefused when less than `isolation_minimum` can be had, and ConfigError when a folder cannot be made.
    """
    try:
        if os.geteuid() == 0:
            settings.data_dir.chmod(0o711)  # the rooms' users go through it to their HOME; they cannot list it
        clear_sockets(settings.data_dir / GATES)
    except OSError as error:
        raise ConfigError([f"data_dir {settings.data_dir}: {error.strerror}"]) from error
    uid = settings.room_uids[0] if os.geteuid() == 0 else None
    choice = await choose(settings.isolation, settings.isolation_minimum, folder=settings.data_dir, uid=uid)
    held = Held(choice.isolation, choice.landlock_abi)
    if held.isolation is Isolation.NONE and len(settings.rooms) > 1:
        raise IsolationRefused(
            f"There is no isolation here, and without it the {len(settings.rooms)} rooms could read and change each "
            "other's files: keep one room, or see `aiagentchat doctor` for what is missing."
        )
    log.info("isolation.chosen", isolation=held.isolation, landlock_abi=held.landlock_abi)
    for each in choice.tried:
        if not each.works:
            log.warning("isolation.not_possible", isolation=each.isolation, why=each.why, fix=list(each.fix))
    if (warning := isolation_warning(held)) is not None:
        log.warning("isolation.degraded", isolation=held.isolation, warning=warning)
    return held


def has_own_users(held: Held) -> bool:
    """Whether each room's runs are a user of their own: where we may change users, and the way has a use for it."""
    return os.geteuid() == 0 and held.isolation in {Isolation.STRICT, Isolation.USERS}
