"""What follows from a file that somebody puts into a room. It is fetched when its turn starts."""

from collections.abc import Sequence

from aiagentchat.core.effects import Effect, KeepFile, PutParcel
from aiagentchat.core.files import FILES_WAIT_MS, MOST_FILES
from aiagentchat.core.ids import txn_id
from aiagentchat.core.messages import Incoming
from aiagentchat.core.parcels import REACTION, Parcel, Urgency
from aiagentchat.render import file_words
from aiagentchat.render.message import reaction
from aiagentchat.route.bot_commands.spec import Desk, reply
from aiagentchat.route.decide import Ask, TakeFile
from aiagentchat.route.machines import AskedByAgent, is_of_program

WAITS = "📎"
"""On a file that goes along with the next message of its sender."""
MIB = 2**20


async def refused(desk: Desk, decision: TakeFile, event: Incoming) -> Sequence[Effect] | None:
    """Why the file is not taken, and its caption not run; None if it is."""
    file, most = decision.file, desk.settings().max_file
    if file.size is not None and file.size > most * MIB:
        return reply(event, file_words.too_large(file.name, file.size, most))
    if file.keys is None and await desk.rooms.is_encrypted(event.room):
        return reply(event, file_words.not_encrypted(file.name))
    if decision.then is None and await _waiting(desk, event) >= MOST_FILES:
        return reply(event, file_words.too_many_wait(MOST_FILES))
    return None


async def kept(desk: Desk, decision: TakeFile, event: Incoming) -> list[Effect]:
    """It goes along with what its caption asks, or else with what its sender asks next, and they are told so."""
    if decision.then is not None:
        return [KeepFile(event.event, event.event if isinstance(decision.then, Ask | AskedByAgent) else None)]
    if is_of_program(event):
        return [KeepFile(event.event, None)]
    told = file_words.waits(decision.file.name)
    # Who sends three pictures in a row is told once.
    is_first = await _waiting(desk, event) == 0
    said = reply(event, told, key="file", urgency=Urgency.SPARE) if is_first else []
    return [KeepFile(event.event, None), _mark(event), *said]


async def _waiting(desk: Desk, event: Incoming) -> int:
    return await desk.inbox.files_waiting(event.room, event.sender, desk.clock.now_ms() - FILES_WAIT_MS)


def _mark(event: Incoming) -> PutParcel:
    return PutParcel(
        Parcel(
            txn=txn_id(event.event, "file waits"),
            room=event.room,
            type=REACTION,
            content=reaction(event.event, WAITS),
            command=event.event,
            urgency=Urgency.SPARE,
        )
    )
