"""Whom `cchat` asks: the gateway of a daemon, or the homeserver with a login of its own.

What is given in the command wins, then the environment, then the config.yaml that `aiagentchat` would take, then what
`cchat login` has kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.files import closed, config_values, data_dir, read_secret
from aiagentchat.cli.exchange.logins import Login, load, login_file
from aiagentchat.cli.exchange.wire import Place, place
from aiagentchat.render.hygiene import visible

GATEWAY, TOKEN_FILE, CONFIG = "AIAGENTCHAT_GATEWAY", "AIAGENTCHAT_GATEWAY_TOKEN_FILE", "AIAGENTCHAT_CONFIG"
SOCKET, TOKEN = "operator.sock", "operator.token"
"""In the daemon's `data_dir/gateway`, for whoever runs it."""
_PROFILE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HOW = (
    "there is no gateway and no login: run this where config.yaml is or give --config FILE (and see that the daemon "
    "runs, with gateway.enabled), give --gateway and --token-file, or run cchat login for an account of your own"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What was given of how to get there."""

    gateway: str | None = None
    token_file: str | None = None
    config: str | None = None
    profile: str | None = None
    """`--as`: a login of that name, and no gateway."""
    direct: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AtGateway:
    """A daemon is asked."""

    place: Place
    token: str
    otherwise: Login | None = None
    """Who is asked if nobody listens there; None where the gateway was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLogin:
    """The homeserver is asked."""

    login: Login


def find(way: Way, environ: Mapping[str, str], here: Path) -> AtGateway | ByLogin:
    """Who is to be asked. Raises NotDone."""
    home = environ.get("HOME", "")
    if way.profile is not None or way.direct:
        if way.gateway:
            raise NotDone("--gateway does not go with --as and --direct: those speak without one", Exit.USAGE)
        return ByLogin(login=_own(way.profile, home))
    if gateway := way.gateway or environ.get(GATEWAY):
        return _given(gateway, way.token_file or environ.get(TOKEN_FILE), "--gateway" if way.gateway else GATEWAY)
    config = way.config or environ.get(CONFIG)
    file = Path(config) if config else here / "config.yaml"
    folder: Path | None = None
    if config or lies_there(file):
        try:
            folder = data_dir(file, config_values(file), home) / "gateway"
            is_there = _is_there(folder / SOCKET)
        except NotDone:
            # It was only found here: it may be somebody else's, or another program's.
            if config or load(login_file(home, None)) is None:
                raise
        else:
            if config or is_there:
                return _of_config(folder, way.token_file or environ.get(TOKEN_FILE), home, is_asked_for=bool(config))
    login = load(login_file(home, None))
    if login is None and folder is not None:
        raise NotDone(
            f"the daemon of {file} does not run, or has no gateway (there is no {folder / SOCKET}); start it with "
            "aiagentchat run, or run cchat login for an account of your own",
            Exit.UNREACHABLE,
        )
    if login is None:
        raise NotDone(_HOW, Exit.NO_WAY)
    return ByLogin(login=login)


def lies_there(file: Path) -> bool:
    """Whether there are settings that we may see."""
    try:
        return file.is_file()
    except OSError:  # the folder is closed to us: so are its settings
        return False


def profile_name(profile: str | None) -> str | None:
    """The name, if it may be one. Raises NotDone."""
    if profile is not None and _PROFILE.fullmatch(profile) is None:
        raise NotDone(f"--as {visible(profile)}: a name has a-z, 0-9, _ and -, at most 32 of them", Exit.USAGE)
    return profile


def _own(profile: str | None, home: str) -> Login:
    login = load(login_file(home, profile_name(profile)))
    if login is None:
        which, how = (f" named {profile}", f" --as {profile}") if profile else ("", "")
        raise NotDone(f"there is no login{which}; make one with cchat login{how}", Exit.NO_WAY)
    return login


def _given(gateway: str, token_file: str | None, option: str) -> AtGateway:
    try:
        where = place(gateway)
    except ValueError as error:
        raise NotDone(
            f"{option} {visible(gateway)}: {error}; write for example http://127.0.0.1:8870", Exit.USAGE
        ) from None
    if token_file is None and where.socket is not None:
        token_file = str(where.socket.with_name(TOKEN))
        if not _is_there(where.socket) and not _is_there(Path(token_file)):
            raise NotDone(
                f"{option} {visible(gateway)}: there is no such socket, so nothing was sent; is that the path, and "
                "does the daemon run?",
                Exit.UNREACHABLE,
            )
    if token_file is None:
        raise NotDone(f"{option} needs a token: give --token-file FILE, or set {TOKEN_FILE}", Exit.USAGE)
    return AtGateway(place=where, token=read_secret(Path(token_file), "--token-file"))


def _is_there(file: Path) -> bool:
    """Whether it is. Raises Closed where only somebody else may know."""
    try:
        file.stat()
    except PermissionError:
        closed(file)
    except OSError:
        return False
    return True


def _of_config(folder: Path, token_file: str | None, home: str, *, is_asked_for: bool) -> AtGateway:
    if not _is_there(folder / SOCKET):
        raise NotDone(
            f"the daemon does not run, or has no gateway: there is no {folder / SOCKET}; start it with aiagentchat run",
            Exit.UNREACHABLE,
        )
    return AtGateway(
        place=Place(str(folder / SOCKET), socket=folder / SOCKET),
        token=read_secret(Path(token_file) if token_file else folder / TOKEN, "--token-file"),
        otherwise=None if is_asked_for else load(login_file(home, None)),
    )
