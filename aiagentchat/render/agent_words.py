"""What agents and people read of each other in the same events: contents with `com.aiagentchat.meta`. Pure.

docs/reference/protocol.md is its specification.
"""

from collections.abc import Mapping
from typing import Any

from aiagentchat.core.commands import Command
from aiagentchat.core.ids import EventId, InstanceName, MessageId, UserId, txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.meta import AFTERWORD, META_KEY, STARTS, Meta, MetaKind, answering, prefixed, written
from aiagentchat.core.parcels import Content, Parcel
from aiagentchat.render.message import message
from aiagentchat.render.words import person

OUT_OF_TIME = "Not begun: its time was over before its turn came. Send it again if it is still wanted."
QUIET = frozenset({MetaKind.STATUS, MetaKind.REFUSED, MetaKind.EXPIRED})
"""Nobody's phone rings for these."""


def stopped_before_it_began(by: UserId) -> str:
    """Somebody does not want it to be run."""
    return f"Not begun: {person(by)} has stopped it while it waited."


def agent_message(body: str, meta: Meta, *, reply_to: EventId | None = None) -> dict[str, Any]:
    """The content of a message with this meta. What may begin something mentions whom it is for."""
    is_asking = meta.to is not None and meta.kind in STARTS
    content = message(
        prefixed(meta.kind, body),
        notice=meta.kind in QUIET,
        reply_to=reply_to,
        mentions=[meta.to.user] if meta.to is not None and is_asking else [],
    )
    return {**content, META_KEY: written(meta)}


def signed(
    content: Mapping[str, Any],
    command: Command,
    message_id: str,
    *,
    instance: InstanceName | None,
    part: int = AFTERWORD,
    last: bool = True,
) -> Content:
    """A part of the answer to `command`, with what an agent must know of it; as it is, where no agent has asked."""
    if command.meta is None:
        return content
    meta = answering(command.meta, command.sender, id=MessageId(message_id), instance=instance, part=part, last=last)
    return {**content, META_KEY: written(meta)}


def turned_down(
    asked: Incoming | Command, why: str, *, kind: MetaKind = MetaKind.REFUSED, instance: InstanceName | None = None
) -> list[Parcel]:
    """What tells an agent that its message will not be answered, and why; nothing, where no agent has asked.

    It is said once, whatever is found to be wrong later.
    """
    if not isinstance(asked.meta, Meta):
        return []
    txn = txn_id(asked.event, "turned down")
    meta = answering(asked.meta, asked.sender, id=MessageId(txn), kind=kind, instance=instance)
    begins_thread = asked.event if asked.meta.kind is MetaKind.TASK else None
    return [
        Parcel(
            txn=txn,
            room=asked.room,
            content=agent_message(why, meta, reply_to=asked.event),
            command=asked.event if isinstance(asked, Command) else None,
            thread=asked.thread or begins_thread,
        )
    ]


def out_of_time(asked: Incoming | Command, *, instance: InstanceName | None = None) -> list[Parcel]:
    """What tells an agent that its message was not begun in time; nothing, where no agent has asked."""
    return turned_down(asked, OUT_OF_TIME, kind=MetaKind.EXPIRED, instance=instance)
