"""What changes which rooms are ours, inside the transaction of whoever changes it."""

from typing import assert_never

from aiagentchat.core.effects import AwaitRoom, ForgetRoom, MakeRoom, RoomChange, UnmakeRoom
from aiagentchat.core.ids import RoomId
from aiagentchat.core.rooms import WaitingRoom
from aiagentchat.store.database import Transaction
from aiagentchat.store.queries import statements

MOST_KEPT = 1000
"""So many events of a room, the newest ones, are looked at again when it is made."""
LATE_MS = 60_000
"""What is older than this then counts as late, as `receive.intake` has it for what comes in."""

_GRANTS = statements("grants")
_MADE_ROOMS = statements("made_rooms")


async def change(transaction: Transaction, effect: RoomChange, now: int) -> None:
    """Apply one effect."""
    match effect:
        case MakeRoom(made, by_event):
            await transaction.run(
                _MADE_ROOMS["make"], room=made.room, folder=made.folder, direct=made.direct, by=made.by, at=made.at
            )
            await adopt(transaction, made.room, now, by_event)
        case UnmakeRoom(room):
            await transaction.run(_MADE_ROOMS["unmake"], room=room)
            await transaction.run(_GRANTS["take_all"], room=room)
        case AwaitRoom(waiting):
            await wait_in(transaction, waiting)
        case ForgetRoom(room):
            await forget(transaction, room)
        case _:
            assert_never(effect)


async def wait_in(transaction: Transaction, waiting: WaitingRoom) -> None:
    """Keep what is said there."""
    await transaction.run(
        _MADE_ROOMS["wait_in"],
        room=waiting.room,
        by=waiting.by,
        since=waiting.since,
        until=waiting.until,
        keeps=waiting.keeps,
    )


async def adopt(transaction: Transaction, room: RoomId, now: int, by_event: str = "") -> None:
    """Have what was kept looked at again, but for the event by which the room was made."""
    await transaction.run(
        _MADE_ROOMS["look_again"], room=room, by_event=by_event, now=now, late=LATE_MS, most=MOST_KEPT
    )
    await transaction.run(_MADE_ROOMS["stop_waiting"], room=room)


async def forget(transaction: Transaction, room: RoomId) -> None:
    """Keep nothing any more."""
    await transaction.run(_MADE_ROOMS["erase_kept"], room=room)
    await transaction.run(_MADE_ROOMS["stop_waiting"], room=room)
