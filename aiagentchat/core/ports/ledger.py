"""Where the stages meet. The methods are narrow, idempotent by event id and fenced by state, so that another database
can stand behind them (docs/decisions)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiagentchat.core.approvals import Approval, ApprovalState, Rule
from aiagentchat.core.audit import AuditFilter, AuditLine, Deed
from aiagentchat.core.changes import LastChange
from aiagentchat.core.commands import LATER, Command, CommandState, RepliedTo, TurnRecord
from aiagentchat.core.effects import Effect
from aiagentchat.core.files import MediaFile
from aiagentchat.core.heard import Heard
from aiagentchat.core.ids import ApprovalId, EventId, RoomId, RunId, SessionId, TxnId, UserId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import Attachment, Attempt, Parcel, Urgency
from aiagentchat.core.ports.clock import Bell
from aiagentchat.core.rooms import Made, WaitingRoom
from aiagentchat.core.seals import Untold, Waiting
from aiagentchat.core.sessions import Session
from aiagentchat.core.spending import Spent


class Inbox(Protocol):
    """Events, written down before anything is done with them."""

    @property
    def bell(self) -> Bell:
        """Rings when events were taken in."""
        ...

    async def token(self) -> str | None:
        """The sync token up to which everything was taken in; None before the first sync."""
        ...

    async def take_in(
        self, token: str | None, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()
    ) -> int:
        """Commit `events`, what was heard and the token that covers them together. Returns how many events were new.

        Without a token the events come before those that a token will cover: a gap that is being filled. What was heard
        is for the history; and a parcel whose echo is in it was sent, as if `Outbox.sent` had said so.
        """
        ...

    async def entered(self, rooms: Collection[RoomId]) -> None:
        """We are in these rooms: what was kept for those that we had left goes on."""
        ...

    async def get(self, event: EventId) -> Incoming | None:
        """The event, whether it was settled or not; None when it is not known (any more)."""
        ...

    async def late(self, room: RoomId, taken_at: int) -> list[Incoming]:
        """The late events of the room that came in at that moment and are not settled, in order."""
        ...

    async def taken_at(self, event: EventId) -> int | None:
        """When (milliseconds) the event was taken in: what came in together has the same moment."""
        ...

    async def files_waiting(self, room: RoomId, sender: UserId, since: int) -> int:
        """How many files of `sender`, taken in since then (milliseconds), wait for their next command in `room`."""
        ...

    async def reactions(self, target: EventId, sender: UserId) -> list[str]:
        """The keys that `sender` has put on that message and not taken back, in the order in which they came."""
        ...

    async def unrouted(self, limit: int) -> list[Incoming]:
        """The oldest events that nobody has settled: some of each room, in the order of their arrival there.

        Rooms take turns, so that one with a backlog does not hold up the others. An invite is its room's.
        """
        ...

    async def settle(self, event: EventId, effects: Sequence[Effect], now: int) -> bool:
        """Apply `effects` and mark the event as routed, together. False, and no change, if it was routed before."""
        ...


class Seals(Protocol):
    """What came encrypted and waits in the inbox for its key. It is no work for routing until then."""

    async def waiting(self, after: int, limit: int) -> list[Waiting]:
        """Sealed events behind that place, in the order of arrival."""
        ...

    async def opened(self, events: Sequence[Incoming], now: int, heard: Sequence[Heard] = ()) -> int:
        """These are what was sealed under their ids, and come in now. Returns how many were still sealed.

        Of those, what was heard is kept with them.
        """
        ...

    async def settle(
        self, events: Sequence[EventId], parcels: Sequence[Parcel], now: int, heard: Sequence[Heard] = ()
    ) -> None:
        """They are of no use; the room is told what `parcels` say, and what was heard of them is kept, together."""
        ...

    async def untold(self) -> list[Untold]:
        """Of which sessions the rooms were not told, the longest waiting first."""
        ...

    async def tell(
        self, told: Sequence[Untold], parcels: Sequence[Parcel], now: int, deeds: Sequence[Deed] = ()
    ) -> None:
        """The room is told of these, once and for all; and the audit, of `deeds`."""
        ...

    async def count(self) -> int:
        """How many events are sealed."""
        ...

    async def give_up(self, before: int, most: int, now: int) -> int:
        """Settle what was taken back, came in before that moment, or is more than `most`, the oldest first."""
        ...


class Keyring(Protocol):
    """What encryption must remember between lives, apart from the keys themselves."""

    async def device_key(self, user: UserId, device: str) -> str | None:
        """By which key (Ed25519, public) others know this device of ours; None if it never had keys."""
        ...

    async def keep_device_key(self, user: UserId, device: str, ed25519: str) -> None:
        """From now on, for ever, the device is known by this key."""
        ...

    async def encrypted_rooms(self) -> frozenset[RoomId]:
        """Every room that was ever seen to be encrypted."""
        ...

    async def mark_encrypted(self, room: RoomId, now: int) -> None:
        """The room is encrypted, which cannot be taken back."""
        ...


class Commands(Protocol):
    """Commands and their states. A move that is not allowed changes nothing and returns False."""

    @property
    def bell(self) -> Bell:
        """Rings when a command was queued, ended, asked to stop or given time, and when an approval was decided."""
        ...

    async def get(self, event: EventId) -> Command | None:
        """The command with this id, or that this message was joined to."""
        ...

    async def parts(self, command: EventId) -> Mapping[EventId, str]:
        """The messages that were joined to it, with its own, as far as something is left of them; empty without any."""
        ...

    async def rooms_with_work(self, now: int = LATER) -> list[RoomId]:
        """Rooms with a queued command that is not held at that moment, the longest waiting first."""
        ...

    async def next_queued(self, room: RoomId, now: int = LATER) -> Command | None:
        """The oldest queued command of the room that is not held at that moment; what is urgent first."""
        ...

    async def next_held(self, now: int) -> int | None:
        """When (milliseconds) the first command that is held at that moment may begin; None when none is."""
        ...

    async def urgent(self, room: RoomId) -> list[Command]:
        """The queued commands of the room that a running turn may be given, in order."""
        ...

    async def give(self, event: EventId, host: EventId, now: int) -> bool:
        """queued → running in the turn of `host`, committed before the agent hears of it.

        False also when `host` does not run, or is to end.
        """
        ...

    async def retryable(self, room: RoomId, most: int) -> list[Command]:
        """The room's last commands that came to no good end and were not taken up again, the newest first.

        Of those that were cancelled, only what has a text: one whose message was taken back has none.
        """
        ...

    async def last_answered(self, room: RoomId) -> Command | None:
        """The room's last command that has ended and whose answer is in the room, not deleted by us."""
        ...

    async def replied_to(self, command: Command) -> RepliedTo | None:
        """What the command is a reply to, if that is known; None also for what its conversation has said last."""
        ...

    async def is_taken_up(self, event: EventId) -> bool:
        """Whether another command took this one up again."""
        ...

    async def open(self) -> int:
        """How many commands are queued or running, in all rooms that we are in."""
        ...

    async def owing(self) -> int:
        """How many of those an answer is owed to now: a turn that waits for somebody's answer owes none."""
        ...

    async def queue(self, room: RoomId) -> list[Command]:
        """The running command of the room, if any, what was given to its turn, then the queued ones in order."""
        ...

    async def running(self) -> list[Command]:
        """Every command that is marked as running; at start these are what a crash cut short."""
        ...

    async def counts(self) -> dict[CommandState, int]:
        """How many commands there are in each state."""
        ...

    async def start(self, event: EventId, now: int) -> bool:
        """queued → running, committed before the turn starts."""
        ...

    async def finish(
        self,
        event: EventId,
        state: CommandState,
        record: TurnRecord,
        parcels: Sequence[Parcel],
        now: int,
        carried: Sequence[EventId] = (),
    ) -> bool:
        """running → an end, together with what the room is told about it.

        Its open approvals are withdrawn, and what waits in the outbox about it without being needed is dropped. What
        was given to its turn ends as it does, but for what is `carried`: the first of that runs on its own from here
        on, and the others in its turn.
        """
        ...

    async def interrupt(
        self, event: EventId, approval: Approval | None, record: TurnRecord, parcels: Sequence[Parcel], now: int
    ) -> bool:
        """running → interrupted, with what the room is told, and the question whether to go on, if there is one."""
        ...

    async def turn_away(self, event: EventId, parcels: Sequence[Parcel], now: int, *, what: str = "turn") -> bool:
        """queued → cancelled, because it may not run (any more), together with what the room is told about it.

        `what` was refused, in a word for the audit.
        """
        ...

    async def files_of(self, event: EventId) -> list[MediaFile]:
        """The files that go along with this command, or with the one that it takes up again, in order."""
        ...

    async def stop_requested(self, event: EventId) -> UserId | None:
        """Who asked to end this command, if anybody did."""
        ...

    async def time_limit(self, event: EventId) -> int | None:
        """What its turn may take (seconds in all), if somebody has set that; else the room's settings hold."""
        ...

    async def of_session(self, room: RoomId, session: SessionId) -> list[Command]:
        """All commands of a conversation that are known (any more), the oldest first."""
        ...

    async def was_taken_back(self, room: RoomId, session: SessionId) -> frozenset[EventId]:
        """Those of them whose text was erased because somebody deleted it, or the answer."""
        ...


