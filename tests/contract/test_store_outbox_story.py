"""The outbox under everything at once: a room that cuts, postpones and forgets to answer, and a daemon that dies."""

from dataclasses import dataclass, field
from random import Random

import pytest

from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.parcels import Parcel
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import DEVICE, NOW, parcel

STEPS = 60
MESSAGES = 4


@dataclass
class Story:
    """Writes messages and edits of them, and sends what the outbox offers to a room that is no help."""

    ledger: Ledger
    random: Random
    newest: dict[str, str] = field(default_factory=dict)
    """What each message should say in the end."""
    room: dict[TxnId, Parcel] = field(default_factory=dict)
    """What the room took, by txn, in order; the first content of a txn stands, as on a homeserver."""
    claimed: list[Parcel] = field(default_factory=list)
    written: int = 0

    async def write(self) -> None:
        """A new message, or an edit of one; sometimes the same parcel twice."""
        self.written += 1
        message = f"m{self.random.randrange(MESSAGES)}"
        text = f"text {self.written}"
        new = parcel(f"e{self.written}", text, edits=message) if message in self.newest else parcel(message, text)
        self.newest[message] = text
        await self.ledger.outbox.put([new] * self.random.choice([1, 1, 2]), NOW)

    async def claim(self) -> None:
        """Take what is offered to the way."""
        offered = await self.ledger.outbox.claim(NOW, device=DEVICE)
        self.claimed += [offered.parcel] if offered is not None else []
        assert len(self.claimed) <= 1

    async def arrive(self) -> None:
        """The room takes it and says so."""
        for each in self.claimed:
            self.room.setdefault(each.txn, each)
            await self.ledger.outbox.sent(each.txn, EventId(f"${each.txn}"), NOW)
        self.claimed.clear()

    async def lose_the_answer(self) -> None:
        """The room takes it, and nobody hears of it."""
        for each in self.claimed:
            self.room.setdefault(each.txn, each)
        await self.refuse()

    async def be_limited(self) -> None:
        """The room wants it later, and has taken nothing of it now."""
        await self.refuse(untaken=True)

    async def refuse(self, *, untaken: bool = False) -> None:
        """The room wants it later."""
        for each in self.claimed:
            await self.ledger.outbox.postpone(each.txn, NOW, untaken=untaken)
        self.claimed.clear()

    async def die(self) -> None:
        """The daemon dies with it on the way, and lives again."""
        self.claimed.clear()
        await self.ledger.outbox.release_claims()

    def read(self) -> dict[str, str]:
        """What each message of the room says now."""
        return {each.edits or each.txn: each.content["body"] for each in self.room.values()}


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_every_message_comes_to_say_its_newest_text(ledger: Ledger, seed: int) -> None:
    random = Random(seed)
    story = Story(ledger, random)
    for _ in range(STEPS):
        outcomes = [story.arrive, story.lose_the_answer, story.refuse, story.be_limited, story.die]
        await random.choice([story.write, story.claim, story.claim, *outcomes])()

    await story.die()
    while await ledger.outbox.unsent():
        await story.claim()
        await story.arrive()
    assert story.read() == story.newest
    assert [txn for txn in story.room if txn in story.newest] == list(story.newest)
