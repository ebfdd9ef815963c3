"""What is wanted at the homeserver: accounts, rooms, who is in them, and with which power. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aiagentchat.config.settings import RoomSettings, Settings
from aiagentchat.core.ids import UserId
from aiagentchat.core.instances import INSTANCE

POWER = 100
"""Of the people who look after a room. Without them, nobody could invite another account should ours be lost."""
EVERYBODY = 0
NOBODY = 100
"""What it takes to speak in a space."""
SPACE = "space"
REGISTRY = "registry"
AGENTS = "agents"
"""The alias of the registry room, where none is named."""


class Kind(StrEnum):
    """What a room is for."""

    ROOM = "room"
    SPACE = SPACE
    REGISTRY = REGISTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who can log in."""

    user: UserId
    is_admin: bool = False
    """Of the homeserver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A room."""

    key: str
    """Its name among the others."""
    kind: Kind
    name: str
    """What people see."""
    ref: str
    """Its id, or the alias by which it is found, and under which it is made."""
    people: tuple[UserId, ...] = ()
    """Who is invited, in this order."""
    powers: Mapping[UserId, int] = field(default_factory=dict)
    """The least that each of them has."""
    events: Mapping[str, int] = field(default_factory=dict)
    """The most that it takes to send these."""
    encrypted: bool = False
    entry: int | None = None
    """Which room of config.yaml it is. None: it is in there not yet."""
    in_config: str = ""
    """How config.yaml calls it; empty: it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All of it."""

    me: UserId
    accounts: tuple[Account, ...]
    """Ours is the first."""
    places: tuple[Place, ...]
    """The space, if there is to be one, is the first: rooms are linked with it."""
    room_version: str = ""
    """Of rooms that are made; empty: as the homeserver likes."""

    @property
    def space(self) -> Place | None:
        """The one that all rooms are in."""
        return next((place for place in self.places if place.kind is Kind.SPACE), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator asked for, beside what config.yaml says."""

    rooms: tuple[str, ...] = ()
    """Names of rooms that are to be in config.yaml."""
    space: str | None = None
    """What the space is called. None: there is none."""
    registry: bool = False
    """Whether there is to be a registry room, also if config.yaml names none."""
    members: tuple[UserId, ...] = ()
    """Accounts of other daemons, for the registry room."""
    encrypt: tuple[str, ...] = ()
    """Names of rooms; `all` for all."""
    accounts: tuple[Account, ...] = ()
    """Of people."""
    room_version: str = ""


ALL = "all"


def wanted(settings: Settings, wishes: Wishes) -> Wanted:
    """What config.yaml and the wishes amount to."""
    me = UserId(settings.matrix.user_id)
    rooms = [_room(room, me, wishes, number) for number, room in enumerate(settings.rooms)]
    known = {room.name for room in settings.rooms}
    fresh = [_fresh(name, settings.template, me, wishes) for name in dict.fromkeys(wishes.rooms) if name not in known]
    places = (*rooms, *fresh)
    people = tuple(dict.fromkeys(person for place in places for person in place.people))
    keepers = tuple(dict.fromkeys(person for place in places for person in place.powers))
    others = [
        *([] if wishes.space is None else [_space(wishes.space, me, people, keepers)]),
        *([_registry(settings.registry.room, me, wishes.members, keepers)] if _has_registry(settings, wishes) else []),
    ]
    space = tuple(place for place in others if place.kind is Kind.SPACE)
    registry = tuple(place for place in others if place.kind is Kind.REGISTRY)
    theirs = {account.user: account for account in wishes.accounts if account.user != me}
    return Wanted(
        me=me,
        accounts=(Account(user=me), *theirs.values()),
        places=(*space, *places, *registry),
        room_version=wishes.room_version,
    )


def server_of(user: UserId) -> str:
    """The homeserver of an account, as it stands in ids."""
    return user.partition(":")[2]


def local_part(user: UserId) -> str:
    """The name of an account on its homeserver."""
    return user[1:].partition(":")[0]


def _has_registry(settings: Settings, wishes: Wishes) -> bool:
    return wishes.registry or settings.registry.room is not None


def _room(room: RoomSettings, me: UserId, wishes: Wishes, number: int) -> Place:
    people, keepers = _people(room, me)
    return Place(
        key=room.name,
        kind=Kind.ROOM,
        name=room.name,
        ref=str(room.id),
        people=people,
        powers=dict.fromkeys(keepers, POWER),
        encrypted=_is_sealed(room.name, wishes),
        entry=number,
        in_config=str(room.id),
    )


def _fresh(name: str, template: RoomSettings, me: UserId, wishes: Wishes) -> Place:
    people, keepers = _people(template, me)
    return Place(
        key=name,
        kind=Kind.ROOM,
        name=name,
        ref=f"#{name}:{server_of(me)}",
        people=people,
        powers=dict.fromkeys(keepers, POWER),
        encrypted=_is_sealed(name, wishes),
    )


def _space(name: str, me: UserId, people: Sequence[UserId], keepers: Iterable[UserId]) -> Place:
    return Place(
        key=SPACE,
        kind=Kind.SPACE,
        name=name,
        # Several daemons may live on one homeserver, each with rooms of its own.
        ref=f"#{local_part(me).replace('/', '-')}-rooms:{server_of(me)}",
        people=tuple(people),
        powers=dict.fromkeys(keepers, POWER),
    )


def _registry(ref: str | None, me: UserId, members: Sequence[UserId], keepers: Sequence[UserId]) -> Place:
    return Place(
        key=REGISTRY,
        kind=Kind.REGISTRY,
        name="Agents",
        ref=ref or f"#{AGENTS}:{server_of(me)}",
        people=tuple(dict.fromkeys((*keepers, *(member for member in members if member != me)))),
        powers=dict.fromkeys(keepers, POWER),
        events={INSTANCE: EVERYBODY},
        in_config=ref or "",
    )


def _people(room: RoomSettings, me: UserId) -> tuple[tuple[UserId, ...], tuple[UserId, ...]]:
    """Who is invited, and who of them looks after the room: its admins, and where there are none, its users."""
    listed = [_exact(who, me) for who in (room.admins, room.users, room.viewers)]
    return tuple(dict.fromkeys(user for group in listed for user in group)), listed[0] or listed[1]


def _exact(users: Iterable[UserId], me: UserId) -> tuple[UserId, ...]:
    """Those that are one person each; a rule on a server (`@*:example.org`) invites nobody."""
    return tuple(sorted(user for user in users if "*" not in user and user != me))


def _is_sealed(name: str, wishes: Wishes) -> bool:
    return name in wishes.encrypt or ALL in wishes.encrypt
