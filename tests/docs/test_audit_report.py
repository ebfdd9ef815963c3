"""docs/reference/audit-report.md is what the rigs and the doctor have found, as it is in bench/results."""

import json
import re

from aiagentchat.doctor.attacks import ATTACKS
from rig.audit_report import DOCTOR, FAULTS, FAULTS_ENCRYPTED, PAGE, TORTURE, page, stored
from rig.setup import ROOT

PARTS = [json.loads(file.read_text(encoding="utf-8")) for file in (DOCTOR, FAULTS, FAULTS_ENCRYPTED, TORTURE)]


def test_the_page_is_what_the_command_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == stored()


def test_the_doctor_was_asked_in_strict_as_an_ordinary_user_and_tried_attacks_that_there_are() -> None:
    rows = {row["id"]: row for row in PARTS[0]["rows"]}
    groups = {attack.id.partition(".")[0] for attack in ATTACKS}

    assert "kept apart by strict" in rows["isolation.chosen"]["detail"]
    assert "uid 0," not in rows["machine.user"]["detail"]
    assert {id_ for id_ in rows if id_.partition(".")[0] in groups} <= {attack.id for attack in ATTACKS}


def test_nothing_of_the_machine_stands_in_it() -> None:
    said = json.dumps(PARTS[0])

    assert str(ROOT) not in said
    assert re.findall(r"/(?:tmp|home|root|work|var)/[\w.-]+", said) == []


def test_what_was_violated_is_listed() -> None:
    doctor, plain, sealed, torture = PARTS
    text = page(doctor, {**plain, "violations": ["a message was lost"]}, sealed, torture)

    assert text.endswith("### Violations\n\n- a message was lost\n")
    assert "1 violation |" in text
