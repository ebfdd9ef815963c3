"""Judges a room from its timeline and the run log, without a look at the daemon. Pure.

The rules, for each message that was typed:

1. It has exactly one outcome: an answer, a report, or a refusal ("queue is full"). None is L, two are R.
2. An answer is every word once, in order, then the footer, and ✅. The daemon writes the footer in the same transaction
   as the turn's end, so an answer with a footer is one that it knows to be whole: with a report beside it, it is R.
3. A report is the sentence about a restart, or a sentence about a failure. What was said before it is a beginning of
   the answer, up to all of it, without a footer (below a failure there is one); nothing about the message follows a
   report about a restart. All of the text and a report is right when the daemon could not know that the turn was over:
   the run log has no end of it, or the daemon died within COMMIT_WITHIN seconds of that end, or was kept from writing
   at that time. Otherwise it is R.
4. Its turn begins at most once (T), and never when it was refused (B).
5. In a room the turns begin in the order in which the messages stand there (T), and all that is said about a message
   stands before anything that is said about the next one (R).
6. Nothing that the bot says stands there twice as an answer to the same event, and nothing is about a message that was
   not typed here, or was judged before (R).
7. In an encrypted room the homeserver reads no words of the bot (S), and the person reads all of them (R).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rig.conversation import Event
from rig.faults.evidence import DONE, Heard, Typed, hear
from rig.faults.run_log import RunLog

SEALED = "m.room.encrypted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was not kept."""

    invariant: str
    """Its letter: L lost, T run twice, R answer lost or doubled, B bound, A the others go on, S a secret told."""
    room: str
    event: str
    seen: str

    def __str__(self) -> str:
        return f"{self.invariant}: room {self.room}, event {self.event}: {self.seen}"


def judge(
    room: str, events: Sequence[Event], bot: str, log: RunLog, *, asked_again: Mapping[str, int] | None = None
) -> list[Violation]:
    """Everything that is wrong in a room where all is quiet. `asked_again`: how often /retry was asked for, by name."""
    heard = hear(events, bot)
    found = [(typed.event, *pair) for typed in heard.typed for pair in _one(typed, log, asked_again or {})]
    found += [*_doubled(heard), *_order_of_turns(heard, log), *_order_of_answers(heard)]
    return [Violation(room=room, event=event, invariant=letter, seen=seen) for event, letter, seen in found]


def judge_seals(room: str, as_sent: Sequence[Event], in_clear: Sequence[Event], bot: str) -> list[Violation]:
    """What is wrong in an encrypted room: these are its events as they were sent, and as the person reads them."""
    told = [
        (event, "S", "the homeserver can read this message")
        for event in as_sent
        if event["sender"] == bot and "body" in (event.get("content") or {})
    ]
    unread = [
        (event, "R", "the person's client cannot read this message")
        for event in in_clear
        if event["sender"] == bot and event["type"] == SEALED and event.get("content")
    ]
    return [
        Violation(invariant=letter, room=room, event=event["event_id"], seen=seen)
        for event, letter, seen in told + unread
    ]


def _one(typed: Typed, log: RunLog, asked_again: Mapping[str, int]) -> list[tuple[str, str]]:
    """What is wrong about one message: the letter, and a sentence."""
    name = typed.asked.name
    turns = log.of(name)
    found: list[tuple[str, str]] = []
    if len(turns) > 1 + asked_again.get(name, 0):
        begun = ", ".join(f"{turn.begun:.3f} (pid {turn.pid})" for turn in turns)
        found.append(("T", f"the turn of {name} began {len(turns)} times: {begun}"))
    if typed.refusals:
        return found + _refused(typed, begun=bool(turns))
    if typed.restarts or typed.failures:
        return found + _reported(typed, log)
    return found + _answered(typed, begun=bool(turns))


def _refused(typed: Typed, *, begun: bool) -> list[tuple[str, str]]:
    name, found = typed.asked.name, []
    if len(typed.refusals) > 1:
        found.append(("R", f"{name} was refused {len(typed.refusals)} times"))
    if begun or typed.pages or typed.restarts or typed.failures:
        found.append(("B", f"{name} was refused because the queue is full, and was taken all the same"))
    return found


