"""What a room reads about who else is there."""

from collections.abc import Sequence

from aiagentchat.core.instances import Instance, InstanceKind
from aiagentchat.core.meta import Address
from aiagentchat.render.session_words import ago
from aiagentchat.render.words import person, quoted

SHOWN = 12
"""So many instances are named: an answer fits on a phone."""
FORGOTTEN_MS = 7 * 24 * 3_600_000
"""Who was away for longer is not named."""


def instances(entries: Sequence[tuple[Instance, bool]], own: Address, now: int) -> str:
    """Who is in the registry: those that are there, ours first, then those that were, the last seen first."""

    def place(pair: tuple[Instance, bool]) -> tuple[bool, int]:
        entry, is_there = pair
        return not is_there, entry.user != own.user if is_there else -entry.seen_at

    known = [pair for pair in entries if pair[1] or now - pair[0].seen_at <= FORGOTTEN_MS]
    shown = sorted(known, key=place)[:SHOWN]
    lines = [_there(entry, own) if is_there else _away(entry, own, now) for entry, is_there in shown]
    more = len(known) - SHOWN
    rest = [f"- … and {more} more"] if more > 0 else []
    return "\n".join(["Agents that can be asked:", "", *(f"- {line}" for line in lines), *rest])


def _there(entry: Instance, own: Address) -> str:
    skills = ", ".join(quoted(skill) for skill in entry.skills)
    return f"{_who(entry, own)}: {entry.status}" + (f"; {skills}" if skills else "")


def _away(entry: Instance, own: Address, now: int) -> str:
    return f"{_who(entry, own)}: offline, seen {ago(max(0, now - entry.seen_at))}"


def _who(entry: Instance, own: Address) -> str:
    """Name, account, kind and host; of one of our own account no account, since everybody here knows it."""
    account = "" if entry.user == own.user else f" of {person(entry.user)}"
    kind = "this daemon" if entry.address == own else _KINDS[entry.kind]
    host = f" on {quoted(entry.host)}" if entry.host else ""
    return f"**{quoted(entry.name)}**{account}, {kind}{host}"


_KINDS = {InstanceKind.DAEMON: "a daemon", InstanceKind.SESSION: "a session"}
