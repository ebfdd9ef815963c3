"""What a room reads after a time away: a restart, an outage, a removal from the room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiagentchat.core.approvals import ASK_USER, LEAVE_PLAN
from aiagentchat.core.commands import CommandState
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.render.fences import code_span
from aiagentchat.render.hygiene import one_line, visible
from aiagentchat.render.words import count, duration, person

_QUOTE_LIMIT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that was typed, as far as it is quoted."""

    at: int
    """Milliseconds since the epoch."""
    by: UserId
    text: str


def _moments(first: int, last: int) -> tuple[str, str]:
    """Two moments in the time zone of this machine; with the day where it is not the same one."""
    begin, end = (datetime.fromtimestamp(each / 1000).astimezone() for each in (first, last))
    form = "%H:%M" if begin.date() == end.date() else "%a %H:%M"
    return begin.strftime(form), end.strftime(form)


def _said(said: Said) -> str:
    when, _ = _moments(said.at, said.at)
    return f"{when} {person(said.by)}: {code_span(one_line(visible(said.text), _QUOTE_LIMIT))}"


# ── a restart ─────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(milliseconds: int) -> str:
    """A crash or restart cut the turn short after so long."""
    return (
        f"Interrupted by a restart after {duration(milliseconds)}; what it did is unknown, and it was not run again. "
        "Look at what is there; `/retry` runs it again."
    )


RESUME_ANSWERS = "✅ goes on and allows exactly this once, ❌ drops it (or reply `yes`, `no`; or `/approve`, `/deny`)."
"""The last line of the question whether to go on."""
AS_ASKED_ABOVE = "(exactly as it was asked further up)"


RESUME_CHOICE_ANSWERS = (
    "✅ goes on, and the agent asks again, ❌ drops it (or reply `yes`, `no`; or `/approve`, `/deny`)."
)
"""The same, where the agent had asked the room something: a yes is no answer to that."""


def resume_question(request: str, asker: UserId, *, who: str = "", asks_again: bool = False) -> str:
    """The daemon was restarted while a person was asked; `request` is Markdown that shows what about.

    `who` says who has asked for the turn and who may answer, where it was not a person.
    """
    told = "Interrupted by a restart while this waited for an answer; nothing of it was run."
    who = who or f"Asked for by {person(asker)}. They may answer, and the admins of this room."
    answers = RESUME_CHOICE_ANSWERS if asks_again else RESUME_ANSWERS
    return f"{told}\n\n{request}\n\n{who}\n\n{answers}"


def resumed_for_agent(tool: str, request: str, text: str) -> str:
    """What the agent reads when somebody said yes after a restart.

    With all that it needs: it may have lost the end of the conversation, or all of it.
    """
    if tool == ASK_USER:
        return (
            "The program that runs you was restarted while your question to the room was open, so nobody answered it. "
            "Ask it again if you still need the answer, then go on with what you were doing. Check first what is done "
            f"already.\n\nThe question:\n\n{request}\n\n"
            f"The message that you were working on:\n\n{text or '(no longer known)'}"
        )
    if tool == LEAVE_PLAN:
        return (
            "The program that runs you was restarted while the room was asked about your plan. Somebody in the room "
            "has now approved it: carry it out. If you are in plan mode, leave it first, with exactly that plan, and "
            f"you are not asked again.\n\nThe plan:\n\n{request}\n\n"
            f"The message that you were working on:\n\n{text or '(no longer known)'}"
        )
    return (
        f"The program that runs you was restarted while you waited for permission to use {tool}. It was not run. "
        "Somebody in the room has now allowed that one request: make it again exactly as it was, then go on with "
        f"what you were doing. Check first what is done already.\n\nThe request:\n\n{request}\n\n"
        f"The message that you were working on:\n\n{text or '(no longer known)'}"
    )


