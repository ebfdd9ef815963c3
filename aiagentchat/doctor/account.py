"""Checks of the homeserver and of the account in each room. They ask, and change nothing; nobody logs in afresh."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiagentchat.app.owner import this_machine
from aiagentchat.config.settings import RoomSettings
from aiagentchat.core.errors import LoginFailed, MatrixError, Refused
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.instances import DELAY_SECONDS, INSTANCE, TTL_SECONDS
from aiagentchat.core.ports.ledger import Login
from aiagentchat.doctor.examine import Check
from aiagentchat.doctor.machine import Patient
from aiagentchat.doctor.rows import Row, fail, ok, unknown, warn
from aiagentchat.matrix.account_data import MatrixAccountData
from aiagentchat.matrix.client import Account, Client, resolve_alias
from aiagentchat.matrix.instances import MatrixRegistryRoom
from aiagentchat.matrix.ownership import OWNER, OWNER_TTL, Owner, parse
from aiagentchat.matrix.standing import Server, Standing, joined_rooms, server, standing
from aiagentchat.send.lift import lift_limit

CLOCK_SECONDS = 5.0
"""How far clocks may be apart: an answer takes a moment, and says its time in whole seconds."""
CLOCK_FAR_SECONDS = 300.0
"""So far apart, ages of messages mean nothing."""


class _Stored:
    """The Accounts port, of which nothing is ever written."""

    def __init__(self, login: Login | None) -> None:
        self._login = login

    async def login(self, user: UserId) -> Login | None:
        return self._login if self._login is not None and self._login.user == user else None

    async def save_login(self, login: Login) -> None:
        """The daemon keeps its own."""


@dataclass(slots=True)
class Visit:
    """One visit to the homeserver. Later checks need what earlier ones have found."""

    client: Client
    server: Server | None = None
    logged_in: bool = False
    why_not: str = ""


@asynccontextmanager
async def visit(patient: Patient) -> AsyncIterator[Visit]:
    """A client with the token that is given or stored. The password stays where it is: a login has side effects; and so
    does what renews a token, which is good for one use and not ours."""
    matrix, token = patient.settings.matrix, patient.secrets.matrix_access_token
    account = Account(
        homeserver=str(matrix.homeserver),
        user=UserId(matrix.user_id),
        device_name=matrix.device_name,
        token=token.reveal() if token is not None and _is_given(patient) else None,
    )
    client = Client(account, _Stored(patient.known.login))
    try:
        yield Visit(client)
    finally:
        await client.close()


def account_checks(patient: Patient, visit: Visit, now_ms: Callable[[], int]) -> list[Check]:
    """All of them, in the order in which they must be asked."""
    me = UserId(patient.settings.matrix.user_id)

    async def homeserver() -> list[Row]:
        return await _homeserver(patient, visit, now_ms)

    async def login() -> list[Row]:
        return [await _login(patient, visit)]

    async def owner() -> list[Row]:
        if not visit.logged_in:
            return [_not_asked("matrix.owner", visit)]
        content, now = await MatrixAccountData(visit.client, me).read(OWNER)
        host, boot_id = this_machine()
        mine = Owner(installation=patient.known.installation, device="", host=host, boot_id=boot_id)
        return [owner_row(parse(content), mine, now)]

    async def rate_limit() -> list[Row]:
        said = "Whether the homeserver limits this account shows only when it sends. If answers come slowly:"
        return [unknown("matrix.rate_limit", said, f"{lift_limit(me)}.")]

    async def registry() -> list[Row]:
        return await _registry(patient.settings.registry.room, visit, me)

    rooms = [_room_check(room, visit, me) for room in patient.settings.rooms]
    return [
        Check(id="matrix.homeserver", ask=homeserver),
        Check(id="matrix.login", ask=login),
        Check(id="matrix.owner", ask=owner),
        Check(id="matrix.rate_limit", ask=rate_limit),
        *rooms,
        Check(id="registry.room", ask=registry),
    ]


async def _homeserver(patient: Patient, visit: Visit, now_ms: Callable[[], int]) -> list[Row]:
    address = str(patient.settings.matrix.homeserver)
    begun = time.monotonic()
    try:
        visit.server = found = await server(visit.client)
    except MatrixError as error:
        visit.why_not = "the homeserver does not answer"
        return [
            fail(
                "matrix.homeserver",
                f"{address} does not answer as a homeserver does ({error}).",
                "Look whether it runs, and whether `matrix.homeserver` is right.",
            ),
            unknown("matrix.clock", "Not asked: the homeserver does not answer."),
        ]
    who = found.software or "the homeserver"
    return [
        ok("matrix.homeserver", f"{address}: {who} answers; its newest specification is {found.newest}."),
        clock_row(found.now, now_ms(), time.monotonic() - begun),
    ]


def clock_row(theirs: int | None, ours: int, took: float) -> Row:
    """How far the clocks are apart; both in milliseconds, `took` in seconds."""
    id_ = "matrix.clock"
    if theirs is None:
        return unknown(id_, "The homeserver does not say what time it is.")
    apart = (ours - theirs) / 1000
    said = f"This machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the homeserver's."
    fix = "Set the clock of the one that is wrong, for example with systemd-timesyncd or chrony."
    if abs(apart) > CLOCK_FAR_SECONDS:
        return fail(id_, said, fix)
    if abs(apart) > CLOCK_SECONDS + took:
        return warn(id_, said, fix)
    return ok(id_, "This machine's clock and the homeserver's agree.")


async def _login(patient: Patient, visit: Visit) -> Row:
    id_, secrets = "matrix.login", patient.secrets
    if visit.server is None:
        return _not_asked(id_, visit)
    if patient.known.trouble and secrets.matrix_access_token is None:
        visit.why_not = "the stored login cannot be opened"
        fix = "Put the key back in its place, or set MATRIX_PASSWORD: the next start then logs in as a new device."
        return fail(id_, f"The stored login cannot be opened: {patient.known.trouble}.", fix)
    is_given = _is_given(patient)
    if secrets.matrix_access_token is None and patient.known.login is None:
        visit.why_not = "there is no token to ask with"
        if secrets.matrix_password is None and patient.closed is not None:
            return unknown(
                id_, f"Not checked: {patient.closed} is closed to this user.", "Ask again after the first start."
            )
        if secrets.matrix_password is None:
            return fail(id_, "There is nothing to log in with.", "Set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD.")
        said = "Not checked: there is a password and no token yet, and a login would make a new device."
        return unknown(id_, said, "The first start logs in; ask again after it.")
    try:
        await visit.client.log_in()
    except LoginFailed as error:
        visit.why_not = "the login is not accepted"
        return _refused(patient, is_given, error)
    except MatrixError:
        visit.why_not = "the login was not answered"
        raise
    visit.logged_in = True
    which = "MATRIX_ACCESS_TOKEN" if is_given else "the stored login"
    return ok(id_, f"{patient.settings.matrix.user_id} is logged in, with {which}.")


def _is_given(patient: Patient) -> bool:
    """Whether it is a given token that the daemon would take first."""
    secrets = patient.secrets
    if secrets.matrix_refresh_token is not None and patient.known.login is not None:
        return False
    return secrets.matrix_access_token is not None


def _refused(patient: Patient, is_given: bool, error: LoginFailed) -> Row:
    """What a refusal means for the next start."""
    id_, secrets = "matrix.login", patient.secrets
    which = "MATRIX_ACCESS_TOKEN" if is_given else "The stored login"
    if secrets.matrix_refresh_token is not None if is_given else patient.known.is_renewable:
        return unknown(
            id_,
            f"{which} is not accepted now ({error}); what renews it is good for one use, and was not used.",
            "If it has only worn off, the next start renews it.",
        )
    if not is_given and secrets.matrix_password is not None:
        return warn(
            id_,
            f"{which} is not accepted any more ({error}); the password was not tried.",
            "The next start logs in with the password.",
        )
    return fail(id_, f"{which} is not accepted: {error}.", "Give it a fresh MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD.")


def owner_row(owner: Owner | None, mine: Owner, now: int | None) -> Row:
    """Whether a daemon elsewhere has the account; `now` is the homeserver's clock."""
    id_ = "matrix.owner"
    if owner is None:
        return ok(id_, "No daemon owns the account now.")
    if owner.is_same(mine):
        return ok(id_, "The account is this installation's.")
    age = owner.age(now)
    if age is not None and age >= OWNER_TTL:
        return ok(id_, f"A daemon on {owner.host or 'an unknown host'} had the account, and is gone.")
    return fail(
        id_,
        f"A daemon elsewhere owns the account: on {owner.host or 'an unknown host'} (device {owner.device}).",
        "Only one may run: stop that one, or start this one with --take-over.",
    )


