"""A message typed in a room is answered by the real CLI, through a real homeserver."""

from pathlib import Path

from rig.daemon import Daemon
from rig.homeserver import Homeserver
from rig.model import Model
from rig.people import People
from rig.script import Step, script


async def test_a_message_is_answered(people: People, homeserver: Homeserver, model: Model, workplace: Path) -> None:
    anna = await people.person()
    account = people.account()
    room = await people.room(anna, account)
    daemon = Daemon(
        workplace, homeserver.url, account, [{"id": room, "name": "backend"}], model_url=model.url, users=[anna.id]
    )
    async with daemon:
        await anna.until(lambda: any(e["type"] == "m.room.member" and e["state_key"] == account.user_id and e["content"]["membership"] == "join" for e in anna.events(room)))
        sent = await anna.send(room, script("say hello", Step(text="Hello **Anna**.")))
        await anna.until_reaction(room, sent, "✅")

        print(daemon.tail(100))
        for m in anna.view(room):
            print(m)
