"""What the demo's daemon keeps its runs in, as one line for the person who tries it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.render.words import isolation_warning

_MODES = {
    Isolation.STRICT: "strict (bubblewrap). What the agent runs sees only this room and the machine's programs.",
    Isolation.USERS: "users. What the agent runs is a user of its own; it sees this room and the machine's programs.",
    Isolation.NONE: "none. What the agent runs can do whatever you can on this machine. Only for yourself.",
}


def isolation_line(log: Iterable[Mapping[str, Any]]) -> str:
    """The mode, what it does not stop, and what would give strict; from the events of the daemon's log."""
    events = list(log)
    chosen = next(event for event in events if event.get("event") == "isolation.chosen")
    missing = next((event for event in events if _is_about_strict(event)), None)
    return f"{_mode(chosen)}{_for_strict(missing) if missing else ''}"


def _is_about_strict(event: Mapping[str, Any]) -> bool:
    return event.get("event") == "isolation.not_possible" and event.get("isolation") == Isolation.STRICT


def _mode(chosen: Mapping[str, Any]) -> str:
    held = Held(Isolation(chosen["isolation"]), int(chosen["landlock_abi"]))
    warning = isolation_warning(held)
    if warning is None or held.isolation is Isolation.NONE:
        return f"Isolation: {_MODES[held.isolation]}"
    what = warning.partition(": ")[2]
    return f"Isolation: {held.isolation}. {what[:1].upper()}{what[1:]}"


def _for_strict(missing: Mapping[str, Any]) -> str:
    fix = " ".join(line.strip() for line in missing["fix"])
    why = str(missing["why"])
    if why == "bubblewrap is not installed":
        return f" For strict: {fix}"
    return f" For strict: {fix} ({why})" if fix else f" Strict does not work here: {why}"
