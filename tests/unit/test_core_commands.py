"""The moves of a command are those of the picture in core/commands.py, and no others."""

import itertools

import pytest

from aiagentchat.core.commands import CommandState, may_move

ENDS = (
    CommandState.DONE,
    CommandState.FAILED,
    CommandState.TIMED_OUT,
    CommandState.INTERRUPTED,
    CommandState.CANCELLED,
)
ALLOWED = {
    (CommandState.QUEUED, CommandState.RUNNING),
    (CommandState.QUEUED, CommandState.CANCELLED),
    *((CommandState.RUNNING, end) for end in ENDS),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(CommandState, CommandState)))
def test_a_command_makes_only_the_moves_of_the_picture(before: CommandState, after: CommandState) -> None:
    assert may_move(before, after) is ((before, after) in ALLOWED)


@pytest.mark.parametrize("end", [*ENDS, CommandState.REJECTED])
def test_an_end_is_final(end: CommandState) -> None:
    assert not any(may_move(end, after) for after in CommandState)
