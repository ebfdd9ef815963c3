"""What the daemon itself runs, outside of every sandbox: no room may be able to change any of it.

Its own package and environment, the program that makes sandboxes, and those that answer, which are asked for their
version whenever they have changed.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiagentchat.config.folders import exists, real, touch
from aiagentchat.config.settings import Settings

_PACKAGE = Path(__file__).resolve().parents[1]
_BUBBLEWRAP = "bwrap"


def own_programs(settings: Settings, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Files and folders, where they really lie and as they are called."""
    found = [_PACKAGE, Path(sys.executable), *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))]
    if sys.prefix != sys.base_prefix:
        found.append(Path(sys.prefix))
    for name in (_BUBBLEWRAP, *(agent.binary for agent in settings.agents.values())):
        found += [Path(name)] if os.sep in name else _looked_up(name, environ.get("PATH", os.defpath))
    return tuple(dict.fromkeys(place for path in found for place in (real(path.parent) / path.name, real(path))))


def changeable(settings: Settings, folder: Path) -> str | None:
    """What is wrong with `folder` when whoever may change it could change what the daemon runs."""
    program = next((each for each in settings.programs if touch(real(folder), each)), None)
    if program is None:
        return None
    return f"{folder} and {program}, which this daemon itself runs, overlap; choose a folder apart from it"


def _looked_up(name: str, path: str) -> Iterator[Path]:
    """Every place where it is looked for until it is found: what is put there is found before it."""
    for folder in path.split(os.pathsep):
        if folder.startswith(os.sep):
            yield Path(folder, name)
            if exists(Path(folder, name)):
                return
