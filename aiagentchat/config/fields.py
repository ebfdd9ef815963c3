"""The kinds of values that a key may have, each with the sentence that is said when it has another.

The checks run before pydantic's own, so that a problem names the value and what to write instead.
"""

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator

from aiagentchat.config.problems import show, suggest
from aiagentchat.core.ids import UserId
from aiagentchat.core.isolation import Isolation, Network
from aiagentchat.core.log_content import LogContent
from aiagentchat.core.showing import Form, Show
from aiagentchat.core.spending import MICROS

DAY = 86_400
WEEK = 7 * DAY

PERMISSION_MODES = ("default", "acceptEdits", "plan", "dontAsk", "bypassPermissions")
BYPASS = "bypassPermissions"

_MOST_ID = 255  # bytes; a limit of the Matrix specification
_SERVER = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?"
_USER = re.compile(rf"@[!-9;-~]+:{_SERVER}")
_WHOLE_SERVER = re.compile(rf"@\*:{_SERVER}")
_RULES_ON_USERS = 'write "@you:localhost" for one person, or "@*:localhost" for everybody on that one server'
_ROOM = re.compile(rf"![!-9;-~]+(?::{_SERVER})?|#[^\s:]+:{_SERVER}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HOST = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+|\[[0-9A-Fa-f:.]{2,45}\]")
_UIDS = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_LEAST_UID, _MOST_UID = 1000, 2**32 - 3
RESERVED_CALLERS = frozenset({"operator", "port"})
"""Names that the gateway gives by itself: to whoever comes to its socket, and to whoever comes to its port."""
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LABELS_OURS = ("level", "room", "command", "event_id", "run", "turn", "sender")
_ENV_OURS = ("MATRIX_", "ANTHROPIC_", "CLAUDE_", "AIAGENTCHAT_")
_ENV_LOADING = ("LD_", "GCONV_PATH", "LOCPATH", "GLIBC_TUNABLES")
"""Code that these name is loaded into every program, the one that makes the sandbox included."""


def whole(what: str, *, example: int, least: int, most: int) -> BeforeValidator:
    """A whole number from `least` to `most`."""

    def check(value: object) -> object:
        if type(value) is not int:
            raise ValueError(f"{show(value)} is not {what}; write for example {example}")
        if not least <= value <= most:
            raise ValueError(f"{show(value)} is not between {least} and {most}; write for example {example}")
        return value

    return BeforeValidator(check)


def number(what: str, *, example: float, least: int, most: int) -> BeforeValidator:
    """A number from `least` to `most`, with or without a fraction."""

    def check(value: object) -> object:
        if type(value) not in (int, float):
            raise ValueError(f"{show(value)} is not {what}; write for example {example}")
        assert isinstance(value, int | float)
        if not least <= value <= most:  # what is no number at all (.nan) is not, either
            raise ValueError(f"{show(value)} is not between {least} and {most}; write for example {example}")
        return float(value)

    return BeforeValidator(check)


def dollars(*, example: float, most: int) -> BeforeValidator:
    """An amount of money in US dollars, exact to the millionth."""

    def check(value: object) -> object:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"{show(value)} is not an amount in US dollars; write for example {example:.2f}")  # noqa: TRY004
        if not 0 <= value <= most:
            raise ValueError(f"{show(value)} is not between 0 and {most}; write for example {example:.2f}")
        if in_micros(value) != Decimal(str(value)) * MICROS:
            raise ValueError(f"{show(value)} has more than six places; write for example {example:.2f}")
        return float(value)

    return BeforeValidator(check)


def in_micros(amount: float) -> int:
    """An amount in dollars as it was written, in millionths of them."""
    return int(Decimal(str(amount)) * MICROS)


def one_of(*choices: str) -> BeforeValidator:
    """One of a few words."""

    def check(value: object) -> object:
        if value not in choices:
            raise ValueError(f"{show(value)} is not allowed here{suggest(str(value), choices)}")
        return value

    return BeforeValidator(check)


def text(what: str, example: str, fits: Callable[[str], bool] = str.isprintable) -> BeforeValidator:
    """Text for which `fits` holds; never empty."""

    def check(value: object) -> object:
        require_text(value)
        if not (isinstance(value, str) and value.strip() and fits(value)):
            raise ValueError(f'{show(value)} is not {what}; write for example "{example}"')
        return value

    return BeforeValidator(check)


