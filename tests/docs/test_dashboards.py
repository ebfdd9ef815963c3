"""deploy/grafana is what rig/dashboards.py makes, of metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.observability.metrics import METRICS, NAMESPACE, PROCESS

dashboards = pytest.importorskip("rig.dashboards", reason="grafana-foundation-sdk is in requirements-dev.txt")
ROOT = Path(__file__).parents[2]


def known() -> set[str]:
    """What may be asked for."""
    found = {each.name for each in (*METRICS, *PROCESS)}
    for each in METRICS:
        if each.kind == "histogram":
            found |= {f"{each.name}_{part}" for part in ("bucket", "sum", "count")}
    return found


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_the_file_is_what_the_code_makes(name: str) -> None:
    assert (dashboards.FOLDER / f"{name}.json").read_text(encoding="utf-8") == dashboards.written(name)


def test_there_is_no_other_file() -> None:
    assert {file.stem for file in dashboards.FOLDER.glob("*.json")} == set(dashboards.DASHBOARDS)


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_every_panel_has_a_place_of_its_own_and_a_source_that_can_be_chosen(name: str) -> None:
    made: dict[str, Any] = json.loads(dashboards.written(name))
    places = [tuple(panel["gridPos"][key] for key in "xyhw") for panel in made["panels"]]
    sources = {panel["datasource"]["uid"] for panel in made["panels"] if panel["type"] != "row"}

    assert len(set(places)) == len(places) == len({panel["id"] for panel in made["panels"]})
    assert all(panel["options"] for panel in made["panels"] if panel["type"] != "row")
    assert all(x + width <= dashboards.WIDTH for x, _, _, width in places)
    assert sources <= {"${metrics}", "${logs}"}
    assert {each["name"] for each in made["templating"]["list"]} >= {source.strip("${}") for source in sources}


def test_only_metrics_that_there_are_are_asked_for() -> None:
    asked = set(re.findall(rf"{NAMESPACE}_(\w+)", " ".join(dashboards.expressions())))

    assert asked <= known()


def test_every_metric_is_in_a_picture_or_says_how_many_others_there_were() -> None:
    asked = " ".join(dashboards.expressions())

    assert {each.name for each in METRICS if f"{NAMESPACE}_{each.name}" not in asked} == set()


def test_no_log_shows_what_people_wrote() -> None:
    [audit] = dashboards.expressions("logql")

    assert 'event="audit.line"' in audit
    assert not re.search(r"\.(text|body|content|detail|subject)\b", audit)
