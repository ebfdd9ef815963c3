"""Encrypted rooms on a real homeserver, with another program at the other end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.ids import TxnId
from aiagentchat.core.messages import Kind
from aiagentchat.core.parcels import MESSAGE
from aiagentchat.render.message import message
from rig.homeserver import Homeserver
from tests.contract.sealed_worlds import SealedWorld, sealed_world

pytestmark = pytest.mark.real


@pytest.fixture
async def world(homeserver: Homeserver, tmp_path: Path) -> AsyncIterator[SealedWorld]:
    async with sealed_world(homeserver, tmp_path) as made:
        yield made


async def test_what_is_said_encrypted_is_read_and_answered(world: SealedWorld) -> None:
    async with world.life() as life:
        room = await world.enter(life)
        event = await world.anna.say(room, "hello")
        [said] = await life.until_heard(1, room)
        answer = await life.outbound.send(room, MESSAGE, message("hi **there**", notice=False), TxnId("t1"))

        seen = await world.anna.until_body(room, "hi **there**")
    assert (said.kind, said.body, said.event, said.encrypted) == (Kind.TEXT, "hello", event, True)
    assert (seen.event_id, seen.decrypted) == (answer, True)
