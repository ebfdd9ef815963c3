"""Writes deploy/grafana: two dashboards for Grafana.

    python -m rig.dashboards        # after a change here

`tests/docs` compares the files with what this makes, and `tests/ship` runs every expression on a real Prometheus.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from string import ascii_uppercase
from typing import TypeAlias

from grafana_foundation_sdk.builders import logs, loki, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana"
METRICS = DataSourceRef(type_val="prometheus", uid="${metrics}")
LOGS = DataSourceRef(type_val="loki", uid="${logs}")
WIDTH = 24
"""Of a dashboard, in columns."""
HERE = 'instance=~"$instance"'
"""Which daemons are looked at …"""
TURNS = f'{HERE},room=~"$room",agent=~"$agent"'
"""… and which of their turns."""
TURNS_DONE = TURNS + ',outcome="done"'
RATE = "[$__rate_interval]"
AT_A_TIME = "[$__range]"

Made: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | logs.Panel
KINDS: Mapping[str, Callable[[], Made]] = {
    "lines": lambda: timeseries.Panel().legend(VizLegendOptions().show_legend(True)),
    "number": lambda: stat.Panel().text_mode(BigValueTextMode.AUTO),
    "name": lambda: stat.Panel().text_mode(BigValueTextMode.NAME),
    "table": lambda: table.Panel().show_header(True),
    "log": lambda: logs.Panel().show_time(True),
}

Query: TypeAlias = tuple[str, str]
"""An expression, and what its lines are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    told: str
    """What it says, and when that is bad."""
    queries: Sequence[Query]
    unit: str = "short"
    wide: int = 8
    kind: str = "lines"
    """One of `KINDS`."""


def m(name: str, labels: str = HERE) -> str:
    """A metric of ours, of those that are looked at."""
    return f"aiagentchat_{name}{{{labels}}}"


def share(of: float, name: str) -> str:
    """So much of what a histogram has seen was below that, by room."""
    return f"histogram_quantile({of}, sum by (room, le) (rate({m(name + '_bucket', TURNS)}{RATE})))"


def gone(name: str, by: str) -> str:
    """By how much a counter of turns has risen in the time that is looked at."""
    return f"sum by ({by}) (increase({m(name, TURNS)}{AT_A_TIME}))"


_ENDED = f"sum(increase({m('turns_total', TURNS)}{AT_A_TIME}))"
_DONE = f"sum(increase({m('turns_total', TURNS_DONE)}{AT_A_TIME}))"
GOOD = f"{_DONE} / {_ENDED}"
AUDIT = '{service_name="aiagentchat"} | json | event="audit.line" | line_format "{{.kind}} {{.actor}} in {{.room}}"'

