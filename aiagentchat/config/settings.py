"""What config.yaml says, complete: defaults merged in, paths absolute, limits computed. Holds no secret."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiagentchat.config.schema import Agent, Gateway, Loki, Matrix, Registry
from aiagentchat.core.access import is_listed
from aiagentchat.core.errors import ConfigError
from aiagentchat.core.exchange import ExchangeRules
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.isolation import Isolation, Network, RunLimits
from aiagentchat.core.log_content import LogContent
from aiagentchat.core.rooms import WaitingRoom
from aiagentchat.core.showing import Showing
from aiagentchat.core.spending import MICROS, Budget


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder outside of the workspace that the agent may work in."""

    path: Path
    mode: str = "ro"
    """`ro`: it may read there. `rw`: it may also change what is there."""
    real: Path | None = field(default=None, compare=False)
    """Where it lay, links followed, when config.yaml was read; None: at `path`. Runs get what lies there, and follow
    no link: who could change one in the meantime could choose what is mounted."""

    @property
    def source(self) -> Path:
        """What is mounted."""
        return self.real or self.path


@dataclass(frozen=True, slots=True)
class GitIdentity:
    """Who the commits of a room are by; None: as git finds out by itself."""

    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class PowerNeeded:
    """The power level that a role needs in the room, beside being given. None: none. Levels only ever take away."""

    viewer: int | None = None
    user: int | None = None
    admin: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """One room, with the defaults and its agent's settings merged in."""

    id: RoomId
    """Until `Settings.with_resolved` this may be an alias (`#…`)."""
    name: str
    """Short and fit for a folder; see `slug_wish`."""
    workspace: Path | None = None
    """None: the folder in `workspaces` that is named by the room's slug."""
    workspace_real: Path | None = field(default=None, compare=False)
    """Where that lay, links followed, when config.yaml was read."""
    workspace_outside: bool = False
    users: frozenset[UserId] = frozenset()
    """Exact ids, and rules on servers (`@*:example.org`); as `admins` and `viewers`. See `route.access`."""
    admins: frozenset[UserId] = frozenset()
    viewers: frozenset[UserId] = frozenset()
    power: PowerNeeded = PowerNeeded()
    timeout: int = 300
    agent: str = "claude"
    model: str | None = None
    permission_mode: str = "default"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    mention_only: bool = False
    welcome: bool = True
    """Whether it is said what this is when the account comes into the room."""
    project_instructions: bool = True
    git: GitIdentity = GitIdentity()
    network: Network = Network.API
    network_hosts: tuple[str, ...] = ()
    """Hosts that may be reached, with `*.` for all below a name, with or without a port; lower case."""
    limits: RunLimits = field(default_factory=RunLimits)
    budget: Budget = field(default_factory=Budget)
    on_limit: str = "wait"
    """`wait` or `fail`: what a turn does when the model's usage limit is reached."""
    approvals: str | None = None
    """`reply` or `reaction`: how a question is answered. None: by reply where the room is encrypted."""
    made_by: UserId | None = None
    """Who has made it in chat; None: it is in config.yaml."""
    encrypt_to: str = "all"
    """`all` or `cross-signed`: which devices of its members can read in an encrypted room, and are believed there."""
    showing: Showing = field(default_factory=Showing)
    """How answers are shown: the keys `output`, `show`, `notify_after` and `file_after`."""
    debounce: float = 0.0
    """Seconds within which what one person types is one command; 0: each message is one."""
    session_scope: str = "room"
    """`room` or `thread`: whether a thread has a conversation of its own. Answers go into it in any case."""
    history: bool | None = None
    """Whether what is said can be found again. None: unless the room is encrypted."""
    exchange: ExchangeRules = field(default_factory=ExchangeRules)
    log_content: LogContent = LogContent.NONE
    """How much of what is said in the room is in the log."""
    source: str = field(default="", compare=False)
    """File, line and key of the room, for problems that are found later."""

    def keeps_history(self, *, encrypted: bool) -> bool:
        """Whether what is said in the room is kept to be found again."""
        return not encrypted if self.history is None else self.history

    def wants_words(self, *, encrypted: bool) -> bool:
        """Whether a reaction answers nothing: those are not encrypted, so a homeserver could make one up."""
        return encrypted if self.approvals is None else self.approvals == "reply"


