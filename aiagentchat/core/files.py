"""Files that come out of a room, and names that nobody can do harm with. Pure."""

import mimetypes
import re
import unicodedata
from dataclasses import dataclass, field

ANY_TYPE = "application/octet-stream"
"""What nothing is known about."""
MOST_NAME_BYTES = 150
"""A file system takes 255; the rest is for what is added to tell two files apart."""
UNNAMED = "file"
MOST_FILES = 10
"""So many go along with one message, and so many leave one turn."""
MOST_UNSENT = 4
"""So many times the largest file may wait to be sent into one room, all its files together."""
FILES_WAIT_MS = 24 * 3_600_000
"""How long a file without a caption waits for what its sender says next."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}", re.IGNORECASE)
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
"""Categories of what cannot be seen, or moves what can (bidi)."""
_SPECIAL = frozenset('<>:"|?*')
"""What a shell, or another system, takes for something else than a part of a name."""
_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9]{1,8}){1,2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKeys:
    """What opens a file that its sender has encrypted, and what tells that nobody has changed it."""

    key: str = field(repr=False)
    iv: str = field(repr=False)
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file that somebody has put into a room: what its sender says of it, and where it is."""

    name: str
    mime: str = ANY_TYPE
    size: int | None = None
    """In bytes; None where its sender does not say. The real one may be another."""
    url: str
    """Its mxc:// address."""
    keys: FileKeys | None = None
    """None: it is not encrypted."""


def safe_name(name: str, mime: str = ANY_TYPE) -> str:
    """A name for a file of ours, out of what somebody else calls it: readable, short, and one plain name.

    No path, nothing hidden or reordered, and it begins with nothing that means something to a shell or a program.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join("" if unicodedata.category(char) in _HIDDEN else "_" if char in _SPECIAL else char for char in last)
    plain = re.sub(r"\s+", "_", shown.strip()).lstrip(".-~").rstrip(".") or UNNAMED
    if mime != ANY_TYPE and not _SUFFIX.search(plain):
        plain += mimetypes.guess_extension(mime, strict=False) or ""
    stem, suffix = split_name(plain)
    room = MOST_NAME_BYTES - len(suffix.encode())
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore") + suffix


def split_name(name: str) -> tuple[str, str]:
    """What it is called, and its suffix, which may be two (`.tar.gz`) or none."""
    found = _SUFFIX.search(name)
    return (name, "") if found is None or found.start() == 0 else (name[: found.start()], found[0])


def numbered(name: str, number: int) -> str:
    """The same name, for the second file (and so on) that would have it."""
    stem, suffix = split_name(name)
    return name if number == 1 else f"{stem}-{number}{suffix}"


def type_of(name: str) -> str:
    """What a file is, by its name."""
    return mimetypes.guess_type(name, strict=False)[0] or ANY_TYPE


def clean_type(said: str) -> str:
    """A media type that somebody has said, if it is one."""
    return said.lower() if _TYPE.fullmatch(said) else ANY_TYPE


def is_text(data: bytes) -> bool:
    """Whether it can be read as a text, whatever it calls itself."""
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False
