"""Every key that config.yaml may have. `docs/reference/config.md` explains them; a test holds the two together."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from aiagentchat.config.fields import (
    DAY,
    LISTED,
    WEEK,
    Approvals,
    CallerKey,
    Direct,
    EncryptTo,
    Env,
    Flag,
    Folder,
    Hosts,
    IsolationName,
    IsolationWish,
    Labels,
    LogContentName,
    Mode,
    Model,
    MountMode,
    Name,
    NetworkName,
    OnLimit,
    Output,
    Reached,
    RoomRef,
    Rules,
    SessionScope,
    Shown,
    Uids,
    Url,
    User,
    Users,
    WholePath,
    a_mount,
    dollars,
    is_identity,
    number,
    one_of,
    text,
    whole,
)
from aiagentchat.core.meta import MOST_BUDGET, MOST_HOPS
from aiagentchat.core.power import MOST_LEVEL

_SECONDS = "a whole number of seconds"
_DAYS = "a whole number of days"
_MIB = "a whole number of MiB"
_MOST_MIB = 2**24
_MOST_KB = 1_000_000
MOST_DEBOUNCE = 10
_MOST_DOLLARS = 1_000_000
MOST_DAYS = 3650
"""What is kept for longer is kept for ever."""


class Section(BaseModel):
    """A group of keys: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Matrix(Section):
    """The account that this daemon is. A change needs a restart."""

    homeserver: Url
    user_id: User
    device_name: Annotated[str, text("the name of a device", "aiagentchat")] = "aiagentchat"
    allow_http: Flag = False
    """Accept a homeserver that is neither on this machine nor behind https."""


class MountEntry(Section):
    """A folder outside of the workspace."""

    path: WholePath
    mode: MountMode = "ro"


class Git(Section):
    """Who the commits of a room are by."""

    name: Annotated[str, text("the name of a git author", "Claude", is_identity)] | None = None
    email: Annotated[str, text("the mail address of a git author", "claude@localhost", is_identity)] | None = None


class RoomLimits(Section):
    """What one run may use. 0: no limit. None: not said here."""

    processes: Annotated[int, whole("a whole number", example=512, least=0, most=100_000)] | None = None
    memory: Annotated[int, whole(_MIB, example=4096, least=0, most=_MOST_MIB)] | None = None
    file_size: Annotated[int, whole(_MIB, example=2048, least=0, most=_MOST_MIB)] | None = None
    workspace_size: Annotated[int, whole(_MIB, example=20_480, least=0, most=_MOST_MIB)] | None = None
    output: Annotated[int, whole(_MIB, example=256, least=0, most=_MOST_MIB)] | None = None
    niceness: Annotated[int, whole("a whole number", example=5, least=0, most=19)] | None = None


class RoomBudget(Section):
    """What turns may cost, in US dollars. 0: no budget. None: not said here."""

    turn: Annotated[float, dollars(example=1, most=_MOST_DOLLARS)] | None = None
    day: Annotated[float, dollars(example=10, most=_MOST_DOLLARS)] | None = None
    month: Annotated[float, dollars(example=100, most=_MOST_DOLLARS)] | None = None


class RoomExchange(Section):
    """What agents may say to each other, and how often that begins a turn. None: not said here."""

    tools: Flag | None = None
    """Whether a run has the tools to speak with other agents."""
    rooms: Annotated[tuple[Name, ...], LISTED] | None = None
    """Names of other rooms that a run may read, and send to if the agent is allowed to."""
    hops: Annotated[int, whole("a whole number", example=4, least=0, most=MOST_HOPS)] | None = None
    pair_turns: Annotated[int, whole("a whole number", example=10, least=0, most=MOST_BUDGET)] | None = None
    """Turns that two agents may begin with each other in an hour. 0: none."""
    room_turns: Annotated[int, whole("a whole number", example=30, least=0, most=MOST_BUDGET)] | None = None
    """Turns that agents may begin in the room in an hour. 0: none."""


class Power(Section):
    """The power that a user must have in the room, beside being listed. None: not said here."""

    viewer: Annotated[int, whole("a power level", example=0, least=0, most=MOST_LEVEL)] | None = None
    user: Annotated[int, whole("a power level", example=0, least=0, most=MOST_LEVEL)] | None = None
    admin: Annotated[int, whole("a power level", example=50, least=0, most=MOST_LEVEL)] | None = None


class Shared(Section):
    """What `defaults` says for every room, and a room may say otherwise. None: not said here."""

    users: Users | None = None
    admins: Users | None = None
    viewers: Users | None = None
    power: Power | None = None
    timeout: Annotated[int, whole(_SECONDS, example=300, least=1, most=WEEK)] | None = None
    """Seconds that a turn may take; waiting for an approval does not count."""
    agent: Name | None = None
    model: Model | None = None
    permission_mode: Mode | None = None
    env: Env | None = None
    mounts: Annotated[tuple[Annotated[MountEntry, a_mount], ...], LISTED] | None = None
    mention_only: Flag | None = None
    welcome: Flag | None = None
    project_instructions: Flag | None = None
    allow: Rules | None = None
    deny: Rules | None = None
    git: Git | None = None
    network: NetworkName | None = None
    network_hosts: Hosts | None = None
    limits: RoomLimits | None = None
    budget: RoomBudget | None = None
    on_limit: OnLimit | None = None
    approvals: Approvals | None = None
    encrypt_to: EncryptTo | None = None
    output: Output | None = None
    show: Shown | None = None
    notify_after: Annotated[int, whole(_SECONDS, example=30, least=0, most=WEEK)] | None = None
    file_after: Annotated[int, whole("a whole number of KB", example=30, least=0, most=_MOST_KB)] | None = None
    debounce: Annotated[float, number("a number of seconds", example=1.5, least=0, most=MOST_DEBOUNCE)] | None = None
    """What one person types within so many seconds is one command. 0: each message is one."""
    session_scope: SessionScope | None = None
    """Whether a thread has a conversation of its own, or is part of the room's."""

    history: Flag | None = None
    """Whether what is said in the room can be found again. None: it can, unless the room is encrypted."""
    exchange: RoomExchange | None = None
    log_content: LogContentName | None = None
    """How much of what is said in the room is in the log."""


