"""All services or none: they start together, and the first that fails, or a signal, ends them all.

The end has two parts. First whatever takes work in or does it ends, and what was cut short is written down. Then those
that bring it to the rooms get a moment, so that people read it now and not after the next start.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import structlog

from aiagentchat import __version__
from aiagentchat.app.build import House, Service, build
from aiagentchat.app.clock import SystemClock
from aiagentchat.app.live import Live
from aiagentchat.app.notify import Supervisor, ask_for_time, report
from aiagentchat.app.owner import own
from aiagentchat.app.sign_of_life import SignOfLife, ending
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import AppError
from aiagentchat.core.instances import Pace
from aiagentchat.execute.deadlines import Patience
from aiagentchat.process.children import children

STOPPING = (signal.SIGTERM, signal.SIGINT)
DRAINING = signal.SIGUSR1
LAST_WORDS_SECONDS = 2.5
"""How long the end may take once nothing runs any more: writing down what was cut short, and telling the rooms. With
the time that runs take to leave (`execute.runs.SHUTDOWN_SECONDS`) and the one for giving the account back it stays
under 10 s. What is not done by then, the next life does."""
LOOK_SECONDS = 0.05
"""How often it is looked whether all is sent."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What signals have asked for. Once asked, it stays asked."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """End now."""
    drain: asyncio.Event = field(default_factory=asyncio.Event)
    """Begin nothing new, finish, then end."""

    def listen(self) -> None:
        """From now on signals end up here."""
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(DRAINING, self.drain.set)
        loop.add_signal_handler(signal.SIGHUP, log.info, "daemon.not_ready")  # until there is something to reload


async def run_daemon(
    live: Live, *, take_over: bool = False, patience: Patience | None = None, pace: Pace | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, or until a drain (SIGUSR1) is done.

    With `take_over` the account is taken from whoever owns it. Raises AppError if serving is not possible (any more).
    `patience` and `pace` are for whoever cannot wait a minute to see what is told after one.
    """
    asked = Asked()
    asked.listen()
    children.adopt()
    supervisor = Supervisor(live.environ, os.getpid())
    with own(live.settings.data_dir):
        log.info("daemon.starting", version=__version__, pid=os.getpid(), rooms=len(live.settings.rooms))
        ready, alive = asyncio.Event(), SignOfLife(live.settings.data_dir, SystemClock())
        async with asyncio.TaskGroup() as group:
            opened = build(live, take_over=take_over, patience=patience, pace=pace)
            serving = group.create_task(_serve(live, asked, ready, opened, supervisor, alive), name="daemon")
            living = group.create_task(alive.run(), name="alive")
            impatient = group.create_task(_end_the_start(asked, ready, serving), name="signals")
            starting = group.create_task(_tell_of_the_start(ready, supervisor), name="start")
            await asyncio.wait({serving})
            impatient.cancel()
            starting.cancel()
            living.cancel()
        log.info("daemon.stopped")


async def _end_the_start(asked: Asked, ready: asyncio.Event, serving: "asyncio.Task[None]") -> None:
    """Whoever waits for a homeserver that is down can be ended, too. Nothing runs then that could be finished."""
    await _first(asked.stop, asked.drain, ready)
    if not ready.is_set():
        log.info("daemon.stopping")
        serving.cancel()


async def _tell_of_the_start(ready: asyncio.Event, supervisor: Supervisor) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask_for_time(supervisor, SystemClock()))
        await ready.wait()
        asking.cancel()


async def _serve(
    live: Live,
    asked: Asked,
    ready: asyncio.Event,
    opened: AbstractAsyncContextManager[House],
    supervisor: Supervisor,
    alive: SignOfLife,
) -> None:
    async with opened as house:
        ready.set()
        alive.missing = house.missing
        try:
            await serve(
                house,
                asked,
                lambda: _reload_on_hangup(live, house.apply),
                lambda: report(supervisor, house.sync, asked.drain.is_set, SystemClock()),
            )
        finally:
            alive.missing = ending  # what it would ask is closed from here on


async def serve(house: House, asked: Asked, *beside: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run the services of `house`, and what goes on beside them, until somebody asks for the end.

    Raises what the first service that fails raises, in a group.
    """
    async with asyncio.TaskGroup() as group:
        telling = [group.create_task(_guard(service), name=service.name) for service in house.services if service.tells]
        try:
            await _work(house, asked, beside)
        except Exception:
            # A service has failed, and the others have ended. Who waits for an answer is told all the same.
            await _last_words(house)
            raise
        await _last_words(house)
        for task in telling:
            task.cancel()


async def _work(house: House, asked: Asked, beside: Sequence[Callable[[], Coroutine[None, None, None]]]) -> None:
    """Until somebody asks for the end. When this returns, or raises, nothing is taken in and nothing runs."""
    async with asyncio.TaskGroup() as group:
        services = [service for service in house.services if not service.tells]
        tasks = [group.create_task(_guard(service), name=service.name) for service in services]
        tasks += [group.create_task(one(), name="beside") for one in (house.look_around, *beside)]
        log.info("daemon.ready")
        await _until_end(house, asked)
        for task in tasks:
            task.cancel()


async def _until_end(house: House, asked: Asked) -> None:
    await _first(asked.stop, asked.drain)
    if not asked.stop.is_set():
        log.info("daemon.draining")
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(house.drain(), name="drain")
            stopped = group.create_task(asked.stop.wait(), name="stop")
            await asyncio.wait({drained, stopped}, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            stopped.cancel()
    log.info("daemon.stopping")


async def _first(*events: asyncio.Event) -> None:
    """Return when one of them is set."""
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()


async def _last_words(house: House) -> None:
    """Write down what was cut short, and wait, for a moment, until the rooms have been told everything."""
    owed: int | None = None
    try:
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            await house.report_interrupted()
            while await house.unsent():
                owed = await house.owed()
                await asyncio.sleep(LOOK_SECONDS)  # a parcel that was sent rings no bell
            return
    except (AppError, TimeoutError) as error:
        if owed is None:
            log.warning("daemon.not_reported", error=str(error) or type(error).__name__)
    if owed:
        log.warning("daemon.not_told", rooms=owed)


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
