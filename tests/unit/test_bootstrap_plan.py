"""What is there + what is wanted → steps."""

from dataclasses import replace
from typing import Any

import pytest

from aiagentchat.bootstrap.plan import (
    Found,
    Invite,
    KeepPassword,
    LiftLimit,
    Limit,
    Link,
    MakeAccount,
    MakeRoom,
    Means,
    SetPower,
    Standing,
    Step,
    There,
    Verdict,
    WriteId,
    cannot_begin,
    levels_wanted,
    plan,
)
from aiagentchat.bootstrap.wanted import Account, Kind, Place, Wanted, Wishes, wanted
from aiagentchat.config.schema import Registry
from aiagentchat.core.ids import RoomId, UserId
from aiagentchat.core.instances import INSTANCE
from tests.fakes.people import ADA, ANNA, BEN, KITCHEN, ME, VERA, settings

ALL = Means(makes_accounts=True, makes_admins=True, is_admin=True)
ROOM = Place(
    key="kitchen", kind=Kind.ROOM, name="kitchen", ref="#kitchen:hs", people=(ADA, ANNA), powers={ADA: 100}, entry=0
)
SPACE = Place(key="space", kind=Kind.SPACE, name="Ours", ref="#claude-rooms:hs", people=(ADA,), powers={ADA: 100})
REGISTRY = Place(key="registry", kind=Kind.REGISTRY, name="Agents", ref="#agents:hs", events={INSTANCE: 0})
LEVELS = {"users": {ME: 100, ADA: 100}, "state_default": 50, "invite": 0}
SPACE_LEVELS = {**LEVELS, "events_default": 100}
READY = There(accounts={ME: Standing.OURS}, limit=Limit.LIFTED)


def create(version: str = "11", sender: str = ME) -> dict[str, Any]:
    return {"type": "m.room.create", "sender": sender, "content": {"room_version": version}}


def room(id_: str, levels: dict[str, Any], **more: Any) -> Found:
    members = {ME: "join", ADA: "join", ANNA: "invite"}
    return Found(
        **{"id": RoomId(id_), "membership": "join", "create": create(), "levels": levels, "members": members, **more}
    )


def want(*places: Place, accounts: tuple[Account, ...] = (Account(user=ME),)) -> Wanted:
    return Wanted(me=ME, accounts=accounts, places=places)


def acts(steps: list[Step]) -> list[Any]:
    return [step.act for step in steps if step.verdict is Verdict.TO_DO]


def blocked(steps: list[Step]) -> dict[str, str]:
    return {step.what: step.why for step in steps if step.verdict is Verdict.BLOCKED}


def left(steps: list[Step]) -> dict[str, str]:
    return {step.what: step.why for step in steps if step.verdict is Verdict.LEFT}


def test_from_nothing_everything_is_made_and_people_come_last() -> None:
    both = want(SPACE, ROOM, REGISTRY, accounts=(Account(user=ME), Account(user=ADA, is_admin=True)))
    steps = plan(both, There(accounts={ME: Standing.NONE, ADA: Standing.NONE}), ALL)

    assert acts(steps) == [
        KeepPassword(ME),
        MakeAccount(ME),
        KeepPassword(ADA),
        MakeAccount(ADA, True),
        LiftLimit(),
        MakeRoom(SPACE),
        SetPower(SPACE),
        MakeRoom(ROOM),
        WriteId(ROOM),
        SetPower(ROOM),
        MakeRoom(REGISTRY),
        WriteId(REGISTRY),
        SetPower(REGISTRY),
        Invite(SPACE, ADA),
        Link(SPACE, ROOM),
        Link(ROOM, SPACE),
        Invite(ROOM, ADA),
        Invite(ROOM, ANNA),
        Link(SPACE, REGISTRY),
        Link(REGISTRY, SPACE),
    ]


def test_a_room_that_is_made_encrypted_says_so_before_for_there_is_no_way_back() -> None:
    steps = plan(want(replace(ROOM, encrypted=True)), There(accounts={ME: Standing.NONE}), ALL)
    [made] = [step.what for step in steps if isinstance(step.act, MakeRoom)]

    assert made == f"room {ROOM.name}, as {ROOM.ref}, encrypted for ever"


