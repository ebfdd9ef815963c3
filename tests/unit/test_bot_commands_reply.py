"""A reply is as many messages as it needs, the first of which answers."""

from aiagentchat.core.effects import Effect, PutParcel
from aiagentchat.render.message import PAGE_BYTES, fits
from aiagentchat.route.bot_commands.spec import reply
from tests.fakes.people import ROOM, typed

LONG = "word " * PAGE_BYTES


def parcels(effects: list[Effect]) -> list[PutParcel]:
    return [effect for effect in effects if isinstance(effect, PutParcel)]


def test_a_long_reply_is_whole() -> None:
    put = parcels(reply(typed("/help"), LONG))

    assert sum(each.parcel.content["body"].count("word") for each in put) == PAGE_BYTES
    assert all(fits(each.parcel.content) for each in put)


def test_only_the_first_message_of_a_reply_answers() -> None:
    asked = typed("/help")

    first, *others = parcels(reply(asked, LONG))

    assert first.parcel.content["m.relates_to"] == {"m.in_reply_to": {"event_id": asked.event}}
    assert others
    assert not any("m.relates_to" in each.parcel.content for each in others)


def test_every_message_of_a_reply_has_a_transaction_of_its_own() -> None:
    asked = typed("/help")

    put = parcels(reply(asked, LONG) + reply(asked, LONG, key="place") + reply(typed("/help"), LONG))

    assert len({each.parcel.txn for each in put}) == len(put)
    assert {each.parcel.room for each in put} == {ROOM}


def test_a_reply_is_quiet() -> None:
    [put] = parcels(reply(typed("/help"), "look"))

    assert put.parcel.content["msgtype"] == "m.notice"


def test_a_reply_may_ring() -> None:
    [put] = parcels(reply(typed("/help"), "look", notice=False))

    assert put.parcel.content["msgtype"] == "m.text"


def test_nothing_to_say_is_not_said() -> None:
    assert reply(typed("/help"), "") == []