def _room_check(room: RoomSettings, visit: Visit, me: UserId) -> Check:
    id_ = f"chat.{room.name}"

    async def ask() -> list[Row]:
        if not visit.logged_in:
            return [_not_asked(id_, visit)]
        number = room.id
        if number.startswith("#"):
            try:
                number = await resolve_alias(visit.client, number)
            except Refused:
                return [fail(id_, f"No room is known as {room.id}.", "Correct `id`, or make the alias.")]
        if number not in await joined_rooms(visit.client):
            return [fail(id_, f"The account is not in {room.id}.", f"Invite {me} into the room.")]
        found = await standing(visit.client, number, me)
        return [standing_row(id_, number, found), *history_rows(id_, room, found)]

    return Check(id=id_, ask=ask)


def standing_row(id_: str, room: RoomId, found: Standing) -> Row:
    """What the account may do in a room that it is in."""
    power = "all" if found.power is None else found.power
    if not found.may(found.to_send):
        return fail(
            id_,
            f"The account may not speak in {room}: its power is {power}, messages need {found.to_send}.",
            f"Give it power {found.to_send} in the room's settings.",
        )
    if not found.may(found.to_react):
        return warn(
            id_,
            f"The account may not react in {room}: its power is {power}, reactions need {found.to_react}.",
            f"Give it power {found.to_react}, or 👀 and ✅ are missing and approvals need words.",
        )
    how = "encrypted" if found.encrypted else "not encrypted"
    return ok(id_, f"In {room}, {how}; may speak and react.")


