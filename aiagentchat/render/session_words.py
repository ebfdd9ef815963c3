"""What a room reads about its conversations, its model, and the commands of the agent's own."""

from collections.abc import Mapping, Sequence

from aiagentchat.core.ids import SessionId
from aiagentchat.core.sessions import Session
from aiagentchat.render.words import count, quoted

MOST_NAMES = 5
"""So many names that begin alike are shown."""
MOST_CUSTOM = 30
"""So many commands of a project are listed."""

# ── conversations ─────────────────────────────────────────────────────────────────────────────────────────────────

NO_SESSIONS = "There is no session here yet: your next message begins one."
RESUME_USAGE = (
    "`/resume name` goes back to a session, as in `/resume fix-the-build`; the beginning of its name will do. "
    "`/sessions` lists them."
)
NAME_USAGE = "`/name new name` renames the session that we are in, as in `/name fix the build`."
TOO_LATE = (
    "I was away when this was typed, and much may have changed since, so nothing was run. Send it again if it is still "
    "needed."
)


def sessions_listed(sessions: Sequence[Session], current: SessionId | None, now: int) -> str:
    """The answer to /sessions; the last used first."""
    lines = ["| session | used | turns |", "|---|---|---|"]
    for session in sessions:
        name = quoted(session.name)
        mark = f"**{name}** ← now" if session.id == current else name
        lines.append(f"| {mark} | {ago(now - session.used_at)} | {session.turns} |")
    return "\n".join([*lines, "", "`/resume name` goes back to one; the beginning of its name will do."])


def ago(milliseconds: int) -> str:
    """How long something is past, roughly: ``just now``, ``5 min ago``, ``3 h ago``, ``2 d ago``."""
    seconds = milliseconds // 1000
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name} ago"
    return "just now"


def new_session(old: str | None, *, is_asked: bool) -> str:
    """The answer to /new_session; `old` is the name of the session before, `is_asked` whether a message came along."""
    what = "This is a new session." if is_asked else "Your next message starts a new session."
    back = f" The last one is {quoted(old)}: {_resume(old)} goes back to it." if old else ""
    return f"{what} The files stay.{back}"


def resumed(session: Session, queued: int, now: int) -> str:
    """The answer to /resume with a name."""
    waits = ""
    if queued:
        waits = f" {count(queued, 'message')} from before {'keeps its' if queued == 1 else 'keep their'} session."
    used = f"{count(session.turns, 'turn')}, last used {ago(now - session.used_at)}"
    return f"We are back in {quoted(session.name)} ({used}). The files are as they are now.{waits}"


def resumed_already(name: str) -> str:
    """/resume with the session that we are in."""
    return f"We are in {quoted(name)} already, so nothing was changed."


def no_such_session(typed: str, nearest: str) -> str:
    """/resume with a name that no session has."""
    hint = f"Did you mean {quoted(nearest)}? " if nearest else ""
    return f"No session here is called {quoted(typed)}, so nothing was changed. {hint}`/sessions` lists them."


def several_sessions(typed: str, names: Sequence[str]) -> str:
    """/resume with what several names begin with."""
    more = len(names) - MOST_NAMES
    shown = ", ".join([*map(quoted, names[:MOST_NAMES]), *([f"{more} more"] if more > 0 else [])])
    return f"{count(len(names), 'session')} begin with {quoted(typed)}: {shown}. Type more of the name."


def named(name: str, before: str | None) -> str:
    """The answer to /name with a name."""
    was = f" It was {quoted(before)}." if before is not None else ""
    return f"This session is called {quoted(name)} now.{was}"


def name_taken(name: str) -> str:
    """/name with the name of another session."""
    return f"Another session here is called {quoted(name)}, so nothing was changed. {NAME_USAGE}"


def not_a_name(typed: str) -> str:
    """/name with something that has no letter and no digit."""
    return f"{quoted(typed)} has no letter and no digit in it, so nothing was changed. {NAME_USAGE}"


# ── /export ───────────────────────────────────────────────────────────────────────────────────────────────────────

