"""Logins of `cchat`'s own, each in a file for its owner alone. Never the daemon's."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.files import read_private, write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who somebody is, and where."""

    homeserver: str
    user_id: str
    device_id: str = ""
    access_token: str = field(repr=False)


def login_file(home: str, profile: str | None) -> Path:
    """Where the login of that name is kept; None: the one that is taken when no name is given."""
    name = "login.json" if profile is None else f"login-{profile}.json"
    return Path(home or "/") / ".config" / "cchat" / name


def load(file: Path) -> Login | None:
    """The login; None: there is none. Raises NotDone for a file that others can read, or that is none of ours."""
    try:
        if not file.exists():
            return None
    except OSError as error:
        raise NotDone(
            f"{file}: whether there is a login cannot be seen: {error.strerror}; is HOME yours?", Exit.USAGE
        ) from None
    try:
        return Login(**json.loads(read_private(file, "the login")))
    except (ValueError, TypeError):
        raise NotDone(f"{file}: this is not a login; remove it, and run cchat login", Exit.USAGE) from None


def keep(file: Path, login: Login) -> None:
    """Put the login there, in the place of another one. Raises NotDone."""
    write_private(file, json.dumps(asdict(login), indent=1) + "\n")
