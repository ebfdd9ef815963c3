"""What is there + what is wanted → the steps between them, in an order in which each may be the last of a life. Pure.

Doing all steps leads to a state of which the plan is empty; so does doing some of them, looking again, and doing the
rest. Nobody's power is lowered, nobody is invited who has left, and a password that is not known is never changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from aiagentchat.bootstrap.wanted import NOBODY, Account, Kind, Place, Wanted, server_of
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.power import ABOVE_ALL, power_of

LEVELS = "m.room.power_levels"
ENCRYPTION = "m.room.encryption"
CHILD = "m.space.child"
PARENT = "m.space.parent"
JOIN, INVITE = "join", "invite"

_STATE_LEVEL = 50
_INVITE_LEVEL = 0


# --- what is there


class Standing(StrEnum):
    """What is known of an account."""

    OURS = "ours"
    """It can be logged in."""
    TAKEN = "taken"
    """It is there, and not with the password that is known, if one is."""
    NONE = "none"


class Limit(StrEnum):
    """Whether the homeserver limits our account."""

    LIFTED = "lifted"
    LIMITED = "limited"
    NOT_TOLD = "not told"
    """Only an admin of the homeserver is told, and there is none here."""
    NOT_OFFERED = "not offered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A room that is there."""

    id: RoomId
    membership: str
    """Ours: `join`, `invite`, or something else."""
    create: Mapping[str, Any] = field(default_factory=dict)
    """The whole event. Empty, as the rest, unless we are in the room."""
    levels: Mapping[str, Any] | None = None
    members: Mapping[UserId, str] = field(default_factory=dict)
    encrypted: bool = False
    children: frozenset[RoomId] = frozenset()
    parents: frozenset[RoomId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """Everything that was found."""

    accounts: Mapping[UserId, Standing]
    known: frozenset[UserId] = frozenset()
    """Whose password is known."""
    limit: Limit = Limit.NOT_TOLD
    places: Mapping[str, Found] = field(default_factory=dict)
    """By their keys; those that are not there are not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the operator has given to make accounts with, and to speak as an admin."""

    makes_accounts: bool = False
    makes_admins: bool = False
    is_admin: bool = False
    """Whether there is the token of one."""


# --- what follows


@dataclass(frozen=True, slots=True)
class KeepPassword:
    """Think of a password and write it down: before the account is made, so that it is never lost."""

    user: UserId


@dataclass(frozen=True, slots=True)
class MakeAccount:
    """Make it, with the password that is written down."""

    user: UserId
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class LiftLimit:
    """Have the homeserver not limit us."""


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """Make it, with nobody in it, under its alias: by that it is found again."""

    place: Place


@dataclass(frozen=True, slots=True)
class JoinRoom:
    """Accept an invite."""

    place: Place


@dataclass(frozen=True, slots=True)
class WriteId:
    """Have config.yaml name it by its id."""

    place: Place


@dataclass(frozen=True, slots=True)
class Encrypt:
    """For ever."""

    place: Place


@dataclass(frozen=True, slots=True)
class SetPower:
    """Give the people of the room the power that they are to have."""

    place: Place


@dataclass(frozen=True, slots=True)
class Link:
    """Have `of` say that it and `with_` belong together."""

    of: Place
    with_: Place


@dataclass(frozen=True, slots=True)
class Invite:
    """Invite somebody."""

    place: Place
    user: UserId


Act: TypeAlias = (
    KeepPassword | MakeAccount | LiftLimit | MakeRoom | JoinRoom | WriteId | Encrypt | SetPower | Link | Invite
)


class Verdict(StrEnum):
    """How a step stands."""

    IS_THERE = "is there"
    TO_DO = "to do"
    LEFT = "left"
    """Not done, and good so: not asked for, not offered, or somebody's own decision."""
    BLOCKED = "blocked"
    """Wanted, and not possible for us."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is wanted."""

    verdict: Verdict
    what: str
    act: Act | None = None
    why: str = ""
    """Why it is left or blocked, and what to do."""


def plan(wanted: Wanted, there: There, means: Means) -> list[Step]:
    """Every step, also those that are done already."""
    steps = [step for account in wanted.accounts for step in _account(wanted.me, account, there, means)]
    steps.append(_limit(wanted, there, means))
    for place in wanted.places:
        steps += _place(wanted, there, place)
    for place in wanted.places:
        steps += _guests(wanted, there, place)
    return steps


def cannot_begin(steps: list[Step], me: UserId) -> str:
    """Why nothing can be done at all; empty: it can. Without our account there is nobody to do it."""
    found = (step for step in steps if step.verdict is Verdict.BLOCKED and step.what == _account_of(me))
    return next((step.why for step in found), "")


def _account_of(user: UserId) -> str:
    return f"account {user}"


def _account(me: UserId, account: Account, there: There, means: Means) -> Iterator[Step]:
    user, what = account.user, _account_of(account.user)
    standing = there.accounts.get(user, Standing.NONE)
    if standing is Standing.OURS:
        yield Step(Verdict.IS_THERE, what)
    elif standing is Standing.TAKEN:
        yield Step(Verdict.BLOCKED, what, why=_taken(user)) if user == me else _theirs(what)
    elif not means.makes_accounts:
        yield Step(Verdict.BLOCKED, what, why=_no_means(user))
    elif account.is_admin and not means.makes_admins:
        why = "an admin is made with --shared-secret-file or --admin-token-file; a registration token makes none"
        yield Step(Verdict.BLOCKED, what, why=why)
    else:
        if user not in there.known:
            yield Step(Verdict.TO_DO, f"password of {user}", KeepPassword(user))
        yield Step(Verdict.TO_DO, what, MakeAccount(user, account.is_admin))


def _theirs(what: str) -> Step:
    return Step(Verdict.IS_THERE, what, why="its password is its owner's")


def _taken(user: UserId) -> str:
    return (
        f"there is an account {user}, and what is known does not log it in; give its password (MATRIX_PASSWORD, or the "
        "file secrets/MATRIX_PASSWORD) or a MATRIX_ACCESS_TOKEN, or choose another matrix.user_id"
    )


def _no_means(user: UserId) -> str:
    return (
        f"there is no account {user}, and nothing to make one with; give --shared-secret-file, "
        "--registration-token-file or --admin-token-file, or make it as your homeserver makes accounts"
    )


def _limit(wanted: Wanted, there: There, means: Means) -> Step:
    what = f"no rate limit for {wanted.me}"
    match there.limit:
        case Limit.LIFTED:
            return Step(Verdict.IS_THERE, what)
        case Limit.NOT_OFFERED:
            return Step(Verdict.LEFT, what, why="this homeserver has no way to lift it that is known here")
        case Limit.NOT_TOLD if not (means.is_admin or _admin_comes(wanted, there)):
            why = (
                "only an admin of the homeserver lifts it (--admin-token-file or --server-admin); "
                "see docs/how-to/rate-limits.md"
            )
            return Step(Verdict.LEFT, what, why=why)
        case _:
            return Step(Verdict.TO_DO, what, LiftLimit())


def _admin_comes(wanted: Wanted, there: There) -> bool:
    """Whether an account is made that can lift it. One that is there, and cannot be logged in, cannot."""
    return any(account.is_admin and there.accounts.get(account.user) is Standing.NONE for account in wanted.accounts)


def _place(wanted: Wanted, there: There, place: Place) -> Iterator[Step]:
    found, what = there.places.get(place.key), _called(place)
    if found is None and not _can_be_made(place, wanted.me):
        yield Step(Verdict.BLOCKED, what, why=f"there is no room {place.ref}, and it is not ours to make")
        return
    if found is None:
        yield Step(
            Verdict.TO_DO, f"{what}, as {place.ref}{', encrypted for ever' if place.encrypted else ''}", MakeRoom(place)
        )
    elif found.membership == INVITE:
        yield Step(Verdict.TO_DO, f"{what}: join", JoinRoom(place))
    elif found.membership != JOIN:
        yield Step(Verdict.BLOCKED, what, why=f"{wanted.me} is not in {place.ref}; invite it, and do this again")
        return
    else:
        yield Step(Verdict.IS_THERE, f"{what}, {found.id}")
    if place.kind is not Kind.SPACE:
        yield _written(place, found)
    if place.encrypted and found is not None:
        done = Verdict.IS_THERE if found.encrypted else Verdict.TO_DO
        yield _allowed(Step(done, f"{what}: encrypted", Encrypt(place)), wanted.me, found, ENCRYPTION)
    done = Verdict.IS_THERE if _has_power(place, found) else Verdict.TO_DO
    yield _allowed(Step(done, f"{what}: power levels", SetPower(place)), wanted.me, found, LEVELS)


def _guests(wanted: Wanted, there: There, place: Place) -> Iterator[Step]:
    """Who is in it, and what it is in: when everything about it is right."""
    found = there.places.get(place.key)
    if (found is None and not _can_be_made(place, wanted.me)) or not _is_reached(found):
        return
    space = wanted.space
    if space is not None and place.kind is not Kind.SPACE:
        yield from _links(wanted.me, there, space, place)
    for user in place.people:
        yield _invited(wanted.me, place, found, user)


def _is_reached(found: Found | None) -> bool:
    return found is None or found.membership in (JOIN, INVITE)


def _links(me: UserId, there: There, space: Place, place: Place) -> Iterator[Step]:
    ours, theirs = there.places.get(space.key), there.places.get(place.key)
    if not _is_reached(ours) or (ours is None and not _can_be_made(space, me)):
        return
    is_child = ours is not None and theirs is not None and theirs.id in ours.children
    is_parent = ours is not None and theirs is not None and ours.id in theirs.parents
    what = f"{_called(place)}: in the space"
    yield _allowed(Step(_done(is_child), what, Link(space, place)), me, ours, CHILD)
    yield _allowed(Step(_done(is_parent), f"{what}, and says so", Link(place, space)), me, theirs, PARENT)


def _done(is_there: bool) -> Verdict:
    return Verdict.IS_THERE if is_there else Verdict.TO_DO


def _invited(me: UserId, place: Place, found: Found | None, user: UserId) -> Step:
    what = f"{_called(place)}: {user}"
    membership = None if found is None else found.members.get(user)
    if membership in (JOIN, INVITE):
        return Step(Verdict.IS_THERE, what)
    if membership is not None:
        said = {"leave": "has left, or declined", "ban": "is banned", "knock": "knocks"}.get(membership, membership)
        return Step(Verdict.LEFT, what, why=f"{said}; who does not want to be there is not invited again by a program")
    step = Step(Verdict.TO_DO, what, Invite(place, user))
    if found is None or found.membership != JOIN or found.levels is None:
        return step
    return _within(step, me, found, _number(found.levels.get("invite"), _INVITE_LEVEL))


def _written(place: Place, found: Found | None) -> Step:
    what = f"{_called(place)}: in config.yaml"
    if place.kind is Kind.REGISTRY:
        return Step(_done(bool(place.in_config)), what, WriteId(place))
    return Step(_done(found is not None and place.in_config == found.id), what, WriteId(place))


def _called(place: Place) -> str:
    return place.kind if place.kind is not Kind.ROOM else f"room {place.name}"


def _can_be_made(place: Place, me: UserId) -> bool:
    """Under an alias of our own homeserver; an id is given by the homeserver."""
    return place.ref.startswith("#") and place.ref.partition(":")[2] == server_of(me)


# --- power


def levels_wanted(place: Place, create: Mapping[str, Any], levels: Mapping[str, Any] | None) -> dict[str, Any]:
    """The content that the levels of `place` are to have: as they are, with nobody's power lowered."""
    made = dict(levels or {})
    users = dict(_mapping(made.get("users")))
    for user, power in place.powers.items():
        has = power_of(user, create, levels)
        if has is None or has < power:
            users[user] = power
    events = dict(_mapping(made.get("events")))
    for type_, most in place.events.items():
        if _number(events.get(type_), _number(made.get("state_default"), _STATE_LEVEL)) > most:
            events[type_] = most
    if place.kind is Kind.SPACE:
        made["events_default"] = max(_number(made.get("events_default"), 0), NOBODY)
    return {**made, **({"users": users} if users else {}), **({"events": events} if events else {})}


def _has_power(place: Place, found: Found | None) -> bool:
    return (
        found is not None
        and found.membership == JOIN
        and levels_wanted(place, found.create, found.levels) == dict(found.levels or {})
    )


def _allowed(step: Step, me: UserId, found: Found | None, type_: str) -> Step:
    """The step, unless our power does not reach to send this state."""
    if found is None or found.membership != JOIN or found.levels is None:
        return step
    default = _number(found.levels.get("state_default"), _STATE_LEVEL)
    return _within(step, me, found, _number(_mapping(found.levels.get("events")).get(type_), default))


def _within(step: Step, me: UserId, found: Found, needed: int) -> Step:
    has = power_of(me, found.create, found.levels) or 0
    highest = max(needed, *_raised(step, found)) if isinstance(step.act, SetPower) else needed
    if step.verdict is not Verdict.TO_DO or has >= min(highest, ABOVE_ALL):
        return step
    why = (
        f"the power of {me} in {found.id} is {has}, and this takes {highest}; do it in a client, or give it that power"
    )
    return Step(Verdict.BLOCKED, step.what, why=why)


def _raised(step: Step, found: Found) -> list[int]:
    """The powers that the step gives: nobody gives more than he has."""
    assert isinstance(step.act, SetPower)
    powers = step.act.place.powers.items()
    return [0, *(power for user, power in powers if (power_of(user, found.create, found.levels) or 0) < power)]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object, otherwise: int) -> int:
    return value if type(value) is int else otherwise
