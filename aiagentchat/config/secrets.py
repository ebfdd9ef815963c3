"""Secrets: from the environment, from files or from credentials of systemd, never from config.yaml, and never printed.

What is known here is also hidden wherever it turns up in logs and rooms (`core/redact.py`), but for values of fewer
than six characters: they would be found in ordinary words.
"""

import base64
import binascii
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from aiagentchat.config.fields import split_url
from aiagentchat.config.folders import real
from aiagentchat.config.problems import printable
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.redact import LEAST_KNOWN

_MOST_BYTES = 64 * 1024
_BASE_URL = "ANTHROPIC_BASE_URL"
STORE_KEY = "AIAGENTCHAT_STORE_KEY"
STORE_KEY_BYTES = 32

VARIABLES: Mapping[str, str] = {
    "MATRIX_ACCESS_TOKEN": "matrix_access_token",
    "MATRIX_REFRESH_TOKEN": "matrix_refresh_token",
    "MATRIX_PASSWORD": "matrix_password",
    "ANTHROPIC_API_KEY": "anthropic_api_key",
    "ANTHROPIC_AUTH_TOKEN": "anthropic_auth_token",
    "CLAUDE_CODE_OAUTH_TOKEN": "claude_code_oauth_token",
    STORE_KEY: "store_key",
    "LOKI_TOKEN": "loki_token",
    "LOKI_PASSWORD": "loki_password",
}
"""Each secret's variable, and its field in `Secrets`. Each may be given as NAME or as NAME_FILE."""


FOLDER = "secrets"
"""Beside config.yaml: each file in it is a secret, and its name that of the variable."""
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what `LoadCredential=` names, for the service alone."""
_CREDENTIAL_NAMES = ("{}", "secrets_{}")
"""`LoadCredential=NAME:…`, and `LoadCredential=secrets:FOLDER`, which brings every file of a folder."""

_KEPT_IN = (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".config/gcloud", ".config/gh", ".claude")
"""Where people keep what opens other doors, below their HOME."""


def secret_places(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Files and folders with secrets that no room may be let into: those given by `…_FILE`, and the usual ones."""
    given = [environ[f"{name}_FILE"] for name in VARIABLES if environ.get(f"{name}_FILE")]
    given += [environ[name] for name in (CREDENTIALS,) if environ.get(name)]
    home = environ.get("HOME", "")
    usual = [Path(home) / name for name in _KEPT_IN] if home.startswith("/") else []
    return (*map(Path, given), *usual)


def secret_folder(config: Path) -> Path:
    """Where `aiagentchat init` and `bootstrap` put secrets, and where they are looked for."""
    return real(config).parent / FOLDER


def closed_folder(config: Path) -> Path | None:
    """That folder, where it is closed to whoever asks: systemd gives the daemon what is in there, and nobody else."""
    folder = secret_folder(config)
    return folder if folder.is_dir() and not os.access(folder, os.X_OK) else None


