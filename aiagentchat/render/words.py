"""Every sentence that a room can read.

A sentence says what happened, what was and was not done, and what to do next. It is Markdown; what people typed
(names, commands) goes into it as code, so that it cannot look like anything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import assert_never

from aiagentchat.core.access import Grant, Hindrance, Role
from aiagentchat.core.agent_events import Failure
from aiagentchat.core.errors import AgentDied, AppError
from aiagentchat.core.health import GatewayHealth, GatewayState
from aiagentchat.core.ids import RoomId, SessionId, UserId
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.core.power import MOST_LEVEL
from aiagentchat.render.fences import close_open, code_span
from aiagentchat.render.hygiene import one_line, visible

_NAME_LIMIT = 80
_MICROS = 1_000_000
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def duration(milliseconds: int) -> str:
    """How long something took: ``0.4 s``, ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if milliseconds < _MINUTE * 1000:
        tenths = milliseconds // 100
        return f"{tenths // 10}.{tenths % 10} s"
    seconds = milliseconds // 1000
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def period(seconds: int) -> str:
    """A length that somebody set: ``45 seconds``, ``5 minutes``, ``2 hours``."""
    for unit, name in ((_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= unit and seconds % unit == 0:
            return count(seconds // unit, name)
    return count(seconds, "second")


def about(seconds: float) -> str:
    """A length as one says it: ``45 s``, ``2 min``, ``1 h 20 min``, ``2 d 3 h``; never more than it is."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    return duration(whole * 1000)


def moment(milliseconds: int, now: int) -> str:
    """When something will be, the same for everybody in the room: ``at 2026-11-21 10:27 UTC (in 2 h 13 min)``."""
    when = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return f"at {when:%Y-%m-%d %H:%M} UTC (in {about(max(0, milliseconds - now) / 1000)})"


def count(number: int, noun: str) -> str:
    """``1 message``, ``3 messages``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def money(micro_usd: int) -> str:
    """Millionths of a dollar as ``$0.0132`` or, from one dollar on, ``$12.30``."""
    places = 4 if micro_usd < _MICROS else 2
    unit = 10 ** (6 - places)
    rounded = (micro_usd + unit // 2) // unit
    return f"${rounded // 10**places}.{rounded % 10**places:0{places}}"


def tokens(number: int) -> str:
    """``950 tokens``, ``4.2k tokens``, ``1.3M tokens``."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            tenths = number * 10 // unit
            return f"{tenths // 10}.{tenths % 10}{letter} tokens"
    return count(number, "token")


def short(session: SessionId) -> str:
    """A session's id as people see it."""
    return session[:4]


def footer(
    *,
    duration_ms: int,
    cost_micro_usd: int,
    input_tokens: int,
    output_tokens: int,
    session: str,
    is_billed: bool = True,
    files_changed: int | None = None,
) -> str:
    """The last line of an answer. What is not known is left away; under a subscription the price is not paid."""
    parts = [duration(duration_ms)]
    if cost_micro_usd:
        parts.append(money(cost_micro_usd) if is_billed else f"{money(cost_micro_usd)} (API price, not billed)")
    if input_tokens + output_tokens:
        parts.append(tokens(input_tokens + output_tokens))
    if files_changed:
        parts.append(f"{count(files_changed, 'file')} changed")
    return f"— {' · '.join([*parts, f'session {session}'])}"


# ── an answer while it grows ──────────────────────────────────────────────────────────────────────────────────────


TURN_OVER = "✅ Done."
"""Begins the message that ends a long turn: a new one, so that the phone rings."""


def steps_folded(number: int) -> str:
    """What the fold with the tool lines is called."""
    return count(number, "step")


def plan_head(done: int, steps: int, doing: str = "") -> str:
    """The line above a plan, or alone where only what has changed is said."""
    now = f" · now: {doing}" if doing else ""
    return f"**Plan: {done} of {steps} done**{now}"


def plan_more(steps: int) -> str:
    """Under a plan that is too long to be shown whole."""
    return f"- … and {count(steps, 'more step')}"


def thought(text: str) -> str:
    """What the model thinks, as a quotation."""
    return "\n".join(f"> {line}" for line in f"💭 {text}".split("\n"))


def working(seconds: float) -> str:
    """A quiet line: the turn goes on for so long, and there is nothing to show of it."""
    return f"⏳ Working for {about(seconds)}."


def goes_on_in_file(limit: int) -> str:
    """The answer is longer than the room wants to see (KB)."""
    return f"📄 This answer is longer than {limit} KB: all of it comes as a file when it is complete."


def whole_answer(size: int) -> str:
    """The caption of that file (bytes)."""
    return f"📄 The whole answer ({-(-size // 1000)} KB)"


def answer_in_pieces(number: int, *, as_files: bool) -> str:
    """The homeserver does not take that file: all of it follows in other ways."""
    follows = ("file" if as_files else "message") + ("" if number == 1 else "s")
    return (
        "⚠️ The homeserver does not take the file with the whole answer. It may be too large for it, or this account "
        f"may not upload. All of it follows in {number} {follows}; the operator finds the reason in the log."
    )


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def quoted(name: str) -> str:
    """A name that somebody chose, so that it cannot look like anything else."""
    return code_span(one_line(visible(name), _NAME_LIMIT) or "?")


def person(user: UserId) -> str:
    """An id as it is, to the letter and whole: what is not plain ASCII is spelled out, since it may look like it."""
    return code_span(_spelled(user))


def _spelled(user: str) -> str:
    spelled = "".join(char if char.isascii() and char.isprintable() else _escaped(char) for char in user)
    return spelled if len(spelled) <= _ID_LIMIT else f"{spelled[:_ID_LIMIT]}…"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


# ── how a turn ends ───────────────────────────────────────────────────────────────────────────────────────────────

NO_TEXT = "(the agent finished without saying anything)"
NOTHING = "(nothing to show)"

AGENT_DIED = AgentDied.human
NO_KEY = (
    "I have no key for the model, so nothing was run. "
    "The operator sets `ANTHROPIC_API_KEY` (or `CLAUDE_CODE_OAUTH_TOKEN`) and restarts me."
)
NO_BINARY = (
    "I cannot find the Claude Code program, so nothing was run. "
    "The operator installs it, or sets `binary` of this agent in config.yaml."
)
NOT_STARTED = "Claude Code could not be started, so nothing was run. The operator finds the reason in the log."

_FAILURES: Mapping[Failure, str] = {
    Failure.UNKNOWN: "The agent failed and did not say why. What it had done is done; send the message again to retry.",
    Failure.AUTHENTICATION: "The model's API did not accept my key, so there is no answer. The operator must renew it.",
    Failure.BILLING: "The model's API refused over billing (credit used up?). The operator must look at the account.",
    Failure.RATE_LIMIT: "The model's API says that we ask too often, so this was not answered. Try again later.",
    Failure.USAGE_LIMIT: (
        "The usage limit of my account with the model is reached, so this was not answered (to its end). "
        "What was done is done; try again when the limit is lifted."
    ),
    Failure.OVERLOADED: "The model's API is overloaded, so this was not answered. Try again in some minutes.",
    Failure.MODEL: (
        "The model that is set for this room does not exist or may not be used. "
        "An admin sets another one with `/model`, or the operator corrects `model` in config.yaml."
    ),
    Failure.TOO_LONG: (
        "The conversation has grown too long for the model, so this was not answered. "
        "Start a fresh one with `/new_session`."
    ),
    Failure.BUDGET: "The turn reached its budget and was ended there. What was done until then is done.",
    Failure.API: "The model's API failed. What was done until then is done; send the message again to retry.",
}


def too_old(version: str) -> str:
    """This Claude Code does not speak as we do."""
    return f"Claude Code here is too old ({version}), so nothing was run. The operator must update it."


def output_cut(limit: int, file: str | None) -> str:
    """The turn has said more than it may (MiB); `file` keeps what follows, if it could be made."""
    rest = f"What follows is in {code_span(file)} in the workspace." if file else "What follows could not be kept."
    return f"✂️ This answer is longer than {limit} MiB (`max_output`), so the room gets no more of it. {rest}"


def failed(failure: Failure | None) -> str:
    """Why there is no (whole) answer."""
    return _FAILURES[failure or Failure.UNKNOWN]


def timed_out(seconds: int) -> str:
    """The turn's time was over."""
    return (
        f"Stopped: the turn took longer than {period(seconds)}. What it had done until then is done; "
        "the conversation goes on with your next message."
    )


def stopped(by: UserId) -> str:
    """Somebody ended the turn."""
    return (
        f"Stopped by {person(by)}. What was done until then is done; the conversation goes on with your next message."
    )


# ── what a run may use and reach ──────────────────────────────────────────────────────────────────────────────────

_LIMITS: Mapping[str, str] = {
    "processes": "it had more than {most} processes and threads at once",
    "memory": "it used more than {most} MiB of memory",
    "file_size": "a file that it wrote reached {most} MiB",
    "workspace_size": "the workspace, with the agent's own folder, outgrew {most} MiB",
    "output": "the agent's program wrote more than {most} MiB in it",
}
"""By the name of the field of `RunLimits`."""
_HOSTS_KEY = "`network_hosts` of this room in config.yaml (and sets `network: allowlist`, where it is `api` now)"
OTHER_HOSTS_BLOCKED = f"🚧 More hosts were refused; I do not name them all. The operator allows hosts in {_HOSTS_KEY}."


def limit_reached(limit: str, most: int) -> str:
    """The turn was ended because it had used all that it may; `limit` is the name of a field of `RunLimits`."""
    what = _LIMITS.get(limit, "it may use no more than {most}").format(most=most)
    tidy = "have something deleted, or " if limit == "workspace_size" else ""
    return (
        f"This turn was ended: {what} ({code_span('limits.' + limit)} of this room). What it had done until then is "
        f"done; the conversation goes on with your next message. If that was too little, {tidy}ask the operator to "
        "raise the limit."
    )


IN_THE_CLEAR = (
    "🔓 This room is encrypted, and this message was not, so nothing was done: whoever runs a homeserver could have "
    "written it. Send it again from a client that encrypts."
)


def rests(seconds: float) -> str:
    """It was not the first turn in a row that was ended so."""
    wait = duration(round(seconds * 1000))
    return f"It was not the first in a row, so the next turn here waits {wait}: the other rooms share this machine."


def waits(seconds: float) -> str:
    """In answer to a message while the room rests."""
    wait = duration(round(seconds * 1000))
    return f"Queued; it begins in {wait}: the last turns here had reached limits, and the other rooms come first."


def host_blocked(host: str) -> str:
    """Something here wanted to reach a host that the room may not."""
    return (
        f"🚧 Something here wanted to reach {quoted(host)}, which this room may not, so it was refused. "
        f"To allow it, the operator adds it to {_HOSTS_KEY}."
    )


# ── the time of a turn ────────────────────────────────────────────────────────────────────────────────────────────

NO_TURN_TO_TIME = "Nothing is running here, so there is no time to change."
NOT_YOURS_TO_TIME = (
    "Only admins of this room, and whoever asked for what runs now, may change its time, so nothing was changed."
)
_TIMEOUT_FORMS = "`/timeout +10m` gives the running turn ten minutes more, `/timeout 1h` sets what it may take in all"


def last_minute(seconds: float) -> str:
    """The turn is stopped after so long."""
    return f"⏱ This turn is stopped in {about(seconds)}. `/timeout +10m` gives it ten minutes more."


def time_left(limit: float, left: float, *, stands: bool) -> str:
    """The answer to /timeout alone."""
    clock = ", and its clock stands still while it waits" if stands else ""
    return f"The turn that runs may take {period(round(limit))}; {about(left)} are left{clock}. {_TIMEOUT_FORMS}."


def time_set(limit: int, left: float) -> str:
    """The answer to /timeout with a time."""
    return f"⏱ The turn that runs may now take {period(limit)} in all; {about(left)} are left."


def time_not_understood(typed: str) -> str:
    """Not a time."""
    return f"{quoted(typed)} is no time that I know, so nothing was changed. {_TIMEOUT_FORMS} (`s`, `m`, `h`)."


def time_too_long(limit: int) -> str:
    """More than a turn may take."""
    return f"A turn may take {about(limit)} at most, so nothing was changed. {_TIMEOUT_FORMS}."


def time_too_short(elapsed: float) -> str:
    """Less than it has taken already."""
    return f"It has run for {about(elapsed)} already, so nothing was changed. `/stop` ends it now."


def still_working(seconds: float) -> str:
    """A quiet line: for so long nothing was heard of the agent, which need not mean anything."""
    return f"⏳ Still working, silent for {about(seconds)}. `/stop` ends it."


_API_TROUBLE: Mapping[int, str] = {429: "wants us to slow down", 529: "is overloaded"}


def api_retry(status: int | None, attempt: int, most: int) -> str:
    """A quiet line: the agent asks the model again, for the so-manieth time after the first."""
    trouble = "does not answer" if status is None else f"{_API_TROUBLE.get(status, 'has trouble')} ({status})"
    return f"⏳ The model's API {trouble}: try {attempt + 1} of at most {most + 1}."


def limit_waited_for(until: int, now: int) -> str:
    """The turn waits until the usage limit is lifted (milliseconds)."""
    return (
        f"⏳ The usage limit of my account with the model is reached. It is lifted {moment(until, now)}; "
        "until then I wait, and then go on by myself. `/stop` ends it."
    )


def usage_limit_reached(until: int, now: int) -> str:
    """The turn does not wait until the usage limit is lifted (milliseconds)."""
    return (
        "The usage limit of my account with the model is reached, so this was not answered (to its end). What was done "
        f"is done. The limit is lifted {moment(until, now)}: `/retry` runs it again then."
    )


def go_on_after_limit(text: str) -> str:
    """For the agent, as a prompt. With what it was asked: it may have lost the conversation meanwhile."""
    return (
        "The usage limit that cut you off is lifted. Go on with what you were doing, from where you were cut off; "
        f"check first what is done already.\n\nThe message that you were working on:\n\n{text}"
    )


# ── the queue ─────────────────────────────────────────────────────────────────────────────────────────────────────

NOTHING_TO_STOP = "Nothing is running here, so there is nothing to stop."


def queue_place(place: int) -> str:
    """The command waits."""
    return "Queued: yours is next." if place == 1 else f"Queued: {place - 1} before yours."


def queue_full(limit: int) -> str:
    """The command was not taken."""
    return f"This room's queue is full ({count(limit, 'message')}), so I did not take this one. Send it again later."


def queues_full(limit: int) -> str:
    """The command was not taken: all rooms together have too much to do."""
    waiting = count(limit, "message")
    return f"All my rooms together have {waiting} waiting, so I did not take this one. Send it again later."


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────────────

PEOPLE_SHOWN = 20
"""So many people are named in a list; of the rest it is said how many there are."""
_ID_LIMIT = 800
"""Longer than any id is when it is spelled out."""
VIEWER_MAY_NOT_RUN = "You may read and ask for `/status` here, but not run anything, so nothing was done."


def refused(user: UserId, room: str) -> str:
    """The sender is not listed."""
    return (
        f"I only work for the people listed for {quoted(room)}, so nothing was done. "
        f"Ask the operator to add {person(user)} to `users` of this room in config.yaml, or an admin of this room for "
        "`/allow`."
    )


def power_too_low(user: UserId, power: int | None, needed: Mapping[Role, int]) -> str:
    """The sender is listed, but the power levels of the room leave nothing of that."""
    return (
        f"{person(user)} is listed here, but has not the power in this room that the operator asks for beside it "
        f"(theirs is {_power(power)}; {_needs(needed)}), so nothing was done."
    )


def only_admins(command: str) -> str:
    """Somebody who is no admin has used what only they may."""
    return f"Only admins of this room may use {code_span('/' + command)}, so nothing was done. `/who` names them."


def not_yours_to_answer(asker: UserId | None) -> str:
    """Somebody has answered what the agent asked in the turn of another."""
    if asker is None:
        return "Only admins of this room may answer this, so your answer changed nothing. `/who` names them."
    return (
        f"{person(asker)} asked for this turn, so only they, or an admin of this room, may answer; your answer changed "
        "nothing. `/who` names the admins."
    )


DONE_IS_DONE = "What was done until then is done."


def turned_away(user: UserId, hindrance: Hindrance) -> str:
    """What had waited is not run."""
    match hindrance:
        case Hindrance.LEFT:
            return f"Not run: {person(user)}, who asked for it, is no longer in this room."
        case Hindrance.NOT_ALLOWED:
            return (
                f"Not run: {person(user)}, who asked for it, may not run anything here any more. `/who` says who "
                "may; an admin of this room can change it with `/allow`."
            )
        case Hindrance.UNKNOWN:
            return (
                f"Not run: for an hour the homeserver did not say whether {person(user)}, who asked for it, is still "
                "in this room, or with what power. Send it again if it is still needed."
            )
        case _:
            assert_never(hindrance)


GRANT_FORMS = (
    "`/allow ID [viewer|user] [for 2h]` lets somebody in (`m`, `h`, `d`), `/allow remove ID` takes that back, `/allow` "
    "alone lists it"
)
"""No id stands in it: `no_ping` puts something invisible into one that is not right behind a backtick."""
NOBODY_IS_MADE_ADMIN = (
    "Nobody is made an admin by `/allow`, so nothing was changed: the operator adds admins in config.yaml. "
    f"{GRANT_FORMS}."
)
NO_GRANTS = f"Nobody was let in here by `/allow`; `/who` lists who may do what. {GRANT_FORMS}."


def allow_not_understood(typed: str) -> str:
    """Not a form of /allow."""
    return f"I do not understand {quoted(typed)}, so nothing was changed. {GRANT_FORMS}."


def allow_not_a_user(typed: str) -> str:
    """No id of one user; a display name, or letters that look like others."""
    return (
        f"{person(UserId(typed))} is not the id of one user in plain letters, so nothing was changed. Write the whole "
        "id, as in `@anna:example.org`; names that are shown in a client do not count."
    )


def allow_too_long(typed: str, most: int) -> str:
    """No length of time that a grant can have."""
    return f"{quoted(typed)} is no time from a minute to {count(most, 'day')}, so nothing was changed. {GRANT_FORMS}."


def allowed_already(user: UserId, role: Role) -> str:
    """config.yaml gives as much, or more."""
    return f"{person(user)} is {_ROLES[role]} here by config.yaml already, so nothing was changed."


def allowed(grant: Grant, now: int) -> str:
    """The answer to /allow with somebody."""
    user = person(grant.user)
    return (
        f"{user} is {_ROLES[grant.role]} in this room now, {_until(grant, now)}. It is that id to the letter. "
        "`/allow remove` with it takes that back."
    )


def but_power(role: Role | None) -> str:
    """What was given does not count (whole), because of the power levels of the room."""
    left = "nothing" if role is None else _ROLES[role]
    return f"⚠️ But the power level that they have in this room leaves {left} of it; see `/who`."


def disallowed(user: UserId, left: Role | None) -> str:
    """The answer to /allow remove."""
    stays = f"They are still {_ROLES[left]} by config.yaml." if left else "They have no role here any more."
    return (
        f"Taken back: what {person(user)} was given by `/allow`. {stays} What of theirs runs goes on; `/stop` ends it."
    )


def not_allowed_before(user: UserId, role: Role | None) -> str:
    """There is nothing that /allow remove could take back."""
    why = (
        f"; they are {_ROLES[role]} by config.yaml, which only the operator changes"
        if role
        else " and have no role here"
    )
    return f"{person(user)} was given nothing by `/allow`{why}. Nothing was changed."


def grants_listed(grants: Sequence[Grant], now: int) -> str:
    """The answer to /allow alone."""
    return "\n".join(["Let in by `/allow`:", "", *_few([_granted(grant, now) for grant in grants])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What somebody is in a room, and why."""

    user: UserId
    role: Role
    listed: Role | None
    """By config.yaml."""
    by_rule: bool
    """Whether as one of everybody on their server."""
    grant: Grant | None
    power: int | None
    needed: Mapping[Role, int]
    """The power that roles ask for."""


def whoami(standing: Standing, now: int) -> str:
    """The answer to /whoami."""
    lines = [f"You are {person(standing.user)}, and {_ROLES[standing.role]} in this room:", ""]
    if standing.listed is not None:
        how = "by the rule on your server" if standing.by_rule else "by your id"
        lines.append(f"- {_ROLES[standing.listed]} in config.yaml, {how}")
    if standing.grant is not None:
        lines.append(f"- {_granted(standing.grant, now)}")
    if standing.needed:
        lines.append(f"- your power level in the room is {_power(standing.power)}; {_needs(standing.needed)}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoMay:
    """Who may do what in a room."""

    admins: Sequence[UserId]
    users: Sequence[UserId]
    viewers: Sequence[UserId]
    grants: Sequence[Grant]
    needed: Mapping[Role, int]


def who(may: WhoMay, now: int) -> str:
    """The answer to /who."""
    listed = {Role.ADMIN: may.admins, Role.USER: may.users, Role.VIEWER: may.viewers}
    lines = [f"- **{role.name.lower()}** ({_MAY[role]}): {_people(users)}" for role, users in listed.items()]
    lines += _few([_granted(grant, now) for grant in may.grants])
    if may.needed:
        lines.append(f"- beside that, {_needs(may.needed)}")
    return "\n".join(["Who may do what in this room:", "", *lines])


_ROLES: Mapping[Role, str] = {Role.VIEWER: "a viewer", Role.USER: "a user", Role.ADMIN: "an admin"}
_MAY: Mapping[Role, str] = {
    Role.VIEWER: "looks",
    Role.USER: "asks the agent, and answers it in turns of their own",
    Role.ADMIN: "also answers in the turns of others, and `/allow`",
}


def _granted(grant: Grant, now: int) -> str:
    return f"{person(grant.user)}: {grant.role.name.lower()} by `/allow` of {person(grant.by)}, {_until(grant, now)}"


def _until(grant: Grant, now: int) -> str:
    return "until it is taken back" if grant.until is None else f"until {moment(grant.until, now).removeprefix('at ')}"


def _few(lines: Sequence[str]) -> list[str]:
    more = len(lines) - PEOPLE_SHOWN
    return [f"- {line}" for line in lines[:PEOPLE_SHOWN]] + ([f"- … and {more} more"] if more > 0 else [])


def _people(users: Sequence[UserId]) -> str:
    """Ids, and rules on servers."""
    more = len(users) - PEOPLE_SHOWN
    named = [person(user) for user in users[:PEOPLE_SHOWN]] + ([f"{more} more"] if more > 0 else [])
    return ", ".join(named) or "nobody"


def _power(power: int | None) -> str:
    if power is None:
        return "not known"
    return "that of who made the room" if power > MOST_LEVEL else str(power)


def _needs(needed: Mapping[Role, int]) -> str:
    levels = ", ".join(f"{role.name.lower()} {level}" for role, level in needed.items())
    return f"one must have so much power in the room: {levels}"


# ── bot commands ──────────────────────────────────────────────────────────────────────────────────────────────────


def unknown_command(name: str, nearest: str | None) -> str:
    """There is no such bot command. Both names are without their slash."""
    hint = f"Did you mean {quoted('/' + nearest)}? " if nearest else ""
    return (
        f"I do not know {quoted('/' + name)}, so nothing was run. {hint}"
        "`/help` lists what I know; a message that starts with `//` goes to the agent as it is."
    )


def session_replaced(old: str, new: str) -> str:
    """The agent no longer has the room's conversation."""
    return (
        f"The agent no longer has our conversation (session {old}), so I started a new one "
        f"(session {new}). The files are all there; what was said before, it does not know."
    )


def session_set_aside(old: str, new: str) -> str:
    """The agent could not take up the room's conversation again."""
    return (
        f"The agent failed twice to take up our conversation (session {old}), so I set that aside, where it is "
        f"kept, and started a new one (session {new}). The files are all there; what was said before, it does "
        "not know."
    )


def session_taken_back(old: str) -> str:
    """A new conversation did not help."""
    return f"The agent failed in a new conversation too, so we stay in the old one (session {old})."


def session_resumed(session: str) -> str:
    """The agent knew the session although it should have been new."""
    return f"The agent already had session {session}, so I went on in it. Nothing is lost."


def version(number: str) -> str:
    """The answer to /version."""
    return f"aiagentchat {number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What /status tells."""

    room: str
    workspace: str
    agent: str
    model: str | None
    session: str | None
    running_ms: int | None
    """For how long the running turn has run; None when nothing runs."""
    queued: int
    warm: bool
    version: str
    uptime_ms: int
    held: Held
    subscription_in_room: bool = False
    """Whether runs hold the subscription's token."""
    heard_ms: int | None = None
    """How long ago the homeserver was heard last; None before the first time."""
    failures: int = 0
    """Syncs that failed in a row."""
    restarts: int = 0
    """How often hearing was lost and came back."""
    unsent: int = 0
    limited: bool = False
    stalled: str | None = None
    """Why nothing can be written down now."""
    stalls: int = 0
    draining: bool = False
    rest_ms: int = 0
    """How long the room begins no turn."""
    sealed: int = 0
    """Messages that cannot be read, because nobody has given us the key."""
    signed: bool = True
    """Whether our device is signed with the account's identity."""
    gateway: GatewayHealth = field(default_factory=GatewayHealth)
    allowed: Sequence[str] = ()
    """Lines about what is allowed without a question (`render.asking_words.rules_listed`)."""
    agents: Sequence[str] = ()
    """Lines about turns that agents have asked for (`render.guard_words.standing_lines`)."""


def status_text(status: Status) -> str:
    """The answer to /status."""
    now = "nothing" if status.running_ms is None else f"a turn, for {duration(status.running_ms)}"
    model = f", model {quoted(status.model)}" if status.model else ""
    rest = (
        f"; the next turn waits {duration(status.rest_ms)}: the last ones had reached limits" if status.rest_ms else ""
    )
    process = "warm" if status.warm else "starts with the next message"
    lines = [
        f"- Room: {quoted(status.room)}, workspace {quoted(status.workspace)}",
        f"- Agent: {quoted(status.agent)}{model}",
        f"- Session: {quoted(status.session) if status.session else 'none yet'}",
        f"- Running: {now}; {count(status.queued, 'message')} queued{rest}",
        *status.agents,
        *status.allowed,
        f"- Agent's process: {process}; isolation: {status.held.isolation}",
        f"- Homeserver: {_hearing(status)}; {_speaking(status)}",
        f"- Gateway for programs: {_gateway(status.gateway, status.held)}",
        f"- aiagentchat {status.version}, up for {duration(status.uptime_ms)}",
    ]
    if status.stalled is not None or status.stalls:
        lines.insert(-1, f"- Database: {status.stalled or 'works'}; had to wait {count(status.stalls, 'time')}")
    if status.sealed:
        lines.insert(-1, f"- Encryption: {count(status.sealed, 'message')} cannot be read yet; the key is missing")
    if not status.signed:
        lines.insert(
            -1,
            "- Encryption: my device is not signed by my account, so apps that exclude insecure devices (Element) give "
            "me no keys; the operator sees what to do with `aiagentchat keys status`",
        )
    if status.draining:
        lines.append("- About to be restarted: what is queued runs afterwards")
    for warning in warnings(status.held, subscription_in_room=status.subscription_in_room).values():
        lines += ["", warning]
    return "\n".join(lines)


def _hearing(status: Status) -> str:
    if status.heard_ms is None:
        return "not heard yet"
    lost = f", lost and found {count(status.restarts, 'time')}" if status.restarts else ""
    now = f", {count(status.failures, 'sync')} failed since" if status.failures else ""
    return f"heard {duration(status.heard_ms)} ago{now}{lost}"


def _speaking(status: Status) -> str:
    limit = ", held back by its rate limit" if status.limited else ""
    return f"{count(status.unsent, 'message')} to send{limit}"


def _gateway(gateway: GatewayHealth, held: Held) -> str:
    match gateway.state:
        case GatewayState.OFF:
            return "off, as config.yaml says"
        case GatewayState.NOT_APART:
            return (
                f"off, because in the isolation {held.isolation} what runs here could get at it; "
                "`gateway: {enabled: true}` in config.yaml opens it all the same"
            )
        case GatewayState.OPENING:
            return "is being opened"
        case GatewayState.NOT_OPEN:
            return "could not be opened; the daemon's log says why"
        case GatewayState.OPEN if gateway.lacks is not None:
            return f"open at its socket alone, because something else has port {gateway.lacks}"
        case GatewayState.OPEN:
            return "open at its socket" + ("" if gateway.port is None else f" and at 127.0.0.1:{gateway.port}")
        case _:
            assert_never(gateway.state)


_CONNECTS_SINCE = 4
"""The first ABI of Landlock that holds connections back (`man 7 landlock`)."""
_ANY_HOST = "reach any host in spite of `network`"


def isolation_warning(held: Held) -> str | None:
    """What the isolation in force does not hold back; None when there is nothing to warn of."""
    if held.isolation is Isolation.LANDLOCK:
        return f"⚠️ Degraded isolation: what the agent runs here cannot read other rooms, but {_degraded(held)}."
    if held.isolation is Isolation.NONE:
        return (
            "⚠️ No isolation: what the agent runs here can read and change whatever the daemon's own user can. "
            "Only use it for yourself."
        )
    if held.isolation is Isolation.USERS and held.landlock_abi < _CONNECTS_SINCE:
        return f"⚠️ Degraded isolation: the kernel here is old, and what the agent runs can {_ANY_HOST}."
    return None


def _degraded(held: Held) -> str:
    """What Landlock does not hold at this ABI (`man 7 landlock`)."""
    can = ["can change modes and times of files whose path it knows"]
    can += ["truncate them"] if held.landlock_abi < 3 else []
    can += [_ANY_HOST] if held.landlock_abi < _CONNECTS_SINCE else []
    can += ["signal the daemon"] if held.landlock_abi < 6 else []
    return f"{', '.join(can[:-1])} and {can[-1]}" if len(can) > 1 else can[0]


SUBSCRIPTION_IN_ROOM = (
    "⚠️ The token of the subscription is in this room: whoever works here can copy it, and so can what the agent runs "
    "or reads. The operator keeps it outside with `subscription_in_room: false` in config.yaml."
)


def warnings(held: Held, *, subscription_in_room: bool) -> Mapping[str, str]:
    """What whoever works in a room must know, by what it is about."""
    said = {
        "isolation": isolation_warning(held),
        "subscription": SUBSCRIPTION_IN_ROOM if subscription_in_room else None,
    }
    return {what: text for what, text in said.items() if text is not None}


def leftovers(number: int) -> str:
    """Processes of an earlier life of the daemon were still there."""
    what, were = ("1 process", "it was") if number == 1 else (f"{number} processes", "they were")
    return f"{what} of a run from before the last restart still ran here; {were} ended."


NO_UID = "There is no user id left for this room, so nothing was run. The operator must widen `room_uids`."

# ── approvals ─────────────────────────────────────────────────────────────────────────────────────────────────────

NO_APPROVAL_OPEN = "No approval is open here, so nothing changed."
ASK_IN_PLAIN_TEXT = (
    "This tool does not work in this room. Ask in plain text instead, with numbered choices if you have some: "
    "end your turn with the question, and the answer comes as the next message."
)
"""For the agent, as the reason of a denial."""
NOT_ANSWERED = "Nobody in the room answered in time, so this was denied. Do without it, or say what you would need."
"""For the agent, as the reason of a denial."""


def approval_question(tool: str) -> str:
    """The first line of an approval; `tool` is Markdown."""
    return f"🔐 **May the agent use** {tool}**?**"


def approval_for(asker: UserId, admins: Sequence[UserId]) -> str:
    """Who asked for the turn, and who may answer."""
    if not admins:
        return f"Asked for by {person(asker)}, who alone may answer: this room has no admins."
    return f"Asked for by {person(asker)}. They may answer, and the admins of this room: {_people(admins)}."


def approval_allowed(by: UserId) -> str:
    """Somebody said yes."""
    return f"✅ Allowed once by {person(by)}."


def approval_denied(by: UserId, reason: str) -> str:
    """Somebody said no."""
    because = f": {quoted(reason)}" if reason.strip() else ""
    return f"❌ Denied by {person(by)}{because}. It was not run, and the agent was told."


def approval_expired(minutes: int) -> str:
    """Nobody said anything."""
    return f"⏱ Nobody answered in {minutes} min, so it was denied and not run. The agent was told."


def approval_already_answered(by: UserId | None) -> str:
    """Somebody was faster."""
    who = f" by {person(by)}" if by else ""
    return f"This approval is already closed{who}, so your answer changed nothing."


APPROVAL_WITHDRAWN = "The agent no longer waits for this approval: its turn is over. It was not run."

YES_WORDS = ("yes", "ok", "approve")
NO_WORDS = ("no", "deny")
"""How a reply to a question begins that is its answer."""


IN_WORDS_HERE = (
    "In this room I take words, so your reaction decided nothing: reply to the question as its last line says, or "
    "write `/approve` or `/deny reason`."
)
"""The answer to a reaction in a room where those can be forged."""

# ── what is deleted ───────────────────────────────────────────────────────────────────────────────────────────────

DELETION_REASON = "deleted on request"
"""Stands in the redaction itself."""
NOT_DELETED = (
    "I was asked to delete an answer here, and the homeserver did not let me delete (all of) my messages. "
    "Somebody who may delete messages in this room can do it."
)
NOTHING_TO_FORGET = (
    "There is no answer here that I could delete: reply with `/forget` to one of mine, or ask sooner; what is older "
    "than I keep, I do not know any more."
)
NOT_YOURS_TO_FORGET = (
    "Only admins of this room, and whoever asked for that answer, may have it deleted, so nothing was done."
)
FORGET_WHEN_ENDED = "That answer is still being written, so nothing was deleted. `/stop` ends it; then ask again."
FORGETTING = (
    "🗑 I delete that answer, with all its edits, and what I kept of it and of its question. Your own message and what "
    "others quoted stay; the agent itself still remembers it until `/new_session`."
)

# ── when something of ours is not as it should be ─────────────────────────────────────────────────────────────────

BROKEN = AppError.human
ENDED_BY_ITSELF = (
    "The agent ended its turn before it was done, and nobody had asked it to. What it had done until then is done; "
    "send the message again to retry."
)
ROOM_NOT_CONFIGURED = "This room was taken away from me while the message waited, so it was not run."
NO_WORKSPACE = (
    "This room's working directory cannot be used, so nothing was run. The operator finds the reason in the log."
)


def mount_moved(path: str) -> str:
    """A folder that was to be mounted is gone, or a link now leads somewhere else."""
    return (
        f"The folder {path}, which is mounted in this room, is not where it was when the settings were read: it is "
        "gone, or a link has taken its place. Nothing was run. The operator must see to that, and reload the settings."
    )


def denied_for_agent(by: UserId | None, reason: str) -> str:
    """What the agent reads when somebody said no."""
    who = f"{by} in the room" if by else "The room"
    return f"{who} denied this: {reason}" if reason.strip() else f"{who} denied this, without giving a reason."


# ── rooms that are made in chat ───────────────────────────────────────────────────────────────────────────────────

SETUP_NOT_YOURS = (
    "Only an admin of one of my rooms may make this room one of mine, so nothing was changed. Ask one to type `/setup`."
)
SETUP_NO_FOLDER = (
    "There cannot be a room with that folder, so nothing was changed. The operator finds the reason in the log; "
    "`/setup` with another name may work."
)
SETUP_ONLY_ONE = (
    "Nothing keeps rooms apart where I run (`isolation: none`), so I work in one room only, and nothing was changed."
)
SETUP_IN_CONFIG = "This room is in config.yaml, so nothing was changed: the operator takes it out there."
SETUP_NOT_YOURS_TO_REMOVE = (
    "Only admins of this room, and whoever has set it up, may take it away, so nothing was changed."
)


def room_not_known(room: RoomId, wait: int) -> str:
    """The answer to an invite, by somebody who may not make rooms, into a room that is none of ours (seconds)."""
    return (
        "Thanks for the invite. I do not work in this room yet: an admin of one of my rooms types `/setup` here, or "
        f"the operator adds {code_span('- {id: ' + chr(34) + room + chr(34) + '}')} to `rooms` in config.yaml and runs "
        f"`aiagentchat reload`. What is typed until then is run then; if nobody does it, I leave in {period(wait)}."
    )


def setup_offered(wait: int) -> str:
    """The answer to an invite, by somebody who may make rooms, into a room that is none of ours (seconds)."""
    return (
        "Thanks for the invite. I do not work in this room yet: `/setup` makes it one of mine, and `/setup name` gives "
        "its folder a name. What is typed until then is run then, if it is of somebody who may use the room. Without "
        f"it, I leave in {period(wait)}."
    )


def setup_done(folder: str, by: UserId) -> str:
    """The room is one of ours."""
    return (
        f"✅ I work in this room now; its folder is {quoted(folder)}. {quoted(by)} is its admin, and whoever "
        "`defaults` in config.yaml lists may use it, too. I do nothing for anybody else. `/help` shows what I know, "
        "`/setup remove` ends it; the folder stays."
    )


def direct_made(folder: str, by: UserId) -> str:
    """The direct chat is one of our rooms."""
    return (
        f"Hello {quoted(by)}! I work in this chat now, for you alone: whatever you write is run by the agent, in a "
        f"folder of its own, {quoted(folder)}. `/help` shows what I know. To end it, type `/setup remove` or remove me "
        "from the chat; the folder stays."
    )


def setup_removed(wait: int) -> str:
    """The room is none of ours any more (seconds until we leave)."""
    return (
        "I work in this room no more. What runs goes on to its end, what waits is not run; the folder and the "
        f"conversation stay. I leave in {period(wait)}; until then `/setup` takes it up again, later an invite does."
    )


def already_set_up(folder: str, by: UserId | None) -> str:
    """/setup in a room of ours."""
    made = "it is in config.yaml" if by is None else f"{quoted(by)} has set it up; `/setup remove` ends it"
    return f"I work in this room already, in the folder {quoted(folder)}: {made}. Nothing was changed."


def setup_not_a_name(typed: str) -> str:
    """No folder of a room is called so."""
    return (
        f"{quoted(typed)} is no name for a folder, so nothing was changed. It has small letters, digits, `_` and `-`, "
        "64 at most, and begins with a letter or a digit: `/setup backend`."
    )


def setup_taken(folder: str) -> str:
    """Another room has the folder, or had it."""
    return (
        f"{quoted(folder)} is the folder of another room, or was, so nothing was changed. "
        "Type `/setup` with another name."
    )


def setup_keeps(folder: str) -> str:
    """The room has had another folder before."""
    return (
        f"This room has had the folder {quoted(folder)} before, and keeps it, so nothing was changed. "
        "`/setup` alone takes it up again."
    )


def setup_too_many(most: int) -> str:
    """No more rooms can be made in chat."""
    return (
        f"{count(most, 'room')} were made in chat already, and more are not, so nothing was changed. "
        "`/setup remove` in one of them makes place; or the operator adds this room to config.yaml."
    )


# ── what could not be sent as it was written ──────────────────────────────────────────────────────────────────────

AS_A_FILE = "The homeserver did not take this message as text, so here is all of it as a file."


def beginning_only(text: str) -> str:
    """A message that arrives in no other way; `text` is how it begins."""
    return (
        f"{close_open(text + ' …')}\n\n⚠️ The rest of this message could not be delivered: the homeserver took it "
        "neither as text nor as a file. What the agent did is done. The operator finds the reason in the log."
    )
