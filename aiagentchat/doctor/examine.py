"""Checks side by side, each on its own: one that breaks or hangs is a row, and the others go on."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.doctor.rows import Row, fail

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question. `id` names the row that stands for it when it does not get so far as to have rows."""

    id: str
    ask: Callable[[], Awaitable[list[Row]]]
    within: float = 20.0
    """Seconds; whatever it waits for then counts as broken."""


async def answer(check: Check) -> list[Row]:
    """The rows of a check. Raises nothing but cancellation."""
    try:
        async with asyncio.timeout(check.within):
            return await check.ask()
    except TimeoutError:
        why, fix = f"Not known: no answer within {check.within:.0f} s.", "Look whether the disk or the network hangs."
    except ConfigError as error:
        why, fix = " ".join(error.problems), "Correct it; nothing was changed."
    except AppError as error:
        why, fix = f"{error}.", "Do what it says, then ask again."
    except OSError as error:
        why, fix = f"Not known: {error}.", "Look whether this user may do that here."
    except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others
        why, fix = f"The check itself broke ({type(error).__name__}).", "This is a bug: please report it."
    return [fail(check.id, why, fix)]


async def aside(work: Callable[[], Result]) -> Result:
    """Do `work` in a thread that nobody waits for: a disk that hangs must not keep the doctor from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def tell(result: Result | None, error: BaseException | None) -> None:
        if not future.done():
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as problem:  # noqa: BLE001 - whoever waits gets it
            error = problem
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await future