class Defaults(Shared):
    """What holds for every room that does not say otherwise."""


class Room(Shared):
    """A room that is answered."""

    id: RoomRef
    name: Name | None = None
    workspace: Folder | None = None
    workspace_outside: Flag = False


class Agent(Section):
    """A program that answers."""

    type: Annotated[str, one_of("claude-code")] = "claude-code"
    binary: Annotated[str, text("the name or the path of a program", "claude")] = "claude"
    model: Model | None = None
    permission_mode: Mode = "default"
    allow: Rules = ()
    deny: Rules = ()
    i_know_bypass_is_dangerous: Flag = False
    """Without it, `bypassPermissions` is refused for this agent and every room that uses it."""


class GatewayCaller(Section):
    """A program that speaks with the gateway by a token of its own."""

    read: Reached = ()
    """Rooms, by their names or ids, or `*` for all: where it may read; as the other two."""
    send: Reached = ()
    run: Reached = ()
    """Where what it sends may begin a turn."""


class Gateway(Section):
    """The door for programs of this machine. A change needs a restart."""

    enabled: Flag | None = None
    """None: on, unless runs are kept in by less than a sandbox of their own."""
    port: Annotated[int, whole("a port", example=8870, least=0, most=65_535)] = 8870
    """On 127.0.0.1. 0: only the socket in data_dir."""
    callers: dict[CallerKey, GatewayCaller] = Field(default_factory=dict)


class Registry(Section):
    """Where instances find each other. A change needs a restart."""

    room: RoomRef | None = None
    instance: Name | None = None
    """What this daemon is called there. None: the name of its host."""
    skills: Annotated[tuple[Annotated[str, text("a skill", "python")], ...], LISTED] = ()


class Loki(Section):
    """Where log lines are sent, beside stdout. A change needs a restart."""

    url: Url | None = None
    """None: nowhere."""
    user: Annotated[str, text("a user name", "12345")] | None = None
    """Whose password LOKI_PASSWORD is. None: LOKI_TOKEN, or nobody."""
    labels: Labels = Field(default_factory=dict)


class File(Section):
    """The whole file."""

    matrix: Matrix
    data_dir: Folder = "./data"
    workspaces: Folder = "./rooms"
    defaults: Defaults = Defaults()
    rooms: Annotated[tuple[Room, ...], LISTED] = ()
    agents: dict[Name, Agent] = Field(default_factory=lambda: {"claude": Agent()})
    admins: Annotated[tuple[User, ...], LISTED] = ()
    """Who may make rooms in chat, beside the admins of rooms."""
    dm: Direct = "off"
    """Whether a direct chat is a room by itself."""
    max_parallel_turns: Annotated[int, whole("a whole number", example=4, least=1, most=256)] | None = None
    max_warm: Annotated[int, whole("a whole number", example=4, least=0, most=256)] | None = None
    warm_ttl: Annotated[int, whole(_SECONDS, example=300, least=0, most=DAY)] = 300
    approval_timeout: Annotated[int, whole(_SECONDS, example=3600, least=1, most=WEEK)] = 3600
    max_queue: Annotated[int, whole("a whole number", example=20, least=1, most=1000)] = 20
    max_queue_total: Annotated[int, whole("a whole number", example=500, least=1, most=100_000)] = 500
    max_output: Annotated[int, whole("a whole number of MiB", example=20, least=1, most=1024)] = 20
    budget_day: Annotated[float, dollars(example=50, most=_MOST_DOLLARS)] = 0
    """US dollars that all rooms together may spend in a day; as `budget_month`. 0: no budget."""
    budget_month: Annotated[float, dollars(example=500, most=_MOST_DOLLARS)] = 0
    max_file: Annotated[int, whole(_MIB, example=25, least=1, most=1024)] = 25
    """How large a file may be that comes in or goes out."""
    isolation: IsolationWish = "auto"
    isolation_minimum: IsolationName = "strict"
    room_uids: Uids = "200000-265535"
    """For a daemon that runs as root: each room gets a user id of its own out of these."""
    subscription_in_room: Flag = False
    gateway: Gateway = Gateway()
    registry: Registry = Registry()
    loki: Loki = Loki()
    sync_timeout: Annotated[int, whole(_SECONDS, example=30, least=1, most=120)] = 30
    retention: Annotated[int, whole(_DAYS, example=90, least=0, most=MOST_DAYS)] = 90
    """Days after its end for which a command, and all that belongs to it, is kept. 0: for ever."""
    body_retention: Annotated[int, whole(_DAYS, example=7, least=0, most=MOST_DAYS)] = 7
    """Days after its end for which its text is kept. 0: as long as it is."""
    audit_retention: Annotated[int, whole(_DAYS, example=365, least=0, most=MOST_DAYS)] = 365
    """Days for which a line of the audit is kept. 0: for ever."""
    catch_up_max_age: Annotated[int, whole(_SECONDS, example=DAY, least=60, most=30 * DAY)] = DAY


MAY_BE_NULL = frozenset({("max_parallel_turns",), ("max_warm",)})
"""Keys for which `null` says something: "compute it"."""
