"""What becomes of a parcel that did not arrive: a table, and where it leads when the same happens again and again."""

from dataclasses import replace

import pytest

from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.ids import EventId, TxnId, txn_id
from aiagentchat.core.parcels import REACTION, Attempt, Parcel
from aiagentchat.core.ports.matrix import NOT_SEALED
from aiagentchat.send.variants import AS_WRITTEN, BEGINNING, FILE, PLAIN
from aiagentchat.send.verdict import (
    FAULTS,
    FORBIDDEN_SECONDS,
    FORBIDDEN_TRIES,
    AskLater,
    GiveUp,
    NothingToDo,
    TryAgain,
    Verdict,
    judge,
)
from tests.fakes.people import ROOM

MESSAGE = Parcel(txn=TxnId("t"), room=ROOM, content={"body": "hello"})
FIRST = Attempt(parcel=MESSAGE)
REACTED = Attempt(parcel=replace(MESSAGE, type=REACTION))
WITH_FILE = Attempt(parcel=MESSAGE, attached=True)
STUMBLED = Unreachable("500", status=500, errcode="M_UNKNOWN")
TOO_LARGE = Refused("413", status=413, errcode="M_TOO_LARGE")
FORBIDDEN = Refused("403", status=403, errcode="M_FORBIDDEN")
SILENT = [
    Unreachable("nobody"),
    Unreachable("500", status=500),
    Unreachable("502", status=502),
    Unreachable("503", status=503, errcode="M_UNKNOWN"),
    Unreachable("504", status=504),
    Unreachable("200", status=200),
]


def verdict(error: Refused | Unreachable, attempt: Attempt = FIRST, *, others_passed: bool = False) -> Verdict:
    return judge(error, attempt, others_passed=others_passed, random=lambda: 1.0)


def course(error: Refused | Unreachable, attempt: Attempt = FIRST, *, others_passed: bool, most: int = 40) -> list[int]:
    """The variants that are tried while the same happens again and again, until it is given up."""
    tried: list[int] = []
    while len(tried) < most:
        tried.append(attempt.variant)
        found = verdict(error, attempt, others_passed=others_passed)
        if not isinstance(found, TryAgain):
            assert found == GiveUp()
            break
        attempt = replace(attempt, faults=found.faults, variant=found.variant)
    return tried


@pytest.mark.parametrize("error", SILENT, ids=str)
def test_when_nobody_answers_everything_waits(error: Unreachable) -> None:
    assert verdict(error) == AskLater()


@pytest.mark.parametrize("error", [*SILENT, STUMBLED], ids=str)
def test_when_others_pass_it_is_the_parcel(error: Unreachable) -> None:
    assert verdict(error, others_passed=True) == TryAgain(seconds=0.5, faults=1, variant=AS_WRITTEN)


def test_a_homeserver_that_stumbles_over_a_parcel_stops_no_other() -> None:
    assert verdict(STUMBLED) == TryAgain(seconds=0.5, faults=1, variant=AS_WRITTEN)


def test_faults_are_further_and_further_apart() -> None:
    waits = [
        verdict(STUMBLED, replace(FIRST, faults=faults, variant=variant))
        for variant in (AS_WRITTEN, PLAIN)
        for faults in range(FAULTS - 1)
    ]

    assert [wait.seconds for wait in waits if isinstance(wait, TryAgain)] == [0.5, 1, 4, 8]


def test_after_three_faults_it_is_said_in_another_way_and_in_the_end_not_at_all() -> None:
    ways = [AS_WRITTEN] * FAULTS + [PLAIN] * FAULTS + [FILE] * FAULTS + [BEGINNING] * FAULTS

    assert course(STUMBLED, others_passed=True) == ways
    assert FAULTS == 3