class Spending(Protocol):
    """What turns used: the end of a command (`Commands.finish`, `Commands.interrupt`) counts it in."""

    async def session(self, session: SessionId) -> Spent:
        """What all turns of a session used together."""
        ...

    async def room(self, room: RoomId, since: str) -> Spent:
        """What the room's turns used that ended on that day (`YYYY-MM-DD`, UTC) or later."""
        ...

    async def rooms(self, since: str) -> Mapping[RoomId, Spent]:
        """The same of every room that had a turn since, the dearest first."""
        ...


class Changes(Protocol):
    """What the last turn of a room changed in its workspace."""

    async def keep(self, change: LastChange) -> None:
        """In the place of what was kept for the room before."""
        ...

    async def last(self, room: RoomId) -> LastChange | None:
        """What is kept for the room; without a patch if that is not kept any more."""
        ...


class Outbox(Protocol):
    """Parcels on their way. A room's parcels leave in the order in which they were put."""

    @property
    def bell(self) -> Bell:
        """Rings when a parcel was put."""
        ...

    async def put(self, parcels: Sequence[Parcel], now: int) -> None:
        """Write parcels down. A known txn changes nothing; a waiting edit of the same message is replaced."""
        ...

    async def claim(self, now: int, *, device: str, least: Urgency = Urgency.SPARE) -> Attempt | None:
        """The next parcel that may be sent now, marked so that no newer edit replaces it. None if there is none.

        Per room only one at a time, and the oldest first, except that what is SPARE lets the others pass. A parcel is
        as urgent as the most urgent one that waits behind it; what is less urgent than `least` is not offered. Rooms
        that we have left are not looked at. A parcel comes without its file.
        """
        ...

    async def attachment(self, txn: TxnId) -> Attachment | None:
        """The file that goes with a parcel, for as long as that is neither sent nor given up."""
        ...

    async def attached(self, room: RoomId) -> int:
        """How many bytes of files wait for a room."""
        ...

    async def owed(self) -> int:
        """How many rooms have something NEEDED that is not sent."""
        ...

    async def next_due(self) -> int | None:
        """When (milliseconds) the earliest postponed parcel may be sent; None without one."""
        ...

    async def sent(self, txn: TxnId, event: EventId, now: int) -> None:
        """It is in the room, as `event`; what waits for that goes on. The first answer stands."""
        ...

    async def postpone(
        self, txn: TxnId, until: int, *, faults: int | None = None, variant: int | None = None, untaken: bool = False
    ) -> None:
        """Not now: offer it again at `until`, with these counts if they have changed.

        `untaken` says that the homeserver did not take it in this attempt: as if there had not been one.
        """
        ...

    async def give_up(self, txn: TxnId, why: str, now: int) -> None:
        """It will never be sent, and what waits for it is over; the room's next parcel is free to go."""
        ...

    async def event_of(self, txn: TxnId) -> EventId | None:
        """The event that a sent parcel became."""
        ...

    async def parcel_of(self, event: EventId) -> Parcel | None:
        """The parcel that became this event: how a reaction finds what it speaks of."""
        ...

    async def shown_at(self, approval: ApprovalId) -> int | None:
        """When (milliseconds) the message that asks this question was in the room; None before."""
        ...

    async def release_claims(self) -> None:
        """Offer again what an earlier life claimed and did not finish. Called once, at start."""
        ...

    async def unsent(self) -> int:
        """How many parcels wait."""
        ...

    async def sent_since(self, moment: int) -> int:
        """How many parcels were sent since then (milliseconds)."""
        ...


