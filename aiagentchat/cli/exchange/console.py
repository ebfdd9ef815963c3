"""Where the answer of a command goes: to people in sentences and columns, to programs as one JSON document."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import typer

from aiagentchat.cli.exchange.exits import NotDone
from aiagentchat.cli.safe import safe
from aiagentchat.render.hygiene import one_line

_ENDLESS = 10_000
"""Columns of what is no terminal."""
SHOWN = 200
"""Characters of what somebody else has chosen, in a line of ours."""


@dataclass(frozen=True, slots=True)
class Console:
    """Where the answer goes."""

    as_json: bool = False
    now_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)

    def document(self, answer: object) -> None:
        """The one for programs."""
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=None))

    def say(self, text: str) -> None:
        """To a person."""
        typer.echo(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, nothing: str) -> None:
        """To a person, in columns; one row below the other where a terminal is too narrow for its words.

        What is no terminal limits nothing: each row is a line there.
        """
        if not rows:
            typer.echo(nothing)
            return
        from rich.console import Console as Rich
        from rich.measure import Measurement
        from rich.table import Table
        from rich.text import Text

        shown = [[one_line(safe(str(cell)), SHOWN) for cell in row] for row in rows]
        drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in shown:
            drawn.add_row(*map(Text, row))
        paper = Rich(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)
        needed = Measurement.get(paper, paper.options.update(max_width=_ENDLESS), drawn)
        if needed.minimum > paper.width:
            for row in shown:
                self._stand_alone(columns, row)
            return
        with paper.capture() as drawing:
            paper.print(drawn, width=min(paper.width, needed.maximum))
        for line in drawing.get().splitlines():
            typer.echo(line.rstrip())

    def _stand_alone(self, columns: Sequence[str], row: Sequence[str]) -> None:
        """A row as lines of its own, without what is empty."""
        widest = max(map(len, columns[1:]), default=0)
        typer.secho(row[0], bold=True)
        for name, cell in zip(columns[1:], row[1:], strict=True):
            if cell:
                typer.echo(f"  {name:{widest}}  {cell}")


def complain(error: NotDone, console: Console) -> int:
    """Say why not, to people and to programs."""
    if console.as_json:
        said = {"exit": int(error.exit), "cause": error.exit.name.lower(), "detail": str(error)}
        try:
            console.document({"error": said})
        except OSError as unwritten:
            unwritable(unwritten)
    typer.echo(f"cchat: {error}", err=True)
    return error.exit


def unwritable(error: OSError) -> None:
    """Say that there is more to say than can be written; it is given up."""
    if not isinstance(error, BrokenPipeError):
        typer.echo(f"cchat: what there was to say cannot be written: {error.strerror}", err=True)
    # Whoever read our output has left, or has no room. Python would complain once more while it flushes.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