WAITS_FOR_RESTART = "Queued: I am about to be restarted, and run this afterwards."
NOTHING_TO_RETRY = (
    "Nothing here was interrupted, failed, timed out or was stopped since it was last run again, so there is nothing "
    "to retry. Send the message again."
)
NOT_YOURS_TO_RETRY = (
    "What could be run again here was asked for by others, and only they and the admins of this room may do that, so "
    "nothing was run. Send the message yourself."
)
NOT_TO_RETRY = (
    "What you reply to can not be run again: it came to a good end, runs or waits now, or was run again since. "
    "Send the message again."
)
RETRY_ERASED = "The text of what failed last is no longer kept, so it was not run. Send the message again."

_WHY_AGAIN: Mapping[CommandState, str] = {
    CommandState.INTERRUPTED: "was interrupted",
    CommandState.FAILED: "failed",
    CommandState.TIMED_OUT: "timed out",
    CommandState.CANCELLED: "was stopped",
}
_NOT_BEGUN = "was not begun"


def retrying(said: Said, state: CommandState, *, was_begun: bool = True) -> str:
    """The answer to /retry."""
    why = _WHY_AGAIN[state] if was_begun else _NOT_BEGUN
    return f"Running {'again ' if was_begun else ''}what {why}: {_said(said)}"


def which_to_retry(said: Sequence[Said]) -> str:
    """The answer to /retry with what is no number of these, the newest of which is the first."""
    lines = [f"{number}. {_said(each)}" for number, each in enumerate(said, 1)]
    intro = "Nothing was run. `/retry` runs the first of these again, `/retry 2` the second; or reply to one with it."
    return "\n".join([intro, "", *lines])


# ── an outage ─────────────────────────────────────────────────────────────────────────────────────────────────────


def caught_up(number: int, first: int, last: int) -> str:
    """Before the answers to what was typed while we were away (moments in milliseconds)."""
    begin, end = _moments(first, last)
    when = begin if begin == end else f"{begin}–{end}"
    return f"I was away: answering {count(number, 'message')} from {when}."


OFFER_ANSWERS = "✅ runs "
"""How the last line of an offer begins."""


def offer(said: Sequence[Said], total: int) -> str:
    """What was typed too long ago, or was too much, to be run unasked; only the first of it is quoted."""
    lines = [f"- {_said(each)}" for each in said]
    lines += [f"- … and {total - len(said)} more"] if total > len(said) else []
    was, it, them = ("this was", "it", "it") if total == 1 else (f"these {total} were", "them in this order", "them")
    intro = f"I was away, and {was} not run: too long ago, or more than the queue holds."
    return "\n".join([intro, "", *lines, "", f"{OFFER_ANSWERS}{it}, ❌ drops {them} (or reply `yes` or `no`)."])


def dropped(number: int) -> str:
    """No to an offer of so many messages, or (0) to going on after a restart."""
    return "Dropped: it does not go on." if number == 0 else f"Dropped: {count(number, 'message')} will not be run."


def offer_erased(number: int) -> str:
    """A yes that came when the text was gone."""
    gone = "1 message is" if number == 1 else f"{number} messages are"
    return f"The text of {gone} no longer here (taken back, or kept for too long), so that was not run."


QUESTION_TOO_OLD = "This question has expired, so nothing was run. Send the message again if it is still needed."
RUN_AGAIN_ALREADY = "That message was run again by `/retry` meanwhile, so this question is closed."
ANSWER_UNSEEN = (
    "The question that is open came into the room after you wrote this, so it is not answered by it. "
    "Read it, and answer it then."
)
ANSWER_TOO_LATE = (
    "You wrote this while I was away, so it decided nothing: since then something else may have been asked. "
    "Answer what is open now; a reaction on a question is always about that question."
)
ALLOW_TOO_LATE = (
    "You wrote this while I was away, so nobody was let in by it. Write it again if it is still meant; "
    "`/allow remove` counts, however late it comes."
)
EDIT_TOO_LATE = (
    "This already runs, so your edit changed nothing. Send it as a message of its own, or `/stop` what runs first."
)
UNREADABLE = (
    "I could not read this message: it has no text in the form that Matrix asks for. Nothing was run. "
    "Send it again as plain text, perhaps with another client."
)


