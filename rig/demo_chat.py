"""What one does in the demo: chat at a terminal, or without one send a message and print what came of it."""

import subprocess
import sys
import termios
import textwrap
from collections.abc import Sequence
from contextlib import suppress

from aiagentchat.cli.chat.timeline import Message, Timeline
from aiagentchat.core.ids import EventId, UserId
from rig.demo_parts import end, plain_env, say
from rig.demo_state import DemoFailed
from rig.homeserver import Account
from rig.matrix_client import MatrixUser, matrix_user

ANSWER_WITHIN = 180.0
"""Seconds for the answer to the demo's own message."""
OFFLINE_MESSAGE = "write hello.txt saying Hello from the demo"
REAL_MESSAGE = "Say hello in one short sentence, please. Use no tools."


def chat(argv: Sequence[str]) -> int:
    """At the terminal, until the person leaves. The terminal is as before, whatever happened to the chat."""
    before = termios.tcgetattr(sys.stdin.fileno())
    process = subprocess.Popen(argv, env=plain_env())
    try:
        return process.wait()
    finally:
        end(process)
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, before)


async def show(url: str, you: Account, room: str, text: str) -> bool:
    """Send one message, answer what is asked about it, and print it all. Whether it was answered well."""
    async with matrix_user(url, you) as user:
        sent = await user.send(room, text)
        try:
            outcome = await _until_over(user, room, sent)
        except AssertionError:
            raise DemoFailed(f"There was no answer within {ANSWER_WITHIN:.0f} s.") from None
        print("\n── the conversation " + "─" * 40)
        for message in _since(_timeline(user, room).messages, sent):
            print(f"{message.sender.partition(':')[0][1:]}:\n{textwrap.indent(message.body, '    ')}\n")
        print("─" * 60)
        return outcome == "✅"


async def _until_over(user: MatrixUser, room: str, sent: str) -> str:
    answered: set[str] = set()

    def now() -> tuple[str, Message | None]:
        timeline = _timeline(user, room)
        question = timeline.question
        return timeline.outcome_of(EventId(sent)), question if question and question.id not in answered else None

    while True:
        await user.until(lambda: any(now()), timeout=ANSWER_WITHIN)
        outcome, question = now()
        if outcome or question is None:
            return outcome
        answered.add(question.id)
        await user.react(room, question.id, "✅")
        say("✓ The agent asked whether it may use a tool; without a terminal, the demo itself allowed it")


def _timeline(user: MatrixUser, room: str) -> Timeline:
    timeline = Timeline(UserId(user.id))
    for event in user.events(room):
        timeline.take(event)
    return timeline


def _since(messages: Sequence[Message], sent: str) -> Sequence[Message]:
    place = next((place for place, message in enumerate(messages) if message.id == sent), 0)
    return messages[place:]