OPERATIONS: Mapping[str, Sequence[Panel]] = {
    "Is it there": [
        Panel(
            title="Scraped",
            told="0: nobody answers.",
            queries=[('up{job="aiagentchat",' + HERE + "}", "{{instance}}")],
            wide=4,
            kind="number",
        ),
        Panel(
            title="Ready",
            told="1: a message that comes now would be answered.",
            queries=[(m("ready"), "{{instance}}")],
            wide=4,
            kind="number",
        ),
        Panel(
            title="Runs for",
            told="",
            queries=[(m("uptime_seconds"), "{{instance}}")],
            unit="s",
            wide=4,
            kind="number",
        ),
        Panel(
            title="Version and isolation",
            told="What runs are kept in.",
            queries=[(m("build_info"), "{{version}}"), (m("isolation_info"), "{{mode}}")],
            wide=4,
            kind="name",
        ),
        Panel(
            title="Homeserver heard ago",
            told="Beyond three minutes it is away.",
            queries=[(m("sync_age_seconds"), "{{instance}}")],
            unit="s",
        ),
    ],
    "What waits": [
        Panel(title="Commands that wait", told="By room.", queries=[(m("queued_commands"), "{{room}}")]),
        Panel(
            title="Oldest command waits for",
            told="By room.",
            queries=[(m("oldest_queued_age_seconds"), "{{room}}")],
            unit="s",
        ),
        Panel(
            title="Outbox",
            told="Parcels that are not sent, and how long the oldest waits.",
            queries=[(m("parcels_waiting"), "parcels"), (m("oldest_parcel_age_seconds"), "age of the oldest, s")],
        ),
        Panel(
            title="Homeserver's limit",
            told="Answers with 429 in five minutes, and whether it holds parcels back now.",
            queries=[
                (f"increase({m('rate_limit_refusals_total')}[5m])", "429"),
                (m("rate_limited"), "holds back"),
            ],
        ),
        Panel(
            title="Messages whose key is missing",
            told="Of the last day.",
            queries=[(m("sealed_events"), "{{instance}}")],
        ),
        Panel(
            title="Lost and found",
            told="Syncs that fail in a row; how often in an hour the homeserver came back, and writing had to wait.",
            queries=[
                (m("sync_failures"), "syncs that fail"),
                (f"increase({m('sync_restarts_total')}[1h])", "homeserver came back"),
                (f"increase({m('store_stalls_total')}[1h])", "writing waited"),
                (f"1 - {m('store_works')}", "cannot write"),
            ],
        ),
    ],
    "What runs": [
        Panel(
            title="Turns and processes",
            told="Turns that run, and processes of agents that live.",
            queries=[(m("turns_running"), "turns"), (m("runs_warm"), "processes")],
        ),
        Panel(title="Agents' programs", told="0: cannot be started.", queries=[(m("agent_there"), "{{agent}}")]),
        Panel(
            title="Cut short",
            told="Seconds since a turn was last cut short, by room.",
            queries=[(f"time() - {m('last_interrupted_timestamp_seconds')}", "{{room}}")],
            unit="s",
        ),
        Panel(title="Commands", told="By state.", queries=[(m("commands"), "{{state}}")]),
        Panel(
            title="Memory",
            told="Of the daemon itself, without its runs.",
            queries=[(m("process_resident_memory_bytes"), "{{instance}}")],
            unit="bytes",
        ),
        Panel(
            title="Processor and files",
            told="Of the daemon itself.",
            queries=[
                (f"rate({m('process_cpu_seconds_total')}{RATE})", "processors"),
                (f"{m('process_open_fds')} / {m('process_max_fds')}", "share of open files"),
            ],
        ),
        Panel(
            title="Starts",
            told="How often in a day the daemon was started.",
            queries=[(f"changes({m('process_start_time_seconds')}[1d])", "{{instance}}")],
        ),
    ],
    "Between agents, and at the door": [
        Panel(title="Messages to others", told="By state.", queries=[(m("messages"), "{{state}}")]),
        Panel(
            title="Who is there",
            told="Instances of the registry, and rooms in which agents wait for a person.",
            queries=[(m("instances_alive"), "instances"), (m("halted_rooms"), "halted rooms")],
        ),
        Panel(
            title="Refused in the last hour",
            told="By what was tried.",
            queries=[(m("refused_attempts"), "{{kind}}")],
        ),
        Panel(
            title="Gateway",
            told="Answers a second, by status, and open streams.",
            queries=[
                (f"rate({m('gateway_answers_total')}{RATE})", "{{status}}"),
                (m("gateway_streams"), "streams"),
            ],
        ),
        Panel(
            title="History",
            told="Messages a second.",
            queries=[(f"rate({m('history_position')}{RATE})", "{{instance}}")],
        ),
    ],
}

CONVERSATIONS: Mapping[str, Sequence[Panel]] = {
    "In the time that is shown": [
        Panel(
            title="Turns",
            told="That have ended.",
            queries=[(_ENDED, "turns")],
            wide=6,
            kind="number",
        ),
        Panel(
            title="Came to a good end",
            told="Of all that have ended.",
            queries=[(GOOD, "done")],
            unit="percentunit",
            wide=6,
            kind="number",
        ),
        Panel(
            title="Cost",
            told="As the agent says; under a subscription nobody pays it.",
            queries=[(f"sum(increase({m('cost_usd_total', TURNS)}{AT_A_TIME}))", "USD")],
            unit="currencyUSD",
            wide=6,
            kind="number",
        ),
        Panel(
            title="Tokens",
            told="To the model, and from it.",
            queries=[(gone("tokens_total", "way"), "{{way}}")],
            wide=6,
            kind="number",
        ),
        Panel(
            title="By room and agent",
            told="Rooms that were made in chat are one together.",
            queries=[
                (gone("turns_total", "room, agent"), "turns"),
                (gone("cost_usd_total", "room, agent"), "cost"),
                (gone("tokens_total", "room, agent"), "tokens"),
                (gone("turn_duration_seconds_sum", "room, agent"), "seconds"),
            ],
            wide=WIDTH,
            kind="table",
        ),
    ],
    "Turns": [
        Panel(
            title="How they end",
            told="In an hour.",
            queries=[(f"sum by (outcome) (increase({m('turns_total', TURNS)}[1h]))", "{{outcome}}")],
        ),
        Panel(
            title="How long they take",
            told="Half of them, and 19 of 20, take less.",
            queries=[
                (share(0.5, "turn_duration_seconds"), "{{room}}, half"),
                (share(0.95, "turn_duration_seconds"), "{{room}}, 19 of 20"),
            ],
            unit="s",
        ),
        Panel(
            title="How soon they say something",
            told="The same, up to the first words.",
            queries=[
                (share(0.5, "turn_first_text_seconds"), "{{room}}, half"),
                (share(0.95, "turn_first_text_seconds"), "{{room}}, 19 of 20"),
            ],
            unit="s",
        ),
    ],
    "What they use": [
        Panel(
            title="Cost by room",
            told="In an hour.",
            queries=[(f"sum by (room) (increase({m('cost_usd_total', TURNS)}[1h]))", "{{room}}")],
            unit="currencyUSD",
        ),
        Panel(
            title="Cost by agent",
            told="In an hour.",
            queries=[(f"sum by (agent) (increase({m('cost_usd_total', TURNS)}[1h]))", "{{agent}}")],
            unit="currencyUSD",
        ),
        Panel(
            title="Tokens by room",
            told="In an hour.",
            queries=[(f"sum by (room, way) (increase({m('tokens_total', TURNS)}[1h]))", "{{room}} {{way}}")],
        ),
    ],
    "Who did what": [
        Panel(
            title="Audit",
            told="Who asked, was refused, approved, stopped or changed what: ids, and never what was written.",
            queries=[(AUDIT, "")],
            wide=WIDTH,
            kind="log",
        ),
    ],
}


