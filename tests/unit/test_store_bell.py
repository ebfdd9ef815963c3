"""Bells: nothing is lost if it rings while nobody waits."""

import asyncio

import pytest

from aiagentchat.store.bell import EventBell, ringing


async def test_a_ring_before_the_wait_is_heard_once() -> None:
    bell = EventBell()
    bell.ring()
    bell.ring()

    assert await bell.wait(0)
    assert not await bell.wait(0)


async def test_a_ring_wakes_whoever_waits() -> None:
    bell = EventBell()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiter = group.create_task(bell.wait(60))
        await asyncio.sleep(0)  # lets it begin to wait
        bell.ring()
    assert waiter.result()


async def test_a_silent_bell_lets_go_after_the_timeout() -> None:
    assert not await EventBell().wait(0.001)


async def test_a_ring_that_a_cancelled_waiter_missed_is_kept() -> None:
    bell = EventBell()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiter = group.create_task(bell.wait(60))
        await asyncio.sleep(0)
        bell.ring()
        waiter.cancel()
    assert waiter.cancelled()
    assert await bell.wait(0)


async def test_what_fails_rings_too() -> None:
    bell = EventBell()

    with pytest.raises(ZeroDivisionError), ringing(bell):
        raise ZeroDivisionError
    assert await bell.wait(0)
