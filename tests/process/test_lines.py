"""A stream of bytes as lines."""

import itertools
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.process.lines import TooLong, lines

MOST = 10


class Chunks:
    """A reader that hands out what it was given, piece by piece, and counts."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self.reads = 0

    async def read(self, n: int) -> bytes:
        self.reads += 1
        chunk = next(self._chunks, b"")
        assert len(chunk) <= n
        return chunk


async def split(*chunks: bytes, most: int = MOST) -> list[bytes | TooLong]:
    return [line async for line in lines(Chunks(chunks), most=most)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"a\nb\n"], [b"a", b"b"], id="two lines in one chunk"),
        pytest.param([b"a", b"b\nc", b"\n"], [b"ab", b"c"], id="a line over chunks"),
        pytest.param([b"a\nb"], [b"a", b"b"], id="no newline at the end"),
        pytest.param([b"\n\na\n\n"], [b"", b"", b"a", b""], id="empty lines"),
        pytest.param([b"a\r\n"], [b"a\r"], id="a carriage return is part of the line"),
        pytest.param([b"0123456789\n"], [b"0123456789"], id="as long as allowed"),
        pytest.param([b"0123456789a\nb\n"], [TooLong(11), b"b"], id="one byte more"),
        pytest.param([b"01234", b"56789", b"abcde", b"\nb\n"], [TooLong(15), b"b"], id="too long over chunks"),
        pytest.param([b"0123456789abcde"], [TooLong(15)], id="too long and never ended"),
        pytest.param([b"0123456789a\n\n"], [TooLong(11), b""], id="an empty line after it"),
        pytest.param([b"0123456789ab\n0123456789abc\n"], [TooLong(12), TooLong(13)], id="two in a row"),
    ],
)
async def test_a_stream_falls_into_lines(chunks: list[bytes], expected: list[bytes | TooLong]) -> None:
    assert await split(*chunks) == expected


@given(st.lists(st.binary(max_size=15).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
async def test_the_lines_are_the_same_however_the_stream_is_cut(listed: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in listed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    borders = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(borders)]

    expected = [line if len(line) <= MOST else TooLong(len(line)) for line in listed]
    assert await split(*filter(None, pieces)) == expected


async def test_a_line_of_50_mb_is_left_out_in_little_memory_and_the_next_one_is_whole() -> None:
    chunk = b"x" * 65_536
    reader = Chunks([*[chunk] * 800, b"y\nnext\n"])
    tracemalloc.start()
    try:
        found = [line async for line in lines(reader, most=1_000_000)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == [TooLong(800 * 65_536 + 1), b"next"]
    assert peak < 3_000_000


async def test_of_a_line_that_does_not_end_is_told_how_long_it_is_so_far() -> None:
    sizes: list[int] = []
    reader = Chunks([b"a\n0123", b"4567", b"89abc", b"def\n", b"x\ny"])
    found = [line async for line in lines(reader, most=MOST, growing=sizes.append)]

    assert found == [b"a", TooLong(16), b"x", b"y"]
    assert sizes == [4, 8, 13, 1]


async def test_nothing_is_read_that_nobody_has_asked_for() -> None:
    reader = Chunks([b"a\n", b"b\n", b"c\n"])
    stream = lines(reader, most=MOST)
    first = await anext(stream)

    assert (first, reader.reads) == (b"a", 1)
