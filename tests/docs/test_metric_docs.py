"""docs/reference/metrics.md lists what /metrics shows, and nothing else."""

import re
from pathlib import Path

from aiagentchat.observability.metrics import METRICS, NAMESPACE, PROCESS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")


def test_the_page_has_every_metric_with_its_kind_its_labels_and_its_help() -> None:
    rows = re.findall(rf"^\| `{NAMESPACE}_(\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", PAGE, re.MULTILINE)
    documented = {(name, kind, tuple(re.findall(r"`(\w+)`", labels)), told) for name, kind, labels, told in rows}

    assert documented == {(each.name, each.kind, each.labels, each.help) for each in (*METRICS, *PROCESS)}
    assert len(rows) == len(documented)


def test_what_else_the_page_names_is_a_metric() -> None:
    names = {each.name for each in (*METRICS, *PROCESS)}

    assert set(re.findall(rf"`{NAMESPACE}_(\w+)", PAGE)) == names


def test_the_guide_names_every_alert_and_the_rules_name_only_metrics() -> None:
    rules = (ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8")
    guide = (ROOT / "docs/how-to/monitor.md").read_text(encoding="utf-8")
    alerts = re.findall(r"^ +- alert: (\w+)$", rules, re.MULTILINE)
    names = {each.name for each in (*METRICS, *PROCESS)}

    assert re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE) == alerts
    assert len(alerts) == 6
    assert set(re.findall(rf"{NAMESPACE}_(\w+)", rules)) <= names
    assert all(
        f"alertname: {alert}" in (ROOT / "deploy/prometheus/alerts.test.yaml").read_text(encoding="utf-8")
        for alert in alerts
    )
