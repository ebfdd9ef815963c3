"""Files that the agent sends: from beneath the workspace, below what it has said, so many and so large."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.agent_events import ToolUsed
from aiagentchat.core.commands import CommandState
from aiagentchat.core.files import MOST_FILES, MOST_UNSENT
from aiagentchat.core.parcels import Attachment, Parcel
from aiagentchat.execute.output import Output
from aiagentchat.execute.sending import MOST_TRIES, Sending, Told, beneath
from aiagentchat.render import file_words
from aiagentchat.render.file_message import file_message
from aiagentchat.send.speech import Speaker
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import DEVICE, NOW, ROOM, command
from tests.fakes.agent import Emit, Offer, Say, plays
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.pictures import png
from tests.unit.execute_house import open_house

MIB = 2**20


class Desk:
    """The sending of one turn."""

    def __init__(self, ledger: Ledger, workspace: Path) -> None:
        self.ledger = ledger
        self.workspace = workspace
        clock = FakeClock(NOW)
        asked = command("$asked")
        self.output = Output(Speaker(outbox=ledger.outbox, clock=clock).open(asked), workspace, "rest.md", 1)
        self.sending = Sending(asked, self.output, outbox=ledger.outbox, clock=clock, most=1)

    def put(self, path: str, data: bytes) -> None:
        """A file of the workspace."""
        place = self.workspace / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    async def waiting(self) -> list[Parcel]:
        """What is on its way into the room, with its files."""
        parcels = []
        while (attempt := await self.ledger.outbox.claim(NOW, device=DEVICE)) is not None:
            file = await self.ledger.outbox.attachment(attempt.parcel.txn)
            parcels.append(replace(attempt.parcel, attachment=file))
            await self.ledger.outbox.give_up(attempt.parcel.txn, "seen", NOW)
        return parcels


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Desk(ledger, workspace)


async def test_a_large_picture_takes_a_small_one_along(desk: Desk) -> None:
    async def small(data: bytes) -> bytes | None:
        return png(8, 6) if data == png(800, 601) else None

    sending = Sending(
        command("$asked"), desk.output, outbox=desk.ledger.outbox, clock=FakeClock(NOW), most=1, small=small
    )
    desk.put("plot.png", png(800, 601))

    assert await sending.send("plot.png", "") == Told(file_words.SENT)
    [parcel] = await desk.waiting()
    assert parcel.attachment == Attachment(png(800, 601), png(8, 6))
    assert parcel.content["info"]["thumbnail_info"] == {
        "mimetype": "image/png",
        "size": len(png(8, 6)),
        "w": 8,
        "h": 6,
    }


async def test_a_file_is_put_into_the_outbox_with_its_caption(desk: Desk) -> None:
    desk.put("out/plot.png", png())

    assert await desk.sending.send("out/plot.png", "The **plot**") == Told(file_words.SENT)
    [parcel] = await desk.waiting()
    assert parcel.content == file_message("plot.png", png(), "The **plot**")
    assert (parcel.room, parcel.command, parcel.attachment) == (ROOM, "$asked", Attachment(png()))


async def test_it_stands_below_what_was_said_before_and_above_what_comes(desk: Desk) -> None:
    desk.put("a.txt", b"hello")
    desk.output.add("Here it is. ")
    await desk.sending.send("a.txt", "")
    desk.output.add("That was it. ")
    await desk.ledger.outbox.put(desk.output.break_off(), NOW)

    assert [parcel.content["body"].strip() for parcel in await desk.waiting()] == [
        "Here it is.",
        "a.txt",
        "That was it.",
    ]


async def test_a_whole_path_into_the_workspace_is_understood(desk: Desk) -> None:
    desk.put("a.txt", b"hello")

    assert await desk.sending.send(str(desk.workspace / "a.txt"), "") == Told(file_words.SENT)
    assert beneath(desk.workspace, "././a") == "a"


PLANT: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda place, secret: place.symlink_to(secret),
    "linked": lambda place, secret: place.hardlink_to(secret),
    "kind": lambda place, _: os.mkfifo(place),
}


@pytest.mark.parametrize("why", PLANT)
async def test_what_a_room_has_bent_is_not_sent(desk: Desk, tmp_path: Path, why: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    PLANT[why](desk.workspace / "bait", secret)

    assert await desk.sending.send("bait", "") == Told(file_words.not_opened("bait", why), failed=True)
    assert await desk.waiting() == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../secret", "outside"),
        ("/etc/passwd", "outside"),
        ("missing", "missing"),
        ("a\0b", "name"),
        ("folder", "kind"),
        ("folder/", "name"),
    ],
)
async def test_what_is_no_file_of_the_workspace_is_not_sent(desk: Desk, path: str, why: str) -> None:
    (desk.workspace / "folder").mkdir()

    assert await desk.sending.send(path, "") == Told(file_words.not_opened(path, why), failed=True)


async def test_without_a_path_nothing_is_sent(desk: Desk) -> None:
    assert await desk.sending.send("", "") == Told(file_words.NO_PATH, failed=True)


async def test_a_file_over_the_limit_is_not_sent(desk: Desk) -> None:
    desk.put("a", bytes(MIB + 1))
    desk.put("b", bytes(MIB))

    assert await desk.sending.send("a", "") == Told(file_words.too_large_to_send(1), failed=True)
    assert await desk.sending.send("b", "") == Told(file_words.SENT)


async def test_so_many_are_sent_in_one_turn_and_no_more(desk: Desk) -> None:
    desk.put("a", b"hello")
    for _ in range(MOST_FILES):
        assert await desk.sending.send("a", "") == Told(file_words.SENT)

    assert await desk.sending.send("a", "") == Told(file_words.too_many_sent(MOST_FILES), failed=True)
    assert len(await desk.waiting()) == MOST_FILES


async def test_a_turn_does_not_try_for_ever(desk: Desk) -> None:
    desk.put("a", b"hello")
    for _ in range(MOST_TRIES):
        assert (await desk.sending.send("missing", "")).failed

    assert await desk.sending.send("a", "") == Told(file_words.too_many_sent(MOST_FILES), failed=True)


async def test_a_room_whose_files_are_not_taken_puts_no_more(desk: Desk) -> None:
    desk.put("a", bytes(MIB))
    for _ in range(MOST_UNSENT):
        assert await desk.sending.send("a", "") == Told(file_words.SENT)

    assert await desk.sending.send("a", "") == Told(file_words.TOO_MUCH_WAITS, failed=True)
    await desk.waiting()
    assert await desk.sending.send("a", "") == Told(file_words.SENT)


async def test_a_turn_sends_what_the_agent_offers_and_shows_no_line_about_it(tmp_path: Path) -> None:
    workspace = tmp_path / "rooms" / "kitchen"
    used = ToolUsed("mcp__room__send_file", {"path": "a.txt"})
    agent = plays(Say("Here."), Emit((used,)), Offer("a.txt", "the file"), Offer("b.txt"), Say("Done."))
    async with open_house(tmp_path, agent) as house:
        place = await house.shop.places.of(house.settings.rooms[0])
        (place.workspace / "a.txt").write_text("hello")
        await house.execute(command("$1"))

        shown = await house.read()
        assert [text.split("\n")[0] for text in shown] == ["Here.", "the file", "Done.", "✅"]
        [run] = agent.runs
        assert [(told, failed) for _, told, failed in run.replies] == [
            (file_words.SENT, False),
            (file_words.not_opened("b.txt", "missing"), True),
        ]
        assert await house.state("$1") is CommandState.DONE
    assert workspace.name == "kitchen"
