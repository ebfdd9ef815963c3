"""Every metric there is, with its help text, on a registry of its own.

Two kinds of numbers meet here. What happens in this life of the daemon and is kept nowhere is counted (`Meters`); what
the ledger or a part of the daemon knows anyway is asked for when somebody scrapes, and handed over as `Levels`.

Labels are few and bounded: a room by its name in config.yaml, an agent by its name there, states and kinds that the
code lists. No person, no caller, no id, and nothing that anybody has written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from aiagentchat.core.commands import MOVES, CommandState
from aiagentchat.core.meters import EndedTurn

NAMESPACE = "aiagentchat"
MADE = "(made in chat)"
"""What all rooms are called together that are not in config.yaml: whoever makes one chooses its name."""
MICRO = 1_000_000

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]
Level: TypeAlias = float | Mapping[tuple[str, ...], float]
"""A number, or one for each value of the labels."""
Levels: TypeAlias = Mapping[str, Level]
"""By the name of the metric, without the namespace."""

disable_created_metrics()  # type: ignore[no-untyped-call] # counters begin with the daemon, which process_start_time says


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is called, without the namespace, and what it means."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_TURN = ("room", "agent")
_SECONDS_OF_A_TURN = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_SECONDS_TO_TEXT = (0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120)

TURNS = Metric("turns_total", "counter", "Turns that have ended, by how.", (*_TURN, "outcome"))
DURATION = Metric("turn_duration_seconds", "histogram", "How long turns took.", _TURN, _SECONDS_OF_A_TURN)
FIRST_TEXT = Metric(
    "turn_first_text_seconds",
    "histogram",
    "From the start of a turn to its first words; time in which it waited for a person is not counted.",
    _TURN,
    _SECONDS_TO_TEXT,
)
COST = Metric(
    "cost_usd_total", "counter", "What turns cost, as the agent says; under a subscription nobody pays it.", _TURN
)
TOKENS = Metric("tokens_total", "counter", "Tokens of turns, by their way.", (*_TURN, "way"))
COUNTED = (TURNS, DURATION, FIRST_TEXT, COST, TOKENS)
"""As it happens; the rest when somebody asks."""

METRICS: tuple[Metric, ...] = (
    Metric("build_info", "gauge", "Always 1; the version is a label.", ("version",)),
    Metric("isolation_info", "gauge", "Always 1; what runs are kept in is a label.", ("mode",)),
    Metric("uptime_seconds", "gauge", "Since the daemon was ready."),
    Metric("ready", "gauge", "1 while /ready says so."),
    Metric("sync_age_seconds", "gauge", "Since the homeserver was last heard; before that, since the start."),
    Metric("sync_failures", "gauge", "Syncs that have failed in a row."),
    Metric("sync_restarts_total", "counter", "How often the homeserver was lost and came back."),
    Metric("store_works", "gauge", "0 while nothing can be written."),
    Metric("store_stalls_total", "counter", "How often writing had to wait."),
    Metric("agent_there", "gauge", "1 if the agent's program can be started.", ("agent",)),
    Metric("commands", "gauge", "Commands that are known, by their state.", ("state",)),
    Metric("queued_commands", "gauge", "Commands that wait.", ("room",)),
    Metric("oldest_queued_age_seconds", "gauge", "How long the oldest command waits; 0: none does.", ("room",)),
    Metric(
        "last_interrupted_timestamp_seconds", "gauge", "When a turn was last cut short by an end or a crash.", ("room",)
    ),
    Metric("turns_running", "gauge", "Turns that run now."),
    Metric("runs_warm", "gauge", "Processes of agents that live, with a turn or without."),
    *COUNTED,
    Metric("parcels_waiting", "gauge", "Parcels in the outbox that are not sent."),
    Metric("oldest_parcel_age_seconds", "gauge", "How long the oldest parcel waits; 0: none does."),
    Metric("rate_limited", "gauge", "1 while the homeserver's limit holds parcels back."),
    Metric("rate_limit_refusals_total", "counter", "How often the homeserver has answered a parcel with 429."),
    Metric("sealed_events", "gauge", "Messages whose key is missing."),
    Metric("refused_attempts", "gauge", "What was refused in the last hour, by what was tried.", ("kind",)),
    Metric("messages", "gauge", "Messages to others that were accepted and are known, by their state.", ("state",)),
    Metric("halted_rooms", "gauge", "Rooms in which agents wait for a person."),
    Metric("instances_alive", "gauge", "Instances that are there, as the registry says; we are one."),
    Metric("history_position", "gauge", "The newest place in the history."),
    Metric("gateway_streams", "gauge", "Streams of /events that are open."),
    Metric("gateway_answers_total", "counter", "Answers of the gateway, by status.", ("status",)),
)
PROCESS = (
    Metric("process_virtual_memory_bytes", "gauge", "Memory that the daemon has asked for."),
    Metric("process_resident_memory_bytes", "gauge", "Memory that the daemon itself uses, without its runs."),
    Metric("process_start_time_seconds", "gauge", "When the daemon was started."),
    Metric("process_cpu_seconds_total", "counter", "Processor time of the daemon itself."),
    Metric("process_open_fds", "gauge", "Files that the daemon has open."),
    Metric("process_max_fds", "gauge", "How many it may have."),
)
"""Those of the library; the help texts are ours, for the page."""
_LEVELS = {metric.name: metric for metric in METRICS if metric not in COUNTED}


class Meters:
    """The numbers of this daemon."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._turns = self._counter(TURNS)
        self._cost = self._counter(COST)
        self._tokens = self._counter(TOKENS)
        self._duration = self._histogram(DURATION)
        self._first_text = self._histogram(FIRST_TEXT)
        ProcessCollector(namespace=NAMESPACE, registry=self.registry)
        self._levels = _Shown()
        self.registry.register(self._levels)

    def know(self, room: str, agent: str) -> None:
        """Show zeros for it: what is first seen at 1 has never risen, for who looks at how much it has."""
        for state in MOVES[CommandState.RUNNING]:
            self._turns.labels(room, agent, state.value)
        for way in ("in", "out"):
            self._tokens.labels(room, agent, way)
        for metric in (self._cost, self._duration, self._first_text):
            metric.labels(room, agent)

    def turn_ended(self, room: str, turn: EndedTurn) -> None:
        """Count it; `room` is what the room is called in labels."""
        record = turn.record
        self._turns.labels(room, turn.agent, turn.state.value).inc()
        self._duration.labels(room, turn.agent).observe(record.duration_ms / 1000)
        if turn.first_text is not None:
            self._first_text.labels(room, turn.agent).observe(turn.first_text)
        self._cost.labels(room, turn.agent).inc(record.cost_micro_usd / MICRO)
        self._tokens.labels(room, turn.agent, "in").inc(record.input_tokens)
        self._tokens.labels(room, turn.agent, "out").inc(record.output_tokens)

    def exposed(self, levels: Levels) -> bytes:
        """All of it in the text format of Prometheus. A level that nobody gives is not shown."""
        self._levels.now = levels
        return generate_latest(self.registry)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(
            metric.name,
            metric.help,
            metric.labels,
            namespace=NAMESPACE,
            registry=self.registry,
            buckets=metric.buckets,
        )


class _Shown:
    """A collector of what was handed over."""

    def __init__(self) -> None:
        self.now: Levels = {}

    def collect(self) -> Iterator[Family]:
        """The families, in the order of the list."""
        for name in sorted(self.now, key=list(_LEVELS).index):  # a name that is not in the list is a mistake of ours
            yield _family(_LEVELS[name], self.now[name])

    def describe(self) -> Iterable[Family]:
        """Nothing is known before somebody asks."""
        return ()


def _family(metric: Metric, level: Level) -> Family:
    name = f"{NAMESPACE}_{metric.name}"
    labels: Sequence[str] = metric.labels
    family: CounterMetricFamily | GaugeMetricFamily = (
        CounterMetricFamily(name, metric.help, labels=labels)
        if metric.kind == "counter"
        else GaugeMetricFamily(name, metric.help, labels=labels)
    )
    values = level if isinstance(level, Mapping) else {(): level}
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family
