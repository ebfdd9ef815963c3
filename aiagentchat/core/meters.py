"""What is counted as it happens, because no table keeps it for long."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.ids import RoomId


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTurn:
    """A turn that has come to its end in this life of the daemon."""

    room: RoomId
    agent: str
    """As config.yaml calls it."""
    state: CommandState
    record: TurnRecord
    first_text: float | None = None
    """Seconds from its start to its first words; None: it had none."""


OnTurnEnded: TypeAlias = Callable[[EndedTurn], None]
"""Never waits, never raises."""


def nobody_counts(turn: EndedTurn) -> None:
    """For whoever needs no numbers."""
