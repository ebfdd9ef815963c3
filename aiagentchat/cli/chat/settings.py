"""Where to chat and as whom: options first, then the environment. Says everything that is wrong at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiagentchat.cli.exchange.logins import Login
from aiagentchat.config.secrets import Secret, load_secrets
from aiagentchat.core.errors import ConfigError
from aiagentchat.render.hygiene import visible

TOKEN, TOKEN_FILE = "CCHAT_ACCESS_TOKEN", "CCHAT_ACCESS_TOKEN_FILE"
_HOW_TO_GET_ONE = (
    f"there is no login: make one with cchat login, or give --token-file FILE, or set {TOKEN} or {TOKEN_FILE}. "
    "Element shows your token under All settings, Help & About, Access Token"
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """What a chat needs to know."""

    homeserver: str
    token: Secret
    user: str | None = None
    """Who the token must belong to; None: whoever it belongs to."""
    room: str | None = None
    """An id, an alias or a name; None: the only one there is."""


def chat_settings(
    *,
    homeserver: str | None,
    user: str | None,
    room: str | None,
    token_file: str | None,
    environ: Mapping[str, str],
    named: Login | None = None,
    kept: Login | None = None,
) -> ChatSettings:
    """Raises ConfigError.

    `named` is a login that was asked for by its name, `kept` one that is taken where there is no other.
    """
    if named is None and kept is not None and not (token_file or environ.get(TOKEN) or environ.get(TOKEN_FILE)):
        named = kept if homeserver in (None, "", kept.homeserver) else None
    if named is not None:
        return ChatSettings(homeserver=named.homeserver, token=Secret(named.access_token), room=room or None)
    problems: list[str] = []
    url = (homeserver or "").rstrip("/")
    if problem := _address_problem(url):
        problems.append(problem)
    if user and not (user.startswith("@") and ":" in user):
        problems.append(f"--user {visible(user)}: this is not a Matrix id; write for example @you:localhost")
    token: Secret | None = None
    try:
        token = _token(token_file, environ)
    except ConfigError as error:
        problems += error.problems
    if problems or token is None:
        raise ConfigError(problems)
    return ChatSettings(homeserver=url, token=token, user=user or None, room=room or None)


def _address_problem(url: str) -> str | None:
    if not url:
        return "there is no homeserver: give --homeserver URL or set CCHAT_HOMESERVER"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if host is None or parts.scheme not in ("http", "https") or parts.username is not None:
        return f"--homeserver {visible(url)}: this is not a web address; write for example https://matrix.example.org"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return f"--homeserver {visible(url)}: over plain http others can read your login; use https"
    return None


def _token(file: str | None, environ: Mapping[str, str]) -> Secret:
    """Read as the daemon reads its own, with the same checks of the file."""
    given = (
        {"MATRIX_ACCESS_TOKEN_FILE": file}
        if file
        else {
            "MATRIX_ACCESS_TOKEN": environ.get(TOKEN, ""),
            "MATRIX_ACCESS_TOKEN_FILE": environ.get(TOKEN_FILE, ""),
        }
    )
    try:
        found = load_secrets(given).matrix_access_token
    except ConfigError as error:
        names = {"MATRIX_ACCESS_TOKEN_FILE": "--token-file" if file else TOKEN_FILE, "MATRIX_ACCESS_TOKEN": TOKEN}
        raise ConfigError([_renamed(problem, names) for problem in error.problems]) from None
    if found is None:
        raise ConfigError([_HOW_TO_GET_ONE])
    return found


def _renamed(problem: str, names: Mapping[str, str]) -> str:
    for name, ours in names.items():
        problem = problem.replace(name, ours)
    return problem


def from_environment(name: str) -> str | None:
    """A variable; an empty one counts as not set."""
    return os.environ.get(name) or None
