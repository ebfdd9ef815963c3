"""What a file of pinned requirements says: which version, for which machines, and who wants it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ENTRY = re.compile(r"^(?P<wanted>[A-Za-z0-9][^\\\n]*?)\s*\\?\n(?P<more>(?:[ ]{4}.*\n)*)", re.MULTILINE)
_VIA = re.compile(r"^ {4}# (?:via (\S.*)|  (\S.*))$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pin:
    """One requirement in exactly one version."""

    name: str
    version: str
    hashes: tuple[str, ...]
    here: bool
    """Whether it is installed on a machine like this one, or only on others."""
    via: tuple[str, ...]
    """What wants it. A file among them has its name in brackets, or behind `-r`."""


def pins(file: Path) -> Iterator[Pin]:
    """The pins of a file, as `make requirements` writes them."""
    for entry in _ENTRY.finditer(file.read_text("utf-8")):
        requirement = Requirement(entry["wanted"])
        [pinned] = requirement.specifier
        yield Pin(
            name=canonicalize_name(requirement.name),
            version=pinned.version,
            hashes=tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry["more"])),
            here=requirement.marker is None or requirement.marker.evaluate(),
            via=tuple(one or other for one, other in _VIA.findall(entry["more"])),
        )
