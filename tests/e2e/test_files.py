"""Files, both ways, with everything real: what people send reaches the model, what the agent makes reaches them."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nio.crypto.attachments import encrypt_attachment

from aiagentchat.core.agent_events import SEND_FILE
from aiagentchat.core.pictures import picture_of
from aiagentchat.render import file_words
from aiagentchat.render.file_words import NotFetched
from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import House, move_in
from tests.e2e.test_encrypted import cellar
from tests.pictures import png

pytestmark = pytest.mark.real

NOTES = b"Remember the milk.\n"
PLOT = png(1600, 1200)


async def upload(people: People, house: House, data: bytes) -> str:
    """Anna's client keeps a file on the homeserver; its address."""
    url = f"{people.homeserver.url}/_matrix/media/v3/upload"
    headers = {"Authorization": f"Bearer {house.anna.account.access_token}"}
    async with aiohttp.ClientSession() as http, http.post(url, data=io.BytesIO(data), headers=headers) as answer:
        return str((await answer.json())["content_uri"])


async def download(people: People, house: House, address: str) -> bytes:
    """What is there."""
    url = f"{people.homeserver.url}/_matrix/client/v1/media/download/{address.removeprefix('mxc://')}"
    headers = {"Authorization": f"Bearer {house.anna.account.access_token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return await answer.read()


def seen(model: Model, mark: str) -> list[tuple[str, bytes]]:
    """Pictures and documents in the newest request that holds `mark`."""
    messages = model.requests(mark)[-1].body["messages"]
    blocks: list[Mapping[str, Any]] = [
        block for message in messages if isinstance(message["content"], list) for block in message["content"]
    ]
    sources = [block["source"] for block in blocks if block["type"] in ("image", "document")]
    return [(source["media_type"], base64.b64decode(source["data"])) for source in sources]


def shown(content: Mapping[str, Any]) -> tuple[str, str, str]:
    return content["msgtype"], content["filename"], content["body"]


async def test_files_come_in_and_go_out(people: People, model: Model, workplace: Path) -> None:
    async with move_in(people, model, workplace, max_file=1) as house:
        await _come_in(people, model, house)
        await _go_out(people, model, house)
        await _are_looked_at(people, model, house)


async def _come_in(people: People, model: Model, house: House) -> None:
    room = house.room

    # A picture without a word waits, and goes along with what is said next.
    photo = {"msgtype": "m.image", "body": "../My photo.png", "info": {"mimetype": "image/png"}}
    waiting = await house.anna.send(room, {**photo, "url": await upload(people, house, png())})
    await house.anna.until_reaction(room, waiting, "📎")
    command = await house.ask(script("what is on it", Step(text="A black box.")))
    assert await house.ended(command) == "✅"
    assert seen(model, "what is on it") == [("image/png", png())]
    assert (house.workspace() / "inbox/My_photo.png").read_bytes() == png()
    assert "inbox/My_photo.png (image/png, " in model.requests("what is on it")[-1].raw

    # A file with a caption is a command; a text is where the agent is told.
    notes = {"msgtype": "m.file", "filename": "notes.txt", "body": script("read it", Step(text="Milk."))}
    command = await house.anna.send(room, {**notes, "url": await upload(people, house, NOTES)})
    assert await house.ended(command) == "✅"
    assert (house.workspace() / "inbox/notes.txt").read_bytes() == NOTES
    assert "inbox/notes.txt (application/octet-stream, 19 B)" in model.requests("read it")[-1].raw

    # What is larger than its sender says is not fetched to its end, and nothing is run.
    large = {"msgtype": "m.file", "filename": "large.bin", "body": script("too much"), "info": {"size": 10}}
    command = await house.anna.send(room, {**large, "url": await upload(people, house, bytes(2**20 + 1))})
    assert file_words.not_fetched("large.bin", NotFetched.TOO_LARGE) in await house.answer(command)
    assert model.requests("too much") == []


async def _go_out(people: People, model: Model, house: House) -> None:
    room, me = house.room, house.account.user_id

    # The agent sends what it has made, and nothing else.
    (house.workspace() / "out").mkdir()
    (house.workspace() / "out/plot.png").write_bytes(PLOT)
    (house.workspace() / "out/link.png").symlink_to(house.daemon.folder / "config.yaml")
    sends = [
        Step(text="Here is the plot.", tool=SEND_FILE, input={"path": "out/plot.png", "caption": "The *plot*"}),
        Step(tool=SEND_FILE, input={"path": "out/link.png"}),
        Step(text="That was it."),
    ]
    command = await house.ask(script("plot it", *sends))
    assert await house.ended(command) == "✅"
    plot = await house.anna.until_message(room, "The *plot*", sender=me)
    assert shown(plot.content) == ("m.image", "plot.png", "The *plot*")
    info = plot.content["info"]
    assert (info["mimetype"], info["size"], info["w"], info["h"]) == ("image/png", len(PLOT), 1600, 1200)
    small = await download(people, house, info["thumbnail_url"])
    made = picture_of(small)
    assert made is not None
    assert (made.width, made.height) == (800, 600)
    assert info["thumbnail_info"] == {"mimetype": made.mime, "size": len(small), "w": 800, "h": 600}
    assert await download(people, house, plot.content["url"]) == PLOT
    said = [message.body for message in house.anna.view(room) if message.sender == me]
    place = said.index("The *plot*")
    assert "Here is the plot." in said[place - 1]
    assert "That was it." in said[place + 1]
    assert file_words.not_opened("out/link.png", "link") in json.dumps(
        model.requests("plot it")[-1].body, ensure_ascii=False
    )


async def _are_looked_at(people: People, model: Model, house: House) -> None:
    room, me = house.room, house.account.user_id

    # People see what is there, and get one of it; a message names one of it.
    await house.ask("/files")
    listed = await house.anna.until_message(room, "The newest files", sender=me)
    assert "`out/plot.png`" in listed.body
    assert "link.png" not in listed.body
    await house.ask("/get inbox/notes.txt")
    got = await house.anna.until_message(room, lambda message: message.body == "notes.txt", sender=me)
    assert await download(people, house, got.content["url"]) == NOTES
    await house.ask("/get out/plot.png")
    again = await house.anna.until_message(room, lambda message: message.body == "plot.png", sender=me)
    small = picture_of(await download(people, house, again.content["info"]["thumbnail_url"]))
    assert small is not None
    assert (small.width, small.height) == (800, 600)
    command = await house.ask(script("describe @out/plot.png", Step(text="Black, too.")))
    assert await house.ended(command) == "✅"
    assert seen(model, "describe @out/plot.png")[-1] == ("image/png", PLOT)


@pytest.mark.long
async def test_files_come_in_and_go_out_of_an_encrypted_room(people: People, model: Model, workplace: Path) -> None:
    async with cellar(people, model, workplace) as here:
        workspace = here.daemon.workspaces / "cellar"
        sealed, keys = encrypt_attachment(png())
        kept, _ = await here.anna.nio.upload(lambda *_: sealed, "application/octet-stream", filesize=len(sealed))
        photo = {"msgtype": "m.image", "filename": "photo.png", "file": {**keys, "url": kept.content_uri}}
        sends = Step(tool=SEND_FILE, input={"path": "inbox/photo.png", "caption": "back to you"})
        asked = script("send it back", sends, Step(text="Done."))
        command = await here.anna.say(here.room, {**photo, "body": asked})

        assert await here.until_ended(command) == "✅"
        assert (workspace / "inbox/photo.png").read_bytes() == png()
        assert seen(model, "send it back")[0] == ("image/png", png())
        back = (await here.anna.until_body(here.room, "back to you")).source["content"]
        assert await here.anna.file(back) == png()
        assert "url" not in back
        assert "photo.png" not in json.dumps(await here.on_the_server())

        in_the_clear = {"msgtype": "m.file", "filename": "a.txt", "body": "read it", "url": kept.content_uri}
        await here.anna.say(here.room, in_the_clear)
        await here.until_answered(file_words.not_encrypted("a.txt"))
