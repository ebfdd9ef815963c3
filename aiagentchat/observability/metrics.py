"""Every metric there is, with its help text, on a registry of its own.

Two kinds of numbers meet here. What happens in this life of the daemon and is kept nowhere is counted (`Meters`); what
the ledger or a part of the daemon knows anyway is asked for when somebody scrapes, and handed over as `Levels`.

Labels are few and bounded: a room by its name in config.yaml, an agent by its name there, states and kinds that the
code lists. No person, no caller, no id, and nothing that anybody has written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from aiagentchat.core.meters import EndedTurn

if TYPE_CHECKING:
    from aiagentchat.observability.exposition import Exposition

NAMESPACE = "aiagentchat"
MADE = "(made in chat)"
"""What all rooms are called together that are not in config.yaml: whoever makes one chooses its name."""

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]
Level: TypeAlias = float | Mapping[tuple[str, ...], float]
"""A number, or one for each value of the labels."""
Levels: TypeAlias = Mapping[str, Level]
"""By the name of the metric, without the namespace."""


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
    Metric(
        "rate_limit_refusals_total", "counter", "How often the homeserver has answered with 429, whatever was asked."
    ),
    Metric("sealed_events", "gauge", "Messages of the last day whose key is missing."),
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


class Meters:
    """The numbers of this daemon."""

    @cached_property
    def _exposition(self) -> "Exposition":
        """The library takes a moment to load; the gateway does it in a thread, before anybody asks."""
        from aiagentchat.observability.exposition import Exposition

        return Exposition()

    def know(self, room: str, agent: str) -> None:
        """Show zeros for it: what is first seen at 1 has never risen, for who looks at how much it has."""
        self._exposition.know(room, agent)

    def turn_ended(self, room: str, turn: EndedTurn) -> None:
        """Count it; `room` is what the room is called in labels."""
        self._exposition.turn_ended(room, turn)

    def exposed(self, levels: Levels) -> bytes:
        """All of it in the text format of Prometheus. A level that nobody gives is not shown."""
        return self._exposition.exposed(levels)