def _answered(typed: Typed, *, begun: bool) -> list[tuple[str, str]]:
    name, said = typed.asked.name, typed.numbers
    if not typed.closed:
        ran = "its turn began" if begun else "its turn never began"
        return [("L", f"{name} was neither answered nor reported: {ran}, {_what_is_there(said, typed.asked.words)}")]
    if not begun:
        return [("R", f"{name} has an answer, but no turn of it ever began")]
    if not typed.whole:
        return [("R", f"the answer to {name} is not the one that was given: {_what_is_wrong(typed)}")]
    if typed.marks not in ([], [DONE]):  # under a rate limit a mark comes late, or never
        return [("R", f"{name} was answered, and the marks on it are {typed.marks}")]
    return []


def _reported(typed: Typed, log: RunLog) -> list[tuple[str, str]]:
    name, said = typed.asked.name, typed.numbers
    reports = len(typed.restarts) + len(typed.failures)
    found = []
    if reports > 1:
        found.append(("R", f"{name} was reported {reports} times"))
    if typed.restarts and typed.closed:
        found.append(("R", f"{name} was both answered and reported as interrupted"))
    if said != list(range(1, len(said) + 1)):
        found.append(("R", f"what was said about {name} before the report is no beginning: {_what_is_wrong(typed)}"))
    found += [
        ("R", f"{name} was reported, but its turn had ended well at {turn.ended:.3f}, and that could be written down")
        for turn in log.of(name)
        if turn.completed and log.was_written_down(turn)
    ]
    if len(typed.marks) > 1 or DONE in typed.marks:
        found.append(("R", f"{name} was reported, and the marks on it are {typed.marks}"))
    if typed.reported_at and max(typed.places) > typed.reported_at[-1]:
        found.append(("R", f"more was said about {name} after it was reported as interrupted"))
    return found


def _doubled(heard: Heard) -> list[tuple[str, str, str]]:
    again = [(message.reply_to, "R", f"{message.id} says again: {message.body[:80]!r}") for message in heard.twice]
    strays = [
        (message.id, "R", f"nothing that was typed here asks for {message.body[:80]!r}") for message in heard.strays
    ]
    return again + strays


def _order_of_turns(heard: Heard, log: RunLog) -> list[tuple[str, str, str]]:
    events = {typed.asked.name: typed.event for typed in heard.typed}
    place = {name: index for index, name in enumerate(events)}
    begun = list(dict.fromkeys(turn.name for turn in log.turns if turn.name in place))
    return [
        (events[later], "T", f"the turn of {later} began after that of {earlier}, which was typed after it")
        for earlier, later in pairwise(begun)
        if place[later] < place[earlier]
    ]


def _order_of_answers(heard: Heard) -> list[tuple[str, str, str]]:
    spoken = [typed for typed in heard.typed if typed.places]
    return [
        (later.event, "R", f"{later.asked.name} was answered before all was said about {earlier.asked.name}")
        for earlier, later in pairwise(spoken)
        if min(later.places) < max(earlier.places)
    ]


def _what_is_there(said: Sequence[int], words: int) -> str:
    return f"{len(said)} of {words} words are there" if said else "nothing was said about it"


def _what_is_wrong(typed: Typed) -> str:
    said, words = typed.numbers, typed.asked.words
    missing = sorted(set(range(1, words + 1)) - set(said))
    doubled = sorted({number for number in said if said.count(number) > 1})
    parts = [f"{len(said)} of {words} words"]
    parts += [f"missing {_few(missing)}"] if missing else []
    parts += [f"doubled {_few(doubled)}"] if doubled else []
    parts += ["out of order"] if said != sorted(said) else []
    return ", ".join(parts)


def _few(numbers: Sequence[int], most: int = 5) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return f"{shown} … ({len(numbers)} words)" if len(numbers) > most else shown
