"""Every sentence that a room, or the agent, reads about questions with more answers than yes and no."""

from collections.abc import Mapping, Sequence

from aiagentchat.core.approvals import Rule, Scope
from aiagentchat.core.ids import UserId
from aiagentchat.render.fences import code_span
from aiagentchat.render.words import count, person, quoted

# ── how a question is answered: always its last line ──────────────────────────────────────────────────────────────

ALLOWS_ONCE = "✅ allows it once"
ALLOWS_IN_WORDS = "To allow it once, reply `yes`"
TAP_ONE = "Tap a number"
REPLY_ONE = "Reply with a number"
"""How those lines begin."""
MANY_TAPS = "for each that you want, then ✅"

TOO_MANY = (
    "The room was not asked, so this was denied: too many questions have been asked in this turn, or for too long. End "
    "the turn, and say what you would need."
)
"""For the agent, as the reason of a denial."""

_NO_REACTIONS = "Reactions do not count in this room."
_SCOPES: Mapping[Scope, str] = {
    Scope.COMMAND: "this exact command",
    Scope.FILE: "{tool} on this exact file",
    Scope.REQUEST: "exactly this request",
}


def _always(scope: Scope, tool: str) -> str:
    return _SCOPES[scope].format(tool=quoted(tool))


def tool_answers(scope: Scope, tool: str, *, minutes: int, request: str) -> str:
    """To a question about a tool; `request` names what was asked."""
    return (
        f"{ALLOWS_ONCE}, ♾️ allows {_always(scope, tool)} until this conversation ends, ❌ denies it. Or reply `yes`, "
        "`always`, or `no` and why; or `/approve`, `/approve always`, `/deny reason` (or with `!`). "
        f"Unanswered in {minutes} min it is denied. Request {code_span(request)}."
    )


def tool_answers_in_words(scope: Scope, tool: str, *, minutes: int, request: str) -> str:
    """The same, in a room where reactions answer nothing."""
    return (
        f"{ALLOWS_IN_WORDS} to this message, or write `/approve`; `always` (`/approve always`) allows "
        f"{_always(scope, tool)} until this conversation ends; to deny it, reply `no` and why, or write "
        f"`/deny reason`. {_NO_REACTIONS} Unanswered in {minutes} min it is denied. Request {code_span(request)}."
    )


def choice_answers(*, many: bool, minutes: int, in_words: bool) -> str:
    """To a question with choices."""
    reply = "numbers (`1,3`)" if many else "one (`2`)"
    if in_words:
        how = f"{REPLY_ONE}{' or more (`1,3`)' if many else ''}, or in your own words. {_NO_REACTIONS}"
    elif many:
        how = f"{TAP_ONE} {MANY_TAPS}; or reply with {reply}, or in your own words."
    else:
        how = f"{TAP_ONE}, or reply with {reply}, or in your own words."
    return f"{how} `/deny` gives no answer. After {minutes} min the agent goes on without one."


def plan_answers(*, minutes: int, in_words: bool, request: str) -> str:
    """To a plan."""
    how = f"{REPLY_ONE}" if in_words else f"{TAP_ONE} (✅ is 1, ❌ is 3), or reply with one"
    no_reactions = f" {_NO_REACTIONS}" if in_words else ""
    return (
        f"{how}; whatever else you reply is what the plan lacks, and the agent goes on planning.{no_reactions} "
        f"Unanswered in {minutes} min nothing is carried out. Request {code_span(request)}."
    )


# ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────────

PLAN_OPTIONS = (
    "carry it out",
    "carry it out, and do not ask about edits of files until this turn ends",
    "keep planning",
)
PLAN_TITLE = "📋 **This is the agent's plan. May it be carried out?**"


def choice_title(header: str, number: int, of: int) -> str:
    """The first line of a question with choices; `header` is Markdown, and may be empty."""
    place = f" ({number} of {of})" if of > 1 else ""
    return f"❓ **The agent asks**{place}{f': {header}' if header else ''}"


def left_out(lines: int, characters: int) -> str:
    """Stands where the middle of something long is missing."""
    return f"✂️ {count(lines, 'line')} ({count(characters, 'character')}) are left out here."


def whole_in_file(name: str) -> str:
    """Before what is shown of something long."""
    return (
        f"📎 Only a part of it is shown here. The whole of it is the file above, {quoted(name)}: read that before you "
        "answer. If there is no such file, say no."
    )


def file_caption(name: str) -> str:
    """What goes with that file."""
    return f"{name}: what the question below is about, whole."


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

ALWAYS_WORDS = ("always",)
"""What a reply may say in the place of ♾️."""
POLITE_WORDS = ("please", "thanks", "thank you", "go ahead", "do it", "once")
"""What may follow a yes, and changes nothing in it."""

