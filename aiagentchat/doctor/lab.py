"""Two rooms, a daemon and an operator, all of them decoys, in a folder that is gone afterwards.

The folders have the modes and owners that the real ones have, so that what holds here holds there. Whatever a raid may
change has a file of its own, and is compared from outside.
"""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aiagentchat.process.sandbox.cell import Cell

PREFIX = "aiagentchat-doctor-"
RAID = Path(__file__).with_name("raid")
_PRIVATE, _PASSABLE, _PUBLIC = 0o700, 0o711, 0o755
_SECRET = 0o600
_SHM = Path("/dev/shm")  # noqa: S108 - a decoy lies where others put theirs
_TMP = Path("/tmp")  # noqa: S108

ROOM_FILES = (
    "room.read", "room.write", "room.delete", "room.rename", "room.truncate", "room.chmod", "room.utime",
    "room.xattr", "room.symlink", "room.hardlink", "room.dotdot", "kernel.umount",
)  # fmt: skip
HOME_FILES = ("home.read", "home.write", "home.dotdot")
DATA_FILES = {
    "data.database_read": "aiagentchat.db",
    "data.database_write": "aiagentchat.db-wal",
    "data.token": "token",
    "data.store_key": "store.key",
    "data.config": "config.yaml",
    "process.cwd": "cwd",
    "process.root": "root",
}
CREDENTIALS = {
    "credential.ssh": ".ssh/id_ed25519",
    "credential.aws": ".aws/credentials",
    "credential.gcloud": ".config/gcloud/application_default_credentials.json",
    "credential.netrc": ".netrc",
    "credential.claude": ".claude/.credentials.json",
}
PROGRAMS = {"own.program": "claude", "own.shim": "shim.py"}
OWN = {"own.settings", *PROGRAMS}
"""Of these only the content counts: another mode does not make them say something else."""


class Users(NamedTuple):
    """The user ids of the attacking room and of the other one; None: the daemon's own."""

    attacker: int | None = None
    victim: int | None = None


NOBODY_ELSE = Users()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Where everything is."""

    folder: Path
    users: Users
    tag: str
    paths: dict[str, str]
    """By attack, the file or folder that it aims at."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Random markers: whoever says one of them has seen what he should not have."""

    @property
    def programs(self) -> Path:
        """What every room may read and run."""
        return self.folder / "programs"

    @property
    def data(self) -> Path:
        """The decoy daemon's folder."""
        return self.folder / "data"

    def cell(self, name: str, uid: int | None, *more: Path) -> Cell:
        """Of one of the two rooms, `a` and `b`."""
        programs = (self.programs, Path(self.paths["own.settings"]), *more)
        return Cell(workspace=self.folder / "rooms" / name, home=self.data / "homes" / name, programs=programs, uid=uid)

    def marker(self, name: str) -> str:
        """A secret, new at the first call for `name`."""
        return self.secrets.setdefault(name, f"leak-{secrets.token_hex(12)}")

    def state(self) -> dict[str, str]:
        """What the files are like that a raid may have changed, by attack."""
        return {id_: _content(Path(path)) if id_ in OWN else _look(Path(path)) for id_, path in self.paths.items()}


@contextmanager
def lab(users: Users = NOBODY_ELSE, *, place: Path | None = None) -> Iterator[Lab]:
    """Set it up, and take it down however the block ends. OSError if there is no room for it."""
    tag = f"aiac{secrets.token_hex(6)}"
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place or place_for_labs()))
    made = Lab(folder=folder, users=users, tag=tag, paths={})
    try:
        _build(made)
        yield made
    finally:
        _remove(made)


