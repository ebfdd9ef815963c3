"""How far a message or a task has come, and who is there, in sentences for people. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiagentchat.cli.exchange.wishes import Json
from aiagentchat.cli.safe import safe
from aiagentchat.render.hygiene import one_line

_SHOWN = 200
_FOR_NOBODY = "it is for nobody in particular, so nothing follows"


def when(milliseconds: object, now_ms: int) -> str:
    """A moment: the time alone if it is today's."""
    if not isinstance(milliseconds, int) or milliseconds <= 0:
        return "?"
    moment, now = (datetime.fromtimestamp(each / 1000).astimezone() for each in (milliseconds, now_ms))
    return moment.strftime("%H:%M:%S" if moment.date() == now.date() else "%Y-%m-%d %H:%M")


def how_far(message: Json, instances: Sequence[Json] | None, now_ms: int) -> str:
    """What has become of a message, and why it is not further. Without `instances` nobody knows who is there."""
    to = safe(str(message.get("to") or ""))
    match message.get("state"):
        case "accepted":
            return (
                f"accepted at {when(message.get('accepted_at'), now_ms)}, not in the room yet: the daemon has it, and "
                "sends it as soon as the homeserver takes it"
            )
        case "sent" if not to:
            why = one_line(safe(str(message.get("why") or _FOR_NOBODY)), _SHOWN)
            return f"sent at {when(message.get('sent_at'), now_ms)}; {why}"
        case "sent":
            return f"sent at {when(message.get('sent_at'), now_ms)}, not delivered: {_there(to, instances, now_ms)}"
        case "delivered":
            return (
                f"delivered to {to} at {when(message.get('delivered_at'), now_ms)}, not begun: it waits for its turn "
                f"there ({_there(to, instances, now_ms)})"
            )
        case "read":
            return (
                f"begun by {to} at {when(message.get('read_at'), now_ms)}, no answer yet "
                f"({_there(to, instances, now_ms)})"
            )
        case "answered":
            return f"answered by {to or 'somebody'} at {when(message.get('ended_at'), now_ms)}"
        case "refused":
            return f"refused by {to or 'the other side'}: {one_line(safe(str(message.get('why') or '?')), _SHOWN)}"
        case "expired":
            why = one_line(safe(str(message.get("why") or "")), _SHOWN)
            return f"expired: it was not begun in time{f' ({why})' if why else ''}"
        case other:
            return one_line(safe(str(other)), _SHOWN)


def how_task_is(task: Json, instances: Sequence[Json] | None, now_ms: int) -> str:
    """What has become of a task, and why it is not further."""
    to, at = one_line(safe(str(task.get("to") or "")), _SHOWN), when(task.get("changed_at"), now_ms)
    note = one_line(safe(str(task.get("note") or "")), _SHOWN)
    news = f": {note}" if note else ""
    match task.get("state"):
        case "assigned" if not task.get("thread"):
            return f"given to {to} at {at}, not in the room yet: the daemon sends it as soon as the homeserver takes it"
        case "assigned":
            return f"given to {to} at {at}, nothing was heard of it yet: {_there(to, instances, now_ms)}"
        case "accepted":
            return (
                f"accepted by {to} at {at}, not begun: it waits for its turn there ({_there(to, instances, now_ms)})"
                f"{news}"
            )
        case "working":
            return f"begun by {to}, last heard of at {at} ({_there(to, instances, now_ms)}){news}"
        case "done" | "failed" | "refused" as state:
            return f"{state} by {to} at {at}{news}"
        case "cancelled":
            return f"cancelled at {at}{news}"
        case "expired":
            return f"expired at {at}: it was not begun by its deadline{f' ({note})' if note else ''}"
        case other:
            return one_line(safe(str(other)), _SHOWN)


def _there(to: str, instances: Sequence[Json] | None, now_ms: int) -> str:
    """Whether whom it is for is there."""
    if instances is None:
        return f"nobody could say whether {to} is there"
    user, _, name = to.partition("/")
    fitting = [each for each in instances if each.get("user") == user and name in ("", each.get("name"))]
    alive = next((each for each in fitting if each.get("alive")), None)
    if alive is not None:
        busy = " and busy" if alive.get("status") == "busy" else ""
        return f"{safe(str(alive.get('name')))} is online{busy}"
    if fitting:
        last = max(fitting, key=lambda each: int(each.get("seen_at") or 0))
        return f"{safe(str(last.get('name')))} is offline since {when(last.get('seen_at'), now_ms)}"
    return f"{to} is not in the registry, so nobody knows whether it listens"


def line_of(message: Json, now_ms: int, *, room: str = "") -> str:
    """One message of a room's history; `room`: how that is called, where several are read."""
    at = when(message.get("sent_at"), now_ms)
    body = safe(str(message.get("body") or "(deleted)")).replace("\n", "\n    ")
    meta: dict[str, Any] = message.get("meta") or {}
    marks = [room] if room else []
    marks += [" to ".join(str(each) for each in (meta.get("kind"), meta.get("to")) if each)] if meta else []
    marks += ["in a thread"] if message.get("thread") else []
    marks += ["edited"] if message.get("edited_at") else []
    mark = f" ({one_line(safe(', '.join(marks)), _SHOWN)})" if marks else ""
    return f"{at}  {one_line(safe(str(message.get('sender'))), _SHOWN)}{mark}: {body}"