class Approvals(Protocol):
    """Questions to people."""

    async def ask(self, approval: Approval, parcels: Sequence[Parcel], now: int) -> None:
        """Write the question and the messages that show it, together."""
        ...

    async def get(self, approval: ApprovalId) -> Approval | None:
        """The question with its present state."""
        ...

    async def open_in(self, room: RoomId) -> list[Approval]:
        """The open questions of a room, oldest first."""
        ...

    async def open_of(self, command: EventId) -> list[Approval]:
        """The open questions of a command's turn, oldest first."""
        ...

    async def close(self, approval: ApprovalId, state: ApprovalState) -> bool:
        """open → EXPIRED or WITHDRAWN. False if somebody answered before."""
        ...

    async def rules(self, room: RoomId) -> list[Rule]:
        """What is allowed in the room's conversations without a question, the oldest first."""
        ...

    async def use_rule(
        self, session: SessionId, digest: str, by: Collection[UserId], command: EventId, now: int
    ) -> Rule | None:
        """The rule of the conversation that allows what has this digest, given by one of `by`; None: nobody has.

        That it was used, in the turn of `command`, is written down together with it.
        """
        ...


class Sessions(Protocol):
    """Which conversations a room has, and which one it is in."""

    async def current(self, room: RoomId, thread: EventId | None = None) -> SessionId | None:
        """The conversation of the room, or of a thread in it that has its own; None before its first command."""
        ...

    async def get(self, session: SessionId) -> Session | None:
        """The conversation, once it has a name: with the first command that is accepted in it."""
        ...

    async def of_room(self, room: RoomId, limit: int) -> list[Session]:
        """The conversations of a room that have names, the last used first. No two have the same one."""
        ...

    async def begun(self, session: SessionId) -> bool:
        """Whether the agent has seen this session, so that it is resumed and not created."""
        ...

    async def mark_begun(self, session: SessionId, now: int) -> None:
        """The agent has seen it."""
        ...

    async def replace(self, room: RoomId, old: SessionId, new: SessionId, now: int) -> None:
        """The agent left `old`: the room, its threads, and the commands of it that have not ended, go on in `new`.

        `new` is called after `old`, which keeps its name.
        """
        ...