def test_where_everything_is_there_nothing_is_to_do() -> None:
    kitchen = room("!k", LEVELS, parents=frozenset({"!s"}))
    space = room("!s", SPACE_LEVELS, children=frozenset({"!k"}))
    steps = plan(
        want(SPACE, replace(ROOM, in_config="!k")), replace(READY, places={"kitchen": kitchen, "space": space}), ALL
    )

    assert {step.verdict for step in steps} == {Verdict.IS_THERE}


def test_a_password_that_was_written_down_in_an_earlier_life_is_used() -> None:
    there = There(accounts={ME: Standing.NONE}, known=frozenset({ME}), limit=Limit.NOT_OFFERED)

    assert acts(plan(want(), there, ALL)) == [MakeAccount(ME)]


@pytest.mark.parametrize(
    ("standing", "means", "said"),
    [
        (Standing.TAKEN, ALL, "what is known does not log it in"),
        (Standing.NONE, Means(), "nothing to make one with"),
    ],
)
def test_without_our_account_nothing_can_begin(standing: Standing, means: Means, said: str) -> None:
    steps = plan(want(ROOM), There(accounts={ME: standing}), means)

    assert said in cannot_begin(steps, ME)


def test_accounts_of_others_are_theirs_and_hold_up_nothing() -> None:
    people = want(accounts=(Account(user=ME), Account(user=ADA), Account(user=BEN, is_admin=True)))
    there = There(accounts={ME: Standing.OURS, ADA: Standing.TAKEN, BEN: Standing.NONE})
    steps = plan(people, there, Means(makes_accounts=True))

    assert cannot_begin(steps, ME) == ""
    assert blocked(steps).keys() == {f"account {BEN}"}
    assert "a registration token makes none" in blocked(steps)[f"account {BEN}"]


@pytest.mark.parametrize(
    ("limit", "means", "verdict"),
    [
        (Limit.LIFTED, ALL, Verdict.IS_THERE),
        (Limit.LIMITED, ALL, Verdict.TO_DO),
        (Limit.NOT_TOLD, ALL, Verdict.TO_DO),
        (Limit.NOT_TOLD, Means(), Verdict.LEFT),
        (Limit.NOT_OFFERED, ALL, Verdict.LEFT),
    ],
)
def test_the_limit_is_lifted_where_somebody_is_an_admin(limit: Limit, means: Means, verdict: Verdict) -> None:
    steps = plan(want(), replace(READY, limit=limit), means)

    assert [step.verdict for step in steps if "rate limit" in step.what] == [verdict]


def test_an_admin_whose_account_is_made_lifts_it_and_one_who_cannot_be_logged_in_does_not() -> None:
    both = want(accounts=(Account(user=ME), Account(user=ADA, is_admin=True)))
    means = Means(makes_accounts=True, makes_admins=True)
    made = plan(both, There(accounts={ME: Standing.OURS, ADA: Standing.NONE}), means)
    there = plan(both, There(accounts={ME: Standing.OURS, ADA: Standing.TAKEN}), means)

    assert LiftLimit() in acts(made)
    assert acts(there) == []
    assert blocked(there) == {}


def test_a_room_under_an_alias_gets_its_id_into_the_settings() -> None:
    there = replace(READY, places={"kitchen": room("!k", LEVELS)})
    by_alias, by_id = replace(ROOM, in_config="#kitchen:hs"), replace(ROOM, in_config="!k")

    assert acts(plan(want(by_alias), there, ALL)) == [WriteId(by_alias)]
    assert acts(plan(want(by_id), there, ALL)) == []


def test_what_is_not_ours_to_make_or_to_enter_is_said_and_nothing_else_is_tried_there() -> None:
    elsewhere = replace(ROOM, ref="#kitchen:elsewhere")
    steps = plan(want(SPACE, elsewhere), replace(READY, places={"space": room("!s", SPACE_LEVELS)}), ALL)
    assert blocked(steps).keys() == {"room kitchen"}
    assert acts(steps) == []

    not_in = Found(id=RoomId("!k"), membership="")
    steps = plan(want(ROOM), replace(READY, places={"kitchen": not_in}), ALL)
    assert "invite it" in blocked(steps)["room kitchen"]
    assert acts(steps) == []

    steps = plan(want(SPACE, ROOM), replace(READY, places={"space": not_in, "kitchen": room("!k", LEVELS)}), ALL)
    assert blocked(steps).keys() == {"space"}
    assert not any(isinstance(act, Link) for act in acts(steps))


