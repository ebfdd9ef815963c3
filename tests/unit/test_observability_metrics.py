"""The list of metrics, and how they are shown."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiagentchat.core.commands import CommandState, TurnRecord
from aiagentchat.core.ids import RoomId
from aiagentchat.core.meters import EndedTurn, nobody_counts
from aiagentchat.observability.metrics import COUNTED, METRICS, NAMESPACE, PROCESS, Level, Meters, Metric

RECORD = TurnRecord(duration_ms=4_000, cost_micro_usd=25_000, input_tokens=100, output_tokens=20)


def turn(state: CommandState = CommandState.DONE, first_text: float | None = 0.7) -> EndedTurn:
    return EndedTurn(room=RoomId("!a:hs"), agent="claude", state=state, record=RECORD, first_text=first_text)


def values(text: bytes) -> dict[str, float]:
    """Each sample with its labels, without the namespace."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix(NAMESPACE + '_')}{{{labels}}}"] = sample.value
    return found


def level_of(metric: Metric) -> Level:
    return {("x",) * len(metric.labels): 1.0} if metric.labels else 1.0


def test_names_are_those_that_prometheus_people_expect() -> None:
    names = [metric.name for metric in (*METRICS, *PROCESS)]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert {metric.name for metric in METRICS if metric.kind == "counter"} == {
        name for name in names if name.endswith("_total") and not name.startswith("process_")
    }
    assert all(metric.help.endswith(".") for metric in METRICS)
    assert all(metric.name.endswith("_seconds") == (metric.kind == "histogram") for metric in COUNTED)


def test_labels_are_few_and_known() -> None:
    labels = {label for metric in METRICS for label in metric.labels}

    assert labels == {"version", "mode", "agent", "room", "state", "outcome", "way", "kind", "status"}


def test_every_metric_of_the_list_is_shown_with_its_help_and_nothing_else() -> None:
    meters = Meters()
    meters.know("kitchen", "claude")
    text = meters.exposed({m.name: level_of(m) for m in METRICS if m not in COUNTED}).decode()
    helps = dict(re.findall(rf"^# HELP {NAMESPACE}_(\w+) (.*)$", text, re.MULTILINE))

    assert helps.keys() == {metric.name for metric in (*METRICS, *PROCESS)}
    assert {name: told for name, told in helps.items() if not name.startswith("process_")} == {
        metric.name: metric.help for metric in METRICS
    }
    assert "_created" not in text


def test_a_turn_that_has_ended_is_counted() -> None:
    meters = Meters()
    meters.turn_ended("kitchen", turn())
    meters.turn_ended("kitchen", turn(CommandState.FAILED, first_text=None))
    shown = values(meters.exposed({}))

    assert shown["turns_total{agent=claude,outcome=done,room=kitchen}"] == 1
    assert shown["turns_total{agent=claude,outcome=failed,room=kitchen}"] == 1
    assert shown["turn_duration_seconds_count{agent=claude,room=kitchen}"] == 2
    assert shown["turn_duration_seconds_sum{agent=claude,room=kitchen}"] == 8
    assert shown["turn_first_text_seconds_count{agent=claude,room=kitchen}"] == 1
    assert shown["turn_first_text_seconds_bucket{agent=claude,le=0.5,room=kitchen}"] == 0
    assert shown["turn_first_text_seconds_bucket{agent=claude,le=1.0,room=kitchen}"] == 1
    assert shown["cost_usd_total{agent=claude,room=kitchen}"] == 0.05
    assert shown["tokens_total{agent=claude,room=kitchen,way=in}"] == 200
    assert shown["tokens_total{agent=claude,room=kitchen,way=out}"] == 40


def test_an_agent_that_says_nonsense_breaks_nothing() -> None:
    meters = Meters()
    nonsense = TurnRecord(duration_ms=1, cost_micro_usd=-5, input_tokens=-1, output_tokens=-1)
    meters.turn_ended(
        "kitchen", EndedTurn(room=RoomId("!a:hs"), agent="claude", state=CommandState.FAILED, record=nonsense)
    )

    assert values(meters.exposed({}))["cost_usd_total{agent=claude,room=kitchen}"] == 0


def test_a_room_that_is_known_begins_at_zero() -> None:
    meters = Meters()
    meters.know("kitchen", "claude")
    meters.know("kitchen", "claude")
    shown = values(meters.exposed({}))

    assert {name: value for name, value in shown.items() if name.startswith("turns_total")} == {
        f"turns_total{{agent=claude,outcome={state},room=kitchen}}": 0
        for state in ("done", "failed", "cancelled", "timed_out")
    }
    assert shown["tokens_total{agent=claude,room=kitchen,way=out}"] == 0


def test_levels_are_those_of_the_moment() -> None:
    meters = Meters()
    before = values(meters.exposed({"commands": {("queued",): 3, ("running",): 1}, "sync_restarts_total": 2}))
    after = values(meters.exposed({"commands": {("running",): 2}}))

    assert before["commands{state=queued}"] == 3
    assert before["sync_restarts_total{}"] == 2
    assert [name for name in after if name.startswith(("commands", "sync"))] == ["commands{state=running}"]


def test_a_level_that_is_not_in_the_list_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="unheard_of"):
        Meters().exposed({"unheard_of": 1})


def test_two_daemons_of_one_process_count_apart() -> None:
    one, other = Meters(), Meters()
    one.turn_ended("kitchen", turn())

    assert "kitchen" not in other.exposed({}).decode()


def test_nobody_need_count() -> None:
    nobody_counts(turn())