def history_rows(id_: str, room: RoomSettings, found: Standing) -> list[Row]:
    """Whether what is said under encryption is kept without it."""
    if not (found.encrypted and room.keeps_history(encrypted=True)):
        return []
    said = "The room is encrypted, and `history: true` keeps what is said there in data_dir, in clear text."
    return [warn(f"{id_}.history", said, "Leave it so only if data_dir is as safe as the room; else remove `history`.")]


async def _registry(named: str | None, visit: Visit, me: UserId) -> list[Row]:
    id_ = "registry.room"
    if named is None:
        return [unknown(id_, "There is no `registry.room`: other instances are not found, and do not find this one.")]
    if not visit.logged_in:
        return [_not_asked(id_, visit)]
    room = RoomId(named)
    if named.startswith("#"):
        try:
            room = await resolve_alias(visit.client, named)
        except Refused:
            return [fail(id_, f"No room is known as {named}.", "Correct `registry.room`, or make the alias.")]
    if room not in await joined_rooms(visit.client):
        fix = f"Invite {me} into the room; the daemon accepts that."
        return [fail(id_, f"The account is not in the registry room {named}.", fix)]
    delays = await MatrixRegistryRoom(visit.client, room).may_delay(DELAY_SECONDS)
    return [register_row(named, await standing(visit.client, room, me)), delayed_row(delays=delays)]


def register_row(room: str, found: Standing) -> Row:
    """Whether the account may say in the registry room that it is there."""
    id_ = "registry.room"
    if found.may(found.to_register):
        return ok(id_, f"In {room}; may register there.")
    return fail(
        id_,
        f"The account may not register in {room}: its power is {found.power}, {INSTANCE} needs {found.to_register}.",
        f"Give it power {found.to_register}, or let everybody register: put {INSTANCE} with 0 under `events` of the "
        "room's power levels.",
    )


def delayed_row(*, delays: bool) -> Row:
    """How others learn that this daemon was killed. Both ways are good."""
    id_ = "registry.delayed_events"
    if delays:
        return ok(id_, "The homeserver offers delayed events (MSC4140): being there adds no events to the room.")
    return unknown(
        id_,
        "The homeserver does not offer delayed events (MSC4140), so this daemon says every minute that it is there; "
        f"who is killed counts as gone after {TTL_SECONDS} s.",
        f"On Synapse, `max_event_delay_duration` of at least {DELAY_SECONDS}s in homeserver.yaml makes that quiet.",
    )


def _not_asked(id_: str, visit: Visit) -> Row:
    return unknown(id_, f"Not asked: {visit.why_not or 'the login was not checked'}.")