def slug_wish(room: RoomSettings) -> str:
    """The folder name that the room would like. The store fixes one at the room's first start."""
    return room.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the operator decided, and the rooms that were made in chat (`config.made`)."""

    file: Path
    matrix: Matrix
    data_dir: Path
    workspaces: Path
    workspaces_real: Path | None = field(default=None, compare=False)
    """Where that lay, links followed, when config.yaml was read; None: nobody has looked."""
    rooms: tuple[RoomSettings, ...]
    agents: Mapping[str, Agent]
    max_parallel_turns: int
    max_warm: int
    warm_ttl: int
    approval_timeout: int
    max_queue: int
    max_queue_total: int
    max_output: int
    """MiB of text that one turn may say in its room."""
    budget: Budget = field(default_factory=Budget)
    """That of all rooms together."""
    max_file: int = 25
    """MiB of a file that comes in or goes out."""
    gateway: Gateway = field(default_factory=Gateway)
    registry: Registry = field(default_factory=Registry)
    loki: Loki = field(default_factory=Loki)
    isolation: str = "auto"
    """`auto`, or the one way that is wanted."""
    isolation_minimum: Isolation = Isolation.STRICT
    room_uids: tuple[int, int] = (200_000, 265_535)
    subscription_in_room: bool = False
    sync_timeout: int
    retention: int = 90
    """Days; 0: for ever. As `body_retention`, which is 0 for "as long as the rest"."""
    body_retention: int = 7
    audit_retention: int = 365
    """Days; 0: for ever."""
    catch_up_max_age: int
    secret_places: tuple[Path, ...] = field(default=(), compare=False)
    """Where secrets lie, as far as is known; never printed."""
    programs: tuple[Path, ...] = field(default=(), compare=False)
    """What the daemon itself runs (`config.programs`)."""
    ways: tuple[Path, ...] = field(default=(), compare=False)
    """What leads there, to `data_dir` and to `file`, and lies elsewhere: symbolic links."""
    computed: frozenset[str] = frozenset()
    """Keys whose value was computed from the machine."""
    admins: frozenset[UserId] = frozenset()
    """Who may make rooms in chat, beside the admins of rooms."""
    dm: str = "off"
    """`off` or `create`: whether a direct chat with somebody who is named here is a room by itself."""
    template: RoomSettings = RoomSettings(id=RoomId(""), name="")
    """A room that says nothing: what a room that is made in chat begins with."""
    waiting: tuple[WaitingRoom, ...] = ()
    """Rooms that we are in, and that are not ours: for a while somebody may make them ours."""

    @property
    def database(self) -> Path:
        """The file that everything is remembered in."""
        return self.data_dir / "aiagentchat.db"

    @property
    def aliases(self) -> tuple[str, ...]:
        """Aliases that nobody has resolved yet."""
        return tuple(room.id for room in self.rooms if room.id.startswith("#"))

    def room(self, room_id: RoomId) -> RoomSettings | None:
        """The settings of this room; None when it is not configured."""
        return next((room for room in self.rooms if room.id == room_id), None)

    def reached_from(self, room: RoomSettings) -> tuple[RoomId, ...]:
        """Other rooms that a run of this one may read, and send to if it is allowed to.

        None that was made in chat: its name may be anything that whoever has made it wanted.
        """
        wanted = set(room.exchange.rooms)
        return tuple(
            each.id for each in self.rooms if each.id != room.id and each.name in wanted and each.made_by is None
        )

    def showing(self, room_id: RoomId) -> Showing:
        """How answers are shown in this room."""
        return (self.room(room_id) or self.template).showing

    def waiting_in(self, room_id: RoomId) -> WaitingRoom | None:
        """Until when this room may be made one of ours; None when it is one, or we do not wait for that."""
        return next((each for each in self.waiting if each.room == room_id), None)

    def hears(self, room_id: RoomId) -> bool:
        """Whether what is said in this room is kept."""
        return self.room(room_id) is not None or self.waiting_in(room_id) is not None

    def may_make_rooms(self, user: UserId) -> bool:
        """Whether config.yaml makes somebody an admin, of everything or of any room."""
        return user in self.admins or any(is_listed(user, room.admins) for room in self._written)

    def is_named(self, user: UserId) -> bool:
        """Whether config.yaml lets somebody run commands in any room, or make rooms."""
        return self.may_make_rooms(user) or any(is_listed(user, room.users) for room in self._written)

    @property
    def _written(self) -> tuple[RoomSettings, ...]:
        """The rooms of config.yaml, and what it has for all of them: what was made in chat gives nobody anything."""
        return (self.template, *(room for room in self.rooms if room.made_by is None))

    def workspace_of(self, room: RoomSettings, slug: str) -> Path:
        """The working directory of `room`, whose slug is `slug`."""
        return room.workspace or self.workspaces / slug

    def workspace_source(self, room: RoomSettings, slug: str) -> Path | None:
        """Where that lay, links followed, when config.yaml was read, and must lie still. None: nobody has looked."""
        if room.workspace is not None:
            return room.workspace_real
        return None if self.workspaces_real is None else self.workspaces_real / slug

    def with_resolved(self, ids: Mapping[str, RoomId]) -> "Settings":
        """The same with aliases replaced. An alias that `ids` does not have stays.

        Raises `ConfigError` when two entries turn out to be one room.
        """
        rooms = tuple(dataclasses.replace(room, id=ids.get(room.id, room.id)) for room in self.rooms)
        first: dict[RoomId, RoomSettings] = {}
        problems = []
        for before, room in zip(self.rooms, rooms, strict=True):
            same = first.setdefault(room.id, room)
            if same is not room:
                problems.append(
                    f"{room.source}.id: {before.id} is the same room ({room.id}) as {same.name}; remove one of the two"
                )
        if problems:
            raise ConfigError(problems)
        return dataclasses.replace(self, rooms=rooms)

    def effective(self) -> dict[str, Any]:
        """What is in force, as plain values, for printing. Values of `env` may be private: names only."""
        return {
            "matrix": self.matrix.model_dump(),
            "data_dir": str(self.data_dir),
            "workspaces": str(self.workspaces),
            "max_parallel_turns": self.max_parallel_turns,
            "max_warm": self.max_warm,
            "warm_ttl": self.warm_ttl,
            "approval_timeout": self.approval_timeout,
            "max_queue": self.max_queue,
            "max_queue_total": self.max_queue_total,
            "max_output": self.max_output,
            "budget_day": self.budget.day / MICROS,
            "budget_month": self.budget.month / MICROS,
            "max_file": self.max_file,
            "gateway": self.gateway.model_dump(mode="json"),
            "registry": self.registry.model_dump(mode="json"),
            "loki": self.loki.model_dump(mode="json"),
            "isolation": self.isolation,
            "isolation_minimum": str(self.isolation_minimum),
            "room_uids": "-".join(map(str, self.room_uids)),
            "subscription_in_room": self.subscription_in_room,
            "admins": sorted(self.admins),
            "dm": self.dm,
            "sync_timeout": self.sync_timeout,
            "retention": self.retention,
            "body_retention": self.body_retention,
            "audit_retention": self.audit_retention,
            "catch_up_max_age": self.catch_up_max_age,
            "agents": {name: agent.model_dump(mode="json") for name, agent in self.agents.items()},
            "rooms": [_effective(self, room) for room in self.rooms],
        }


def _effective(settings: Settings, room: RoomSettings) -> dict[str, Any]:
    return {
        "id": str(room.id),
        "name": room.name,
        "workspace": str(settings.workspace_of(room, slug_wish(room))),
        "users": sorted(room.users),
        "admins": sorted(room.admins),
        "viewers": sorted(room.viewers),
        "power": dataclasses.asdict(room.power),
        "timeout": room.timeout,
        "agent": room.agent,
        "model": room.model,
        "permission_mode": room.permission_mode,
        "allow": list(room.allow),
        "deny": list(room.deny),
        "env": [name for name, _ in room.env],
        "mounts": [{"path": str(mount.path), "mode": mount.mode} for mount in room.mounts],
        "mention_only": room.mention_only,
        "welcome": room.welcome,
        "project_instructions": room.project_instructions,
        "git": dataclasses.asdict(room.git),
        "network": str(room.network),
        "network_hosts": list(room.network_hosts),
        "limits": dataclasses.asdict(room.limits),
        "budget": {span: micros / MICROS for span, micros in dataclasses.asdict(room.budget).items()},
        "on_limit": room.on_limit,
        "approvals": room.approvals,
        "encrypt_to": room.encrypt_to,
        "output": str(room.showing.form),
        "show": str(room.showing.show),
        "notify_after": room.showing.notify_after,
        "file_after": room.showing.file_after,
        "debounce": room.debounce,
        "session_scope": room.session_scope,
        "history": room.history,
        "exchange": {**dataclasses.asdict(room.exchange), "rooms": list(room.exchange.rooms)},
        "log_content": str(room.log_content),
    }
