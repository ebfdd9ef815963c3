"""The tokens of those who speak with the gateway: files that nobody but the daemon's user can read.

A file that is missing is made. Whoever deletes one rotates its token: the old one is good for nothing from that moment
on, also in a daemon that runs.
"""

import hmac
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aiagentchat.core.errors import ConfigError

FOLDER = "gateway"
"""In data_dir."""
OPERATOR = "operator.token"
PORT = "port.token"
CALLERS = "callers"
TOKEN_BYTES = 32
LEAST_TOKEN = 20
"""Characters of a token that somebody has put there."""

_PRIVATE = 0o600
_FOLDER = 0o700
_MOST_BYTES = 1024


@dataclass(slots=True)
class _Kept:
    """A token in force, and the file that it is in."""

    file: Path
    token: str = field(repr=False)
    identity: tuple[int, int, int]


class Tokens:
    """Tells whose token it is."""

    def __init__(self, folder: Path, names: Iterable[str], *, told: Callable[[str, str], None]) -> None:
        """`names` are files below `folder`; `told` hears the name and the value of every secret."""
        self._folder = folder
        self._names = tuple(names)
        self._told = told
        self._kept: dict[str, _Kept] = {}

    def prepare(self) -> None:
        """Read what is there and make what is missing. Raises `ConfigError`."""
        _private_folder(self._folder)
        for name in self._names:
            file = self._folder / name
            if file.parent != self._folder:
                _private_folder(file.parent)
            self._kept[name] = self._take(file)

    def owner(self, token: str) -> str | None:
        """The name of the file that has the token; None: no file has it, or had it until it was deleted.

        Every token is compared, and each comparison takes as long whatever is right of it.
        """
        self._renew()
        given, found = token.encode("utf-8", "replace"), None
        for name, kept in self._kept.items():
            if hmac.compare_digest(kept.token.encode(), given):
                found = name
        return found

    def _renew(self) -> None:
        """Take in what has changed in the files."""
        for name, kept in self._kept.items():
            if _identity(kept.file) != kept.identity:
                try:
                    self._kept[name] = self._take(kept.file)
                except ConfigError:
                    # Nobody has this one, until somebody mends the file.
                    self._kept[name] = _Kept(kept.file, secrets.token_urlsafe(TOKEN_BYTES), (0, 0, 0))

    def _take(self, file: Path) -> _Kept:
        try:
            if _identity(file) is None:
                _make(file)
            token, identity = _read(file)
        except OSError as error:
            raise ConfigError([f"The token {file} cannot be made or read: {error.strerror}."]) from error
        self._told(f"gateway {file.name}", token)
        return _Kept(file, token, identity)


def caller_file(name: str) -> str:
    """Where the token of a configured caller is."""
    return f"{CALLERS}/{name}.token"


def _identity(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in (0, os.geteuid()):
            raise ConfigError([f"{folder} is not a folder of ours: move it away."])
        folder.chmod(_FOLDER)
    except OSError as error:
        raise ConfigError([f"{folder} cannot be made: {error.strerror}."]) from error


def _make(file: Path) -> None:
    """There at once and whole, and never in the place of another one."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
    try:
        os.write(descriptor, f"{secrets.token_urlsafe(TOKEN_BYTES)}\n".encode("ascii"))
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, file)
    finally:
        fresh.unlink()


def _read(file: Path) -> tuple[str, tuple[int, int, int]]:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError([f"{file} is not a file: move it away."])
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError([f"Other users can read {file}: delete it to have a new one, or run: chmod 600 {file}"])
        token = os.read(descriptor, _MOST_BYTES).decode("ascii", "replace").strip()
        if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
            raise ConfigError([f"{file} has no token of {LEAST_TOKEN} characters or more: delete it to have one made."])
        return token, (found.st_dev, found.st_ino, found.st_ctime_ns)
    finally:
        os.close(descriptor)
