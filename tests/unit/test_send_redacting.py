"""What goes into a room goes without secrets, whoever wrote it and however it is marked up."""

import json
from typing import Any

import pytest

from aiagentchat.core.ids import EventId, TxnId
from aiagentchat.core.parcels import MESSAGE, TXN_KEY
from aiagentchat.core.redact import Redactor, shapes_only
from aiagentchat.render.message import edit, message, reaction
from aiagentchat.send.redacting import RedactingOutbound, without_secrets
from tests.fakes.outbound import FakeOutbound
from tests.fakes.people import ROOM

SECRET = "correct-horse-battery"
GONE = "[redacted: PASSWORD]"
REDACTOR = Redactor([("PASSWORD", SECRET)])
FIRST = EventId("$first")


@pytest.mark.parametrize(
    "content",
    [
        message("Nothing **is** hidden here.", notice=True, reply_to=FIRST),
        message("Nothing is hidden here.", notice=False),
        edit(message("**still** nothing", notice=False), FIRST),
        reaction(FIRST, "👀"),
        {"body": "a file", "url": "mxc://hs/correct", "info": {"size": 3}, TXN_KEY: "t"},
        {"formatted_body": 3, "body": None},
    ],
    ids=range(6),
)
def test_what_holds_no_secret_is_the_same_object(content: dict[str, Any]) -> None:
    assert without_secrets(content, REDACTOR) is content


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SECRET, id="alone"),
        pytest.param(f"it is `{SECRET}` **now**", id="in code, marked up"),
        pytest.param("it is correct-**horse**-battery", id="cut by signs"),
        pytest.param("it is correct\\-horse\\-battery _now_", id="with signs escaped"),
        pytest.param(f"| a | b |\n|---|---|\n| {SECRET} | c |", id="in a table"),
        pytest.param(f"[link](https://hs/?p={SECRET})", id="in a link"),
        pytest.param(f"{SECRET} and *correct*-horse-battery", id="both ways"),
    ],
)
@pytest.mark.parametrize("edited", [False, True])
def test_a_secret_is_in_no_part_of_the_content_that_shows(text: str, edited: bool) -> None:
    content: dict[str, Any] = message(text, notice=False, reply_to=FIRST)
    content = {**(edit(content, FIRST) if edited else content), TXN_KEY: "txn"}
    sent = without_secrets(content, REDACTOR)

    shown = json.dumps(sent)
    for sign in ("**", "*", "\\\\", "<strong>", "</strong>", "<em>", "</em>"):
        shown = shown.replace(sign, "")
    assert SECRET not in shown
    assert GONE in shown
    assert sent["m.relates_to"] == content["m.relates_to"]
    assert sent[TXN_KEY] == "txn"
    assert sent["msgtype"] == content["msgtype"]
    assert sent.keys() >= {"body", "msgtype", "m.mentions"}


def test_the_markup_around_a_secret_is_kept() -> None:
    sent = without_secrets(message(f"it is `{SECRET}` **now**", notice=False), REDACTOR)

    assert sent["body"] == f"it is `{GONE}` **now**"
    assert sent["formatted_body"] == f"it is <code>{GONE}</code> <strong>now</strong>".join(("<p>", "</p>"))
    assert sent["format"] == "org.matrix.custom.html"


def test_a_text_that_is_cut_by_tags_is_sent_without_any() -> None:
    sent = without_secrets(message("it is correct-**horse**-battery", notice=False), REDACTOR)

    assert sent["body"].strip() == f"it is {GONE}"
    assert not sent.keys() & {"format", "formatted_body"}


def test_an_edit_says_the_same_to_every_client() -> None:
    sent = without_secrets(edit(message(f"it is {SECRET}", notice=False), FIRST), REDACTOR)

    assert sent["body"] == f"* it is {GONE}"
    assert sent["m.new_content"]["body"] == f"it is {GONE}"


@pytest.mark.parametrize("data", [f"it is {SECRET}".encode(), b"\xff " + SECRET.encode()])
async def test_a_file_of_text_goes_without_secrets_whatever_it_is_called_and_any_other_as_it_is(data: bytes) -> None:
    inner = FakeOutbound()
    outbound = RedactingOutbound(inner, lambda: REDACTOR)
    text = await outbound.upload(ROOM, data, name="a.md", mime="text/markdown")
    image = await outbound.upload(ROOM, data, name="a.png", mime="image/png")

    clean = data.replace(SECRET.encode(), GONE.encode())
    assert inner.files[text["url"]] == clean
    assert inner.files[image["url"]] == (data if data.startswith(b"\xff") else clean)


async def test_the_name_of_a_file_goes_without_secrets() -> None:
    inner = FakeOutbound()
    await RedactingOutbound(inner, lambda: REDACTOR).upload(ROOM, b"\0", name=f"{SECRET}.bin", mime="image/png")

    assert inner.uploads == [(f"{GONE}.bin", "image/png")]


async def test_the_redactor_in_force_is_asked_for_each_event() -> None:
    known = [shapes_only(), REDACTOR]
    inner = FakeOutbound()
    inner.room(ROOM)
    outbound = RedactingOutbound(inner, lambda: known.pop(0))
    for number in range(2):
        await outbound.send(ROOM, MESSAGE, message(SECRET, notice=False), TxnId(f"t{number}"))

    assert [said.content["body"] for said in inner.said] == [SECRET, GONE]


async def test_everything_else_is_passed_on() -> None:
    inner = FakeOutbound()
    inner.room(ROOM, invited=True, joined=False)
    outbound = RedactingOutbound(inner, shapes_only)
    await outbound.join(ROOM)
    await outbound.leave(ROOM)
    assert not inner.rooms[ROOM].joined
    inner.room(ROOM)
    await outbound.typing(ROOM, True)
    event = await outbound.send(ROOM, MESSAGE, message("x", notice=False) | {TXN_KEY: "t"}, TxnId("t"))
    await outbound.read_receipt(ROOM, event)

    assert inner.rooms[ROOM].typing
    assert inner.rooms[ROOM].read == {None: event}
    assert await outbound.find(ROOM, TxnId("t"), since=0) == event
    await outbound.redact(ROOM, event, "why", TxnId("r"))
    assert inner.redacted == [(event, "why")]
