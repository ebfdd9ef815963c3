"""What a daemon does that knows how to behave: it greets once, shows that it has heard, and says how it is used."""

from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import move_in


@pytest.mark.long
async def test_whoever_lets_it_in_is_greeted_once(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        anna, me = house.anna, house.account.user_id
        house.daemon.settings["defaults"]["welcome"] = True
        async with house.daemon:
            greeting = await anna.until_message(house.room, "Hello!", sender=me)
            await anna.request("POST", f"/rooms/{house.room}/kick", {"user_id": me})
            await house.daemon.until_line("room.left")
            await anna.invite(house.room, me)
            await house.daemon.until_line("room.entered", skip=len(house.daemon.lines()))
            await house.ask("/version")
            await anna.until_message(house.room, "aiagentchat 0.", sender=me)

            assert house.told("Hello!") == 1
            assert (greeting.kind, greeting.mentions) == ("m.notice", ())
            assert all(part in greeting.body for part in (f"`{anna.id}`", "`room0`", "`/help`", "`/stop`"))


async def test_it_shows_that_it_has_heard_and_that_it_works(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        anna, me = house.anna, house.account.user_id
        asked = await house.ask(script("fall silent", Step(hang="headers")))

        # The model has not said a word, and will not.
        await anna.until(lambda: anna.read_up_to(house.room, me) == asked, what="a read receipt")
        assert await anna.until_reaction(house.room, asked, "👀") == {me}
        await anna.until(lambda: me in anna.typing(house.room), what="the typing indicator")
        stop = await house.ask("/stop")
        assert await house.ended(asked) == "🛑"
        await anna.until(lambda: me not in anna.typing(house.room), what="the end of typing")
        await anna.until(lambda: anna.read_up_to(house.room, me) == stop, what="a read receipt")


@pytest.mark.long
async def test_it_explains_how_it_is_used(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace) as house:
        for typed, expected in (
            ("/help", "while I work: `/stop`"),
            ("/help timeout", "For example: `/timeout +10m`"),
            ("!help all", "`/new_session text` starts a new conversation"),
            ("/help stpo", "Did you mean `/stop`?"),
            ("/status of the build", "It is used like this: `/status`"),
            ("/whoami", f"You are `{house.anna.id}`"),
            ("/who", "Who may do what in this room"),
        ):
            asked = await house.ask(typed)
            answer = await house.anna.until_message(house.room, expected, sender=house.account.user_id)

            assert (answer.reply_to, answer.kind) == (asked, "m.notice")
        assert not model.requests("it with more care")
