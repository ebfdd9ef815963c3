"""A whole answer whose file the homeserver does not take."""

from dataclasses import replace

import pytest

from aiagentchat.core.errors import Refused
from aiagentchat.core.ids import UserId
from aiagentchat.core.meta import META_KEY
from aiagentchat.core.parcels import Attachment, Parcel, Urgency
from aiagentchat.render import words
from aiagentchat.render.fences import open_fence
from aiagentchat.send.pieces import MOST_IN_MESSAGES, content_before, is_of_answer, pieces_of
from aiagentchat.send.variants import content_without_file
from aiagentchat.send.whole import Whole
from tests.fakes.outbound import NOWHERE
from tests.fakes.people import ANNA, command
from tests.unit.postman_stage import Post, parcel

COMMAND = command()
LONG = "".join(f"Line {number} of it.\n" for number in range(2_500))
CODE = "```py\n" + "".join(f"line_{number} = 1\n" for number in range(1_000)) + "```\n"


def answer(text: str) -> Parcel:
    """The parcel with the file of it."""
    whole = Whole(1)
    whole.add(text)
    return whole.file(COMMAND, [UserId(ANNA)], part=3)


def data_of(file: Parcel) -> bytes:
    """What is in it."""
    assert file.attachment is not None
    return file.attachment.data


def said(pieces: list[Parcel]) -> str:
    return "\n".join(str(piece.content["body"]) for piece in pieces) + "\n"


def test_only_the_file_of_an_answer_is_one() -> None:
    whole = answer(LONG)

    assert is_of_answer(whole)
    assert not is_of_answer(replace(whole, command=None))
    assert not is_of_answer(replace(whole, txn=parcel("x").txn))


def test_it_becomes_messages_that_have_all_of_it_in_order() -> None:
    whole = answer(LONG)
    pieces = pieces_of(whole, data_of(whole))

    assert said(pieces).split() == LONG.split()
    assert {piece.content["msgtype"] for piece in pieces} == {"m.notice"}
    assert {piece.urgency for piece in pieces} == {Urgency.PROGRESS}
    assert {piece.command for piece in pieces} == {COMMAND.event}
    assert len({piece.txn for piece in pieces}) == len(pieces)
    assert pieces == pieces_of(whole, data_of(whole))


def test_no_message_leaves_code_open() -> None:
    whole = answer(CODE)
    pieces = pieces_of(whole, data_of(whole))

    assert len(pieces) > 1
    assert [piece for piece in pieces if open_fence(piece.content["body"]) is not None] == []


def test_what_is_too_much_for_messages_becomes_files_which_may_become_messages() -> None:
    text = "A line of a long answer.\n" * (2 * MOST_IN_MESSAGES // 25)
    files = pieces_of(answer(text), data_of(answer(text)))

    data = [data_of(file) for file in files]
    assert len(data) > 1
    assert b"\n".join(data).split() == text.encode().split()
    assert all(is_of_answer(file) for file in files)
    assert max(map(len, data)) <= MOST_IN_MESSAGES
    assert len({file.content["filename"] for file in files}) == len(files)
    assert all(piece.attachment is None for piece in pieces_of(files[0], data[0]))


@pytest.mark.parametrize(
    ("text", "follows"), [("x " * 100, "in 1 message;"), (LONG, "messages;"), (LONG * 20, "files;")]
)
def test_the_room_is_told_first_and_whoever_was_to_be_mentioned_is(text: str, follows: str) -> None:
    whole = answer(text)
    content = content_before(whole, pieces_of(whole, data_of(whole)))

    assert follows in content["body"]
    assert content["msgtype"] == "m.text"
    assert content["m.mentions"] == {"user_ids": [ANNA]}


def test_for_an_agent_nothing_is_the_end_but_the_last_of_all() -> None:
    meta = {"version": 1, "id": "whole", "kind": "answer", "part": 3}
    text = LONG * 20
    whole = replace(answer(text), content={**answer(text).content, META_KEY: meta})
    files = pieces_of(whole, data_of(whole))
    read = [content_before(whole, files)]
    for file in files:
        pages = pieces_of(file, data_of(file))
        read += [file.content, content_before(file, pages), *(page.content for page in pages)]

    metas = [content[META_KEY] for content in read]
    numbers = [each["part"] for each in metas]
    assert numbers == sorted(numbers)
    ends = [each for each in metas if "last" not in each]
    assert [each["part"] for each in ends] == [files[-1].content[META_KEY]["part"], numbers[-1]]
    assert {each["id"] for each in metas} >= {piece.txn for piece in files}


async def test_an_answer_whose_file_is_refused_is_whole_in_the_room(post: Post) -> None:
    post.outbound.fail(Refused("403", status=403, errcode="M_FORBIDDEN"), times=1000, room=NOWHERE)
    await post.put(answer(LONG), parcel("next"))
    pieces = pieces_of(answer(LONG), data_of(answer(LONG)))

    async with post.working():
        await post.until_said(
            [
                words.answer_in_pieces(len(pieces), as_files=False),
                "next",
                *(str(piece.content["body"]) for piece in pieces),
            ]
        )
    assert await post.ledger.outbox.attachment(answer(LONG).txn) is None


async def test_of_an_answer_of_nothing_it_is_said_that_the_file_is_missing(post: Post) -> None:
    post.outbound.fail(Refused("403", status=403, errcode="M_FORBIDDEN"), times=1000, room=NOWHERE)
    blank = answer(" \n" * 20_000)
    await post.put(blank)

    async with post.working():
        await post.until_said([content_without_file(blank)["body"]])


async def test_an_answer_that_is_too_large_comes_in_files_that_are_not(post: Post) -> None:
    text = "A line of a long answer.\n" * (2 * MOST_IN_MESSAGES // 25)
    post.outbound.upload_limit = MOST_IN_MESSAGES
    await post.put(answer(text))
    files = pieces_of(answer(text), data_of(answer(text)))

    async with post.working():
        await post.until_said(
            [words.answer_in_pieces(len(files), as_files=True), *(str(file.content["body"]) for file in files)]
        )
    assert [Attachment(data) for data in post.outbound.files.values()] == [file.attachment for file in files]
