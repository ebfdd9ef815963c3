"""Where passwords are that nobody has thought of: files in the folder `secrets`, for their owner alone."""

import os
import secrets as random
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from aiagentchat.bootstrap.wanted import local_part
from aiagentchat.config.secrets import Secret, read_secret
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.ids import UserId

PASSWORD = "MATRIX_PASSWORD"  # noqa: S105 - a name
ACCOUNTS = "accounts"
"""The folder in it with the passwords of other people; they are theirs, and may be given to them and deleted."""

_PASSWORD_BYTES = 24
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class Passwords:
    """Those of our account and of the people whose accounts are made here."""

    def __init__(self, folder: Path, me: UserId, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._me = me
        self._environ = environ

    def file_of(self, user: UserId) -> Path:
        """Where the password of `user` is, or would be."""
        if user == self._me:
            return Path(self._environ.get(f"{PASSWORD}_FILE") or self.folder / PASSWORD)
        return self.folder / ACCOUNTS / quote(local_part(user), safe="")

    def of(self, user: UserId) -> Secret | None:
        """The password of `user`, if it is known. Raises ConfigError."""
        given = self._environ.get(PASSWORD, "").strip()
        if user == self._me and given:
            return Secret(given)
        file = self.file_of(user)
        return read_secret(f"password of {user}", str(file)) if os.path.lexists(file) else None

    def keep(self, user: UserId) -> None:
        """Think of one, and write it down. Raises ConfigError."""
        write_secret(self.file_of(user), random.token_urlsafe(_PASSWORD_BYTES))


def write_secret(file: Path, value: str, *, replace: bool = False) -> None:
    """Write `value` into `file`, which nobody else can read, nor anything in its folder. Raises ConfigError."""
    made = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        if not replace and os.path.lexists(file):
            raise ConfigError([f"{file} is there already, and is not overwritten"])
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
        try:
            os.fchmod(descriptor, _FILE_MODE)
            os.write(descriptor, f"{value}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        made.replace(file)
    except OSError as error:
        raise ConfigError([f"{file} cannot be written: {error.strerror}"]) from error
