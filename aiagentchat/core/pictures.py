"""What a picture is and how large, by its first bytes. Pure, and safe with any bytes: nothing is unpacked.

A decoder of pictures that strangers send has no place in the process that holds all keys. What is needed here stands in
the head of the file, at places that the formats fix.
"""

import re
from dataclasses import dataclass

PNG, JPEG, GIF, WEBP = "image/png", "image/jpeg", "image/gif", "image/webp"
PDF = "application/pdf"

_PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_SIZES_IN_JPEG = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of segments that say how large it is."""
_BARE_IN_JPEG = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_PAGES = re.compile(rb"/Type\s*/Pages(?![a-zA-Z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,9})(?!\d)")
_PACKED = b"/ObjStm"
"""From PDF 1.5 on pages may stand in a stream of objects, which is packed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of one of the four formats that the model sees."""

    mime: str
    width: int
    height: int


def picture_of(data: bytes) -> Picture | None:
    """What `data` is, if it is such a picture."""
    for mime, size in ((PNG, _png), (JPEG, _jpeg), (GIF, _gif), (WEBP, _webp)):
        found = size(data)
        if found is not None and min(found) > 0:
            return Picture(mime, *found)
    return None


def pages_of_pdf(data: bytes) -> int | None:
    """How many pages `data` has; None if it is no PDF, or locked, or they cannot be counted without unpacking."""
    if not data.startswith(b"%PDF-") or b"%%EOF" not in data[-2048:] or b"/Encrypt" in data:
        return None
    found = len(_PAGE.findall(data))
    if _PACKED in data and not (_PAGES.search(data) and found == max(map(int, _COUNT.findall(data)), default=0)):
        return None  # some of them may be packed
    return found or None


_Size = tuple[int, int]


def _png(data: bytes) -> _Size | None:
    if not data.startswith(_PNG_HEAD) or len(data) < 33 or b"IEND" not in data[-16:]:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _gif(data: bytes) -> _Size | None:
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 14:
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _webp(data: bytes) -> _Size | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if int.from_bytes(data[4:8], "little") + 8 > len(data):
        return None  # cut off
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L" if data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return None


def _jpeg(data: bytes) -> _Size | None:
    if not data.startswith(b"\xff\xd8\xff") or b"\xff\xd9" not in data[-64:]:
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a byte that fills
            at += 1
        elif marker in _BARE_IN_JPEG:
            at += 2
        elif marker in _SIZES_IN_JPEG:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None
