"""As much of HTTP/1.1 as a proxy needs to know where a message ends. Bytes are handed on as they came."""

import asyncio
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
"""The longest head of a message; also the limit of a reader's buffer."""
_END_OF_HEAD = b"\r\n\r\n"
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer."""

    head: bytes
    """With the empty line that ends it."""
    body: bytes
    """As it is on the wire, chunks and all."""

    @property
    def raw(self) -> bytes:
        """All of it."""
        return self.head + self.body

    @property
    def method(self) -> str:
        """Of a request."""
        return self._words[0]

    @property
    def path(self) -> str:
        """Of a request, with its query."""
        return self._words[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self._words[1])

    @property
    def _words(self) -> list[str]:
        return self.head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)


async def read_request(reader: asyncio.StreamReader) -> Message | None:
    """The next request; None when there is none any more. Raises IncompleteReadError for half of one."""
    head = await _head(reader)
    return None if head is None else Message(head, await _body(reader, head) or b"")


async def read_answer(reader: asyncio.StreamReader) -> Message:
    """The next answer. Raises IncompleteReadError when the server went away before its end."""
    head = await _head(reader)
    if head is None:
        raise asyncio.IncompleteReadError(b"", None)
    if Message(head, b"").status in _WITHOUT_BODY:
        return Message(head, b"")
    body = await _body(reader, head)
    return Message(head, await reader.read() if body is None else body)


def answer(status: int, reason: str, kind: str, body: bytes) -> bytes:
    """An answer of our own."""
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(_END_OF_HEAD)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes | None:
    """The body; None when the head does not say where it ends."""
    headers = dict(_header(line) for line in head.split(b"\r\n")[1:] if b":" in line)
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return await _chunks(reader)
    if b"content-length" in headers:
        return await reader.readexactly(int(headers[b"content-length"]))
    return None


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    taken = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        length = int(size.split(b";")[0], 16)
        taken += size + await reader.readexactly(length + 2)
        if length == 0:
            return taken
