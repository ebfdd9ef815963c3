"""One account has one owner at a time.

Two daemons with two data_dirs and one account would both answer. So the owner keeps a record in the account's data,
renews it, and gives it back when it ends; whoever finds a fresh one of somebody else does not start. Ages are measured
by the homeserver's clock alone, when a record is written and when it is judged: the clocks of two machines disagree.

The homeserver has no way to write only if nothing has changed. So the last one who writes is the owner, and everybody
else learns of it: from the sync, at once and before anything else is taken in, and from the next renewal.
"""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from aiagentchat.core.errors import LoginFailed, MatrixError, OwnedElsewhere, StoreError
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.clock import Clock
from aiagentchat.core.ports.ledger import Lives
from aiagentchat.core.ports.matrix import AccountData

OWNER = "com.aiagentchat.owner"
"""The type of the record in the account's data."""
OWNER_TTL = 90.0
"""Seconds after which a record that was not renewed is nobody's."""
RENEW_SECONDS = 30.0
"""How often it is renewed: two renewals may fail before it is nobody's."""
RENEW_WITHIN = 20.0
"""How long one renewal may take."""
SETTLE_SECONDS = 0.3
"""Between writing a record where none of ours was and looking whether it still stands: longer than another daemon that
starts in the same moment takes from reading to writing."""
GIVE_BACK_SECONDS = 1.0
"""How long giving it back may take when the daemon ends."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who owns the account."""

    installation: str
    """The id of a ledger (`Lives.installation`)."""
    device: str
    host: str
    boot_id: str
    """Changes with every start of the machine."""
    renewed_at: int | None = None
    """Milliseconds, by the homeserver's clock; None if it did not say."""

    def is_same(self, other: "Owner") -> bool:
        """Whether the two are lives of one daemon. A copied data_dir on another machine is another daemon.

        A machine that was started again has another boot id, a container that was made again another host name; both
        at once is another machine.
        """
        return self.installation == other.installation and (self.boot_id == other.boot_id or self.host == other.host)

    def age(self, now: int | None) -> float | None:
        """Seconds since it was renewed; None if nobody can tell."""
        return None if now is None or self.renewed_at is None else (now - self.renewed_at) / 1000


def parse(content: Content) -> Owner | None:
    """The owner that a record names; None for one that was given back, or is none."""
    match content:
        case {"installation": str(installation), "device": str(device), "boot_id": str(boot_id)} if installation:
            host: Any = content.get("host")
            at: Any = content.get("renewed_at")
            return Owner(
                installation=installation,
                device=device,
                host=host if isinstance(host, str) else "",
                boot_id=boot_id,
                renewed_at=at if type(at) is int else None,
            )
        case _:
            return None


class Ownership:
    """Claims the account, keeps it, notices its loss."""

    def __init__(self, me: Owner, user: str, *, data: AccountData, lives: Lives, clock: Clock) -> None:
        self._me = me
        self._user = user
        self._data = data
        self._lives = lives
        self._clock = clock
        self._is_lost = False

    async def claim(self, *, take_over: bool) -> None:
        """Be the owner. Raises OwnedElsewhere, having changed nothing, if somebody else is; or as `AccountData` does.

        With `take_over` whoever was the owner is it no longer.
        """
        content, now = await self._data.read(OWNER)
        before = parse(content)
        foreign = before is not None and not before.is_same(self._me)
        if before is not None and foreign and not take_over:
            age = before.age(now)
            if age is None or age < OWNER_TTL:
                raise OwnedElsewhere(_refusal(self._user, before, age))
        await self._write(now)
        if before is None or foreign:
            await self._clock.sleep(SETTLE_SECONDS)
            await self._check()
        log.info("owner.claimed", before=before.host if before is not None and foreign else None)

    async def run(self) -> None:
        """Renew it until cancelled. Raises OwnedElsewhere when it is lost, LoginFailed as the port does.

        A record that cannot be renewed for long is nobody's. Going on is safe all the same: whoever takes the account
        then writes a record, and the next sync tells of it before anything else.
        """
        failures = 0
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            try:
                async with asyncio.timeout(RENEW_WITHIN):
                    await self._write(await self._check())
                    await self._lives.alive(self._clock.now_ms())
            except LoginFailed:
                raise
            except (MatrixError, StoreError, TimeoutError) as error:
                failures += 1
                log.warning("owner.not_renewed", error=str(error) or type(error).__name__, failures=failures)
            else:
                failures = 0

    def told(self, installation: str | None) -> None:
        """The sync names this owner, or nobody. Raises OwnedElsewhere if it is another one: take nothing more in."""
        if installation and installation != self._me.installation:
            raise self._lost("")

    async def give_back(self) -> None:
        """The account is free for the next one. Never raises: a record that stays wears off."""
        if self._is_lost:
            return
        try:
            # Not asyncio.timeout: before Python 3.11.3 it does not end as TimeoutError in a task that was cancelled.
            await asyncio.wait_for(self._give_back(), GIVE_BACK_SECONDS)
        except (MatrixError, OwnedElsewhere, TimeoutError) as error:
            log.info("owner.not_given_back", error=str(error) or type(error).__name__)
        else:
            log.info("owner.given_back")

    async def _give_back(self) -> None:
        await self._check()
        await self._data.write(OWNER, {})

    async def _check(self) -> int | None:
        """Raise OwnedElsewhere if the record is somebody else's. Returns the homeserver's clock."""
        content, now = await self._data.read(OWNER)
        owner = parse(content)
        if owner is not None and not owner.is_same(self._me):
            raise self._lost(f", on host {owner.host or 'unknown'} (device {owner.device}),")
        return now

    async def _write(self, now: int | None) -> None:
        await self._data.write(OWNER, {**asdict(self._me), "renewed_at": now})

    def _lost(self, where: str) -> OwnedElsewhere:
        self._is_lost = True
        return OwnedElsewhere(
            f"another daemon{where} has taken over the account {self._user}, so this one takes nothing more in and "
            "ends. Only one of the two may run; to have it be this one, stop the other and start this one again"
        )


def _refusal(user: str, owner: Owner, age: float | None) -> str:
    heard = "at an unknown time" if age is None else f"{max(0.0, age):.0f} s ago"
    wait = "" if age is None else f"wait {max(1.0, OWNER_TTL - age):.0f} s, or "
    return (
        f"another daemon owns the account {user}: on host {owner.host or 'unknown'} (device {owner.device}), last "
        f"heard of {heard} by the homeserver's clock. Stop that one; if it is gone for good, {wait}start this one with "
        "--take-over. Nothing was changed"
    )
