"""The clocks of a turn."""

import pytest

from aiagentchat.execute.deadlines import SILENCE_SECONDS, LastMinute, Silence, TurnClock

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


def test_a_limit_that_is_changed_holds_at_once() -> None:
    clock = TurnClock(limit=60.0, started=100.0)
    clock.limit = 90.0

    assert clock.left(130.0) == 60.0


# ── the last minute ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limit", "elapsed", "told"),
    [
        pytest.param(300.0, 239.9, None, id="too early"),
        pytest.param(300.0, 240.0, 60.0, id="a minute before the end"),
        pytest.param(300.0, 290.0, 10.0, id="late, and then with what is left"),
        pytest.param(300.0, 300.0, None, id="at the end there is nothing to warn of"),
        pytest.param(120.0, 60.0, None, id="a short turn is not warned"),
        pytest.param(121.0, 61.0, 60.0, id="a turn of more than two minutes is"),
    ],
)
def test_a_turn_is_warned_a_minute_before_its_end(limit: float, elapsed: float, told: float | None) -> None:
    assert LastMinute(60.0).take(limit, elapsed) == told


def test_each_end_is_warned_of_once() -> None:
    warning = LastMinute(60.0)

    told = [warning.take(limit, elapsed) for limit, elapsed in ((300, 240), (300, 250), (900, 260), (900, 840))]
    assert told == [60, None, None, 60]
    assert warning.due(900) is None


# ── silence ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_silence_is_told_ever_more_rarely() -> None:
    silence = Silence(SILENCE_SECONDS)

    told = [minute for minute in range(100) if silence.take(minute * 60.0) is not None]
    assert told == [2, 5, 10, 20, 40, 80]


def test_after_a_noise_it_begins_again() -> None:
    silence = Silence(120.0)
    silence.take(150.0)
    silence.noise(200.0)

    assert (silence.take(319.0), silence.take(320.0), silence.due()) == (None, 120.0, 500.0)


def test_steps_that_nobody_looked_at_are_one() -> None:
    silence = Silence(120.0)

    assert [silence.take(seconds) for seconds in (700.0, 701.0, 1200.0)] == [700.0, None, 1200.0]


def test_it_is_known_whether_the_present_silence_was_told() -> None:
    silence = Silence(20.0)
    told = [silence.is_told]
    silence.take(20.0)
    told.append(silence.is_told)
    silence.noise(21.0)

    assert [*told, silence.is_told] == [False, True, False]
