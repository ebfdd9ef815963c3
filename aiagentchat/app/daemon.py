"""All services or none: they start together, and the first that fails, or a signal, ends them all."""

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

from aiagentchat import __version__
from aiagentchat.app.build import Service, build
from aiagentchat.app.live import Live
from aiagentchat.app.owner import own
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AppError

STOPPING = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger(__name__)


async def run_daemon(live: Live) -> None:
    """Serve until SIGTERM or SIGINT. Raises AppError if that is not possible (any more)."""
    with own(live.settings.data_dir):
        log.info("daemon.starting", version=__version__, pid=os.getpid(), rooms=len(live.settings.rooms))
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, log.info, "daemon.not_ready")  # until there is something to reload
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(_serve(live), name="daemon")
            waiting = group.create_task(stopped.wait(), name="signals")
            done, _ = await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if waiting in done:
                log.info("daemon.stopping")
            for task in (serving, waiting):
                task.cancel()
        log.info("daemon.stopped")


async def _serve(live: Live) -> None:
    async with build(live) as house, asyncio.TaskGroup() as group:
        group.create_task(_reload_on_hangup(live, house.apply), name="reload")
        for service in house.services:
            group.create_task(_guard(service), name=service.name)
        log.info("daemon.ready")


async def _guard(service: Service) -> None:
    log.info("service.started", service=service.name)
    try:
        await service.run()
    finally:
        log.info("service.stopped", service=service.name)
    raise AppError(f"service {service.name} returned, but services run until cancelled")


async def _reload_on_hangup(live: Live, apply: Callable[[Settings], None]) -> None:
    hung_up = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up.set)
    while True:
        await hung_up.wait()
        hung_up.clear()
        if await live.reload():
            apply(live.settings)


def first_app_error(error: BaseException) -> AppError | None:
    """The AppError inside an exception group, if that is what ended the daemon."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if (found := first_app_error(inner)) is not None:
                return found
        return None
    return error if isinstance(error, AppError) else None
