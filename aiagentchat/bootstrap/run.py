"""Look, plan, do, and look again: what is not there then is said."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from aiagentchat.bootstrap.api import connect
from aiagentchat.bootstrap.doing import Hands
from aiagentchat.bootstrap.passwords import Passwords
from aiagentchat.bootstrap.plan import Act, Step, Verdict, WriteId, cannot_begin, plan
from aiagentchat.bootstrap.site import Given, visit
from aiagentchat.bootstrap.wanted import Wanted
from aiagentchat.config.edit import try_to_save
from aiagentchat.core.errors import LoginFailed, Refused


class Told(Protocol):
    """Whoever reads along."""

    def step(self, step: Step) -> None:
        """It is as it is, and nothing was done about it."""

    def done(self, step: Step) -> None:
        """It was done."""

    def refused(self, step: Step, why: str) -> None:
        """It was tried, and the homeserver does not want it."""

    def waiting(self, seconds: float) -> None:
        """The homeserver asked to wait."""


async def bootstrap(
    url: str,
    wanted: Wanted,
    given: Given,
    passwords: Passwords,
    config: Path,
    *,
    told: Told,
    dry_run: bool,
) -> bool:
    """Have what is wanted. True if all of it is there, or in a dry run could be.

    Raises LoginFailed when there is no account that could do it, ConfigError when config.yaml must be written and
    cannot; as `Api.ask` else.
    """
    async with connect(url, told.waiting) as api, visit(api, wanted, given, passwords) as site:
        there = await site.look()
        steps = plan(wanted, there, given.means())
        if any(step.verdict is Verdict.TO_DO and isinstance(step.act, WriteId) for step in steps):
            try_to_save(config)  # before a room is made that nothing would name
        if dry_run:
            for step in steps:
                told.step(step)
            return not any(step.verdict is Verdict.BLOCKED for step in steps)
        if reason := cannot_begin(steps, wanted.me):
            raise LoginFailed(reason)
        hands = Hands(site, config)
        hands.know(there)
        return await carry_out(steps, hands.do, told)


async def carry_out(steps: Sequence[Step], do: Callable[[Act], Awaitable[None]], told: Told) -> bool:
    """Do what is to be done, in this order. True if nothing was blocked or refused."""
    is_whole = True
    for step in steps:
        if step.verdict is not Verdict.TO_DO or step.act is None:
            told.step(step)
            is_whole = is_whole and step.verdict is not Verdict.BLOCKED
            continue
        try:
            await do(step.act)
        except Refused as error:
            told.refused(step, str(error))
            is_whole = False
        else:
            told.done(step)
    return is_whole
