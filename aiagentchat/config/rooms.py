"""The `rooms:` of the file → `RoomSettings`: what a room says, then the defaults, then its agent."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from aiagentchat.config.fields import BYPASS, in_micros
from aiagentchat.config.folders import real
from aiagentchat.config.mounts import Mounted, mounts_of
from aiagentchat.config.problems import Loc, Problems, show, suggest
from aiagentchat.config.schema import Agent, File, Room, Section, Shared
from aiagentchat.config.settings import GitIdentity, Mount, PowerNeeded, RoomSettings
from aiagentchat.core.exchange import ExchangeRules
from aiagentchat.core.ids import RoomId
from aiagentchat.core.isolation import Network, RunLimits
from aiagentchat.core.log_content import LogContent
from aiagentchat.core.showing import Form, Show, Showing
from aiagentchat.core.spending import Budget

T = TypeVar("T")

_TIMEOUT = 300
_AGENT = "claude"
_LONGEST_NAME = 48
_NO_ROOM = -1


def merge(
    file: File, workspaces: Sequence[Path | None], mounted: Sequence[Mounted], problems: Problems
) -> tuple[RoomSettings, ...]:
    """Every room with everything merged in. `workspaces` are the rooms' own, absolute, as are all that are mounted."""
    _check_agent(file, ("defaults", "agent"), file.defaults.agent, problems)
    rooms = tuple(
        _merge_one(file, number, workspace, mounts_of(number, mounted), problems)
        for number, workspace in enumerate(workspaces)
    )
    _check_unique(file, rooms, problems)
    return rooms


def derived_name(room_id: str) -> str:
    """A name for a room that was given none: readable for an alias, unique for an id."""
    local = room_id[1:].partition(":")[0]
    plain = re.sub(r"[^a-z0-9_-]+", "-", local.lower())[:_LONGEST_NAME].strip("-_")
    if room_id.startswith("#") and plain:
        return plain
    # Room ids differ in case, folders should not.
    digest = hashlib.sha256(room_id.encode()).hexdigest()[:8]
    return f"{plain or 'room'}-{digest}"


def _merge_one(
    file: File, number: int, workspace: Path | None, mounts: tuple[Mount, ...], problems: Problems
) -> RoomSettings:
    room, defaults = file.rooms[number], file.defaults
    loc: Loc = ("rooms", number)
    _check_agent(file, (*loc, "agent"), room.agent, problems)
    agent_name = _first(room.agent, defaults.agent, otherwise=_AGENT)
    if not (room.agent or defaults.agent):
        _check_agent(file, loc, agent_name, problems)
    agent = file.agents.get(agent_name) or Agent()
    _check_bypass(file, number, agent_name, problems)
    return _merged(
        room,
        file.defaults,
        agent,
        RoomSettings(
            id=RoomId(room.id),
            name=room.name or derived_name(room.id),
            workspace=workspace,
            workspace_real=None if workspace is None else real(workspace),
            workspace_outside=room.workspace_outside,
            agent=agent_name,
            mounts=mounts,
            source=problems.where(loc),
        ),
    )


def template(file: File, mounted: Sequence[Mounted]) -> RoomSettings:
    """A room that says nothing: what a room that is made in chat begins with."""
    name = file.defaults.agent or _AGENT
    if not file.defaults.agent and name not in file.agents:
        name = next(iter(file.agents), name)  # whichever there is, where nobody was asked to name one
    nothing = RoomSettings(id=RoomId(""), name="", agent=name, mounts=mounts_of(_NO_ROOM, mounted))
    return _merged(Shared(), file.defaults, file.agents.get(name) or Agent(), nothing)