class Rooms(Protocol):
    """What must stay the same for a room, however its configuration changes."""

    async def slug(self, room: RoomId, wanted: str) -> str:
        """The folder name of the room: `wanted` at the first call, the same for ever after."""
        ...

    async def uid(self, room: RoomId, first: int, last: int) -> int | None:
        """The user id of the room's runs: the first free one of the range at the first call, the same for ever after.

        None if the range has no free one.
        """
        ...

    async def refusals(self, room: RoomId, day: str) -> int:
        """How often the room was told today that a sender is not allowed."""
        ...

    async def is_encrypted(self, room: RoomId) -> bool:
        """Whether the room is known to be encrypted."""
        ...

    async def model(self, room: RoomId) -> str | None:
        """The model that somebody has set in the room; None: as config.yaml has it."""
        ...

    async def made(self) -> Made:
        """The rooms that are not in config.yaml. Each that was made has a folder name of its own from then on."""
        ...

    async def wait_in(self, waiting: WaitingRoom) -> None:
        """What is said there is kept from now on. Where it is waited already, the first moment stands."""
        ...

    async def adopt(self, room: RoomId, now: int) -> None:
        """The room is one of ours by other means: what was kept is looked at again, as by the effect `MakeRoom`."""
        ...

    async def forget(self, room: RoomId) -> None:
        """As the effect `ForgetRoom`: what was kept is forgotten."""
        ...


