"""The registry behind `observability/metrics.py`: the half that knows the library."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

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
from aiagentchat.observability.metrics import (
    COST,
    COUNTED,
    DURATION,
    FIRST_TEXT,
    METRICS,
    NAMESPACE,
    TOKENS,
    TURNS,
    Level,
    Levels,
    Metric,
)

MICRO = 1_000_000
_OUTCOMES = MOVES[CommandState.RUNNING] - {CommandState.INTERRUPTED}
"""Of turns that are counted. One that was cut short is told by another life, in which it would never have been 0."""
_LEVELS = {metric.name: metric for metric in METRICS if metric not in COUNTED}

disable_created_metrics()  # type: ignore[no-untyped-call] # counters begin with the daemon, which process_start_time says


class Exposition:
    """The numbers of one daemon."""

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
        """As `Meters.know`, and so the next two."""
        for state in _OUTCOMES:
            self._turns.labels(room, agent, state.value)
        for way in ("in", "out"):
            self._tokens.labels(room, agent, way)
        for metric in (self._cost, self._duration, self._first_text):
            metric.labels(room, agent)

    def turn_ended(self, room: str, turn: EndedTurn) -> None:
        """Count it."""
        record = turn.record  # as the agent says: a counter that is told to fall would raise
        self._turns.labels(room, turn.agent, turn.state.value).inc()
        self._duration.labels(room, turn.agent).observe(record.duration_ms / 1000)
        if turn.first_text is not None:
            self._first_text.labels(room, turn.agent).observe(turn.first_text)
        self._cost.labels(room, turn.agent).inc(max(0, record.cost_micro_usd) / MICRO)
        self._tokens.labels(room, turn.agent, "in").inc(max(0, record.input_tokens))
        self._tokens.labels(room, turn.agent, "out").inc(max(0, record.output_tokens))

    def exposed(self, levels: Levels) -> bytes:
        """All of it."""
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