def test_nothing_is_lost_over_a_homeserver_that_fails_for_everybody() -> None:
    tried = course(STUMBLED, others_passed=False)

    assert len(tried) == 40
    assert set(tried) == {AS_WRITTEN, PLAIN, FILE}
    assert verdict(STUMBLED, replace(FIRST, faults=FAULTS - 1, variant=FILE)) == TryAgain(
        seconds=60.0, faults=0, variant=AS_WRITTEN
    )


def test_a_parcel_in_its_last_form_is_not_given_up_while_nobody_else_passes() -> None:
    last = replace(FIRST, faults=FAULTS - 1, variant=BEGINNING)

    assert verdict(STUMBLED, last) == TryAgain(seconds=60.0, faults=0, variant=AS_WRITTEN)


def test_a_file_comes_or_it_is_said_that_it_does_not() -> None:
    assert course(TOO_LARGE, WITH_FILE, others_passed=False) == [AS_WRITTEN, PLAIN]
    assert course(STUMBLED, WITH_FILE, others_passed=True) == [AS_WRITTEN] * FAULTS + [PLAIN] * FAULTS


def test_a_file_is_not_lost_over_a_homeserver_that_fails_for_everybody() -> None:
    assert set(course(STUMBLED, WITH_FILE, others_passed=False)) == {AS_WRITTEN}


def test_what_replaced_the_file_of_an_answer_is_not_followed_by_the_file() -> None:
    whole = replace(MESSAGE, command=EventId("$1"), txn=txn_id("$1", "whole"))
    replaced = Attempt(parcel=whole, attached=True, faults=FAULTS - 1, variant=PLAIN)

    assert verdict(STUMBLED, replaced) == TryAgain(seconds=60.0, faults=0, variant=PLAIN)
    assert verdict(STUMBLED, replace(replaced, variant=AS_WRITTEN)) == TryAgain(
        seconds=60.0, faults=0, variant=AS_WRITTEN
    )


def test_a_reaction_is_said_in_one_way_only() -> None:
    assert course(STUMBLED, REACTED, others_passed=True) == [AS_WRITTEN] * FAULTS
    assert set(course(STUMBLED, REACTED, others_passed=False)) == {AS_WRITTEN}
    assert verdict(TOO_LARGE, REACTED) == GiveUp()


@pytest.mark.parametrize("error", [TOO_LARGE, Refused("400", status=400, errcode="M_BAD_JSON")], ids=str)
def test_what_is_refused_is_said_in_another_way_at_once(error: Refused) -> None:
    assert verdict(error) == TryAgain(seconds=0.0, faults=0, variant=PLAIN)
    assert course(error, others_passed=False) == [AS_WRITTEN, PLAIN, FILE, BEGINNING]


def test_what_we_refuse_ourselves_is_given_up() -> None:
    assert verdict(Refused("encrypted", ours=True)) == GiveUp()


def test_a_file_whose_room_became_encrypted_is_uploaded_anew_and_else_it_is_said_that_it_does_not_come() -> None:
    not_sealed = Refused("encrypted, and the file is not", errcode=NOT_SEALED, ours=True)

    assert verdict(not_sealed, WITH_FILE) == TryAgain(seconds=0.0, faults=1, variant=AS_WRITTEN)
    assert course(not_sealed, WITH_FILE, others_passed=True) == [AS_WRITTEN] * FAULTS + [PLAIN] * FAULTS


def test_a_room_that_forbids_it_is_asked_for_a_while() -> None:
    attempt, waited = FIRST, 0.0
    while isinstance(found := verdict(FORBIDDEN, attempt), TryAgain):
        assert found.variant == AS_WRITTEN
        attempt, waited = replace(attempt, faults=found.faults), waited + found.seconds

    assert found == GiveUp()
    assert waited == FORBIDDEN_SECONDS * (FORBIDDEN_TRIES - 1) >= 20


def test_a_reaction_that_is_there_already_is_no_trouble() -> None:
    assert verdict(Refused("400", status=400, errcode="M_DUPLICATE_ANNOTATION"), REACTED) == NothingToDo()