class Audit(Protocol):
    """Who did what. What routing brings about is written by `Inbox.settle`, together with the effects."""

    async def write(self, deed: Deed, now: int) -> None:
        """Write down what no event brings about."""
        ...

    async def lines(self, wanted: AuditFilter, *, limit: int) -> list[AuditLine]:
        """The newest `limit` lines that are wanted, in the order in which they were written."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A process of the agent, as it can be found again after a life that ended hard."""

    run: RunId
    room: RoomId
    boot_id: str
    """Of the machine; what ran before it was started again is gone."""
    uid: int | None
    """Where the run has one of its own."""
    started_at: int
    """Milliseconds since the epoch."""


class RunRecords(Protocol):
    """Which runs exist, written down before they do."""

    async def begun(self, record: RunRecord) -> None:
        """The run is about to be started."""
        ...

    async def ended(self, run: RunId) -> None:
        """Nothing of it is left."""
        ...

    async def left(self) -> list[RunRecord]:
        """The runs whose end nobody has seen, the oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The device that this daemon is for the homeserver, and what proves it."""

    user: UserId
    device: str
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    """Good for the next access token and the next refresh token; None where the homeserver gave none."""
    renew_at: int | None = None
    """When (milliseconds, by this machine's clock) to renew the access token, which wears off soon after; None: it does
    not wear off, as far as we know."""


class Accounts(Protocol):
    """Where the login is kept between lives."""

    async def login(self, user: UserId) -> Login | None:
        """The stored login of this account."""
        ...

    async def save_login(self, login: Login) -> None:
        """Keep it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """The private halves of the account's identity, 32 bytes each. Who has them can speak as the account for ever."""

    master: bytes = field(repr=False)
    self_signing: bytes = field(repr=False)
    user_signing: bytes = field(repr=False)


class Identities(Protocol):
    """Where the keys that prove who the account is are kept between lives. Nobody can read them in a copy."""

    async def seeds(self, user: UserId) -> Seeds | None:
        """The three seeds, None before they were made or given. Raises `StoreKeyError` if they cannot be opened."""
        ...

    async def keep_seeds(self, user: UserId, seeds: Seeds) -> None:
        """Keep them, in the place of others."""
        ...

    async def backup_key(self, user: UserId) -> bytes | None:
        """What opens the room keys that the homeserver keeps, None if nobody gave it. Raises `StoreKeyError`."""
        ...

    async def keep_backup_key(self, user: UserId, key: bytes) -> None:
        """Keep it; what was read with another one counts no more."""
        ...

    async def backup_read(self, user: UserId) -> str | None:
        """The state of the backup that was read whole with this key."""
        ...

    async def mark_backup_read(self, user: UserId, state: str) -> None:
        """It was read whole."""
        ...


class Lives(Protocol):
    """Who this ledger is among all that may use the account, and when a daemon on it was last known to live."""

    async def installation(self, now: int) -> str:
        """The id of this ledger: made at the first call, the same for ever after."""
        ...

    async def alive(self, now: int) -> None:
        """A daemon lives at this moment (milliseconds, by this machine's clock)."""
        ...

    async def alive_at(self) -> int | None:
        """When that was said last, in this life or an earlier one; None before the first."""
        ...
