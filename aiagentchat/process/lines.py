"""A stream of bytes as lines, however long, in bounded memory and with back-pressure.

`StreamReader.readline` turns one line over its limit into many errors and then resumes in the middle of it, where half
a JSON line may parse as something else. Here a line over `most` comes as one `TooLong`, and the next line is whole.
While the consumer is busy nothing is read: the pipe fills and the writer waits.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

CHUNK_BYTES = 65_536


class Reader(Protocol):
    """What is read from; `asyncio.StreamReader` is one."""

    async def read(self, n: int) -> bytes:
        """Up to `n` bytes, or nothing at the end."""
        ...


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was longer than allowed. Its text is gone."""

    bytes: int


async def lines(
    reader: Reader, *, most: int, growing: Callable[[int], None] = lambda _size: None
) -> AsyncIterator[bytes | TooLong]:
    """The lines of `reader` without their newline; a last line without one counts too.

    `growing` is told how long a line is that has not ended yet, each time that more of it has come: it may never end.
    """
    parts: list[bytes] = []
    size = 0
    while chunk := await reader.read(CHUNK_BYTES):
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            size += len(piece)
            yield b"".join([*parts, piece]) if size <= most else TooLong(size)
            parts, size = [], 0
        size += len(rest)
        if size > most:
            parts = []
        elif rest:
            parts.append(rest)
        if rest:
            growing(size)
    if size > most:
        yield TooLong(size)
    elif parts:
        yield b"".join(parts)
