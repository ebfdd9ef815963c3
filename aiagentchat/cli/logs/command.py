"""`aiagentchat logs`."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from aiagentchat.cli.audit import INTERRUPTED, moment
from aiagentchat.cli.logs.lines import LEVELS, Line, Readable, Wanted, read, readable
from aiagentchat.cli.logs.sources import file_lines, journal_lines, lines_of
from aiagentchat.cli.problems import complain
from aiagentchat.config.load import load
from aiagentchat.core.errors import AppError, ConfigError
from aiagentchat.core.ids import RoomId
from aiagentchat.render.hygiene import visible
from aiagentchat.store.glance import made

STDIN = "-"
_STYLES = {"debug": "dim", "warning": "yellow", "error": "bold red", "critical": "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted, as it was typed."""

    source: str | None = None
    room: str | None = None
    since: str | None = None
    level: str = "debug"
    events: tuple[str, ...] = ()
    unit: str = "aiagentchat"
    follow: bool = False


def logs_command(config: Path, wish: Wish, *, as_json: bool) -> int:
    """Print the lines that are wanted, as they come. Returns the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        names = _names(config, needed=wish.room is not None and not wish.room.startswith("!"))
        wanted = _wanted(wish, names)
        for raw in _lines(wish, wanted):
            line = read(raw)
            if wanted.has(line):
                _show(console, line, names, as_json=as_json)
    except AppError as error:
        return complain(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _lines(wish: Wish, wanted: Wanted) -> Iterator[str]:
    if wish.source is None:
        return journal_lines(wish.unit, follow=wish.follow, since=wanted.since)
    if wish.source == STDIN:
        return lines_of(sys.stdin.buffer)
    return file_lines(Path(wish.source), follow=wish.follow, from_begin=bool(wanted.since))


def _names(config: Path, *, needed: bool) -> Mapping[RoomId, str]:
    """What the rooms are called. Raises ConfigError where somebody needs to know; a log can be read anywhere."""
    try:
        settings = load(config, os.environ)
    except ConfigError:
        if needed:
            raise
        return {}
    return {**made(settings.database).slugs, **{room.id: room.name for room in settings.rooms}}


def _wanted(wish: Wish, names: Mapping[RoomId, str]) -> Wanted:
    level = wish.level.lower()
    if level not in LEVELS:
        raise ConfigError([f"--level: {wish.level!r} is none; write one of: {', '.join(LEVELS)}"])
    return Wanted(
        room=None if wish.room is None else _room(names, wish.room),
        since=0 if wish.since is None else moment(wish.since, time.time()),
        level=level,
        events=wish.events,
    )


def _room(names: Mapping[RoomId, str], text: str) -> RoomId:
    if text.startswith("!"):
        return RoomId(text)
    found = next((room for room, name in names.items() if name == text), None)
    if found is None:
        known = ", ".join(sorted(set(names.values()))) or "none"
        raise ConfigError([f"--room: no room is called {text!r}; write an id (!…) or one of: {known}"])
    return found


def _show(console: Console, line: Line, names: Mapping[RoomId, str], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(f"{line.raw[line.raw.find('{') :] if line.fields else line.raw}\n")
        sys.stdout.flush()
        return
    text = _painted(readable(line, names)) if line.fields else Text(visible(line.raw), style="dim")
    console.print(text)


def _painted(line: Readable) -> Text:
    style = _STYLES.get(line.level, "")
    text = Text.assemble(
        (f"{line.when:<18}  ", "dim"),
        (f"{line.level:<8}  ", style),
        (f"{line.room or '-':<12}  ", "cyan"),
        (line.event, f"bold {style}".strip()),
        f"  {line.more}" if line.more else "",
    )
    for below in line.below:
        text.append(f"\n    {below}", style="dim")
    return text
