"""What we have accepted to send to somebody, and how far it has come.

    accept ──▶ (the parcel is sent, or its echo comes) ──▶ received, received ──▶ heard, or close

That a parcel has become an event is told by whoever marks the parcel (`Outbox.sent`, the echo in `Inbox.take_in`), in
the same transaction; that it was given up (`Outbox.give_up`) ends its message as refused, in the same transaction too.
Every method may be called again with the same values: a state is only left for a later one
(`core.exchange.may_become`).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiagentchat.core.exchange import Message, MessageState
from aiagentchat.core.ids import CallerName, EventId, MessageId, RoomId
from aiagentchat.core.messages import Incoming, Receipt
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.tasks import Task


class Messages(Protocol):
    """The messages that this daemon sends for its callers."""

    @property
    def bell(self) -> Bell:
        """Rings when the state of a message has changed."""
        ...

    async def accept(
        self,
        message: Message,
        parcel: Parcel,
        *,
        waits: Incoming | None = None,
        task: Task | None = None,
        key: str | None = None,
        digest: str = "",
    ) -> Message:
        """Write down the message, its parcel, what it begins here and the task that it gives, together, or nothing.

        `waits` is the inbox's event `~<message id>`, if it is for this daemon or a session of it; it is not routed
        before the parcel is an event. With the `key` of an earlier message of the same caller nothing is written: that
        message is returned, if `digest` is the same. Raises `ExchangeRefused` with `conflict` if not.
        """
        ...

    async def get(self, message: MessageId) -> Message | None:
        """The message, as it stands."""
        ...

    async def by_key(self, caller: CallerName, key: str) -> Message | None:
        """What the caller has sent with this key."""
        ...

    async def by_event(self, event: EventId) -> Message | None:
        """The message that has become this event: how a person's reply finds what it speaks of."""
        ...

    async def open(self, room: RoomId | None = None) -> list[Message]:
        """Those that are not over, the oldest first: of one room, or of all.

        One that nobody is to answer (it is for nobody, or is an answer, or news) is over once it is sent.
        """
        ...

    async def open_of(self, caller: CallerName, room: RoomId) -> tuple[int, int]:
        """How many of those are this caller's: in the room, and in all rooms."""
        ...

    async def counts(self) -> Mapping[MessageState, int]:
        """How many messages there are in each state."""
        ...

    async def received(self, receipts: Sequence[Receipt], now: int) -> list[MessageId]:
        """Somebody has come so far. Returns whose state has changed by that.

        What a receipt covers becomes what it says (`Receipt.says`): one for a thread (`MAIN`: for what is in none) says
        that the account has all of that up to its event: messages to that account that were sent before, and the one
        that is the event, become delivered. One without a thread says that it has begun with all of the room up to
        there: they become read. The event may be any of the room's, also one that is no message of ours; one that we
        know nothing of says nothing. For an instance of this daemon, which sends itself no receipts, we are told by the
        stages in the same way, with this account as the user.
        """
        ...

    async def heard(self, said: Incoming, now: int) -> Message | None:
        """Something that the other side has said: an answer, a refusal, an expiry, or a change of one. Pure text of a
        person counts where it is a reply.

        It counts where it names a message of ours that is not over (its meta's `in_reply_to`; without meta, the event
        that it replies to), in the room of that message, and its sender is whom that was for: the account, and no other
        instance of it than the one that was named. Of an answer the parts are kept, by their numbers, as they read
        after their last edit; once the part that is `last` is there, the message is answered, and its answer is the
        parts, in order. A person's reply is an answer of one part. News that its task makes progress say that it was
        begun. Returns the message if its state has changed.
        """
        ...

    async def close(self, message: MessageId, state: MessageState, why: str, now: int) -> bool:
        """End it as refused or expired, because of us. False if it was over, or is not known."""
        ...
