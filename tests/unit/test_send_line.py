"""Whether anybody answers, and who got through meanwhile."""

from aiagentchat.core.ids import TxnId
from aiagentchat.send import line as line_module
from aiagentchat.send.line import MOST_REMEMBERED, PROBE_SECONDS, Line

A, B = TxnId("a"), TxnId("b")


def line() -> Line:
    return Line(lambda: 1.0)


def test_an_open_line_is_not_closed() -> None:
    assert line().closed_for(0) == 0


def test_a_line_on_which_nobody_answers_is_closed_for_longer_and_longer() -> None:
    made = line()

    assert [made.close(now) for now in (0, 10, 20, 30)] == [0.5, 1, 2, 4]
    assert made.closed_for(31) == 3
    assert made.closed_for(34) == 0


def test_one_parcel_finds_out_for_all() -> None:
    made = line()
    made.close(0)
    probe = made.begin(100)

    assert made.closed_for(103) == PROBE_SECONDS - 3
    made.end(probe)
    assert made.closed_for(103) == 0


def test_a_parcel_that_finds_out_nothing_is_not_waited_for_for_ever() -> None:
    made = line()
    made.close(0)
    made.begin(100)

    assert made.closed_for(100 + PROBE_SECONDS) == 0
    made.begin(100 + PROBE_SECONDS)
    assert made.closed_for(100 + PROBE_SECONDS) == PROBE_SECONDS


def test_what_was_on_its_way_before_keeps_nobody_waiting() -> None:
    made = line()
    made.begin(0)
    made.close(0)

    assert made.closed_for(0.5) == 0


def test_any_answer_opens_the_line() -> None:
    made = line()
    made.close(0)
    made.answered()

    assert made.closed_for(0) == 0
    assert made.close(0) == 0.5


def test_others_pass_while_a_parcel_fails_for_the_first_time() -> None:
    made = line()
    trip = made.begin(0)
    made.passed(B)

    assert made.failed(A, trip)
    assert not made.failed(A, trip)


def test_what_passed_before_a_parcel_left_says_nothing() -> None:
    made = line()
    made.passed(B)

    assert not made.failed(A, made.begin(0))


def test_what_passed_between_two_failures_counts_although_the_second_try_was_later() -> None:
    made = line()
    made.failed(A, made.begin(0))
    made.passed(B)

    assert made.failed(A, made.begin(0))


def test_a_parcel_that_has_passed_is_forgotten() -> None:
    made = line()
    made.failed(A, made.begin(0))
    made.passed(A)
    made.passed(B)

    assert not made.failed(A, made.begin(0))


def test_failures_are_not_remembered_without_end() -> None:
    made = line()
    for number in range(MOST_REMEMBERED + 5):
        made.failed(TxnId(str(number)), made.begin(0))

    assert len(made._failed_at) == line_module.MOST_REMEMBERED
