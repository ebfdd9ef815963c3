"""A command: one accepted message that asks the agent for something, and the moves it may make.

    queued ──▶ running ──▶ done
       │          ├──────▶ failed
       │          ├──────▶ timed_out
       │          ├──────▶ interrupted     the daemon died; what the turn did is unknown
       │          └──────▶ cancelled
       └─────────────────▶ cancelled

    rejected is where a message ends that was never queued (the queue was full).

What is given to a running turn (`/now`) runs in that turn, its host's: it is running as the host is, and ends with it.

The store asserts the same moves in its SQL, by asking for the state that a move starts from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.ids import CallerName, EventId, RoomId, SessionId, UserId
from aiagentchat.core.meta import Meta


class CommandState(StrEnum):
    """Where a command stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    REJECTED = "rejected"


_ENDS = frozenset(
    {
        CommandState.DONE,
        CommandState.FAILED,
        CommandState.CANCELLED,
        CommandState.TIMED_OUT,
        CommandState.INTERRUPTED,
    }
)

MOVES: Mapping[CommandState, frozenset[CommandState]] = {
    CommandState.QUEUED: frozenset({CommandState.RUNNING, CommandState.CANCELLED}),
    CommandState.RUNNING: _ENDS,
    CommandState.DONE: frozenset(),
    CommandState.FAILED: frozenset(),
    CommandState.CANCELLED: frozenset(),
    CommandState.TIMED_OUT: frozenset(),
    CommandState.INTERRUPTED: frozenset(),
    CommandState.REJECTED: frozenset(),
}


def may_move(before: CommandState, after: CommandState) -> bool:
    """Whether a command may go from `before` to `after`."""
    return after in MOVES[before]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One accepted message. Its id is the Matrix event id."""

    event: EventId
    room: RoomId
    sender: UserId
    text: str
    session: SessionId
    """The conversation that it belongs to, fixed when it was accepted: a later /new_session does not move it."""
    state: CommandState = CommandState.QUEUED
    queued_at: int
    """Milliseconds since the epoch, by this machine's clock."""
    started_at: int | None = None
    origin: EventId | None = None
    """The earlier command that this one takes up again (/retry, or a yes after a restart)."""
    reply_to: EventId | None = None
    """The event that the answer answers, where that is not the command's own."""
    granted: str = ""
    """The digest of the one request that was allowed before the turn began."""
    urgent: bool = False
    """Whether it was typed with /now: it goes into the turn that runs, or before all that waits."""
    host: EventId | None = None
    """The command into whose turn it was given; None for one that has its own."""
    held_until: int = 0
    """Until then (milliseconds) it does not begin, and what its sender types next joins it."""
    about: EventId | None = None
    """The message that it replies to."""
    thread: EventId | None = None
    """The thread that it was typed in, by its first event; its answer goes there."""
    own: str = ""
    """A command of the agent's own (`core.agent_commands`), which is run in place of the text; empty: there is none."""
    meta: Meta | None = None
    """What an agent has said about it; the answer says what it answers."""
    caller: CallerName | None = None
    """Who has sent it through our gateway: then the sender is this account."""

    @property
    def is_of_program(self) -> bool:
        """Whether a program has sent it, and no person has taken it up since."""
        return self.caller is not None or (self.meta is not None and self.origin is None)

    @property
    def shown_at(self) -> EventId:
        """The event that people see as this command: what is answered and marked."""
        return self.reply_to or self.event


@dataclass(frozen=True, slots=True, kw_only=True)
class RepliedTo:
    """What a command is a reply to, as it reads now."""

    text: str
    by: UserId | None = None
    """Who typed it; None: it is ours."""
    of_agent: bool = False
    """Whether the agent has said it, or something was said about its turn."""


MOST_HELD_MS = 120_000
"""How long a command is held at most, for what its sender types next."""
LATER = 2**53
"""A moment at which nothing is held any more."""

LONGEST_TURN = 7 * 24 * 3600
"""Seconds that a turn may take at most, whoever asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTime:
    """How a running turn stands with its time. In seconds, without those in which its clock stood still."""

    limit: float
    elapsed: float
    stands: bool = False
    """Whether the clock stands still now, because a person or a usage limit is waited for."""
    doing: str = ""
    """The last tool that the agent has used, as one line of Markdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """What a turn used. Money is in millionths of a US dollar: Matrix and SQLite keep integers exactly."""

    duration_ms: int = 0
    cost_micro_usd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
