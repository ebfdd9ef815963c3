"""The smallest pictures and documents, made here so that nothing has to be unpacked or kept."""

import struct
import zlib


def png(width: int = 3, height: int = 2) -> bytes:
    """A whole one, black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int = 3, height: int = 2) -> bytes:
    """What says how large it is, and nothing that could be seen."""
    segment = b"\xff\xe0\x00\x04ab" + b"\xff\x01" + b"\xff\xff\xc0\x00\x0b\x08"
    return b"\xff\xd8" + segment + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00" + b"\xff\xd9"


def gif(width: int = 3, height: int = 2) -> bytes:
    """As `jpeg`."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def webp(kind: bytes = b"VP8X", width: int = 3, height: int = 2) -> bytes:
    """As `jpeg`; `kind` is one of its three."""
    sizes = {
        b"VP8X": b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(5),
        b"VP8 ": b"abc\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }
    body = b"WEBP" + kind + struct.pack("<I", 10) + sizes.get(kind, bytes(10))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pdf(pages: int = 1) -> bytes:
    """As `jpeg`."""
    objects = b"".join(b"1 0 obj << /Type /Page >> endobj\n" for _ in range(pages))
    return b"%PDF-1.4\n<< /Type /Pages >>\n" + objects + b"trailer << >>\n%%EOF\n"