_WHY_SEALED: Mapping[str, str] = {
    "m.unverified": "the app gives keys only to devices that it trusts, and does not trust mine",
    "m.blacklisted": "the app was told to give my device no keys",
    "m.unauthorised": "the app says that I may not read them",
    "m.unavailable": "the app has no key for them itself",
    "m.no_olm": "the app could not build a connection to my device",
    "later_key": "the app gave me a key for later messages only",
    "unknown_device": "the homeserver does not know the device that wrote them; perhaps it was logged out",
    "foreign_key": (
        "I have the key from somebody else's device only, who may have had it from the one that wrote this, or wrote it"
    ),
    "backup_only": (
        "I have the key out of the backup only, where whoever operates the homeserver can have put it, so anybody may "
        "have written this"
    ),
    "broken": "what came fits no key, or is encrypted in a way that I do not know",
}
_HELP_SEALED: Mapping[str, str] = {
    "m.unverified": (
        "The operator sees with `aiagentchat keys status` whether my device is signed, as such apps ask; or allow it "
        "in the app (in Element: no “exclude insecure devices”)"
    ),
    "m.blacklisted": "Take my device off the blocked ones",
    "m.no_olm": "Restart the app",
    "unknown_device": "Look in the app whether your device is still logged in",
    "broken": "Another app, or a newer one, may do better",
}
_NOT_ASKED_FOR = ("broken",)
"""Where another key is of no use."""


def sealed(number: int, sender: UserId, why: str) -> str:
    """Encrypted messages that could not be read for a minute; `why` is a word of `core.seals.WHY`."""
    what, it = ("1 message", "it") if number == 1 else (f"{number} messages", "them")
    if why == "unsigned_device":
        return (
            f"I do not believe {what} of {person(sender)}: the device that wrote {it} is not verified by its owner, as "
            f"this room asks. Nothing of {it} was run. If it is yours, verify it with another device of yours or with "
            f"your recovery key; I answer when I see that. If it is not, somebody else has got into the account: log "
            "that device out, and change the password."
        )
    if why == "unheard_devices":
        return (
            f"I cannot answer {what} of {person(sender)}: the homeserver has not told me yet which devices they have, "
            f"so anybody may have written {it}. Nothing of {it} was run. I ask again, and answer when I am told; where "
            "a room asks for it, the device must be verified by its owner, too."
        )
    reason = _WHY_SEALED.get(why, "the app did not give me the key, and said nothing about it")
    help_ = _HELP_SEALED.get(why, "Keep the app open for a moment")
    asked = "" if why in _NOT_ASKED_FOR else "I have asked for the key, and answer as soon as it comes. "
    return (
        f"I cannot read {what} of {person(sender)}: {reason}. Nothing of {it} was run. {asked}{help_}; then send again "
        "what matters."
    )


def unsealed_too_late(sender: UserId, at: int) -> str:
    """The key came when the message was too old to be acted upon."""
    when, _ = _moments(at, at)
    return (
        f"The key for this message of {person(sender)} from {when} has come only now. It is too old, so it was not "
        "run: send it again if it is still needed."
    )


def not_heard(first: int, last: int) -> str:
    """A part of the timeline could not be read (moments in milliseconds; 0: nobody knows since when)."""
    begin, end = _moments(first or last, last)
    when = f"between {begin} and {end}" if first else f"before {end}"
    return (
        f"I could not read what was written here {when}: the homeserver did not give it to me. "
        "None of it was run; send again what is still needed."
    )


def room_replaced(new: RoomId | None) -> str:
    """The room has a tombstone."""
    where = f" by {code_span(new)}" if new else ""
    return (
        f"This room was replaced{where}. I do not follow by myself: the operator puts the new room's id in place of "
        "this one's in config.yaml, runs `aiagentchat reload`, and somebody invites me there."
    )