def require_text(value: object) -> None:
    """Numbers and booleans are what YAML makes of text without quotes."""
    if isinstance(value, bool | int | float):
        raise ValueError(f'{show(value)} is not text; put it in quotes: "{show(value)}"')  # noqa: TRY004 - for pydantic


def is_name(value: str) -> bool:
    """Whether it may be the name of a room or an agent, and of a folder."""
    return _NAME.fullmatch(value) is not None


def split_url(value: object) -> SplitResult | None:
    """The parts of a usable http(s) address; None if it is none."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable and not (parts.query or parts.fragment) else None


def is_loopback(url: str) -> bool:
    """Whether what is sent there never leaves this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _url(value: object) -> object:
    parts = split_url(value)
    if parts is None:
        raise ValueError(f'{show(value)} is not a web address; write for example "https://matrix.example.org"')
    if "@" in parts.netloc:
        raise ValueError("the address must not contain a user name or a password; remove the part before the @")
    return parts.geturl().rstrip("/")


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    meant = "false" if str(value).lower() in {"no", "off", "n", "0"} else "true"
    raise ValueError(f"{show(value)} is not true or false; write {meant}")


def is_user(value: str) -> bool:
    """Whether it is the id of one user, to the letter. Letters beyond ASCII are refused: they pass for others."""
    return bool(_USER.fullmatch(value)) and len(value) <= _MOST_ID


def is_server(value: str) -> bool:
    """Whether it can be the part of ids after the colon."""
    return bool(re.fullmatch(_SERVER, value)) and len(value) <= _MOST_ID


def _user(value: object) -> object:
    if isinstance(value, str) and "*" in value:
        raise ValueError(f"{show(value)} has a * in it; only the exact id of one user is accepted here")
    if not (isinstance(value, str) and is_user(value)):
        raise ValueError(f'{show(value)} is not a Matrix user id; write for example "@you:localhost"')
    return value


def _person(value: object) -> object:
    """One user, or everybody on one server: its whole name, and nothing that is only like it."""
    if not isinstance(value, str):
        return _user(value)
    if not value.isascii() and value.startswith("@"):
        spelled = value.encode("ascii", "backslashreplace").decode("ascii")
        raise ValueError(
            f"{show(value)} has letters in it that may only look like those of an id ({spelled[:_MOST_ID]}); "
            "type it anew, with plain letters"
        )
    if "*" in value and not (_WHOLE_SERVER.fullmatch(value) and len(value) <= _MOST_ID):
        raise ValueError(f"{show(value)} is neither one user nor one server; {_RULES_ON_USERS}")
    return value if "*" in value else _user(value)


def _is_room(value: str) -> bool:
    return bool(_ROOM.fullmatch(value)) and value.isprintable() and len(value.encode()) <= _MOST_ID


def _is_reached(value: str) -> bool:
    """A room as somebody outside of it names it, or all of them."""
    return value == "*" or is_name(value) or _is_room(value)


def _is_whole_path(value: str) -> bool:
    return value.isprintable() and value.startswith(("/", "~/"))


