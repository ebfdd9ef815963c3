"""`/metrics`: what the daemon knows about itself, in the text format of Prometheus.

docs/reference/http.md has the names. No label holds a room, a person or a caller: their number has no limit.
"""

from collections.abc import Mapping

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)

from aiagentchat.gateway.vitals import Vitals

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
PREFIX = "aiagentchat_"

disable_created_metrics()  # type: ignore[no-untyped-call] # each answer makes its own counter: when says nothing


def exposed(vitals: Vitals, answers: Mapping[int, int], streams: int) -> bytes:
    """The text."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(PREFIX + name, text, registry=registry).set(value)

    def by_state(name: str, text: str, values: Mapping[str, int]) -> None:
        family = Gauge(PREFIX + name, text, ["state"], registry=registry)
        for state, value in values.items():
            family.labels(state).set(value)

    build = Gauge(f"{PREFIX}build", "Always 1; the version is a label.", ["version"], registry=registry)
    build.labels(vitals.version).set(1)
    gauge("uptime_seconds", "Since the daemon was ready.", vitals.uptime)
    gauge("sync_age_seconds", "Since the homeserver was last heard; -1: never.", _or_never(vitals.sync_age))
    gauge("sync_failures", "Syncs that have failed in a row.", vitals.sync_failures)
    gauge("parcels_waiting", "Parcels in the outbox that are not sent.", vitals.waiting)
    gauge("rate_limited", "1 while the homeserver's limit holds parcels back.", int(vitals.limited))
    gauge("sealed_events", "Messages whose key is missing.", vitals.sealed)
    gauge("store_works", "0 while nothing can be written.", int(vitals.store_works))
    gauge("turns_running", "Turns that run now.", vitals.runs)
    gauge("history_position", "The newest place in the history.", vitals.history_position)
    gauge("gateway_streams", "Streams of /events that are open.", streams)
    by_state("commands", "Commands that are known, by their state.", vitals.commands)
    by_state("messages", "Messages that were accepted and are known, by their state.", vitals.messages)
    family = Counter(f"{PREFIX}gateway_answers", "Answers of the gateway, by status.", ["status"], registry=registry)
    for status, count in answers.items():
        family.labels(str(status)).inc(count)
    return generate_latest(registry)


def _or_never(age: float | None) -> float:
    return -1.0 if age is None else age