def test_who_has_left_or_is_banned_is_not_invited() -> None:
    there = replace(READY, places={"kitchen": room("!k", LEVELS, members={ADA: "leave", ANNA: "ban"})})
    steps = plan(want(ROOM), there, ALL)

    assert not any(isinstance(act, Invite) for act in acts(steps))
    assert ["has left" in why or "is banned" in why for why in left(steps).values()] == [True, True]


def test_a_room_where_our_power_does_not_reach_is_said_to_be_so() -> None:
    weak = {"users": {ADA: 100}, "state_default": 50, "invite": 50}
    there = replace(READY, places={"kitchen": room("!k", weak, create=create(sender=ADA), members={})})
    needs = replace(ROOM, powers={ANNA: 100}, encrypted=True, in_config="!k")
    steps = plan(want(needs), there, ALL)

    assert blocked(steps).keys() == {
        "room kitchen: encrypted",
        "room kitchen: power levels",
        f"room kitchen: {ADA}",
        f"room kitchen: {ANNA}",
    }
    assert "is 0, and this takes 100" in blocked(steps)["room kitchen: power levels"]


def test_who_made_the_room_may_do_everything_there() -> None:
    twelve = room("!k", {"users": {}}, create=create("12"), members={})

    assert blocked(plan(want(ROOM), replace(READY, places={"kitchen": twelve}), ALL)) == {}


def test_power_is_raised_and_never_lowered() -> None:
    users = {ME: 100, ADA: 100, BEN: 70}
    high = {"users": users, "events": {"m.room.name": 50}}
    wishes = replace(ROOM, powers={ADA: 50, ANNA: 100, VERA: 100})

    assert levels_wanted(wishes, create(), high) == {**high, "users": {**users, ANNA: 100, VERA: 100}}
    assert levels_wanted(ROOM, create("12", ADA), {"users": {}}) == {"users": {}}


def test_everybody_may_register_where_instances_find_each_other_and_nobody_speaks_in_a_space() -> None:
    assert levels_wanted(REGISTRY, create(), {"events": {"a": 1}})["events"] == {"a": 1, INSTANCE: 0}
    assert levels_wanted(REGISTRY, create(), {"events": {INSTANCE: -1}})["events"] == {INSTANCE: -1}
    assert levels_wanted(REGISTRY, create(), {"state_default": 0}) == {"state_default": 0}
    assert levels_wanted(SPACE, create(), {})["events_default"] == 100


# --- what is wanted


def test_the_settings_say_who_is_where_and_who_looks_after_it() -> None:
    found = wanted(settings(KITCHEN), Wishes(space="Ours"))

    assert [(place.key, place.people, dict(place.powers)) for place in found.places] == [
        ("space", (ADA, ANNA, VERA), {ADA: 100}),
        ("kitchen", (ADA, ANNA, VERA), {ADA: 100}),
    ]
    assert found.accounts == (Account(user=ME),)


def test_a_room_without_admins_is_its_users_and_rules_on_servers_invite_nobody() -> None:
    listed = frozenset({ANNA, BEN, ME, UserId("@*:hs")})
    found = wanted(settings(replace(KITCHEN, admins=frozenset(), viewers=frozenset(), users=listed)), Wishes())

    assert [(place.people, dict(place.powers)) for place in found.places] == [((ANNA, BEN), {ANNA: 100, BEN: 100})]


def test_rooms_that_are_asked_for_are_as_the_defaults_have_it() -> None:
    known = settings(KITCHEN, template=replace(KITCHEN, viewers=frozenset()))
    found = wanted(known, Wishes(rooms=("kitchen", "new", "new"), encrypt=("new",)))

    assert [(place.name, place.ref, place.entry, place.encrypted) for place in found.places] == [
        ("kitchen", KITCHEN.id, 0, False),
        ("new", "#new:hs", None, True),
    ]
    assert found.places[1].people == (ADA, ANNA)


def test_the_registry_room_is_the_one_that_is_named_or_one_that_is_asked_for() -> None:
    named = settings(KITCHEN, registry=Registry(room="#bots:hs"))

    assert [place.ref for place in wanted(named, Wishes()).places][1:] == ["#bots:hs"]
    assert [place.ref for place in wanted(settings(KITCHEN), Wishes(registry=True)).places][1:] == ["#agents:hs"]
    assert wanted(named, Wishes(members=(BEN, ME))).places[1].people == (ADA, BEN)
