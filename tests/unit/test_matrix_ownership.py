"""One account has one owner: who may start, who must end, and whose clock decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import pytest

from aiagentchat.core.errors import LoginFailed, OwnedElsewhere, RateLimited, StoreError, Unreachable
from aiagentchat.matrix.ownership import OWNER, OWNER_TTL, RENEW_SECONDS, SETTLE_SECONDS, Owner, Ownership, parse
from tests.fakes.account_data import START_MS, FakeAccountData
from tests.fakes.changes import PATIENCE
from tests.fakes.clock import FakeClock

WE = Owner(installation="we", device="D1", host="here", boot_id="b1")
THEY = Owner(installation="they", device="D2", host="there", boot_id="b2")


class Lives:
    """Remembers when somebody lived."""

    def __init__(self) -> None:
        self.said: list[int] = []
        self.trouble: StoreError | None = None

    async def installation(self, now: int) -> str:
        raise AssertionError(now)

    async def alive(self, now: int) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.said.append(now)

    async def alive_at(self) -> int | None:
        raise AssertionError


class Scene:
    """A homeserver, and daemons that want the account."""

    def __init__(self) -> None:
        self.data = FakeAccountData()
        self.clock = FakeClock()
        self.lives = Lives()

    def daemon(self, me: Owner = WE) -> Ownership:
        return Ownership(me, "@claude:hs", data=self.data, lives=self.lives, clock=self.clock)

    def owned_by(self, owner: Owner, *, ago: float | None) -> None:
        """There is a record, written so many seconds ago."""
        at = None if ago is None else START_MS - round(ago * 1000)
        self.data.kept[OWNER] = asdict(replace(owner, renewed_at=at))

    @property
    def owner(self) -> Owner | None:
        return parse(self.data.kept.get(OWNER, {}))

    async def claim(self, daemon: Ownership, *, take_over: bool = False) -> float:
        """Claim, and let pass what time that takes; how much that was."""
        begun = self.clock.monotonic()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            claiming = group.create_task(daemon.claim(take_over=take_over))
            napping = group.create_task(self.clock.pass_nap())
            await asyncio.wait({claiming, napping}, return_when=asyncio.FIRST_COMPLETED)
            if napping.done():
                await asyncio.wait({claiming})
            napping.cancel()
        return self.clock.monotonic() - begun

    @asynccontextmanager
    async def keeping(self, daemon: Ownership) -> AsyncIterator["asyncio.Task[None]"]:
        """It renews."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            task = group.create_task(daemon.run())
            yield task
            task.cancel()

    async def renewal(self) -> None:
        """Time passes until the next renewal is over."""
        self.data.advance(await self.clock.pass_nap())
        await self.clock.until_asleep()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def refused(group: pytest.ExceptionInfo[BaseExceptionGroup[Any]]) -> OwnedElsewhere:
    found = group.value.exceptions[0]
    assert isinstance(found, OwnedElsewhere)
    return found


async def test_an_account_that_nobody_owns_is_claimed(scene: Scene) -> None:
    await scene.claim(scene.daemon())

    assert scene.owner == replace(WE, renewed_at=START_MS)


async def test_a_fresh_record_of_another_daemon_stops_the_start_and_changes_nothing(scene: Scene) -> None:
    scene.owned_by(THEY, ago=12)

    with pytest.raises(OwnedElsewhere) as refusal:
        await scene.daemon().claim(take_over=False)
    assert refusal.value.exit_code == 4
    assert all(part in str(refusal.value) for part in ("there", "D2", "12 s ago", "78 s", "--take-over", "@claude:hs"))
    assert scene.data.writes == 0


@pytest.mark.parametrize("ago", [OWNER_TTL, OWNER_TTL + 1, 86_400])
async def test_a_record_that_has_worn_off_is_nobodys(scene: Scene, ago: float) -> None:
    scene.owned_by(THEY, ago=ago)
    await scene.claim(scene.daemon())

    assert scene.owner == replace(WE, renewed_at=START_MS)


@pytest.mark.parametrize("ago", [0, OWNER_TTL - 1, -30])
async def test_a_record_is_fresh_until_then_also_when_the_homeservers_clock_was_put_back(
    scene: Scene, ago: float
) -> None:
    scene.owned_by(THEY, ago=ago)

    with pytest.raises(OwnedElsewhere):
        await scene.daemon().claim(take_over=False)


async def test_our_own_record_costs_no_time_however_fresh(scene: Scene) -> None:
    scene.owned_by(WE, ago=1)

    assert await scene.claim(scene.daemon()) == 0
    assert scene.owner == replace(WE, renewed_at=START_MS)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(replace(WE, boot_id="b9", device="D9"), id="after a reboot, on another device"),
        pytest.param(replace(WE, host="container-2"), id="in a new container"),
    ],
)
async def test_an_earlier_life_of_ours_is_us(scene: Scene, now: Owner) -> None:
    scene.owned_by(WE, ago=1)

    assert await scene.claim(scene.daemon(now)) == 0


async def test_a_copied_data_dir_on_another_machine_is_another_daemon(scene: Scene) -> None:
    scene.owned_by(WE, ago=1)

    with pytest.raises(OwnedElsewhere, match="on host here"):
        await scene.daemon(replace(WE, host="copy", boot_id="b9")).claim(take_over=False)


async def test_take_over_takes_it_from_a_living_one(scene: Scene) -> None:
    scene.owned_by(THEY, ago=1)
    await scene.claim(scene.daemon(), take_over=True)

    assert scene.owner == replace(WE, renewed_at=START_MS)


