"""What the daemon itself runs, outside of every sandbox: no room may be able to change any of it.

Its own package and environment, the program that makes sandboxes, and those that answer, which are asked for their
version whenever they have changed.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiagentchat.config.folders import detours, exists, real, touch
from aiagentchat.config.settings import Settings

_PACKAGE = Path(__file__).resolve().parents[1]
_BUBBLEWRAP = "bwrap"
_OF_ENVIRONMENT = ("bin", "include", "lib", "lib64", "pyvenv.cfg")
"""What an interpreter finds in its virtual environment. Beside these there may be anything: whoever makes one in the
folder of config.yaml has the workspaces there, too."""


def own_programs(settings: Settings, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Files and folders, where they really lie and as they are called."""
    found = _found(settings, environ)
    return tuple(dict.fromkeys(place for path in found for place in (real(path.parent) / path.name, real(path))))


def own_ways(file: Path, settings: Settings, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """What leads to these, to `data_dir`, and to the `file` that was read, as it was called, and lies elsewhere."""
    found = [file.absolute(), settings.data_dir, *_found(settings, environ)]
    return tuple(dict.fromkeys(step for path in found for step in detours(path)))


def changeable(settings: Settings, folder: Path) -> str | None:
    """What is wrong with `folder` when whoever may change it could change what the daemon runs, or reads."""
    where = real(folder)
    program = next((each for each in settings.programs if touch(where, each)), None)
    if program is not None:
        return f"{folder} and {program}, which this daemon itself runs, overlap; choose a folder apart from it"
    step = next((each for each in settings.ways if each != where and each.is_relative_to(where)), None)
    if step is not None:
        return (
            f"{folder} holds {step}, through which this daemon finds its programs, data_dir or {settings.file.name}; "
            "choose a folder apart from it"
        )
    return None


def _found(settings: Settings, environ: Mapping[str, str]) -> list[Path]:
    """Files and folders, as they are called."""
    found = [_PACKAGE, Path(sys.executable), *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))]
    if sys.prefix != sys.base_prefix:
        found += [Path(sys.prefix, name) for name in _OF_ENVIRONMENT]
    for name in (_BUBBLEWRAP, *(agent.binary for agent in settings.agents.values())):
        found += [Path(name)] if os.sep in name else _looked_up(name, environ.get("PATH", os.defpath))
    return found


def _looked_up(name: str, path: str) -> Iterator[Path]:
    """Every place where it is looked for until it is found: what is put there is found before it."""
    for folder in path.split(os.pathsep):
        if folder.startswith(os.sep):
            yield Path(folder, name)
            if exists(Path(folder, name)):
                return
