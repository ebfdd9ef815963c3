"""The clock of a turn."""

import pytest

from aiagentchat.execute.deadlines import TurnClock

Move = tuple[str, float]


@pytest.mark.parametrize(
    ("moves", "now", "elapsed", "left"),
    [
        pytest.param([], 100.0, 0.0, 60.0, id="nothing has passed at the start"),
        pytest.param([], 130.0, 30.0, 30.0, id="it runs"),
        pytest.param([], 160.0, 60.0, 0.0, id="at the limit nothing is left"),
        pytest.param([], 999.0, 899.0, 0.0, id="nor beyond it"),
        pytest.param([("pause", 110.0)], 999.0, 10.0, None, id="it stands still"),
        pytest.param([("pause", 110.0), ("resume", 500.0)], 520.0, 30.0, 30.0, id="it goes on where it stood"),
        pytest.param([("pause", 110.0), ("pause", 120.0)], 999.0, 10.0, None, id="a second pause changes nothing"),
        pytest.param([("resume", 110.0)], 130.0, 30.0, 30.0, id="a resume without a pause changes nothing"),
        pytest.param(
            [("pause", 110.0), ("resume", 200.0), ("resume", 300.0)], 310.0, 120.0, 0.0, id="nor does a second resume"
        ),
        pytest.param(
            [("pause", 110.0), ("resume", 200.0), ("pause", 210.0), ("resume", 300.0)],
            310.0,
            30.0,
            30.0,
            id="several pauses add up",
        ),
    ],
)
def test_a_turn_is_measured_without_its_pauses(
    moves: list[Move], now: float, elapsed: float, left: float | None
) -> None:
    clock = TurnClock(limit=60.0, started=100.0)
    for name, moment in moves:
        getattr(clock, name)(moment)

    assert (clock.elapsed(now), clock.left(now)) == (elapsed, left)
