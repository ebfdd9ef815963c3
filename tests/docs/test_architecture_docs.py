"""The picture of a command's states has the moves that there are."""

import re

from aiagentchat.core.commands import MOVES
from tests.docs.command_blocks import blocks


def test_the_picture_of_the_states_of_a_command_has_exactly_the_moves_there_are() -> None:
    [picture] = [block.text for block in blocks("docs/explanation/architecture.md") if block.language == "mermaid"]
    drawn = re.findall(r"^    (\w+) --> (\w+)", picture, re.MULTILINE)
    states = {state for move in drawn for state in move} | set(re.findall(r"\[\*\] --> (\w+)", picture))

    assert set(drawn) == {(before.value, after.value) for before, afters in MOVES.items() for after in afters}
    assert states == {state.value for state in MOVES}
