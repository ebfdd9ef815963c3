"""Where a run of the CLI lives: its cell, the files beside its HOME, and what it holds in place of a key.

<homes>/<slug>/                 HOME: the room may write here
<homes>/<slug>/.claude/         CLAUDE_CONFIG_DIR: the conversations
<homes>/<slug>/tmp/             temporary files; the CLI's default under /tmp is shared by all rooms
<homes>/<slug>.settings.json    ours, read-only, outside of HOME
<homes>/<slug>.etc/             the sandbox's own passwd, group and hosts
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiagentchat.agents.claude_code import room_tools
from aiagentchat.agents.claude_code.binary import readable_for
from aiagentchat.agents.claude_code.command import CONFIG, TEMPORARY, settings
from aiagentchat.config.secrets import Secret
from aiagentchat.config.settings import Mount
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.egress.upstream import BASE_URL, Upstream
from aiagentchat.process.beneath import create_beneath, make_folder_beneath
from aiagentchat.process.cgroup import Subtree
from aiagentchat.process.sandbox.cell import Cell
from aiagentchat.process.sandbox.furnish import furnish

_PRIVATE = 0o700
_READ_ONLY, _READ_BY_GROUP = 0o400, 0o440


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarters:
    """What all runs of a daemon have in common."""

    isolation: Isolation
    gates: Path
    """The folder for the sockets of their ways out."""
    subscription_in_room: bool = False
    """Whether a subscription token is given to the room itself."""
    cgroups: Subtree | None = None
    """Where runs get a cgroup of their own."""
    data_dir: Path | None = None
    """Where the CLI may have been fetched to."""


def settings_file(spec: RunSpec) -> Path:
    """The CLI's settings of this room."""
    home = Path(spec.home)
    return home.with_name(f"{home.name}.settings.json")


def mounts_of(spec: RunSpec) -> tuple[Mount, ...]:
    """What is mounted."""
    return tuple(Mount(Path(each.path), each.mode, Path(each.source)) for each in spec.mounts)


def workspace_of(spec: RunSpec) -> tuple[Mount, ...]:
    """The workspace as if it were one, where it is known which folder it was."""
    return (Mount(Path(spec.workspace), "rw", Path(spec.workspace_source)),) if spec.workspace_source else ()


def cell_of(spec: RunSpec, binary: Path, gate: Path | None) -> Cell:
    """What the run gets."""
    return Cell(
        workspace=Path(spec.workspace),
        home=Path(spec.home),
        mounts=mounts_of(spec),
        programs=(*readable_for(binary), settings_file(spec)),
        gate=gate,
        limits=spec.limits,
        uid=spec.uid,
    )


def prepare(spec: RunSpec, cell: Cell) -> None:
    """Make what the run needs, the settings file afresh.

    NotOpened if the room has put something into the way; OSError if the disk does not let us.
    """
    home = Path(spec.home)
    home.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)  # ours: no room can change anything in it
    make_folder_beneath(home.parent, home.name)
    if spec.uid is not None:
        os.chown(home, spec.uid, spec.uid, follow_symlinks=False)
    for folder in (CONFIG, TEMPORARY):
        make_folder_beneath(home, folder)  # belongs to whom HOME belongs to
    file = settings_file(spec)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(create_beneath(fresh.parent, fresh.name), "w", encoding="utf-8") as written:
        written.write(settings(spec))
        if spec.uid is not None:
            os.fchown(written.fileno(), 0, spec.uid)  # to be read by the run, and changed by nobody
        os.fchmod(written.fileno(), _READ_ONLY if spec.uid is None else _READ_BY_GROUP)
    fresh.replace(file)
    furnish(cell)


SUBSCRIPTION = "CLAUDE_CODE_OAUTH_TOKEN"
PLACEHOLDERS: Mapping[str, str] = {
    "ANTHROPIC_API_KEY": "sk-ant-",
    "ANTHROPIC_AUTH_TOKEN": "",
    SUBSCRIPTION: "sk-ant-oat01-",
}
"""What the CLI can authenticate with, and how it expects each to begin. The first one that is there is used."""


def new_token(credentials: Mapping[str, str]) -> str:
    """What a run shows at its way out: worth nothing anywhere else, and nothing when the run is over."""
    return PLACEHOLDERS[_used(credentials)] + secrets.token_hex(32)


def held(credentials: Mapping[str, str], token: str, *, subscription_in_room: bool) -> dict[str, str]:
    """The variables that the run gets: everything as it is for the CLI, and nothing that is worth stealing.

    The port 0 stands for the one inside on which the way out is found.
    """
    proxy, near = f"http://run:{token}@127.0.0.1:0", "127.0.0.1,localhost"
    variables = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:0"}
    for name, value in (("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy), ("NO_PROXY", near)):
        variables |= {name: value, name.lower(): value}
    variables |= room_tools.variables(token)
    is_given = gives_subscription(credentials, subscription_in_room=subscription_in_room)
    variables[_used(credentials)] = credentials[SUBSCRIPTION] if is_given else token
    return variables


def gives_subscription(credentials: Mapping[str, str], *, subscription_in_room: bool) -> bool:
    """Whether runs hold the subscription's own token: where that is wanted, and no other key is used."""
    return subscription_in_room and is_subscription(credentials)


def is_subscription(credentials: Mapping[str, str]) -> bool:
    """Whether a subscription is used, of which the API's prices are not paid."""
    return has_key(credentials) and _used(credentials) == SUBSCRIPTION


def has_key(credentials: Mapping[str, str]) -> bool:
    """Whether the model can be asked at all."""
    return any(credentials.get(name) for name in PLACEHOLDERS)


def upstream(credentials: Mapping[str, str], *, subscription_in_room: bool) -> Upstream | None:
    """Where the model is asked, with the real credential; None if there is none (any more)."""
    if not has_key(credentials):
        return None
    used = _used(credentials)
    secret = Secret(credentials[used])
    is_key = used == "ANTHROPIC_API_KEY"
    return Upstream(
        base_url=credentials.get("ANTHROPIC_BASE_URL") or BASE_URL,
        api_key=secret if is_key else None,
        bearer=None if is_key else secret,
        passthrough=gives_subscription(credentials, subscription_in_room=subscription_in_room),
    )


def _used(credentials: Mapping[str, str]) -> str:
    """The name of the one that is used."""
    return next(name for name in PLACEHOLDERS if credentials.get(name))
