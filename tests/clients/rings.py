"""For what of a long turn the telephone of whoever asked rings, as matrix-js-sdk's push processor judges it."""

from rig.conversation import Message
from rig.js_user import JsUser
from rig.script import Step, script
from tests.e2e.house import House

OUTPUTS = ("live", "append")
"""The two ways in which an answer grows."""
QUIET = Step(text="Now I look.", tool="Bash", input={"command": "true"})


def long_turn(seconds: float) -> str:
    """A prompt for words, a tool, and words again that come over so many seconds."""
    # In paragraphs, as people and models write: that is where an answer that is appended is cut.
    words = "".join(f"word{number}. " if number % 8 else f"word{number}\n\n" for number in range(round(seconds) * 4))
    return script(f"speak for {seconds:g} s", QUIET, Step(text=words, chunk=len(words) // 40 + 1, delay=seconds / 40))


async def only_first_and_last_ring(house: House, anna: JsUser, room: str, command: str, *, timeout: float) -> None:
    """Wait for the end of a long turn; of all that was said, the first message and the last ring, nothing else."""
    me = house.account.user_id
    assert await house.ended(command, room=room, timeout=timeout) == "✅"
    await anna.until(lambda: len(anna.rings(room, me)) > 1, what="a second message that rings")
    said = [message for message in anna.view(room) if message.sender == me]
    first, last = said[0], said[-1]

    assert anna.unreadable(room) == []
    assert _states(said) > 3, f"nothing to be quiet about: {[(each.kind, each.edits, each.body) for each in said]}"
    assert anna.rings(room, me) == [first.id, last.id]
    assert (first.mentions, last.mentions) == ((), (anna.id,))
    assert [message.id for message in said if anna.sight(message.id).highlights] == [last.id]


def _states(said: list[Message]) -> int:
    """Events that a client without push rules would ring for."""
    return sum(1 + message.edits for message in said)