NOTHING_TO_EXPORT = "Nothing was said in this session that I could give you as a file."
NO_TRANSCRIPT = (
    "The agent's own record of this session cannot be read (any more), so there is no file. "
    "What was said is still in the room."
)


def exported(session: str) -> str:
    """Stands beside the file."""
    return f"This session, {quoted(session)}, as the agent has written it down."


# ── commands of the project, and of the agent's own ───────────────────────────────────────────────────────────────

CUSTOM_NOT_OPENED = (
    "The file of this command in `.claude/commands` is not one that I read: it is a link, no plain file, or has more "
    "than 32 KiB. So nothing was run. Have the agent put a plain file there, and send it again."
)
CUSTOM_NOT_READ = (
    "The file of this command in `.claude/commands` is not one that is read: it is a link, no plain file, or has more "
    "than 32 KiB. So this is what was typed, and not what it stands for."
)
"""Stands behind what the running turn is told with /now."""
OWN_NOT_CHANGED = (
    "A command of the agent's own cannot be changed, so it runs as it was. Delete the message to take it back, and "
    "send another one."
)

OWN_DONE: Mapping[str, str] = {
    "compact": "The conversation is shorter now: the agent goes on with a summary of it, in the same session.",
    "clear": "The agent has left its conversation; we go on in a new session. The files stay.",
}
"""What is said of a command of the agent's own that says nothing itself."""


def agent_commands(own: Mapping[str, str], custom: Sequence[str]) -> str:
    """The answer to /agent alone."""
    lines = [f"- {quoted('/agent ' + name)} {what}" for name, what in own.items()]
    listed = ["The agent's own commands that can be used here:", "", *lines]
    if not custom:
        return "\n".join([*listed, "", "This project has no commands of its own (`.claude/commands/name.md`)."])
    more = len(custom) - MOST_CUSTOM
    named = [f"- {quoted('/' + name)}" for name in custom[:MOST_CUSTOM]] + (
        [f"- … and {more} more"] if more > 0 else []
    )
    return "\n".join([*listed, "", "Commands of this project:", "", *named])


def no_such_own(typed: str, nearest: str) -> str:
    """/agent with something that is not in the list."""
    hint = f"Did you mean {quoted('/agent ' + nearest)}? " if nearest else ""
    return f"I do not run {quoted('/' + typed)} for you, so nothing was done. {hint}`/agent` lists what I run."


# ── the model ─────────────────────────────────────────────────────────────────────────────────────────────────────

_MODEL_BACK = "`/model default` takes it back."
_MODEL_USAGE = "`/model sonnet` sets one for this room, `/model default` takes what config.yaml says."


def model_shown(now: str | None, configured: str | None) -> str:
    """The answer to /model alone; `now` is what was set by /model, if anything."""
    by_config = f"config.yaml says {quoted(configured)}" if configured else "config.yaml names none: the agent chooses"
    if now is None:
        return f"No model was set here; {by_config}. {_MODEL_USAGE}"
    return f"This room uses {quoted(now)}, set with `/model`; {by_config}. {_MODEL_USAGE}"


def model_set(model: str) -> str:
    """The answer to /model with a model."""
    return f"From the next turn on this room uses {quoted(model)}. What runs now goes on as it is. {_MODEL_BACK}"


def model_reset(configured: str | None) -> str:
    """The answer to /model default."""
    what = quoted(configured) if configured else "what the agent chooses"
    return f"From the next turn on this room uses {what} again, as config.yaml has it."


def no_such_model(typed: str, nearest: str) -> str:
    """/model with a name that nobody knows."""
    hint = f"Did you mean {quoted(nearest)}? " if nearest else ""
    return (
        f"{quoted(typed)} is no model that I know, so nothing was changed. {hint}Write a name like `sonnet` or the "
        f"whole id of one, as in `claude-sonnet-4-5`. {_MODEL_USAGE}"
    )


def _resume(name: str) -> str:
    return quoted(f"/resume {name}")