@pytest.mark.parametrize("clock_is_known", [False, True])
async def test_without_the_homeservers_clock_nobody_can_say_that_a_record_has_worn_off(
    scene: Scene, clock_is_known: bool
) -> None:
    scene.owned_by(THEY, ago=100_000 if not clock_is_known else None)
    scene.data.now = START_MS if clock_is_known else None

    with pytest.raises(OwnedElsewhere, match="unknown time") as refusal:
        await scene.daemon().claim(take_over=False)
    assert "wait" not in str(refusal.value)


async def test_of_two_that_start_in_the_same_moment_one_goes_on(scene: Scene) -> None:
    first, second = scene.daemon(), scene.daemon(THEY)
    async with asyncio.TaskGroup() as group:
        results = group.create_task(_outcomes(first.claim(take_over=False), second.claim(take_over=False)), name="both")
        assert await scene.clock.until_asleep() == SETTLE_SECONDS
        scene.clock.advance(SETTLE_SECONDS)

    assert [type(outcome) for outcome in results.result()] == [OwnedElsewhere, type(None)]
    assert scene.owner == replace(THEY, renewed_at=START_MS)


async def _outcomes(*claims: Any) -> list[BaseException | None]:
    return list(await asyncio.gather(*claims, return_exceptions=True))


async def test_it_is_renewed_by_the_homeservers_clock(scene: Scene) -> None:
    daemon = scene.daemon()
    await scene.claim(daemon)
    async with scene.keeping(daemon):
        await scene.renewal()
        await scene.renewal()

    assert scene.owner == replace(WE, renewed_at=START_MS + round(2 * RENEW_SECONDS * 1000))
    assert len(scene.lives.said) == 2


async def test_a_record_that_has_vanished_is_written_again(scene: Scene) -> None:
    async with scene.keeping(scene.daemon()):
        await scene.renewal()

    assert scene.owner == replace(WE, renewed_at=START_MS + round(RENEW_SECONDS * 1000))


@pytest.mark.parametrize(
    "trouble", [Unreachable("away"), RateLimited("later", retry_after=5), StoreError("disk full")], ids=str
)
async def test_a_renewal_that_fails_is_tried_again(scene: Scene, trouble: Any) -> None:
    if isinstance(trouble, StoreError):
        scene.lives.trouble = trouble
    else:
        scene.data.fail(trouble)
    async with scene.keeping(scene.daemon()):
        await scene.renewal()
        scene.lives.trouble = None
        await scene.renewal()

    assert scene.owner == replace(WE, renewed_at=START_MS + round(2 * RENEW_SECONDS * 1000))


async def test_a_login_that_is_gone_ends_it(scene: Scene) -> None:
    scene.data.fail(LoginFailed("logged out"))

    with pytest.raises(BaseExceptionGroup) as group:
        async with scene.keeping(scene.daemon()):
            await scene.renewal()
    assert isinstance(group.value.exceptions[0], LoginFailed)


async def test_a_renewal_finds_that_somebody_has_taken_over(scene: Scene) -> None:
    daemon = scene.daemon()
    await scene.claim(daemon)
    scene.owned_by(THEY, ago=0)

    with pytest.raises(BaseExceptionGroup) as group:
        async with scene.keeping(daemon):
            await scene.renewal()
    assert "on host there (device D2)" in str(refused(group))
    assert refused(group).exit_code == 4
    assert scene.owner == replace(THEY, renewed_at=START_MS)


@pytest.mark.parametrize("installation", ["we", "", None])
async def test_the_sync_may_tell_what_we_know(scene: Scene, installation: str | None) -> None:
    daemon = scene.daemon()
    daemon.told(installation)
    await scene.claim(daemon)

    assert scene.owner is not None


async def test_the_sync_tells_that_somebody_has_taken_over_and_the_record_is_left_to_them(scene: Scene) -> None:
    daemon = scene.daemon()
    await scene.claim(daemon)
    writes = scene.data.writes

    with pytest.raises(OwnedElsewhere, match="taken over the account @claude:hs"):
        daemon.told("they")
    await daemon.give_back()
    assert scene.data.writes == writes


async def test_a_clean_end_frees_the_account_for_the_next_one_at_once(scene: Scene) -> None:
    first, second = scene.daemon(), scene.daemon(THEY)
    await scene.claim(first)
    await first.give_back()
    assert scene.owner is None
    await scene.claim(second)

    assert scene.owner == replace(THEY, renewed_at=START_MS)


async def test_what_is_not_ours_is_not_given_back(scene: Scene) -> None:
    scene.owned_by(THEY, ago=1)
    await scene.daemon().give_back()

    assert scene.owner == replace(THEY, renewed_at=START_MS - 1000)


async def test_giving_back_never_fails(scene: Scene) -> None:
    daemon = scene.daemon()
    await scene.claim(daemon)
    scene.data.fail(Unreachable("away"))
    await daemon.give_back()

    assert scene.owner == replace(WE, renewed_at=START_MS)


@pytest.mark.parametrize(
    "content",
    [{}, {"installation": ""}, {"installation": 7, "device": "D", "boot_id": "b"}, {"installation": "x"}],
    ids=str,
)
def test_what_is_no_record_names_nobody(content: dict[str, Any]) -> None:
    assert parse(content) is None


@pytest.mark.parametrize("renewed_at", ["yesterday", True, 1.5, None])
def test_a_record_with_a_strange_time_still_names_somebody(renewed_at: Any) -> None:
    content = {"installation": "x", "device": "D", "boot_id": "b", "host": 7, "renewed_at": renewed_at}

    assert parse(content) == Owner(installation="x", device="D", host="", boot_id="b", renewed_at=None)
