"""Names for strings that must never be mixed up, and the two ids that are computed."""

import hashlib
import re
import uuid
from typing import NewType

RoomId = NewType("RoomId", str)
EventId = NewType("EventId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
TxnId = NewType("TxnId", str)
ApprovalId = NewType("ApprovalId", str)
MessageId = NewType("MessageId", str)
"""Of a message between agents, before and after it is an event."""
TaskId = NewType("TaskId", str)
InstanceName = NewType("InstanceName", str)
"""What an account calls one of its instances."""
DelayId = NewType("DelayId", str)
"""Of an event that the homeserver will put into a room by itself, unless it is told to wait (MSC4140)."""
CallerName = NewType("CallerName", str)
"""What config.yaml calls somebody who speaks to the gateway."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_NAMESPACE = uuid.UUID("0b8b6d0e-5c0b-5d3a-9f0e-6b1f5f0a7c11")


def txn_id(*parts: str) -> TxnId:
    """The Matrix transaction id of the parcel that `parts` name: the same parts, the same id, in every life.

    A homeserver answers a repeated transaction id with the first event (Client-Server API, "Transaction
    identifiers"), so sending a parcel again after a crash does not say it twice.
    """
    return TxnId(hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32])


def message_uuid(event: EventId, attempt: int = 0) -> str:
    """The uuid under which the CLI knows a command; it runs an answered uuid only once (evidence: CLI 2.1.329).

    A command that is asked once more on purpose (after a usage limit) has another one per `attempt`.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{event}\0{attempt}" if attempt else event))


def is_session_id(text: str) -> bool:
    """Whether it has the shape of one."""
    return _UUID.fullmatch(text) is not None


def new_session_id() -> SessionId:
    """A fresh id for a conversation that the agent has not seen yet."""
    return SessionId(str(uuid.uuid4()))


def new_run_id() -> RunId:
    """A fresh id for a process of the agent."""
    return RunId(uuid.uuid4().hex)


def new_message_id() -> MessageId:
    """A fresh id for a message to an agent."""
    return MessageId(f"m{uuid.uuid4().hex}")


def new_task_id() -> TaskId:
    """A fresh id for a task."""
    return TaskId(f"t{uuid.uuid4().hex[:12]}")