def operations() -> Dashboard:
    """For whoever keeps it running."""
    return _filled(_begun("aiagentchat-operations", "aiagentchat: operations"), OPERATIONS)


def conversations() -> Dashboard:
    """For whoever wants to know what it is used for."""
    made = _begun("aiagentchat-conversations", "aiagentchat: conversations")
    for name in ("room", "agent"):
        made = made.with_variable(_among(name, "aiagentchat_turns_total"))
    made = made.with_variable(DatasourceVariable("logs").label("Logs").type("loki"))
    return _filled(made, CONVERSATIONS)


DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {"operations": operations, "conversations": conversations}
"""By the names of their files."""


def written(name: str) -> str:
    """As it stands in the file."""
    return JSONEncoder(sort_keys=True, indent=2).encode(DASHBOARDS[name]().build()) + "\n"


def expressions(language: str = "promql") -> Iterator[str]:
    """Every one of both."""
    for rows in (OPERATIONS, CONVERSATIONS):
        for panels in rows.values():
            for panel in panels:
                if (panel.kind == "log") == (language == "logql"):
                    yield from (expression for expression, _ in panel.queries)


def _begun(uid: str, title: str) -> Dashboard:
    return (
        Dashboard(title)
        .uid(uid)
        .tags(["aiagentchat"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("metrics").label("Metrics").type("prometheus"))
        .with_variable(_among("instance", "aiagentchat_build_info"))
    )


def _among(name: str, metric: str) -> QueryVariable:
    """What is looked at: everything, unless somebody chooses."""
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(METRICS)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _filled(made: Dashboard, rows: Mapping[str, Sequence[Panel]]) -> Dashboard:
    number = count(1)
    for title, panels in rows.items():
        made = made.with_row(Row(title).id(next(number)))
        for panel in panels:
            made = made.with_panel(_panel(panel).id(next(number)))
    return made


def _panel(said: Panel) -> Made:
    panel = KINDS[said.kind]().title(said.title).description(said.told).span(said.wide).height(8)
    if said.kind == "log":
        return panel.datasource(LOGS).with_target(loki.Dataquery().expr(said.queries[0][0]).ref_id("A"))
    panel = panel.datasource(METRICS).unit(said.unit).min(0)
    for ref, (expression, legend) in zip(ascii_uppercase, said.queries, strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref)
        query = query.range() if said.kind == "lines" else query.instant()
        panel = panel.with_target(query.format(PromQueryFormat.TABLE) if said.kind == "table" else query)
    return panel.transformations(_one_table(said)) if said.kind == "table" else panel


def _one_table(said: Panel) -> list[DataTransformerConfig]:
    """The answers to several questions side by side, called as those are."""
    names = {f"Value #{ref}": legend for ref, (_, legend) in zip(ascii_uppercase, said.queries, strict=False)}
    return [
        DataTransformerConfig(id_val="merge", options={}),
        DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": names}),
    ]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in DASHBOARDS:
        (FOLDER / f"{each}.json").write_text(written(each), encoding="utf-8")