YES_AND_MORE = (
    "This says yes and more, and I cannot hold the agent to the rest, so it decided nothing and the question is still "
    "open. Reply `yes` alone, or `no` and what you want instead."
)
NEITHER_YES_NOR_NO = (
    "I do not know that word, so it decided nothing and the question is still open. Reply `yes`, or `no` and why; more "
    "words than one count as a no, and the agent reads them."
)
NO_ALWAYS = "♾️ is no answer to this question, which comes once, so it decided nothing and the question is still open."
CHOOSE_A_NUMBER = (
    "This question has choices, so that was no answer to it and it is still open: reply to it with a number, or in "
    "your own words, or write `/approve 2`."
)
TICK_FIRST = (
    "You have tapped no number on this question (or not one that it has), so it is still open. Tap each that you want, "
    "then ✅; to have it tapped once more, take the ✅ away first."
)
APPROVE_FORMS = (
    "That is no answer that I know, so nothing was decided. `/approve` allows it once, `/approve always` until the "
    "conversation ends, `/approve 2` chooses, `/approve none` takes back what was allowed always. With the name of a "
    "request in front (`/approve 3fa9c1d2 always`) it is about that one."
)


def no_such_choice(most: int, *, many: bool) -> str:
    """A number that is no choice, or more of them than one may choose."""
    one = "numbers" if many else "one number"
    return (
        f"This question takes {one} from 1 to {most}, or an answer in your own words, so that was no answer to it and "
        "it is still open."
    )


def allowed_always(by: UserId, rule: str) -> str:
    """Somebody said ♾️; `rule` is Markdown."""
    return (
        f"✅ Allowed by {person(by)}, and from now on without a question until this conversation ends: {rule}. "
        "`/approve none` takes it back."
    )


def rule_used(by: UserId | None) -> str:
    """A quiet line below that of the tool."""
    who = f" by {person(by)}" if by is not None else ""
    return f"♾️ not asked about: allowed until this conversation ends{who}"


def rules_ended(number: int) -> str:
    """The answer to /approve none."""
    if number == 0:
        return "Nothing was allowed here for a whole conversation, so nothing changed."
    return f"Taken back: {count(number, 'thing')} that was allowed until the conversation ends is asked about again."


def answered_with(by: UserId, said: Sequence[str]) -> str:
    """Somebody chose, in words."""
    return f"✅ Answered by {person(by)}: {', '.join(quoted(each) for each in said)}."


def plan_allowed(by: UserId, *, accept_edits: bool) -> str:
    """Somebody said yes to a plan."""
    edits = " Edits of files are not asked about until this turn ends." if accept_edits else ""
    return f"✅ The plan was allowed by {person(by)}.{edits}"


def plan_denied(by: UserId, reason: str) -> str:
    """Somebody said no to a plan."""
    because = f": {quoted(reason)}" if reason.strip() else ""
    return f"❌ {person(by)} wants the plan changed{because}. Nothing was carried out, and the agent was told."


def not_answered_by(by: UserId, reason: str) -> str:
    """Somebody does not want to answer."""
    because = f": {quoted(reason)}" if reason.strip() else ""
    return f"❌ {person(by)} gives no answer{because}. The agent was told."


def choice_expired(minutes: int) -> str:
    """Nobody chose."""
    return f"⏱ Nobody answered in {minutes} min, so the agent goes on without an answer."


def plan_expired(minutes: int) -> str:
    """Nobody answered to a plan."""
    return f"⏱ Nobody answered in {minutes} min, so the plan is not carried out. The agent was told."


MOST_RULES = 5
"""So many rules are listed; of the rest it is said how many there are."""


def rules_listed(rules: Sequence[Rule]) -> list[str]:
    """What is allowed without a question, for /status."""
    lines = [
        f"- ♾️ Not asked about: {rule.shown or '(its text was deleted)'}, by {person(rule.by or UserId('?'))}"
        for rule in rules[:MOST_RULES]
    ]
    more = len(rules) - MOST_RULES
    if more > 0:
        lines.append(f"- ♾️ … and {more} more")
    return [*lines, "- `/approve none` takes that back"] if lines else []


# ── for the agent ─────────────────────────────────────────────────────────────────────────────────────────────────

NO_CHOICE_MADE = "Nobody in the room answered in time. Decide yourself where that does no harm, or do without it."
PLAN_NOT_ANSWERED = "Nobody in the room answered in time, so the plan is not carried out. End your turn with the plan."


def no_answer_for_agent(by: UserId | None, reason: str) -> str:
    """Somebody does not want to answer."""
    who = f"{by} in the room" if by else "The room"
    return f"{who} does not want to answer this: {reason}" if reason.strip() else f"{who} does not want to answer this."


def keep_planning(by: UserId | None, reason: str) -> str:
    """Somebody wants another plan."""
    who = f"{by} in the room" if by else "The room"
    why = f": {reason}" if reason.strip() else ", and has not said what it lacks: ask"
    return f"{who} does not want this plan carried out yet{why}. Keep planning; nothing may be changed until then."
