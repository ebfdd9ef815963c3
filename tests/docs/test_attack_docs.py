"""docs/reference/attacks.md lists the attacks that are tried, and nothing else."""

import re
from pathlib import Path

from aiagentchat.doctor.attacks import ATTACKS, RAIDED, Attack
from aiagentchat.doctor.raid import main, tools  # noqa: F401 - the main module registers the attacks

PAGE = (Path(__file__).parents[2] / "docs/reference/attacks.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+\.\w+)` \| ([^|]+) \| (\w+) \| ([^|]*?) ?\|$", PAGE, re.MULTILINE)


def row(attack: Attack) -> tuple[str, str, str, str]:
    """As the page has it."""
    return attack.id, attack.tries, attack.proof, ", ".join(f"`{one}`" for one in sorted(attack.weak))


def test_the_page_lists_exactly_the_attacks_there_are() -> None:
    assert [row(attack) for attack in ATTACKS] == ROWS


def test_there_are_enough_of_them_and_no_two_share_an_id() -> None:
    assert len(RAIDED) >= 49
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)


def test_the_raid_carries_out_exactly_what_the_doctor_asks_for() -> None:
    assert tools.ATTACKS.keys() == {attack.id for attack in RAIDED}


def test_every_attack_says_what_it_would_mean_and_what_to_do() -> None:
    assert [attack.id for attack in ATTACKS if not (attack.leak.endswith(".") and attack.fix.endswith("."))] == []