def _merged(room: Shared, defaults: Shared, agent: Agent, known: RoomSettings) -> RoomSettings:
    """`known` with what the room says, then the defaults, then the agent."""
    return replace(
        known,
        users=frozenset(_first(room.users, defaults.users, otherwise=())),
        admins=frozenset(_first(room.admins, defaults.admins, otherwise=())),
        viewers=frozenset(_first(room.viewers, defaults.viewers, otherwise=())),
        power=PowerNeeded(**_by_key(defaults.power, room.power)),
        timeout=_first(room.timeout, defaults.timeout, otherwise=_TIMEOUT),
        model=room.model or defaults.model or agent.model,
        permission_mode=_first(room.permission_mode, defaults.permission_mode, otherwise=agent.permission_mode),
        # Rules add up, so that a room cannot lose a `deny` by having one of its own.
        allow=_joined(agent.allow, defaults.allow, room.allow),
        deny=_joined(agent.deny, defaults.deny, room.deny),
        env=tuple(sorted({**(defaults.env or {}), **(room.env or {})}.items())),
        mention_only=_first(room.mention_only, defaults.mention_only, otherwise=False),
        welcome=_first(room.welcome, defaults.welcome, otherwise=True),
        project_instructions=_first(room.project_instructions, defaults.project_instructions, otherwise=True),
        git=GitIdentity(**_by_key(defaults.git, room.git)),
        network=Network(_first(room.network, defaults.network, otherwise=Network.API)),
        network_hosts=tuple(host.lower() for host in _joined(defaults.network_hosts, room.network_hosts)),
        limits=RunLimits(**_by_key(defaults.limits, room.limits)),
        budget=Budget(**{key: in_micros(said) for key, said in _by_key(defaults.budget, room.budget).items()}),
        on_limit=_first(room.on_limit, defaults.on_limit, otherwise="wait"),
        approvals=room.approvals or defaults.approvals,
        encrypt_to=_first(room.encrypt_to, defaults.encrypt_to, otherwise="all"),
        showing=_showing(room, defaults),
        debounce=_first(room.debounce, defaults.debounce, otherwise=0.0),
        session_scope=_first(room.session_scope, defaults.session_scope, otherwise="room"),
        history=_first(room.history, defaults.history, otherwise=None),
        exchange=ExchangeRules(**_by_key(defaults.exchange, room.exchange)),
        log_content=LogContent(_first(room.log_content, defaults.log_content, otherwise=LogContent.NONE)),
    )


def _showing(room: Shared, defaults: Shared) -> Showing:
    unsaid = Showing()
    return Showing(
        form=Form(_first(room.output, defaults.output, otherwise=unsaid.form)),
        show=Show(_first(room.show, defaults.show, otherwise=unsaid.show)),
        notify_after=_first(room.notify_after, defaults.notify_after, otherwise=unsaid.notify_after),
        file_after=_first(room.file_after, defaults.file_after, otherwise=unsaid.file_after),
    )


def _check_agent(file: File, loc: Loc, name: str | None, problems: Problems) -> None:
    if name is None or name in file.agents or problems.has(("agents", name)):
        return
    problems.add(loc, f"no agent is called {show(name)}{suggest(name, file.agents)}")


def _check_bypass(file: File, number: int, agent_name: str, problems: Problems) -> None:
    """Whoever says it, a room gets bypassPermissions only from an agent that admits to it."""
    room = file.rooms[number]
    mode = room.permission_mode or file.defaults.permission_mode
    agent = file.agents.get(agent_name)
    if mode != BYPASS or agent is None or agent.i_know_bypass_is_dangerous:
        return
    owner: Loc = ("rooms", number) if room.permission_mode else ("defaults",)
    problems.add((*owner, "permission_mode"), bypass_refused(agent_name))


def bypass_refused(agent_name: str) -> str:
    """Why bypassPermissions is not accepted."""
    return (
        f'"{BYPASS}" lets the agent do anything unasked; write another mode, '
        f"or add i_know_bypass_is_dangerous: true to agents.{agent_name}"
    )


def _check_unique(file: File, rooms: Iterable[RoomSettings], problems: Problems) -> None:
    ids: dict[str, int] = {}
    names: dict[str, int] = {}
    for number, room in enumerate(rooms):
        same_id = ids.setdefault(room.id, number)
        if same_id != number:
            problems.add(("rooms", number, "id"), f"{show(room.id)} is also rooms[{same_id}]; remove one of the two")
            continue
        same_name = names.setdefault(room.name, number)
        if same_name != number:
            key = "name" if _has_name(file.rooms[number]) else "id"
            problems.add(
                ("rooms", number, key),
                f"the name {show(room.name)} is also that of rooms[{same_name}]; give this room another name",
            )


def _has_name(room: Room) -> bool:
    return room.name is not None


def _first(*said: T | None, otherwise: T) -> T:
    return next((value for value in said if value is not None), otherwise)


def _by_key(*groups: Section | None) -> dict[str, Any]:
    """What the groups say, key by key; the last one wins."""
    return {key: value for group in groups if group for key, value in group.model_dump(exclude_none=True).items()}


def _joined(*rules: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule for some in rules for rule in some or ()))
