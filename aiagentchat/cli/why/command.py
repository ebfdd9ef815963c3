"""`aiagentchat why EVENT_ID`."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aiagentchat.app.owner import owner_pid, see_into
from aiagentchat.cli.problems import complain
from aiagentchat.cli.why.row import Row
from aiagentchat.cli.why.story import Story, tell
from aiagentchat.cli.why.verdict import Here, unknown
from aiagentchat.config.load import load
from aiagentchat.config.made import with_made
from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.errors import AppError, ConfigError, StoreError
from aiagentchat.core.ids import EventId, UserId
from aiagentchat.core.messages import Incoming
from aiagentchat.core.redact import shapes_only
from aiagentchat.render.hygiene import visible
from aiagentchat.render.words import duration
from aiagentchat.route.access import Roles
from aiagentchat.route.decide import BOT_COMMAND, AnswerInWords, Ask, Ignore, Refuse, RefuseToRun, decide
from aiagentchat.store.glance import made
from aiagentchat.store.life import Heard, Life, life_of
from aiagentchat.store.maintenance import require

NOT_KNOWN = 1
PIPE_WIDTH = 160
"""Characters of a line where nobody says how wide it may be."""
MOST_TEXT = 2_000
"""Characters of one text that are printed."""
_LINK = re.compile(r"https?://[^\s#]+#/(?:room/)?[^/]+/(\$[^?/\s]+)")
"""As https://matrix.to has it, or a client of one's own."""


def why_command(config: Path, event: str, *, as_json: bool, content: bool) -> int:
    """Print what became of a message. Returns the exit code: 1 if nothing is known of it."""
    try:
        asked = event_id(event)
        if problem := problem_of(asked):
            raise ConfigError([f"EVENT: {problem}"])
        settings = load(config, os.environ)
        see_into(settings.data_dir)
        pid = owner_pid(settings.data_dir)
        require(settings.database)
        now = round(time.time() * 1000)
        life = life_of(settings.database, asked, now)
        if life is None:
            raise StoreError(
                f"The database {settings.database} cannot be read: it is of another version than this program, or "
                "damaged (aiagentchat db check)."
            )
    except AppError as error:
        return complain(error)
    settings, _ = with_made(settings, made(settings.database))
    room = None if life.room is None else settings.room(life.room)
    here = Here(
        now=now,
        pid=pid,
        is_ours=room is not None,
        today="" if room is None or life.heard is None else today(settings, room, life, life.heard),
    )
    if not life.is_known:
        return _say_unknown(life, here, as_json=as_json)
    story = tell(life, here)
    if as_json:
        typer.echo(json.dumps(_as_json(life, story, room, content=content), ensure_ascii=False))
    else:
        _print(life, story, room, content=content)
    return 0


def event_id(text: str) -> EventId:
    """The id that was typed, or that of the message to which a link leads."""
    link = _LINK.match(text.strip().replace("%24", "$"))
    return EventId(link[1] if link else text.strip())


def problem_of(asked: EventId) -> str:
    """Why nothing can be called so; empty if something may be."""
    if asked in ("", "$"):
        return "nothing is left of the id: a shell takes what begins with $ for its own, so put it in single quotes"
    if asked.startswith(("!", "#", "@")):
        kind = "person" if asked.startswith("@") else "room"
        return f"{asked!r} is a {kind}, and no message; the id of a message begins with $, in single quotes"
    if "//" in asked and not asked.startswith("$"):  # an id of a room of version 3 is any Base64
        return f"{asked!r} is no link to a message; a client has it in the menu of the message (Share)"
    return ""


