"""A parcel has become an event, or never will: what waits for that goes on, in the same transaction.

Two ways lead here, in any order and each more than once: the homeserver's answer to what we have sent, and the event
itself, which comes back to us by sync. Whichever is first counts.
"""

from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.store.answers import hear_ourselves
from aiagentchat.store.database import Transaction
from aiagentchat.store.queries import statements

NOT_TAKEN = "The homeserver does not take this message, so it is not in the room, and nothing was begun by it."
"""What whoever has sent it reads."""

_ECHO = statements("echo")
_OUTBOX = statements("outbox")


async def arrived(transaction: Transaction, txn: TxnId, event: EventId, now: int) -> bool:
    """The parcel is in its room, as `event`. False, and no change, if that is known, or there is no such parcel."""
    if not await transaction.run(_OUTBOX["sent"], txn=txn, event=event, now=now):
        return False
    await transaction.run(_ECHO["message_sent"], txn=txn, event=event, now=now)
    await transaction.run(_ECHO["offer"], txn=txn, event=event)
    await hear_ourselves(transaction, txn, event, now)
    return True


async def given_up(transaction: Transaction, txn: TxnId, why: str, now: int) -> bool:
    """The parcel will never be sent. False, and no change, if it was sent, or given up before."""
    if not await transaction.run(_OUTBOX["give_up"], txn=txn, why=why, now=now):
        return False
    await transaction.run(_ECHO["message_refused"], txn=txn, why=NOT_TAKEN, now=now)
    await transaction.run(_ECHO["settle"], txn=txn, now=now)
    return True
