"""How the daemon itself is, for /status and the log."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncHealth:
    """How the hearing is, for /status and the log."""

    heard_at: float | None = None
    """When (monotonic seconds) the last sync succeeded; None before the first."""
    failures: int = 0
    """How many have failed in a row."""
    restarts: int = 0
    """How often hearing was lost and came back since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendHealth:
    """How the speaking is."""

    waiting: int = 0
    """Parcels on their way."""
    limited: bool = False
    """Whether the homeserver's limit holds parcels back now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealHealth:
    """How the reading of encrypted messages is, and whether others trust our device with them."""

    sealed: int = 0
    """Messages whose key is missing."""
    signed: bool = True
    """Whether our device is signed with the account's identity, as far as the start could tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """How the remembering is."""

    trouble: str | None = None
    """Why nothing can be written now; None when all is well."""
    stalls: int = 0
    """How often writing had to wait for the cause to go away since the start."""


class GatewayState(StrEnum):
    """Whether programs are let in."""

    OFF = "off"
    """config.yaml says so."""
    NOT_APART = "not apart"
    """config.yaml says nothing, and what runs in rooms could get at it."""
    OPENING = "opening"
    OPEN = "open"
    NOT_OPEN = "not open"
    """It was to be, and could not be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHealth:
    """How programs get at the daemon."""

    state: GatewayState = GatewayState.OFF
    port: int | None = None
    """Where it listens beside its socket; None: nowhere else."""
    lacks: int | None = None
    """A port at which it was to listen, and which somebody else has."""
