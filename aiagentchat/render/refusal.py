"""The message that tells another agent that its own begins nothing: people read why, and programs what it answers."""

from aiagentchat.core.guards import Why
from aiagentchat.core.ids import EventId, MessageId, RoomId, UserId, txn_id
from aiagentchat.core.meta import META_KEY, Meta, MetaKind, answering, written
from aiagentchat.core.parcels import Parcel
from aiagentchat.render.message import message


def refusal(
    event: EventId, room: RoomId, asker: UserId, meta: Meta, told: str, *, why: Why, thread: EventId | None = None
) -> Parcel:
    """`event`, with this meta, is not run. There is one such parcel for each message, in every life."""
    txn = txn_id(event, "refusal")
    said = answering(
        meta,
        asker,
        id=MessageId(txn),
        kind=MetaKind.EXPIRED if why is Why.EXPIRED else MetaKind.REFUSED,
        instance=None if meta.to is None else meta.to.instance,
    )
    content = message(f"🚫 {told}", notice=True, reply_to=event)
    return Parcel(txn=txn, room=room, content={**content, META_KEY: written(said)}, thread=thread)
