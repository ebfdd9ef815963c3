"""What a person reads when parcels are put into a room one after the other."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiagentchat.core.ids import TxnId
from aiagentchat.core.parcels import Parcel


def play(parcels: Iterable[Parcel], *, is_dropped: Callable[[], bool] = lambda: False) -> list[Mapping[str, Any]]:
    """The messages as they read in the end.

    A parcel that came before changes nothing. An edit may be dropped (`is_dropped` is asked) if a newer one of the
    same message follows, as the outbox does when it waits.
    """
    put = list({parcel.txn: parcel for parcel in parcels}.values())
    left = Counter(parcel.edits for parcel in put)
    messages: dict[TxnId, Mapping[str, Any]] = {}
    for parcel in put:
        left[parcel.edits] -= 1
        is_superseded = parcel.edits is not None and left[parcel.edits] > 0
        if not (is_superseded and is_dropped()):
            messages[parcel.edits or parcel.txn] = parcel.content
    return list(messages.values())


def bodies(parcels: Iterable[Parcel]) -> list[str]:
    """The texts of the messages as they read in the end."""
    return [str(content["body"]) for content in play(parcels)]


def kinds(parcels: Iterable[Parcel]) -> list[str]:
    """Their types."""
    return [str(content["msgtype"]) for content in play(parcels)]


def most_edits(parcels: Iterable[Parcel]) -> int:
    """How often the message that was edited most was edited."""
    return max(Counter(parcel.edits for parcel in parcels if parcel.edits is not None).values(), default=0)
