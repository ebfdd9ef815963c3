"""What a raid proves, and what follows from all rows."""

import pytest

from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.attacks import ATTACKS, Attack, Proof
from aiagentchat.doctor.judge import Report, Sighting, has_worked, judge, summary
from aiagentchat.doctor.rows import Row, Verdict, as_values, exit_code, fail, ok, unknown, warn

SECRET = "leak-1"
BY_ID = {attack.id: attack for attack in ATTACKS}
SEEN, TOUCHED, WORD = BY_ID["room.read"], BY_ID["room.chmod"], BY_ID["kernel.userns"]


def sighting(
    attack: Attack, *, isolation: Isolation = Isolation.STRICT, did: bool = False, saw: str = "", touched: bool = False
) -> Sighting:
    """A raid of one attack."""
    report = Report(did=did, saw=saw, error="" if did else "Permission denied")
    return Sighting(
        isolation=isolation,
        reports={attack.id: report},
        touched=frozenset({attack.id} if touched else ()),
        secrets=frozenset({SECRET}),
    )


WORKED = {
    Proof.SEEN: {"did": True, "saw": f"x{SECRET}y"},
    Proof.TOUCHED: {"touched": True},
    Proof.WORD: {"did": True},
}


@pytest.mark.parametrize(
    ("attack", "seen", "worked"),
    [
        (SEEN, {"did": True, "saw": f"x{SECRET}y"}, True),
        (SEEN, {"did": True, "saw": "something else"}, False),
        (SEEN, {"did": True}, False),
        (TOUCHED, {"did": True}, False),
        (TOUCHED, {"did": False, "touched": True}, True),
        (WORD, {"did": True}, True),
        (WORD, {"did": False}, False),
        (WORD, {"did": False, "saw": SECRET}, True),
    ],
)
def test_the_word_of_the_raid_counts_only_where_nobody_else_can_see(
    attack: Attack, seen: dict[str, bool | str], worked: bool
) -> None:
    assert has_worked(attack, sighting(attack, **seen)) is worked  # type: ignore[arg-type]


@pytest.mark.parametrize("attack", [SEEN, TOUCHED, WORD])
@pytest.mark.parametrize(
    ("inside", "bare", "verdict"),
    [(False, True, Verdict.OK), (False, False, Verdict.NOT_APPLICABLE), (True, True, Verdict.FAIL)],
)
def test_an_attack_is_ok_only_if_it_is_stopped_and_works_elsewhere(
    attack: Attack, inside: bool, bare: bool, verdict: Verdict
) -> None:
    yes = WORKED[attack.proof]
    row = judge(
        attack,
        sighting(attack, **(yes if inside else {})),  # type: ignore[arg-type]
        sighting(attack, isolation=Isolation.NONE, **(yes if bare else {})),  # type: ignore[arg-type]
    )

    assert (row.id, row.verdict) == (attack.id, verdict)
    assert bool(row.fix) is inside


def test_an_attack_that_works_inside_fails_even_if_it_did_not_work_outside() -> None:
    row = judge(WORD, sighting(WORD, did=True), sighting(WORD, isolation=Isolation.NONE))

    assert row.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("attack", "isolation", "verdict"),
    [
        (TOUCHED, Isolation.LANDLOCK, Verdict.WARN),
        (SEEN, Isolation.LANDLOCK, Verdict.FAIL),
        (TOUCHED, Isolation.USERS, Verdict.FAIL),
        (SEEN, Isolation.NONE, Verdict.WARN),
    ],
)
def test_what_is_known_of_an_isolation_is_a_warning(attack: Attack, isolation: Isolation, verdict: Verdict) -> None:
    worked = sighting(attack, isolation=isolation, **WORKED[attack.proof])  # type: ignore[arg-type]

    assert judge(attack, worked, worked).verdict is verdict


OK, NA, WARN, FAIL = (
    ok("a.b", "Well."),
    unknown("c.d", "?"),
    warn("e.f", "Hm.", "Look."),
    fail("g.h", "No.", "Mend it."),
)


@pytest.mark.parametrize(
    ("rows", "code"), [([], 0), ([OK], 0), ([OK, NA], 0), ([WARN, OK], 10), ([OK, FAIL, WARN], 20)]
)
def test_the_exit_code_is_that_of_the_worst_row(rows: list[Row], code: int) -> None:
    assert exit_code(rows) == code


def test_values_for_machines_have_three_keys_and_the_fix_in_the_detail() -> None:
    assert as_values([OK, FAIL]) == [
        {"id": "a.b", "verdict": "ok", "detail": "Well."},
        {"id": "g.h", "verdict": "fail", "detail": "No. Mend it."},
    ]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([OK, OK], "2 attacks: 0 leaks"),
        ([OK, FAIL], "2 attacks: 1 leak"),
        (
            [WARN, FAIL, NA],
            "3 attacks: 2 leaks (1 of them known of this isolation, 1 not possible on this machine anyway)",
        ),
    ],
)
def test_the_summary_counts_leaks(rows: list[Row], text: str) -> None:
    assert summary(rows) == text