def today(settings: Settings, room: RoomSettings, life: Life, heard: Heard) -> str:
    """What routing would make of the message by the settings as they are now; empty if that cannot be told."""
    if not heard.body or heard.of_program:  # what a program may begin hangs on more than the settings
        return ""
    roles = Roles(room=room, grants={grant.user: grant for grant in life.grants})
    role = roles.given(heard.sender)  # power levels are the homeserver's to know
    command = BOT_COMMAND.match(heard.body)
    if command is not None and role is not None:
        return f"it calls /{command[2]}, which the daemon answers itself"
    me = UserId(settings.matrix.user_id)
    said = Incoming(
        event=heard.event, room=heard.room, sender=heard.sender, sent_at=heard.sent_at, kind=heard.kind, body=heard.body
    )
    decision = decide(said, room, role=role, me=me, known=())
    match decision:
        case Ignore(why=why) | AnswerInWords(otherwise=Ignore(why=why)):
            return f"by the settings as they are now it is ignored: {why}"
        case Refuse():
            return f"by the settings as they are now {heard.sender} may not use the room"
        case RefuseToRun():
            return f"by the settings as they are now {heard.sender} may look, and not ask"
        case Ask() | AnswerInWords():
            return "by the settings as they are now it would be a command"
        case _:
            return ""


def _say_unknown(life: Life, here: Here, *, as_json: bool) -> int:
    reasons = unknown(life, here)
    if as_json:
        typer.echo(json.dumps({"id": life.id, "known": False, "reasons": list(reasons)}, ensure_ascii=False))
        return NOT_KNOWN
    typer.echo(f"aiagentchat: nothing is known here of {visible(life.id)}. What could be the reason:", err=True)
    for reason in reasons:
        typer.echo(f"  - {reason}", err=True)
    return NOT_KNOWN


def _as_json(life: Life, story: Story, room: RoomSettings | None, *, content: bool) -> dict[str, Any]:
    about = life.command or life.heard
    rows: list[dict[str, Any]] = [{"at": row.at, "what": row.what, "more": row.more} for row in story.rows]
    if content:
        rows = [{**said, "text": _safe(row.text)} for said, row in zip(rows, story.rows, strict=True)]
    return {
        "id": life.id,
        "known": True,
        "room": life.room,
        "name": _name(life, room),
        "sender": None if about is None else about.sender,
        "message": None if life.sent is None else life.sent.id,
        "task": None if life.task is None else life.task.id,
        "command": None if life.command is None else life.command.event,
        "state": None if life.command is None else life.command.state,
        "rows": rows,
        "answered": story.answered,
        "verdict": story.verdict,
    }


def _print(life: Life, story: Story, room: RoomSettings | None, *, content: bool) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    about = life.command or life.heard
    head = f"{life.id} in {_name(life, room) or 'no room that is known'}"
    by = f", by {about.sender}" if about is not None else f", by {life.sent.caller}" if life.sent is not None else ""
    console.print(Text(visible(f"{head}{by}")))
    if life.command is not None and life.command.event != life.id:
        console.print(Text(visible(f"belongs to the command {life.command.event}")))
    console.print(_table(story.rows, content=content))
    console.print(Text(visible(story.verdict)))


def _table(rows: Sequence[Row], *, content: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("when", "after", "what", ""):
        side: Literal["left", "right"] = "right" if title == "after" else "left"
        table.add_column(title, justify=side, overflow="fold", no_wrap=title == "when")
    for row, after in _timed(rows):
        table.add_row(_clock(row.at), after, row.what, Text(visible(row.more)))
        if content and row.text:
            table.add_row("", "", "", Text(_safe(row.text), style="italic"))
    return table


def _timed(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Each with the time since the one before it."""
    last: int | None = None
    for row in rows:
        yield row, "" if last is None or row.at is None else f"+{duration(max(0, row.at - last))}"
        last = last if row.at is None else row.at


def _clock(at: int | None) -> str:
    if at is None:
        return "?"
    return datetime.fromtimestamp(at / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _name(life: Life, room: RoomSettings | None) -> str | None:
    return life.slug or (life.room if room is None else room.name)


def _safe(text: str) -> str:
    """Without what looks like a secret, and without what could play tricks on a terminal."""
    return visible(shapes_only()(text)[:MOST_TEXT])
