"""`aiagentchat doctor`."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aiagentchat.app.clock import SystemClock
from aiagentchat.cli.problems import complain
from aiagentchat.config.secrets import with_folder
from aiagentchat.core.errors import ConfigError
from aiagentchat.doctor.attacks import ATTACKS
from aiagentchat.doctor.examination import Part, examine
from aiagentchat.doctor.judge import summary
from aiagentchat.doctor.rows import Row, Verdict, as_values, exit_code
from aiagentchat.observability.log import silence
from aiagentchat.render.hygiene import clean
from aiagentchat.render.words import count

ENDED = 130
"""Exit code after Ctrl-C, as shells have it."""

_STYLES = {Verdict.OK: "green", Verdict.NOT_APPLICABLE: "dim", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
_ATTACKS = frozenset(attack.id for attack in ATTACKS)
_TITLES = {
    "config": "Settings",
    "agent": "The agent",
    "machine": "This machine",
    "matrix": "The account",
    "chat": "Rooms",
    "registry": "The registry",
    "isolation": "Isolation",
    "attacks": "Attacks",
    "room": "Attacks on another room's workspace",
    "home": "Attacks on another room's HOME",
    "data": "Attacks on the daemon's files",
    "credential": "Attacks on the operator's files",
    "process": "Attacks on processes",
    "shared": "Attacks on what processes share",
    "net": "Attacks over the network",
    "kernel": "Attacks on the kernel",
    "system": "Attacks on this machine",
    "own": "Attacks on what holds the room",
    "cli": "What a room plants for the agent's program",
    "machine.gateway": "The gateway",  # asked when the isolation is known
}
"""By the group of a row, or its whole id."""


def doctor_command(config: Path, only: str | None, *, as_json: bool) -> int:
    """Examine everything, print it, and return the exit code: that of the worst row."""
    if only is not None and only not in set(Part):
        return complain(ConfigError([f"--only: {only!r} is no part; use one of {', '.join(Part)}"]))
    silence()
    progress = Progress(shown=sys.stderr.isatty())
    try:
        rows = asyncio.run(_examined(config, [Part(only)] if only else list(Part), progress))
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("aiagentchat: ended before everything was looked at; nothing is left behind", err=True)
        return ENDED
    finally:
        progress.end()
    if as_json:
        typer.echo(json.dumps(as_values(rows), ensure_ascii=False))
    else:
        Console(highlight=False).print(table(rows))
        typer.echo("\n".join(last_lines(rows)))
    return exit_code(rows)


async def _examined(config: Path, parts: Sequence[Part], progress: "Progress") -> list[Row]:
    task = asyncio.current_task()
    assert task is not None
    # Whoever ends us, the decoys must end, too; a shell's background job would not even hear Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await examine(
        config, with_folder(config, os.environ), parts=parts, now_ms=SystemClock().now_ms, progress=progress.show
    )


class Progress:
    """How many attacks are over, on one line of a terminal; elsewhere nothing."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        if shown:
            typer.echo("Looking …", err=True, nl=False, color=True)

    def show(self, done: int, of: int) -> None:
        """So far."""
        if self._shown:
            typer.echo(f"\r\x1b[KTrying attacks … {done} of {of}", err=True, nl=False, color=True)

    def end(self) -> None:
        """Leave the line empty."""
        if self._shown:
            typer.echo("\r\x1b[K", err=True, nl=False, color=True)


def table(rows: Sequence[Row]) -> Table:
    """One table, by groups; what is wrong has its fix under it. Narrow terminals wrap it."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for title, members in groupby(rows, key=lambda row: title_of(row.id)):
        made.add_row("", Text(title, style="bold underline"))
        for row in members:
            style = _STYLES[row.verdict]
            made.add_row(Text(row.verdict, style=style), Text(row.id, style="bold").append_text(_said(row)))
    return made


def title_of(id_: str) -> str:
    """Under which a row stands."""
    group = id_.partition(".")[0]
    return _TITLES.get(id_) or _TITLES.get(group, group)


def _said(row: Row) -> Text:
    # Part of it comes from outside: a homeserver's name, the text of an error.
    text = Text(f"  {clean(row.detail)}", style="not bold")
    if row.fix:
        text.append("".join(f"\n→ {line}" for line in clean(row.fix).splitlines()), style="not bold cyan")
    return text


def last_lines(rows: Sequence[Row]) -> Iterator[str]:
    """How many of which, and what the attacks have shown."""
    attacks = [row for row in rows if row.id in _ATTACKS]
    checks = [row for row in rows if row.id not in _ATTACKS]
    if checks:
        verdicts = [row.verdict for row in checks]
        wrong = [(verdicts.count(Verdict.FAIL), "failed"), (verdicts.count(Verdict.WARN), "to look at")]
        said = [f"{number} {what}" for number, what in wrong if number]
        yield f"{count(len(checks), 'check')}: {', '.join(said) or 'all is well'}"
    if attacks:
        yield summary(attacks)
