"""Who may do what, with a real homeserver: whoever may not gets nothing run, by whatever way it was tried."""

import signal
from pathlib import Path
from typing import Any

import pytest

from rig.matrix_client import MatrixUser
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in

TOUCH = script(
    "make a file",
    Step(text="I will.", tool="Bash", input={"command": "touch made", "description": "make it"}),
    Step(text="That was it."),
)


def hello(person: MatrixUser) -> str:
    """A text of one test alone: the model is shared."""
    return f"say hello to {person.id}"


def greeting(person: MatrixUser) -> str:
    """What asks for it."""
    return script(hello(person), Step(text="Hello from here."))


async def come_in(people: People, house: House, name: str) -> MatrixUser:
    """Somebody more is in the room."""
    person = await people.person(name)
    await house.anna.invite(house.room, person.id)
    await person.join(house.room)
    return person


async def reload(house: House) -> None:
    """The changed config.yaml is in force."""
    lines = len(house.daemon.lines())
    house.daemon.write_config()
    house.daemon.send_signal(signal.SIGHUP)
    await house.daemon.until_line("config.reloaded", skip=lines)


def users(house: House, *people: MatrixUser) -> None:
    house.daemon.settings["defaults"] |= {"users": [person.id for person in people]}


async def test_an_approval_is_for_whoever_asked_and_for_admins(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        bert, ada = await people.person("bert"), await people.person("ada")
        users(house, house.anna, bert)
        house.daemon.settings["defaults"]["admins"] = [ada.id]
        async with house.daemon:
            await house.settle_in()
            for person in (bert, ada):
                await house.anna.invite(house.room, person.id)
                await person.join(house.room)
            command = await house.ask(TOUCH)
            question = await house.question()
            assert house.anna.id in question.body
            assert ada.id in question.body

            await bert.react(house.room, question.id, "✅")
            told = await house.anna.until_message(house.room, "only they, or an admin", sender=house.account.user_id)
            assert house.anna.id in told.body
            assert not (house.workspace() / "made").exists()

            await ada.react(house.room, question.id, "✅")
            assert await house.ended(command) == "✅"
            assert (house.workspace() / "made").exists()


@pytest.mark.long
async def test_what_somebody_who_was_kicked_had_queued_is_not_run(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        bert = await people.person("bert")
        users(house, house.anna, bert)
        async with house.daemon:
            await house.settle_in()
            await house.anna.invite(house.room, bert.id)
            await bert.join(house.room)
            first = await house.ask(TOUCH)
            await house.question()
            queued = await bert.send(house.room, greeting(bert))
            await house.anna.until_message(house.room, "yours is next", sender=house.account.user_id)
            await house.anna.request("POST", f"/rooms/{house.room}/kick", {"user_id": bert.id})
            last = await house.ask(script("after it", Step(text="I am last.")))
            await house.ask("/deny")

            assert await house.ended(first) == "✅"
            assert await house.ended(queued) == "🛑"
            assert await house.ended(last) == "✅"
            told = await house.anna.until_message(house.room, "is no longer in this room")
            assert bert.id in told.body
            assert not house.prompts(hello(bert))


@pytest.mark.long
async def test_what_somebody_who_was_kicked_while_we_were_down_had_queued_is_not_run(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        bert = await people.person("bert")
        users(house, house.anna, bert)
        async with house.daemon:
            await house.settle_in()
            await house.anna.invite(house.room, bert.id)
            await bert.join(house.room)
            await house.ask(TOUCH)
            await house.question()
            queued = await bert.send(house.room, greeting(bert))
            await house.anna.until_message(house.room, "yours is next", sender=house.account.user_id)
            await house.daemon.kill()
            await house.anna.request("POST", f"/rooms/{house.room}/kick", {"user_id": bert.id})
            for number in range(25):  # the kick is behind a gap
                await house.anna.send(house.room, {"msgtype": "m.notice", "body": f"noise {number}"})
            await house.daemon.start(until="sync.resumed")

            assert await house.ended(queued) == "🛑"
            assert not house.prompts(hello(bert))


@pytest.mark.long
async def test_an_admin_lets_somebody_in_for_as_long_as_it_is_meant(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        house.daemon.settings["defaults"]["admins"] = [house.anna.id]
        async with house.daemon:
            await house.settle_in()
            bert = await come_in(people, house, "bert")
            await bert.send(house.room, f"{house.account.user_id}: {greeting(bert)}")
            await house.anna.until_message(house.room, "I only work for", sender=house.account.user_id)

            await house.ask(f"/allow {bert.id} for 2h")
            told = await house.anna.until_message(house.room, "is a user in this room now")
            assert bert.id in told.body
            command = await bert.send(house.room, greeting(bert))
            assert await house.ended(command) == "✅"
            await house.ask("/allow")
            await house.anna.until_message(house.room, f"`{bert.id}`: user by `/allow` of `{house.anna.id}`")

            await house.ask(f"/allow remove {bert.id}")
            await house.anna.until_message(house.room, "They have no role here any more")
            again = await bert.send(house.room, script(f"once more {bert.id}", Step(text="Never said.")))
            await bert.send(house.room, "/whoami")
            await house.anna.until(lambda: house.told("I only work for") >= 2)
            assert not house.anna.reactions(house.room, again)
            assert not house.prompts(f"once more {bert.id}")


@pytest.mark.long
async def test_whoever_is_taken_out_of_config_yaml_gets_nothing_more_run(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        bert = await people.person("bert")
        users(house, house.anna, bert)
        async with house.daemon:
            await house.settle_in()
            await house.anna.invite(house.room, bert.id)
            await bert.join(house.room)
            await house.ask(TOUCH)
            await house.question()
            queued = await bert.send(house.room, greeting(bert))
            await house.anna.until_message(house.room, "yours is next", sender=house.account.user_id)
            users(house, house.anna)
            await reload(house)
            await house.ask("/deny")

            assert await house.ended(queued) == "🛑"
            await house.anna.until_message(house.room, "may not run anything here any more")
            assert not house.prompts(hello(bert))


@pytest.mark.parametrize("version", ["11", "12"])
@pytest.mark.long
async def test_power_levels_narrow_in_rooms_of_either_kind(
    people: People, model: Model, workplace: Path, version: str
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        bert = await people.person("bert")
        room = await people.room(house.anna, house.account, version=version)
        house.rooms[:] = [room]
        power: dict[str, Any] = {"user": 10, "admin": 100}
        house.daemon.settings["rooms"] = [{"id": room, "name": "room0", "power": power}]
        house.daemon.settings["defaults"] |= {"users": [bert.id], "admins": [house.anna.id]}
        async with house.daemon:
            await house.settle_in()
            await house.anna.invite(room, bert.id)
            await bert.join(room)
            assert (
                await house.ended(await house.ask(greeting(house.anna))) == "✅"
            )  # who made the room has power enough
            await house.ask("/whoami")
            await house.anna.until_message(room, "and an admin in this room")

            await bert.send(room, greeting(bert))
            await house.anna.until_message(room, "not run anything, so nothing was done")
            await set_power(house.anna, room, bert.id, 10)
            assert await house.ended(await bert.send(room, greeting(bert))) == "✅"
            await set_power(house.anna, room, bert.id, 9)
            asked = len(house.prompts(hello(bert)))
            await bert.send(room, greeting(bert))
            await house.anna.until(lambda: house.told("not run anything, so nothing was done") == 2)
            assert len(house.prompts(hello(bert))) == asked


async def set_power(owner: MatrixUser, room: str, user: str, level: int) -> None:
    path = f"/rooms/{room}/state/m.room.power_levels/"
    content = await owner.request("GET", path)
    content["users"][user] = level
    await owner.request("PUT", path, content)


@pytest.mark.long
async def test_a_rule_on_a_server_is_about_that_server(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        server = house.anna.id.partition(":")[2]
        house.daemon.settings["defaults"]["users"] = [f"@*:{server}.example.org"]
        async with house.daemon:
            await house.settle_in()
            await house.ask("/status")
            await house.anna.until_message(house.room, "I only work for", sender=house.account.user_id)
            house.daemon.settings["defaults"]["users"] = [f"@*:{server}"]
            await reload(house)

            assert await house.ended(await house.ask(greeting(house.anna))) == "✅"
