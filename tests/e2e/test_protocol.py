"""An agent asks a daemon, by the message protocol and nothing else: what it sees, people see too."""

from pathlib import Path
from typing import Any

import pytest

from aiagentchat.core.ids import MessageId, UserId
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, read_meta
from aiagentchat.render.agent_words import OUT_OF_TIME, agent_message
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in


def says(house: House, message: str) -> list[tuple[Meta, str]]:
    """What the daemon has said in answer to a message, to programs and to people, in order and with every edit."""
    said = []
    for event in house.anna.events(house.room):
        content = event["content"]
        meta = read_meta(content)
        if event["sender"] == house.account.user_id and isinstance(meta, Meta) and meta.in_reply_to == message:
            new = content.get("m.new_content", content)
            assert new[META_KEY] == content[META_KEY]
            said.append((meta, str(new["body"])))
    return said


@pytest.mark.long
async def test_an_agent_sees_how_far_its_message_comes_and_where_the_answer_ends(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace) as house:
        anna, me = house.anna, UserId(house.account.user_id)

        async def send(number: int, body: str, **more: Any) -> str:
            meta = Meta(**{"id": MessageId(f"m{number}"), "kind": MetaKind.QUESTION, "to": Address(me), **more})
            return await anna.send(house.room, agent_message(body, meta))

        busy = await house.ask(script("fall silent", Step(hang="headers")))
        await anna.until(lambda: me in anna.typing(house.room), what="the turn")

        asked = await send(1, script("which port?", Step(text="It listens on 8443.")))
        await anna.until(lambda: anna.read_up_to(house.room, me, "main") == asked, what="delivered")
        assert anna.read_up_to(house.room, me, "") == ""
        await anna.send(
            house.room, {"msgtype": "m.text", "body": "unasked broken", META_KEY: {"version": 1, "id": "m2"}}
        )
        await send(3, "unasked elsewhere", to=Address(UserId("@other:localhost")))
        await send(4, "unasked answer", kind=MetaKind.ANSWER)
        await send(5, "unasked late", expires_at=1)
        await anna.until(lambda: says(house, "m5"), what="the expiry")
        assert anna.read_up_to(house.room, me, "") == ""

        await anna.react(house.room, busy, "🛑")
        await anna.until(lambda: anna.read_up_to(house.room, me, "") == asked, what="begun")
        await anna.until(lambda: any(meta.last for meta, _ in says(house, "m1")), what="the end of the answer")

        metas = [meta for meta, _ in says(house, "m1")]
        assert [meta.last for meta in metas] == [False] * (len(metas) - 1) + [True]
        assert {(meta.kind, meta.to) for meta in metas} == {(MetaKind.ANSWER, Address(UserId(anna.id)))}
        assert says(house, "m1")[-1][1].startswith("It listens on 8443.")
        assert [(meta.kind, OUT_OF_TIME in body) for meta, body in says(house, "m5")] == [(MetaKind.EXPIRED, True)]
        assert [says(house, f"m{number}") for number in (2, 3, 4)] == [[], [], []]
        assert house.prompts("unasked") == []
