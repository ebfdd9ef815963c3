"""The door: who may invite, how a room becomes one of ours in chat, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.approvals import ApprovalKind
from aiagentchat.core.audit import AuditFilter, AuditKind
from aiagentchat.core.errors import MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.ids import EventId, RoomId, UserId
from aiagentchat.core.isolation import Held, Isolation
from aiagentchat.core.messages import Incoming, Kind
from aiagentchat.core.rooms import DIRECT
from aiagentchat.render import words
from aiagentchat.route import lobby, making
from aiagentchat.route.bot_commands.catalog import catalog
from aiagentchat.route.lobby import DECLINE_SECONDS, LEAVE_AGAIN, MOST_DECLINED, MOST_WAITING, WAIT_MS
from aiagentchat.route.making import MOST_DIRECT, MOST_MADE, REGRET_MS
from tests.fakes.clock import START_MS
from tests.fakes.front import REGISTRY, Front, open_front
from tests.fakes.log import FakeLog
from tests.fakes.people import ADA, ANNA, EVE, GARDEN, KITCHEN, ME, OTHER, ROOM, VERA, event, settings, typed

NEW = RoomId("!new:hs")
HOUR = 3600.0


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    """What the operator reads about the door."""
    made = FakeLog()
    monkeypatch.setattr(lobby, "log", made)
    monkeypatch.setattr(making, "log", made)
    return made


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(template=replace(KITCHEN, id=RoomId(""), name=""), workspaces=tmp_path / "rooms")
        yield opened


def invite(sender: UserId = ADA, room: RoomId = NEW, body: str = "") -> Incoming:
    return event(Kind.INVITE, body, sender=sender, room=room)


def said(body: str, sender: UserId = ANNA, **more: Any) -> Incoming:
    return typed(body, sender=sender, room=NEW, **more)


async def invited(front: Front, sender: UserId = ADA, body: str = "") -> list[str]:
    """We are invited into NEW; what is said about that."""
    front.outbound.room(NEW, joined=False, invited=True)
    return await front.told(invite(sender, body=body), event(Kind.JOINED, sender=ME, room=NEW))


async def set_up(front: Front, body: str = "/setup tea") -> None:
    """NEW is one of our rooms, by Ada."""
    await invited(front)
    assert await front.told(said(body, ADA)) == [words.setup_done("tea", ADA)]


def people(front: Front) -> tuple[set[UserId], set[UserId], set[UserId]]:
    """The users, the admins and the viewers of NEW."""
    room = front.settings.room(NEW)
    assert room is not None
    return set(room.users), set(room.admins), set(room.viewers)


async def queued(front: Front, room: RoomId = NEW) -> list[str]:
    return [each.text for each in await front.ledger.commands.queue(room)]


# ── who may invite ──


async def test_into_the_registry_room_anybody_may_invite_and_nothing_is_set_up_there(
    front: Front, log: FakeLog
) -> None:
    front.outbound.room(REGISTRY, joined=False, invited=True)
    told = await front.told(invite(EVE, REGISTRY))

    assert told == []
    assert front.outbound.rooms[REGISTRY].joined
    assert front.settings.waiting == ()
    assert log.of("invite.accepted") == [{"sender": EVE}]


async def test_an_invite_into_the_registry_room_that_is_not_good_any_more_is_said_to_the_operator(
    front: Front, log: FakeLog
) -> None:
    front.outbound.room(REGISTRY, joined=False)
    await front.hear(invite(EVE, REGISTRY))

    assert [line["sender"] for line in log.of("invite.failed")] == [EVE]


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        pytest.param(ADA, words.setup_offered(WAIT_MS // 1000), id="an admin"),
        pytest.param(ANNA, words.room_not_known(NEW, WAIT_MS // 1000), id="a user"),
    ],
)
async def test_an_invite_into_an_unknown_room_is_accepted_and_answered(front: Front, sender: UserId, told: str) -> None:
    assert await invited(front, sender) == [told]
    assert front.outbound.rooms[NEW].joined
    assert front.settings.waiting_in(NEW) is not None
    assert front.settings.hears(NEW)
    assert front.settings.room(NEW) is None


@pytest.mark.parametrize("sender", [EVE, VERA, UserId("@Ada:hs"), UserId("@ada:hs.evil"), UserId("@аda:hs")])
async def test_an_invite_of_somebody_else_is_declined_in_silence(front: Front, sender: UserId, log: FakeLog) -> None:
    assert await invited(front, sender) == []
    assert front.outbound.asked == [("leave", NEW)]
    assert not front.settings.hears(NEW)
    assert [line["sender"] for line in log.of("invite.declined")] == [sender]


async def test_a_stranger_cannot_have_us_leave_by_inviting_us_too(front: Front) -> None:
    await invited(front)
    await front.hear(invite(EVE))

    assert front.outbound.rooms[NEW].joined
    assert front.settings.hears(NEW)


async def test_a_flood_of_invites_keeps_nobody_busy(front: Front, log: FakeLog) -> None:
    many = [invite(EVE, RoomId(f"!{number}:hs")) for number in range(MOST_DECLINED + 5)]
    await front.hear(*many)
    assert len(front.outbound.asked) == len(log.of("invite.declined")) == MOST_DECLINED
    assert await front.ledger.inbox.unrouted(1) == []

    front.clock.advance(DECLINE_SECONDS)
    await front.hear(invite(EVE))
    assert front.outbound.asked[MOST_DECLINED:] == [("leave", NEW)]


@pytest.mark.parametrize("error", [Refused("gone"), Unreachable("nobody answers"), RateLimited("429", retry_after=60)])
async def test_an_invite_that_cannot_be_declined_is_left_alone(front: Front, error: MatrixError, log: FakeLog) -> None:
    front.outbound.fail(error)
    await front.hear(invite(EVE))

    assert len(log.of("invite.not_declined")) == 1
    assert await front.ledger.inbox.unrouted(1) == []


async def test_we_wait_in_a_few_rooms_only(front: Front, log: FakeLog) -> None:
    for number in range(MOST_WAITING + 1):
        room = front.outbound.room(RoomId(f"!{number}:hs"), joined=False, invited=True)
        await front.hear(invite(ADA, room))
    assert len(front.settings.waiting) == MOST_WAITING
    assert front.outbound.asked[-1] == ("leave", RoomId(f"!{MOST_WAITING}:hs"))
    assert len(log.of("invite.declined")) == 1

    await front.hear(invite(ADA, RoomId("!0:hs")))
    assert front.outbound.asked[-1] == ("join", RoomId("!0:hs"))


async def test_an_invite_that_is_gone_is_waited_for_by_nobody(front: Front, log: FakeLog) -> None:
    assert await front.told(invite()) == []
    assert not front.settings.hears(NEW)
    assert len(log.of("invite.failed")) == 1


async def test_what_is_said_while_we_join_is_kept_already(front: Front) -> None:
    front.outbound.room(NEW, joined=False, invited=True)
    let_in = front.outbound.hold(NEW)
    heard = []

    async def look() -> None:
        await front.outbound.until_asked(1)
        heard.append(front.settings.hears(NEW))
        let_in()

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        await front.hear(invite())

    assert heard == [True]


# ── /setup ──


async def test_a_room_is_ours_at_once_with_those_whom_the_defaults_list(front: Front) -> None:
    await set_up(front)

    room = front.settings.room(NEW)
    assert room is not None
    assert (room.name, room.made_by, room.workspace) == ("tea", ADA, None)
    assert people(front) == ({ANNA}, {ADA}, {VERA})
    assert front.settings.waiting == ()
    assert await front.told(said("/version")) == ["aiagentchat 1.2.3"]


@pytest.mark.parametrize("body", ["/setup", "!setup", "/setup  "])
async def test_a_room_without_a_name_gets_one(front: Front, body: str) -> None:
    await invited(front)

    [told] = await front.told(said(body, ADA))
    room = front.settings.room(NEW)
    assert room is not None
    assert room.name.startswith("new-")
    assert told == words.setup_done(room.name, ADA)


async def test_what_was_typed_since_the_invite_is_run_in_its_order(front: Front) -> None:
    await invited(front)

    await front.hear(
        said("one"), said("a stranger's", EVE), said("two", ADA), said("/setup tea", ADA), said("three"), said("four")
    )

    assert await queued(front) == ["one", "two", "three"]
    assert await front.ledger.inbox.unrouted(1) == []
    assert words.queue_full(3) in [parcel.content.get("body") for parcel in await front.deliver()]


async def test_what_was_typed_long_before_is_offered_first(front: Front) -> None:
    await invited(front)
    await front.hear(said("old", sent_at=START_MS))
    front.clock.advance(2 * HOUR)
    await front.hear(said("new", sent_at=front.clock.now_ms()), said("/setup tea", ADA, sent_at=front.clock.now_ms()))

    assert await queued(front) == ["new"]
    [offer] = await front.ledger.approvals.open_in(NEW)
    assert offer.kind is ApprovalKind.OFFER


async def test_what_was_changed_or_taken_back_meanwhile_is_run_as_it_is_now(front: Front) -> None:
    await invited(front)
    kept, gone = said("make tee"), said("a password")
    await front.hear(
        kept,
        gone,
        event(Kind.EDIT, "make tea", room=NEW, target=kept.event),
        event(Kind.REDACTION, room=NEW, target=gone.event),
    )
    found = await front.ledger.inbox.get(gone.event)
    assert found is not None
    assert found.body == ""

    await front.hear(said("/setup tea", ADA))
    assert await queued(front) == ["make tea"]


async def test_what_was_kept_is_run_by_a_later_life(tmp_path: Path) -> None:
    async with open_front(tmp_path / "ledger.db") as earlier:
        earlier.settings = settings(template=KITCHEN)
        await invited(earlier)
        await earlier.hear(said("one"))

    async with open_front(tmp_path / "ledger.db") as later:
        later.settings = settings(template=KITCHEN)
        await later.refresh()
        await later.hear(said("/setup tea", ADA))
        assert await queued(later) == ["one"]

    async with open_front(tmp_path / "ledger.db") as last:
        last.settings = settings(template=KITCHEN)
        await last.refresh()
        await last.hear(said("two"))
        assert await queued(last) == ["one", "two"]


async def test_what_was_kept_is_run_when_the_operator_adds_the_room(front: Front) -> None:
    await invited(front, ANNA)
    await front.hear(said("one"))
    front.settings = replace(front.settings, rooms=(*front.settings.rooms, replace(KITCHEN, id=NEW, name="new")))
    await front.refresh()
    await front.route()

    assert await queued(front) == ["one"]
    assert (await front.ledger.rooms.made()).waiting == ()


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        pytest.param(ANNA, [words.SETUP_NOT_YOURS], id="a user"),
        pytest.param(VERA, [], id="a viewer"),
        pytest.param(EVE, [], id="a stranger"),
    ],
)
async def test_only_an_admin_makes_a_room(front: Front, sender: UserId, told: list[str], log: FakeLog) -> None:
    await invited(front, ANNA)

    assert await front.told(said("/setup tea", sender)) == told
    assert front.settings.room(NEW) is None
    assert [line["sender"] for line in log.of("setup.refused")] == [sender]


async def test_who_made_a_room_cannot_make_another_once_he_is_no_admin(front: Front) -> None:
    await set_up(front)
    nobody = replace(KITCHEN, admins=frozenset())
    front.settings = replace(front.settings, rooms=(nobody,), template=replace(nobody, id=RoomId("")))
    await front.refresh()

    room = front.settings.room(NEW)
    assert room is not None
    assert room.admins == frozenset()
    assert not front.settings.may_make_rooms(ADA)


@pytest.mark.parametrize(
    "name", ["../x", "x/y", "/etc", ".", "..", "_template", "Tea", "tea pot", "\u200b", "remove", "x" * 65]
)
async def test_what_is_no_name_of_a_folder_is_refused(front: Front, name: str) -> None:
    await invited(front)

    assert await front.told(said(f"/setup {name}", ADA)) == [words.setup_not_a_name(name)]
    assert front.settings.room(NEW) is None


async def test_the_folder_of_another_room_is_refused_also_of_one_that_is_gone(front: Front) -> None:
    await front.ledger.rooms.slug(RoomId("!gone:hs"), "tea")
    await invited(front)

    assert await front.told(said("/setup tea", ADA)) == [words.setup_taken("tea")]
    assert front.settings.room(NEW) is None


async def test_a_folder_that_is_no_folder_is_refused_and_the_operator_reads_why(
    front: Front, tmp_path: Path, log: FakeLog
) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "tea").symlink_to(tmp_path)
    await invited(front)

    assert await front.told(said("/setup tea", ADA)) == [words.SETUP_NO_FOLDER]
    assert front.settings.room(NEW) is None
    assert "symbolic link" in str(log.of("room.not_made")[0]["problems"])


async def test_a_workspace_of_config_yaml_is_not_shared(front: Front) -> None:
    kitchen = replace(KITCHEN, workspace=front.settings.workspaces / "tea")
    front.settings = replace(front.settings, rooms=(kitchen,))
    await invited(front)

    assert await front.told(said("/setup tea", ADA)) == [words.SETUP_NO_FOLDER]


async def test_without_isolation_there_is_one_room(front: Front) -> None:
    front.desk = replace(front.desk, held=Held(Isolation.NONE))
    front.use(catalog(front.desk))
    await invited(front)
    assert await front.told(said("/setup tea", ADA)) == [words.SETUP_ONLY_ONE]

    front.settings = replace(front.settings, rooms=())
    assert await front.told(said("/setup tea", ADA)) == [words.setup_done("tea", ADA)]


async def test_so_many_rooms_can_be_made_and_no_more(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_MADE == 100
    monkeypatch.setattr(making, "MOST_MADE", 0)
    await invited(front)

    assert await front.told(said("/setup tea", ADA)) == [words.setup_too_many(0)]


# ── /setup where it is set up ──


async def test_a_room_that_is_set_up_says_so(front: Front) -> None:
    await set_up(front)

    assert await front.told(said("/setup other")) == [words.already_set_up("tea", ADA)]
    assert await front.told(typed("/setup")) == [words.already_set_up("kitchen", None)]


async def test_a_room_of_config_yaml_is_taken_away_there(front: Front) -> None:
    assert await front.told(typed("/setup remove", sender=ADA)) == [words.SETUP_IN_CONFIG]
    assert front.settings.room(ROOM) is not None


async def test_a_room_is_taken_away_by_its_admins(front: Front) -> None:
    await set_up(front)
    assert await front.told(said("/setup remove")) == [words.SETUP_NOT_YOURS_TO_REMOVE]
    assert front.settings.room(NEW) is not None

    assert await front.told(said("/setup remove", ADA)) == [words.setup_removed(REGRET_MS // 1000)]
    assert front.settings.room(NEW) is None


async def test_a_room_that_was_taken_away_can_be_taken_up_again_and_what_was_said_between_is_not_run(
    front: Front,
) -> None:
    await set_up(front)
    await front.hear(said("/setup remove", ADA), said("between"))
    assert await front.told(said("/setup other", ADA)) != []
    assert front.settings.room(NEW) is None
    await front.hear(said("/setup", ADA), said("after"))

    assert await queued(front) == ["after"]
    room = front.settings.room(NEW)
    assert room is not None
    assert room.name == "tea"


async def test_a_room_that_we_are_put_out_of_is_ours_no_more(front: Front) -> None:
    await set_up(front)
    await front.hear(event(Kind.LEFT, "kick", sender=EVE, room=NEW))
    assert front.settings.room(NEW) is None
    assert not front.settings.hears(NEW)

    await set_up(front, "/setup")
    assert front.settings.room(NEW) is not None


# ── leaving ──


async def test_a_room_that_nobody_makes_ours_is_left_and_what_was_kept_is_erased(front: Front, log: FakeLog) -> None:
    await invited(front)
    kept = said("one")
    await front.hear(kept)
    front.clock.advance(WAIT_MS / 1000)
    await front.route()

    assert not front.outbound.rooms[NEW].joined
    assert not front.settings.hears(NEW)
    assert [line["room"] for line in log.of("room.expired")] == [NEW]
    found = await front.ledger.inbox.get(kept.event)
    assert found is not None
    assert found.body == ""


async def test_a_room_that_we_may_not_leave_now_is_left_later(front: Front, log: FakeLog) -> None:
    await invited(front)
    front.outbound.fail(Unreachable("nobody answers"))
    front.clock.advance(WAIT_MS / 1000)
    await front.route()
    await front.route()
    assert front.outbound.asked.count(("leave", NEW)) == 1
    assert len(log.of("room.not_left")) == 1

    front.clock.advance(LEAVE_AGAIN)
    await front.route()
    assert not front.outbound.rooms[NEW].joined


async def test_a_room_that_is_gone_needs_no_leaving(front: Front) -> None:
    await invited(front)
    front.outbound.fail(Refused("404"))
    front.clock.advance(WAIT_MS / 1000)
    await front.route()

    assert not front.settings.hears(NEW)


async def test_a_room_that_we_are_put_out_of_is_waited_for_no_more(front: Front) -> None:
    await invited(front)
    await front.hear(said("one"), event(Kind.LEFT, "kick", sender=EVE, room=NEW))
    assert not front.settings.hears(NEW)

    await invited(front)
    await front.hear(said("/setup tea", ADA))
    assert await queued(front) == []


# ── direct chats ──


async def test_a_direct_chat_is_a_room_by_itself_for_one_person(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")

    assert await invited(front, ANNA, DIRECT) == [words.direct_made("anna", ANNA)]
    assert people(front) == ({ANNA}, set(), set())
    await front.hear(said("make tea"), said("make tea", VERA), said("make tea", ADA))
    assert await queued(front) == ["make tea"]
    assert await front.told(said("/setup remove")) == [words.setup_removed(REGRET_MS // 1000)]


async def test_an_admin_is_the_admin_of_his_direct_chat(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")
    await invited(front, ADA, DIRECT)

    assert people(front) == (set(), {ADA}, set())


async def test_what_was_typed_in_a_direct_chat_while_we_joined_is_run(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")
    front.outbound.room(NEW, joined=False, invited=True)

    await front.hear(invite(ANNA, body=DIRECT), said("make tea"), event(Kind.JOINED, sender=ME, room=NEW))

    assert await queued(front) == ["make tea"]


@pytest.mark.parametrize(("dm", "body"), [("off", DIRECT), ("create", "")])
async def test_otherwise_a_chat_is_no_room_by_itself(front: Front, dm: str, body: str) -> None:
    front.settings = replace(front.settings, dm=dm)

    assert await invited(front, ADA, body) == [words.setup_offered(WAIT_MS // 1000)]
    assert front.settings.room(NEW) is None


async def test_a_direct_chat_that_cannot_be_a_room_is_offered_setup(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")
    front.desk = replace(front.desk, held=Held(Isolation.NONE))
    front.use(catalog(front.desk))

    assert await invited(front, ADA, DIRECT) == [words.setup_offered(WAIT_MS // 1000)]


async def test_one_person_has_a_few_direct_chats_only(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")
    for number in range(MOST_DIRECT):
        room = front.outbound.room(RoomId(f"!{number}:hs"), joined=False, invited=True)
        await front.hear(invite(ANNA, room, DIRECT))
    await front.deliver()

    assert await invited(front, ANNA, DIRECT) == [words.room_not_known(NEW, WAIT_MS // 1000)]
    assert sum(room.made_by == ANNA for room in front.settings.rooms) == MOST_DIRECT


async def test_the_folder_of_a_direct_chat_is_nobody_elses(front: Front, tmp_path: Path) -> None:
    front.settings = replace(front.settings, dm="create")
    await front.ledger.rooms.slug(RoomId("!gone:hs"), "anna")
    (tmp_path / "rooms" / "anna-2").mkdir(parents=True)

    assert await invited(front, ANNA, DIRECT) == [words.direct_made("anna-3", ANNA)]


@pytest.mark.parametrize(
    ("user", "name"),
    [
        pytest.param(UserId("@Anna.Maria=x:hs"), "anna-maria-x", id="what no folder is called"),
        pytest.param(UserId("@_:hs"), "direct", id="nothing that a folder may be called"),
    ],
)
async def test_a_folder_is_named_after_the_user_as_far_as_it_may(front: Front, user: UserId, name: str) -> None:
    everybody = replace(KITCHEN, users=frozenset({user}))
    front.settings = replace(front.settings, dm="create", rooms=(everybody,))

    assert await invited(front, user, DIRECT) == [words.direct_made(name, user)]


async def test_a_direct_chat_that_we_come_back_to_has_its_folder(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")
    await invited(front, ANNA, DIRECT)
    await front.hear(event(Kind.LEFT, "kick", room=NEW))

    assert await invited(front, ANNA, DIRECT) == [words.direct_made("anna", ANNA)]


async def test_whom_config_yaml_does_not_name_any_more_has_no_direct_chat(front: Front) -> None:
    front.settings = replace(front.settings, dm="create")
    await invited(front, ANNA, DIRECT)
    nobody = replace(GARDEN, users=frozenset(), id=OTHER)
    front.settings = replace(front.settings, rooms=(nobody,), template=replace(nobody, id=RoomId("")))
    await front.refresh()

    assert people(front) == (set(), set(), set())


# ── what must not be forged ──


async def test_setup_in_an_edit_a_notice_or_a_reaction_makes_nothing(front: Front) -> None:
    await invited(front)
    await front.hear(
        event(Kind.EDIT, "/setup tea", sender=ADA, room=NEW, target=EventId("$any")),
        event(Kind.REACTION, "/setup tea", sender=ADA, room=NEW, target=EventId("$any")),
        event(Kind.FILE, "/setup tea", sender=ADA, room=NEW),
        said("please /setup tea", ADA),
        said("/setup tea", ADA, by_agent=True),
    )

    assert front.settings.room(NEW) is None


async def test_setup_in_the_clear_makes_nothing_of_an_encrypted_room(front: Front) -> None:
    await invited(front)
    await front.ledger.keyring.mark_encrypted(NEW, front.clock.now_ms())
    assert await front.told(said("/setup tea", ADA)) == [words.IN_THE_CLEAR]
    assert front.settings.room(NEW) is None
    [line] = await front.ledger.audit.lines(AuditFilter(kind=AuditKind.REFUSED), limit=10)
    assert (line.deed.actor, dict(line.deed.detail)) == (ADA, {"what": "in the clear"})

    assert await front.told(said("/setup tea", ADA, encrypted=True)) == [words.setup_done("tea", ADA)]


async def test_a_room_that_cannot_be_beside_the_others_is_left_out(front: Front) -> None:
    await set_up(front)
    front.settings = replace(front.settings, rooms=(replace(KITCHEN, workspace=front.settings.workspaces / "tea"),))
    await front.refresh()

    assert front.settings.room(NEW) is None
    assert len(front.left_out) == 1
