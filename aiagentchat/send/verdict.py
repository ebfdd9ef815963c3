"""What becomes of a parcel that did not arrive. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from aiagentchat.core.backoff import MOST_SECONDS, delay
from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.parcels import MESSAGE, REDACTION, Attempt
from aiagentchat.core.ports.clock import Random
from aiagentchat.core.ports.matrix import NOT_SEALED
from aiagentchat.send.pieces import is_of_answer
from aiagentchat.send.variants import AS_WRITTEN, LAST, PLAIN

FAULTS = 3
"""So often the homeserver may fail over a parcel before it is said in another way."""
FORBIDDEN_TRIES = 20
"""So often we ask again after a "forbidden": we may be out of the room, and the sync is about to tell, perhaps after a
long absence. Only the room itself waits for it."""
FORBIDDEN_SECONDS = 30.0
"""How long between those."""

DELETION_TRIES = 2
"""As FORBIDDEN_TRIES, for a deletion: that we may not delete is likelier than that we are out."""
NEVER_ARRIVED = "COM.AIAGENTCHAT.NEVER_ARRIVED"
"""Our own code for what is to be deleted and is not there."""

_DUPLICATE_REACTION = "M_DUPLICATE_ANNOTATION"
_FORBIDDEN = "M_FORBIDDEN"
_BROKE_DOWN = 500


@dataclass(frozen=True, slots=True)
class AskLater:
    """Nobody can be reached: all parcels wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """This parcel waits, and its room with it."""

    seconds: float
    faults: int
    variant: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not arrive."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """The room has it already, or has nothing of it to delete."""


Verdict: TypeAlias = AskLater | TryAgain | GiveUp | NothingToDo


def judge(error: Refused | Unreachable, attempt: Attempt, *, others_passed: bool, random: Random) -> Verdict:
    """What to do after `error`; `others_passed` says whether the homeserver took other parcels since the last failure.

    A parcel that is refused is said in another way at once; one that the homeserver fails over, after FAULTS failures.
    It may be the homeserver that is ill and not the parcel: what would lose words is only done when others pass.
    """
    if isinstance(error, Refused):
        return _refused(error, attempt)
    # With a code it is the homeserver itself that stumbled, and over this: without one, it may be anything.
    if not others_passed and not (error.status == _BROKE_DOWN and error.errcode):
        return AskLater()
    return _failed(attempt, others_passed=others_passed, random=random)


def _refused(error: Refused, attempt: Attempt) -> Verdict:
    if error.errcode in (_DUPLICATE_REACTION, NEVER_ARRIVED):
        return NothingToDo()
    tries = DELETION_TRIES if attempt.parcel.type == REDACTION else FORBIDDEN_TRIES
    if error.errcode == _FORBIDDEN and attempt.faults + 1 < tries:
        return TryAgain(seconds=FORBIDDEN_SECONDS, faults=attempt.faults + 1, variant=attempt.variant)
    if error.errcode == NOT_SEALED and attempt.faults + 1 < FAULTS:
        # The room became encrypted after the upload. The next one is encrypted.
        return TryAgain(seconds=0.0, faults=attempt.faults + 1, variant=attempt.variant)
    helps = not error.ours or error.errcode == NOT_SEALED
    if error.errcode == _FORBIDDEN or not helps or _last(attempt):
        return GiveUp()
    return TryAgain(seconds=0.0, faults=0, variant=attempt.variant + 1)


def _failed(attempt: Attempt, *, others_passed: bool, random: Random) -> Verdict:
    if attempt.faults + 1 < FAULTS:
        seconds = delay(attempt.variant * FAULTS + attempt.faults + 1, random)
        return TryAgain(seconds=seconds, faults=attempt.faults + 1, variant=attempt.variant)
    if _last(attempt) and others_passed:
        return GiveUp()
    if not _last(attempt) and (others_passed or (attempt.variant <= PLAIN and not attempt.attached)):
        return TryAgain(seconds=0.0, faults=0, variant=attempt.variant + 1)
    # What an answer's file was replaced by is in the outbox already: with the file, too, it would be there twice.
    variant = attempt.variant if attempt.attached and is_of_answer(attempt.parcel) else AS_WRITTEN
    return TryAgain(seconds=MOST_SECONDS, faults=0, variant=variant)


def _last(attempt: Attempt) -> bool:
    """Whether there is no other way to say it. A reaction or a deletion has one way only; a file has one beside itself:
    to say that it is missing."""
    return attempt.parcel.type != MESSAGE or attempt.variant >= (PLAIN if attempt.attached else LAST)
