"""A terminal for tests: what a program writes, as a person would see it, and a real pseudo-terminal to run it in."""

import asyncio
import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from rich.cells import cell_len

PATIENCE = 30.0
"""Seconds that a wait may take."""
_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x00-\x1f\x7f])")
_IGNORED = "mhl"
"""Colours, and modes that change nothing for what is seen here."""


class Picture:
    """A screen and its scrollback. What it does not know is an error: a program must not write it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = columns, rows
        self.scrollback: list[str] = []
        self.row = self.column = 0
        self._lines: list[list[str]] = [[]]
        self._own: tuple[list[list[str]], int, int] | None = None
        """What is on the screen of its own, while the other one is shown."""

    @property
    def screen(self) -> list[str]:
        """The lines that are seen."""
        return ["".join(line).rstrip() for line in self._lines]

    @property
    def text(self) -> str:
        """All there is, above and on the screen."""
        return "\n".join([*self.scrollback, *self.screen])

    def feed(self, written: str) -> str:
        """Take what was written; returns the beginning of a sequence that is not complete."""
        place = 0
        while place < len(written):
            token = _TOKEN.match(written, place)
            if token is None:
                if re.fullmatch(r"\x1b(\[[?0-9;]*)?", written[place:]):
                    return written[place:]
                raise AssertionError(f"a terminal would obey {written[place : place + 20]!r}")
            place = token.end()
            parameters, final, newline, char = token.groups()
            if char:
                self._put(char)
            elif newline == "\n":
                self._down()
            elif newline == "\r":
                self.column = 0
            elif parameters == "?1049":
                self._switch(to_other=final == "h")
            elif final not in _IGNORED:
                self._move(final, parameters)
        return ""

    def _switch(self, *, to_other: bool) -> None:
        if to_other:
            assert self._own is None, "the other screen is shown already"
            self._own = self._lines, self.row, self.column
            self._lines = [[] for _ in self._lines]
        else:
            assert self._own is not None, "the other screen is not shown"
            (self._lines, self.row, self.column), self._own = self._own, None

    def _put(self, char: str) -> None:
        line = self._lines[self.row]
        width = cell_len(char)
        if width == 0:
            if line:
                line[-1] += char
            return
        self.column = min(self.column, self.columns - width)
        line += [" "] * (self.column - len(line))
        line[self.column : self.column + width] = [char, *[""] * (width - 1)]
        self.column += width

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self._lines):
            self._lines.append([])
        if len(self._lines) > self.rows and self._own is not None:
            self._lines.pop(0)  # the other screen has no scrollback
            self.row -= 1
        elif len(self._lines) > self.rows:
            self.scrollback.append("".join(self._lines.pop(0)).rstrip())
            self.row -= 1

    def _move(self, final: str, parameters: str) -> None:
        match final, parameters:
            case "A", number:
                self.row = max(0, self.row - int(number or 1))
            case "C", number:
                self.column = min(self.columns - 1, self.column + int(number or 1))
            case "H", "":
                self.row = self.column = 0
            case "J", "":
                del self._lines[self.row][self.column :]
                del self._lines[self.row + 1 :]
            case "J", "2":
                self._lines = [[] for _ in self._lines]
            case "K", "2":
                self._lines[self.row] = []
            case _:
                raise AssertionError(f"a terminal would obey CSI {parameters}{final}")


class Terminal:
    """A program in a pseudo-terminal. Made by `in_terminal`."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int, picture: Picture) -> None:
        self.process = process
        self.picture = picture
        self.written = ""
        """Everything that the program wrote."""
        self._rest = b""
        self._unfinished = ""
        self._master, self._slave = master, slave
        self._changed = asyncio.Event()
        self._broken: AssertionError | None = None

    def read(self) -> None:
        """Take what was written. Called by the event loop."""
        with suppress(OSError):
            self._rest += os.read(self._master, 65536)
        text = self._rest.decode("utf-8", "ignore")
        self._rest = self._rest[len(text.encode()) :]
        self.written += text
        try:
            self._unfinished = self.picture.feed(self._unfinished + text)
        except AssertionError as error:
            self._broken = error
        self._changed.set()

    async def until(self, wanted: str | Callable[[Picture], object]) -> None:
        """Wait until a text is on the screen (or above it), or the picture is as it should be."""

        def seen() -> object:
            return wanted in self.picture.text if isinstance(wanted, str) else wanted(self.picture)

        try:
            async with asyncio.timeout(PATIENCE):
                while not seen():
                    if self._broken:
                        raise self._broken
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited for {wanted!r}; the screen shows\n{self.picture.text}") from None

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the size. What was there is gone: no two terminals agree on what to do with it."""
        self.picture = Picture(columns, rows)
        set_size(self._slave, columns, rows)

    @property
    def modes(self) -> list[Any]:
        """How the terminal treats keys and lines."""
        return termios.tcgetattr(self._slave)

    async def ended(self) -> int:
        """Wait for the end of the program; its exit code."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.to_thread(self.process.wait)
        except TimeoutError:
            raise AssertionError(f"it did not end; the screen shows\n{self.picture.text}") from None


def set_size(descriptor: int, columns: int, rows: int) -> None:
    """Change a terminal's size."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _start(argv: Sequence[str], terminal: int, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, env=dict(env))


@asynccontextmanager
async def in_terminal(
    argv: Sequence[str], env: Mapping[str, str], *, columns: int = 80, rows: int = 24
) -> AsyncGenerator[Terminal, None]:
    """Run a program in a terminal of its own. It has ended when the block has."""
    master, slave = os.openpty()
    set_size(slave, columns, rows)
    # setsid gives it the terminal as its own, so that the kernel tells it about a new size.
    process = _start(["setsid", "--ctty", *argv], slave, env)
    terminal = Terminal(process, master, slave, Picture(columns, rows))
    loop = asyncio.get_running_loop()
    loop.add_reader(master, terminal.read)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(AssertionError):
                await terminal.ended()
        if process.poll() is None:
            process.kill()
            process.wait()
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)
