"""What /help says, what whoever uses a bot command wrongly reads, and the welcome."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiagentchat.core.access import Role
from aiagentchat.core.ids import UserId
from aiagentchat.render.fences import code_span
from aiagentchat.render.words import person, quoted

PEOPLE_GREETED = 5
"""So many of those who may use the room are named in the welcome; /who names the others."""
_RULE = "@*:"
"""How a rule on everybody on a server begins."""


class Topic(StrEnum):
    """Under what /help names a bot command; in this order."""

    WORK = "while I work"
    AFTERWARDS = "afterwards"
    SESSIONS = "conversations"
    QUESTIONS = "when I ask"
    FILES = "files"
    ROOM = "this room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A bot command, as it is explained."""

    usage: str
    """How it is typed: `/timeout +10m`."""
    summary: str
    """What it does, in a few words."""
    role: Role
    topic: Topic
    examples: Sequence[str]

    @property
    def typed(self) -> str:
        """Its name with a slash."""
        return self.usage.partition(" ")[0]


_FOR = {
    Role.VIEWER: "everybody who is listed here",
    Role.USER: "users and admins of this room",
    Role.ADMIN: "admins of this room",
}


def overview(entries: Sequence[Entry]) -> str:
    """The answer to /help: every name, in so few lines that a phone shows them all."""
    by_topic = {topic: [entry for entry in entries if entry.topic is topic] for topic in Topic}
    lines = [f"- {topic}: {_spans(entry.typed for entry in some)}" for topic, some in by_topic.items() if some]
    return "\n".join(
        [
            "Write what you want done; I run it here and answer. I also know:",
            "",
            *lines,
            "",
            "`/help stop` explains one, `/help all` lists what each does. `!` works in place of `/`.",
        ]
    )


def listing(entries: Sequence[Entry]) -> str:
    """The answer to /help all."""
    return "\n".join(f"- {code_span(entry.usage)} {entry.summary}" for entry in entries)


def explained(entry: Entry) -> str:
    """The answer to /help with the name of a bot command."""
    return (
        f"{code_span(entry.usage)} {entry.summary}.\n\n"
        f"- For example: {_spans(entry.examples, ' · ')}\n"
        f"- For: {_FOR[entry.role]}"
    )


def needs_more(entry: Entry) -> str:
    """A bot command was typed alone, and does nothing alone."""
    return f"{code_span(entry.typed)} alone is not enough, so nothing was done. {_usage(entry)}"


def takes_nothing(entry: Entry, typed: str) -> str:
    """Something stands behind a bot command that takes nothing: was it meant for the agent?"""
    return (
        f"I do not know what {quoted(typed)} behind {code_span(entry.typed)} means, so nothing was done. "
        f"{_usage(entry)} What is for the agent begins with no `/`."
    )


def _usage(entry: Entry) -> str:
    return f"It is used like this: {code_span(entry.usage)}; for example {_spans(entry.examples, ' or ')}."


def _spans(typed: Iterable[str], between: str = " ") -> str:
    return between.join(map(code_span, typed))


# ── the welcome ───────────────────────────────────────────────────────────────────────────────────────────────────


def welcome(folder: str, people: Sequence[UserId], *, only_to: UserId | None, asks: bool) -> str:
    """Said once, when we come into a room of config.yaml. `people` may ask the agent; `asks`: it may not do all.

    `only_to` is our id, where we must be addressed: by its first part, and not by what clients show as our name.
    """
    begin = "" if only_to is None else code_span(f"{only_to[1:].partition(':')[0]}:")
    when = f"If you mention me or begin with {begin}, I run" if begin else "I run"
    first = " Before it does what nobody has allowed, it asks here." if asks else ""
    return (
        f"👋 Hello! {when} what you write here with the agent, in the folder {quoted(folder)}, and answer in this "
        f"room.{first}\n\n"
        f"I work for {_greeted(people)}; `/who` says who may do what. "
        "`/help` shows what else I know, `/stop` ends what runs."
    )


def _greeted(people: Sequence[UserId]) -> str:
    if not people:
        return "nobody yet (the operator adds `users` to this room in config.yaml)"
    more = len(people) - PEOPLE_GREETED
    named = [_person(user) for user in people[:PEOPLE_GREETED]] + ([f"{more} more"] if more > 0 else [])
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _person(user: UserId) -> str:
    return f"everybody on {quoted(user.removeprefix(_RULE))}" if user.startswith(_RULE) else person(user)
