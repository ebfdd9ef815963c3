"""Another agent asks for turns in a room of a real daemon: what it may begin, and what keeps it from going round."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiagentchat.core.ids import InstanceName, MessageId, UserId
from aiagentchat.core.meta import META_KEY, Address, Meta, MetaKind, read_meta, written
from rig.conversation import Event
from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in

PAIR_TURNS = 1


class Machine:
    """A daemon on another host, as far as this one can see of it."""

    def __init__(self, house: House, account: MatrixUser) -> None:
        self._house = house
        self._account = account
        self.id = account.id

    async def say(self, text: str, *, to: str | None = None, **meta: Any) -> str:
        """Say something in a machine's way; the id of its message."""
        told = Meta(
            id=MessageId(secrets.token_hex(8)),
            instance=InstanceName("elsewhere"),
            to=Address(UserId(self._house.account.user_id if to is None else to)),
            **meta,
        )
        content = {"msgtype": "m.text", "body": text, META_KEY: written(told)}
        await self._account.send(self._house.room, content)
        return told.id

    async def answered(self, asked: str, kind: MetaKind) -> str:
        """Wait for what is said about a message, of that kind; its text."""

        def told(event: Event) -> bool:
            meta = read_meta(_new(event))
            is_it = isinstance(meta, Meta) and (meta.in_reply_to, meta.kind) == (asked, kind)
            return is_it and event["sender"] == self._house.account.user_id and getattr(meta, "last", False)

        found = await self._account.until_event(self._house.room, told)
        return str(_new(found)["body"])


def _new(event: Event) -> Mapping[str, Any]:
    """What an event says, or an edit of one says now."""
    content: Mapping[str, Any] = event["content"]
    new: Mapping[str, Any] = content.get("m.new_content", content)
    return new


async def test_an_agent_begins_turns_within_its_budget_and_a_person_lets_it_go_on(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        other = await people.person("machine")
        house.daemon.settings["defaults"] |= {
            "users": [house.anna.id, other.id],
            "exchange": {"hops": 3, "pair_turns": PAIR_TURNS},
        }
        async with house.daemon:
            await house.settle_in()
            await house.anna.invite(house.room, other.id)
            await other.join(house.room)
            machine = Machine(house, other)

            aside = f"aside {other.id}"
            await machine.say(script(aside, Step(text="Not to be said.")), to=house.anna.id)
            unread = {"msgtype": "m.text", "body": f"{house.account.user_id} {aside}", META_KEY: {}}
            await other.send(house.room, unread)
            far = await machine.say("too far", hop=4)
            assert "4 turns of agents away from a person" in await machine.answered(far, MetaKind.REFUSED)
            stop = await machine.say("/stop")
            assert "Bot commands are for people" in await machine.answered(stop, MetaKind.REFUSED)

            mark = f"tea {other.id}"
            for number in range(PAIR_TURNS):
                asked = await machine.say(script(f"{mark} {number}", Step(text=f"Tea {number}.")), hop=3)
                assert f"Tea {number}." in await machine.answered(asked, MetaKind.ANSWER)
            assert len(house.prompts(mark)) >= PAIR_TURNS
            who = f"the agent `{other.id}` (which calls itself `elsewhere`, and is not registered so)"
            assert f"from {who}, 3 turns of agents away" in house.prompts(mark)[0]
            assert not house.prompts(aside)

            more = script(f"more {other.id}", Step(text="More tea."))
            late = await machine.say(more)
            assert "`/continue`" in await machine.answered(late, MetaKind.REFUSED)
            halted = await house.anna.until_message(house.room, "Agents are halted here", sender=house.account.user_id)
            assert other.id in halted.body
            assert "Agents are halted" in await machine.answered(await machine.say(more), MetaKind.REFUSED)
            assert not house.prompts(f"more {other.id}")
            assert house.told("Agents are halted here") == 1

            await other.send(house.room, {"msgtype": "m.text", "body": "/continue", META_KEY: {}})
            await house.ask("/status")
            await house.anna.until_message(house.room, "⛔ Agents: halted since", sender=house.account.user_id)
            await house.ask("/continue")
            await house.anna.until_message(house.room, "Agents may go on here", sender=house.account.user_id)
            assert "More tea." in await machine.answered(await machine.say(more), MetaKind.ANSWER)