def with_folder(config: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, with NAME_FILE for each secret that is a file in the folder and that `environ` does not give."""
    folder = secret_folder(config)
    found = {
        f"{name}_FILE": str(folder / name)
        for name in VARIABLES
        if not (environ.get(name, "").strip() or environ.get(f"{name}_FILE") or credential(name, environ))
        and os.path.lexists(folder / name)
    }
    return {**environ, **found}


class Secret:
    """A value that prints as `(hidden)` wherever it is printed by mistake."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value. Hand it on at once; never keep it in a variable that may be logged."""
        return self._value

    def __repr__(self) -> str:
        return "(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied or written anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What was found. None: not given."""

    matrix_access_token: Secret | None = None
    """Used instead of the password when both are there."""
    matrix_refresh_token: Secret | None = None
    """Renews the access token that is given beside it."""
    matrix_password: Secret | None = None
    anthropic_api_key: Secret | None = None
    anthropic_auth_token: Secret | None = None
    claude_code_oauth_token: Secret | None = None
    store_key: Secret | None = None
    """What seals the secrets in the database; without it, the key is a file in data_dir."""
    loki_token: Secret | None = None
    loki_password: Secret | None = None
    """That of `loki.user`."""
    anthropic_base_url: str | None = None
    """Where the model is asked; not a secret."""
    found: tuple[str, ...] = ()
    """The variables that they came from."""

    def known(self) -> tuple[tuple[str, str], ...]:
        """The name and the value of each, for whoever hides them."""
        held = ((name, getattr(self, field)) for name, field in VARIABLES.items())
        return tuple((name, secret.reveal()) for name, secret in held if secret is not None)

    def too_short(self) -> tuple[str, ...]:
        """The names of those that cannot be hidden in text."""
        return tuple(name for name, value in self.known() if len(value) < LEAST_KNOWN)


def load_secrets(environ: Mapping[str, str]) -> Secrets:
    """Read every secret that is given. An empty variable counts as not given.

    Raises `ConfigError` with every problem at once; no problem contains a secret.
    """
    problems: list[str] = []
    found: list[str] = []
    values: dict[str, Secret] = {}
    for name, attribute in VARIABLES.items():
        try:
            source, value = _one(name, environ)
        except _NotUsableError as error:
            problems.append(printable(str(error)))
            continue
        if value and name == STORE_KEY and store_key_bytes(value) is None:
            problems.append(f"{source}: this is not a store key; make one with: openssl rand -base64 {STORE_KEY_BYTES}")
        elif value:
            found.append(source)
            values[attribute] = Secret(value)
    if "matrix_refresh_token" in values and "matrix_access_token" not in values and not problems:
        problems.append("MATRIX_REFRESH_TOKEN: it goes with an access token; set MATRIX_ACCESS_TOKEN as well")
    url = environ.get(_BASE_URL, "").strip()
    parts = split_url(url)
    if url and (parts is None or "@" in parts.netloc):
        problems.append(
            f"{_BASE_URL}: this is not a web address without user name; write for example https://api.anthropic.com"
        )
    if problems:
        raise ConfigError(problems)
    return Secrets(**values, anthropic_base_url=url or None, found=tuple(found))


def read_secret(option: str, file: str) -> Secret:
    """The secret in `file`, which `option` names. Raises `ConfigError`."""
    try:
        return Secret(_checked(f"{option}: {file}", _content(option, file)))
    except _NotUsableError as error:
        # Without the colon, after which what hides secrets would see one.
        raise ConfigError([printable(str(error).replace(f"{option}: ", f"{option} ", 1))]) from None


def missing_matrix_login(secrets: Secrets) -> str | None:
    """What to do when nothing was given to log in to Matrix with; None when something was."""
    if secrets.matrix_access_token or secrets.matrix_password:
        return None
    return (
        "There is no login for Matrix: set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD, "
        "or one of them with _FILE at its end and the name of a file."
    )


def missing_model_key(secrets: Secrets) -> str | None:
    """What to do when no key for the model was given; None when one was."""
    if secrets.anthropic_api_key or secrets.anthropic_auth_token or secrets.claude_code_oauth_token:
        return None
    return (
        "There is no key for the model: set ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or CLAUDE_CODE_OAUTH_TOKEN, "
        "or one of them with _FILE at its end and the name of a file."
    )


def store_key_bytes(text: str) -> bytes | None:
    """The key that is written as `text` in Base64; None if it is none."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == STORE_KEY_BYTES else None


class _NotUsableError(Exception):
    """A secret was given in a way that cannot be used."""


def credential(name: str, environ: Mapping[str, str]) -> str:
    """The file in which systemd gives this secret to us; empty if it gives none."""
    folder = environ.get(CREDENTIALS, "")
    files = (f"{folder}/{each.format(name)}" for each in _CREDENTIAL_NAMES)
    return next((file for file in files if os.path.lexists(file)), "") if folder.startswith("/") else ""


def _one(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that the secret came from, or the credential, and the secret; empty when it was not given."""
    direct, file, credited = environ.get(name, "").strip(), environ.get(f"{name}_FILE", ""), credential(name, environ)
    of_systemd = f"credential {Path(credited).name}"
    given = [how for how, value in ((name, direct), (f"{name}_FILE", file), (of_systemd, credited)) if value]
    if len(given) > 1:
        raise _NotUsableError(f"{given[0]} and {given[1]} are both set; keep one of them")
    if credited:
        return of_systemd, _checked(of_systemd, _content(of_systemd, credited, check_mode=False))
    if not file:
        return name, _checked(name, direct)
    return f"{name}_FILE", _checked(f"{name}_FILE: {file}", _content(f"{name}_FILE", file))


def _content(variable: str, file: str, *, check_mode: bool = True) -> str:
    try:
        # Not blocking, so that a pipe in its place cannot hold up the start.
        descriptor = os.open(Path(file), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # A credential is for the service alone, whatever its mode says: an access list may make that 0440.
            _check_mode(variable, file, os.fstat(descriptor).st_mode & (-1 if check_mode else ~0o077))
            content = os.read(descriptor, _MOST_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable file name"
        raise _NotUsableError(f"{variable}: {file}: the file cannot be read: {reason}") from None
    if len(content) > _MOST_BYTES:
        raise _NotUsableError(f"{variable}: {file}: the file is too large to be a secret")
    text = content.decode("utf-8", "replace").strip()
    if not text:
        raise _NotUsableError(f"{variable}: {file}: the file is empty; write the secret into it")
    return text


def _check_mode(variable: str, file: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise _NotUsableError(f"{variable}: {file}: this is a folder; name the file in it")
    if not stat.S_ISREG(mode):
        raise _NotUsableError(f"{variable}: {file}: this is not a file")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _NotUsableError(f"{variable}: {file}: other users can read this file; run: chmod 600 {file}")


def _checked(where: str, value: str) -> str:
    """A secret ends up in an HTTP header, where a line break would be an attack."""
    if not value.isprintable() or "\ufffd" in value:
        raise _NotUsableError(f"{where}: the secret must be one line of text; it has line breaks or other characters")
    return value