def place_for_labs() -> Path:
    """Where they lie; not in /tmp, where sandboxes have a folder of their own anyway."""
    better = Path("/var/tmp")  # noqa: S108 - every lab is a folder of its own in it
    return better if os.access(better, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _build(lab: Lab) -> None:
    # Rooms with users of their own must get through to what is theirs, and may look nowhere.
    way = _PRIVATE if lab.users == NOBODY_ELSE else _PASSABLE
    lab.folder.chmod(way)
    for path in (lab.folder / "rooms", lab.data, lab.data / "homes"):
        _folder(path, way)
    _folder(lab.programs, _PUBLIC)
    for name, uid in (("a", lab.users.attacker), ("b", lab.users.victim)):
        for path in (lab.folder / "rooms" / name, lab.data / "homes" / name, lab.data / "homes" / name / "tmp"):
            _folder(path, _PRIVATE, uid)
    _fill_rooms(lab)
    _fill_data(lab)
    _fill_programs(lab)


def _fill_rooms(lab: Lab) -> None:
    victim = lab.users.victim
    room, home = lab.folder / "rooms" / "b", lab.data / "homes" / "b"
    for folder, ids in ((room, ROOM_FILES), (home, HOME_FILES)):
        for id_ in ids:
            _file(lab, id_, folder / id_, victim)
        kind = folder.parent.name.removesuffix("s")
        lab.paths[f"{kind}.list"] = str(folder)
        lab.paths[f"{kind}.create"] = str(folder / "planted")
        _write(folder / f"{lab.tag}{lab.marker(f'{kind}.list')}", "", victim)
    _file(lab, "shared.tmp_read", _TMP / f"{lab.tag}-{lab.marker('shared.tmp_list')}", victim)
    lab.paths["shared.tmp_list"] = str(_TMP)
    with suppress(OSError):  # a machine without it
        _file(lab, "shared.shm", _SHM / lab.tag, victim)
    lab.paths.setdefault("shared.shm", str(_SHM / lab.tag))


def _fill_data(lab: Lab) -> None:
    for id_, name in DATA_FILES.items():
        _file(lab, id_, lab.data / name)
    lab.paths["data.list"] = str(lab.data)
    _write(lab.data / f"{lab.tag}{lab.marker('data.list')}", "")
    _write(lab.data / "open", lab.marker("file"))
    _write(lab.data / f"{lab.tag}{lab.marker('mapped')}", "mapped")
    lab.paths["net.unix"] = str(lab.data / "gateway.sock")
    operator = lab.folder / "operator"
    for id_, name in CREDENTIALS.items():
        path = operator / name
        for folder in reversed([parent for parent in path.parents if parent.is_relative_to(operator)]):
            folder.mkdir(mode=_PRIVATE, exist_ok=True)
        _file(lab, id_, path)


def _fill_programs(lab: Lab) -> None:
    shutil.copytree(RAID, lab.programs / "raid", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (lab.programs / "raid", *(lab.programs / "raid").iterdir()):
        path.chmod(_PUBLIC)
    for id_, name in PROGRAMS.items():
        _file(lab, id_, lab.programs / name)
        (lab.programs / name).chmod(_PUBLIC)
    _file(lab, "own.settings", lab.data / "homes" / "a.settings.json")
    Path(lab.paths["own.settings"]).chmod(0o400 if lab.users.attacker is None else 0o444)


def _file(lab: Lab, id_: str, path: Path, uid: int | None = None) -> None:
    """What attack `id_` aims at, with a secret of its own in it."""
    lab.paths[id_] = str(path)
    _write(path, lab.marker(id_), uid)


def _folder(path: Path, mode: int, uid: int | None = None) -> None:
    path.mkdir()
    path.chmod(mode)  # whatever the umask is
    if uid is not None:
        os.chown(path, uid, uid)


def _write(path: Path, text: str, uid: int | None = None) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, _SECRET)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - there is a descriptor already
        os.fchmod(descriptor, _SECRET)
        if uid is not None:
            os.fchown(descriptor, uid, uid)
        file.write(text)


def _look(path: Path) -> str:
    """Everything about a file that can be changed; empty if there is none."""
    try:
        found = path.lstat()
        names = sorted(os.listxattr(path, follow_symlinks=False))
        content = _content(path) if path.is_file() else ""
    except OSError:
        return ""
    times = found.st_mtime_ns if content else 0  # that of a folder changes with each attack on what is in it
    links = found.st_nlink if content else 0
    return f"{found.st_mode:o} {found.st_uid} {found.st_ino} {links} {times} {names} {content}"


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _remove(lab: Lab) -> None:
    for path in (lab.paths.get("shared.tmp_read"), lab.paths.get("shared.shm")):
        if path is not None:
            Path(path).unlink(missing_ok=True)
    shutil.rmtree(lab.folder, ignore_errors=True)