def _mount(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError(f"{show(value)} is not a mount; write for example {{path: /srv/data, mode: ro}}")  # noqa: TRY004
    return value


def _listed(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"{show(value)} is not a list; put it in brackets: [{show(value)}]")  # noqa: TRY004
    if not isinstance(value, list):
        raise ValueError(f"{show(value)} is not a list; write [] or one item per line, each after a dash")  # noqa: TRY004
    return tuple(value)


def _env_name(value: object) -> object:
    name = str(value)
    if not _ENV_NAME.fullmatch(name):
        raise ValueError("this is not the name of an environment variable; use letters, digits and _")
    if name.upper().startswith(_ENV_OURS) or name == "HOME":
        raise ValueError("aiagentchat sets this variable itself; remove it")
    if name.startswith(_ENV_LOADING):
        raise ValueError(
            "this variable loads code into every program, also into the one that makes the sandbox; "
            "remove it, and set it in a script that starts the program which needs it"
        )
    return value


def _env_value(value: object) -> object:
    require_text(value)
    if not isinstance(value, str) or not set(value).isdisjoint("\0") or not is_unicode(value):
        raise ValueError(f'{show(value)} is not the text of an environment variable; write for example "yes"')
    return value


def _label_name(value: object) -> object:
    name = str(value)
    if not _LABEL.fullmatch(name) or name.startswith("__"):
        raise ValueError("this is not the name of a label; use letters, digits and _")
    if name in _LABELS_OURS:
        raise ValueError(
            "aiagentchat sets this one itself, for each line; remove it"
            if name == "level"
            else "this is different for each line, and is found as structured metadata; remove it"
        )
    return value


def is_unicode(value: str) -> bool:
    """Whether it can be written as UTF-8 (YAML's escapes can make halves of characters)."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def is_host(value: str) -> bool:
    """Whether it names a host, perhaps with `*.` before it or a port after it."""
    name, colon, port = value.rpartition(":") if not value.endswith("]") else (value, "", "")
    host = name if colon else value
    port_fits = not colon or (port.isascii() and port.isdigit() and 0 < int(port) < 2**16)
    return len(value) <= _MOST_ID and bool(_HOST.fullmatch(host)) and port_fits


def split_uids(value: str) -> tuple[int, int] | None:
    """The first and the last uid of a range; None if it is none that rooms may have."""
    match = _UIDS.fullmatch(value)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    return (first, last) if _LEAST_UID <= first <= last <= _MOST_UID else None


def is_identity(value: str) -> bool:
    """Whether git takes it as a name or an address: these characters end the field."""
    return value.isprintable() and set(value).isdisjoint("<>")


def _caller(value: object) -> object:
    if value in RESERVED_CALLERS:
        raise ValueError(
            f"{show(value)} is what the gateway itself calls whoever has the token in {value}.token; "
            'write another name, for example "ci"'
        )
    return value


LISTED = BeforeValidator(_listed)
a_mount = BeforeValidator(_mount)

Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
Url: TypeAlias = Annotated[str, BeforeValidator(_url)]
User: TypeAlias = Annotated[UserId, BeforeValidator(_user)]
Person: TypeAlias = Annotated[UserId, BeforeValidator(_person)]
Users: TypeAlias = Annotated[tuple[Person, ...], LISTED]
RoomRef: TypeAlias = Annotated[str, text("a room id or alias", "!abc:localhost", _is_room)]
Name: TypeAlias = Annotated[str, text("a short name of a-z, 0-9, _ and -", "backend", is_name)]
CallerKey: TypeAlias = Annotated[Name, BeforeValidator(_caller)]
Reached: TypeAlias = Annotated[
    tuple[Annotated[str, text("a room of this file, or *", "backend", _is_reached)], ...], LISTED
]
Folder: TypeAlias = Annotated[str, text("a folder", "./rooms")]
# Never relative: what a room is let into must not change when the file moves.
WholePath: TypeAlias = Annotated[str, text("a whole path, beginning with / or ~/", "/srv/data", _is_whole_path)]
MountMode: TypeAlias = Annotated[str, one_of("ro", "rw")]
IsolationName: TypeAlias = Annotated[str, one_of(*Isolation)]
IsolationWish: TypeAlias = Annotated[str, one_of("auto", *Isolation)]
NetworkName: TypeAlias = Annotated[str, one_of(*Network)]
Approvals: TypeAlias = Annotated[str, one_of("reply", "reaction")]
OnLimit: TypeAlias = Annotated[str, one_of("wait", "fail")]
Direct: TypeAlias = Annotated[str, one_of("off", "create")]
SessionScope: TypeAlias = Annotated[str, one_of("room", "thread")]
EncryptTo: TypeAlias = Annotated[str, one_of("all", "cross-signed")]
Output: TypeAlias = Annotated[str, one_of(*Form)]
Shown: TypeAlias = Annotated[str, one_of(*Show)]
LogContentName: TypeAlias = Annotated[str, one_of(*LogContent)]
Hosts: TypeAlias = Annotated[tuple[Annotated[str, text("a host", "pypi.org", is_host)], ...], LISTED]
Uids: TypeAlias = Annotated[
    str, text("a range of user ids from 1000 on", "200000-265535", lambda value: split_uids(value) is not None)
]
Model: TypeAlias = Annotated[str, text("the name of a model", "sonnet")]
Mode: TypeAlias = Annotated[str, one_of(*PERMISSION_MODES)]
Rules: TypeAlias = Annotated[tuple[Annotated[str, text("a permission rule", "Bash(git status)")], ...], LISTED]
Labels: TypeAlias = dict[
    Annotated[str, BeforeValidator(_label_name)], Annotated[str, text("the text of a label", "production")]
]
Env: TypeAlias = dict[Annotated[str, BeforeValidator(_env_name)], Annotated[str, BeforeValidator(_env_value)]]
