"""Where the answer of a command goes: to people in sentences and columns, to programs as one JSON document."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import typer

from aiagentchat.cli.exchange.exits import NotDone
from aiagentchat.cli.safe import safe
from aiagentchat.render.hygiene import one_line

SHOWN = 200
"""Characters of what somebody else has chosen, in a line of ours."""
_WIDE = 160
"""Columns of a table that no terminal limits."""


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
        """To a person, in columns."""
        if not rows:
            typer.echo(nothing)
            return
        from rich.console import Console as Rich
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            drawn.add_row(*(Text(one_line(safe(str(cell)), SHOWN)) for cell in row))
        Rich(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(drawn)


def complain(error: NotDone, console: Console) -> int:
    """Say why not, to people and to programs."""
    if console.as_json:
        said = {"exit": int(error.exit), "cause": error.exit.name.lower(), "detail": str(error)}
        console.document({"error": said})
    typer.echo(f"cchat: {error}", err=True)
    return error.exit
