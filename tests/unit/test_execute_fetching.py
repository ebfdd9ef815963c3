"""What a turn is asked: its text, the files that came with it, and those that it names."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.core.commands import Command
from aiagentchat.core.effects import KeepFile
from aiagentchat.core.errors import MatrixError, RateLimited, Refused, Unreachable
from aiagentchat.core.files import MediaFile
from aiagentchat.core.ids import EventId, UserId, message_uuid
from aiagentchat.core.messages import Kind
from aiagentchat.core.ports.agent import Block, Prompt
from aiagentchat.core.ports.matrix import SPOILED, TOO_LARGE
from aiagentchat.execute import fetching
from aiagentchat.execute.fetching import Fetcher, NotFetchedError, StoppedError, paths_in
from aiagentchat.render.file_words import NotFetched, Shown, with_files
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import ANNA, NOW, accept, command, incoming, settle, stop
from tests.fakes.clock import FakeClock
from tests.fakes.ledgers import fresh_ledger
from tests.fakes.media import FakeMedia
from tests.pictures import jpeg, pdf, png

ASKED = EventId("$asked")
MIB = 2**20


class Desk:
    """A fetcher with everything around it."""

    def __init__(self, ledger: Ledger, workspace: Path) -> None:
        self.ledger = ledger
        self.workspace = workspace
        self.media = FakeMedia()
        self.clock = FakeClock(NOW)
        self.nudge = asyncio.Event()
        self.fetcher = Fetcher(self.media, ledger.commands, self.clock, self.nudge)

    async def came(self, *files: tuple[MediaFile, bytes]) -> None:
        """These files go along with the command."""
        for number, (file, data) in enumerate(files):
            event = EventId(f"$file{number}")
            self.media.files[file.url] = data
            await self.ledger.inbox.take_in("t", [replace(incoming(event, ""), kind=Kind.FILE, file=file)], NOW)
            await self.ledger.inbox.settle(event, [KeepFile(event, ASKED)], NOW)

    async def prompt(self, text: str = "look", most: int = 1) -> Prompt:
        asked = replace(command(ASKED), text=text)
        await accept(self.ledger, asked)
        return await self.fetcher.prompt(asked, self.workspace, most, text=asked.text)

    def put(self, path: str, data: bytes) -> None:
        """A file of the workspace."""
        place = self.workspace / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    async with fresh_ledger(tmp_path / "ledger.db") as ledger:
        yield Desk(ledger, workspace)


def file(name: str, mime: str = "application/octet-stream", where: str = "a") -> MediaFile:
    return MediaFile(name=name, mime=mime, url=f"mxc://hs/{where}")


# ── files that came ──


async def test_without_files_a_prompt_is_the_text(desk: Desk) -> None:
    assert await desk.prompt("make tea") == Prompt(uuid=message_uuid(ASKED), text="make tea")
    assert list(desk.workspace.iterdir()) == []


async def test_a_picture_is_written_down_and_seen(desk: Desk) -> None:
    await desk.came((file("My photo.png", "image/png"), png()))

    prompt = await desk.prompt("what is this?")

    assert (desk.workspace / "inbox/My_photo.png").read_bytes() == png()
    assert prompt.blocks == (Block("image/png", png()),)
    shown = Shown(path="inbox/My_photo.png", mime="image/png", size=len(png()), seen=True)
    assert prompt.text == with_files("what is this?", [shown], [])
    assert "inbox/My_photo.png (image/png, " in prompt.text


async def test_only_the_owner_reads_what_came(desk: Desk) -> None:
    await desk.came((file("a.txt"), b"hello"))
    await desk.prompt()

    assert (desk.workspace / "inbox/a.txt").stat().st_mode & 0o777 == 0o600


async def test_what_it_is_decides_its_bytes_and_not_what_it_is_called(desk: Desk) -> None:
    await desk.came(
        (file("a.png", "image/png", "1"), b"no picture"),
        (file("a.bin", where="2"), jpeg()),
        (file("a.pdf", "application/pdf", "3"), pdf()),
    )
    prompt = await desk.prompt()

    assert [block.mime for block in prompt.blocks] == ["image/jpeg", "application/pdf"]
    assert "- inbox/a.png (image/png, 10 B)\n" in prompt.text


async def test_files_of_one_name_are_told_apart(desk: Desk) -> None:
    desk.put("inbox/a.txt", b"earlier")
    await desk.came((file("a.txt", where="1"), b"one"), (file("a.txt", where="2"), b"two"))
    await desk.prompt()

    found = {each.name: each.read_bytes() for each in (desk.workspace / "inbox").iterdir()}
    assert found == {"a.txt": b"earlier", "a-2.txt": b"one", "a-3.txt": b"two"}


async def test_what_is_there_already_is_not_written_again(desk: Desk) -> None:
    desk.put("inbox/a.txt", b"one")
    await desk.came((file("a.txt"), b"one"))
    prompt = await desk.prompt()

    assert "inbox/a.txt (" in prompt.text
    assert [each.name for each in (desk.workspace / "inbox").iterdir()] == ["a.txt"]


async def test_a_link_that_has_the_name_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"one")
    (desk.workspace / "inbox").mkdir()
    (desk.workspace / "inbox/a.txt").symlink_to(tmp_path / "secret")
    await desk.came((file("a.txt"), b"one"))
    prompt = await desk.prompt()

    assert "inbox/a-2.txt (" in prompt.text


async def test_a_name_is_not_tried_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST_NAMES", 1)
    desk.put("inbox/a.txt", b"earlier")
    await desk.came((file("a.txt"), b"one"))

    with pytest.raises(NotFetchedError) as failed:
        await desk.prompt()
    assert failed.value.why is NotFetched.NOT_WRITTEN


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(9000, 1), id="too wide"),
        pytest.param(png() + b"\0" * 4_000_000 + b"IEND", id="too many bytes"),
        pytest.param(pdf(101), id="too many pages"),
        pytest.param(pdf(0) + b"<< /Type /ObjStm >> %%EOF", id="nobody knows how many pages"),
        pytest.param(b"%PDF-" + b" " * 6_000_000 + b"%%EOF", id="too large a document"),
    ],
)
async def test_what_the_model_would_not_take_is_only_written_down(desk: Desk, data: bytes) -> None:
    await desk.came((file("a"), data))
    prompt = await desk.prompt(most=10)

    assert prompt.blocks == ()
    assert (desk.workspace / "inbox/a").read_bytes() == data


async def test_the_model_sees_so_much_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST_SEEN_BYTES", len(png()) * 2 - 1)
    await desk.came((file("a", where="1"), png()), (file("b", where="2"), png()))
    prompt = await desk.prompt()

    assert len(prompt.blocks) == 1
    assert "inbox/b" in prompt.text


async def test_a_link_in_the_place_of_the_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (desk.workspace / "inbox").symlink_to(tmp_path)
    await desk.came((file("a.txt"), b"one"))

    with pytest.raises(NotFetchedError) as failed:
        await desk.prompt()
    assert failed.value.why is NotFetched.NOT_WRITTEN
    assert not (tmp_path / "a.txt").exists()


# ── files that cannot be had ──


async def why_not(making: Awaitable[Prompt]) -> NotFetched | UserId | None:
    """Why there is no prompt."""
    try:
        await making
    except NotFetchedError as error:
        return error.why
    except StoppedError as error:
        return error.by
    return None


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Refused("404", status=404, errcode="M_NOT_FOUND"), NotFetched.GONE),
        (Refused("large", errcode=TOO_LARGE, ours=True), NotFetched.TOO_LARGE),
        (Refused("spoiled", errcode=SPOILED, ours=True), NotFetched.SPOILED),
        (RateLimited("429", retry_after=600), NotFetched.UNREACHABLE),
    ],
)
async def test_what_will_not_come_is_asked_for_once(desk: Desk, error: MatrixError, why: NotFetched) -> None:
    await desk.came((file("a.txt"), b"one"))
    desk.media.fail(error)

    with pytest.raises(NotFetchedError) as failed:
        await desk.prompt()
    assert (failed.value.name, failed.value.why) == ("a.txt", why)
    assert len(desk.media.asked) == 1


async def test_the_limit_is_the_operators(desk: Desk) -> None:
    await desk.came((file("a.txt"), b"\0" * (MIB + 1)))

    with pytest.raises(NotFetchedError) as failed:
        await desk.prompt(most=1)
    assert failed.value.why is NotFetched.TOO_LARGE


@pytest.mark.parametrize("error", [Unreachable("down"), RateLimited("429", retry_after=2)])
async def test_what_may_pass_is_asked_for_again(desk: Desk, error: MatrixError) -> None:
    await desk.came((file("a.txt"), b"one"))
    desk.media.fail(error, error)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        making = group.create_task(desk.prompt())
        for _ in range(2):
            await desk.clock.pass_nap()
        await making

    assert (desk.workspace / "inbox/a.txt").read_bytes() == b"one"


async def test_it_is_not_asked_for_ever(desk: Desk) -> None:
    await desk.came((file("a.txt"), b"one"))
    desk.media.fail(*[Unreachable("down")] * 9)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        making = group.create_task(why_not(desk.prompt()))
        for _ in range(2):
            await desk.clock.pass_nap()

    assert making.result() is NotFetched.UNREACHABLE
    assert len(desk.media.asked) == fetching.TRIES


async def test_who_has_no_media_fetches_nothing(desk: Desk) -> None:
    await desk.came((file("a.txt"), b"one"))
    desk.fetcher = Fetcher(None, desk.ledger.commands, desk.clock, desk.nudge)

    with pytest.raises(NotFetchedError):
        await desk.prompt()


async def test_a_stop_is_heard_while_a_file_does_not_come(desk: Desk) -> None:
    await desk.came((file("a.txt"), b"one"))
    desk.media.fail(Unreachable("down"))
    await accept(desk.ledger, command(ASKED))
    assert await desk.ledger.commands.start(ASKED, NOW)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        making = group.create_task(why_not(desk.fetcher.prompt(command(ASKED), desk.workspace, 1, text="make tea")))
        await desk.clock.until_asleep()
        await stop(desk.ledger, ASKED)
        desk.nudge.set()

    assert making.result() == ANNA


# ── files that are named ──


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("look at @src/a.py", ["src/a.py"]),
        ("look at @./src/a.py, and @b.txt.", ["src/a.py", "b.txt"]),
        ("@a.txt @a.txt", ["a.txt"]),
        ("(@a.txt)", ["a.txt"]),
        ("ask @anna:example.org", []),
        ("push to git@host or a@b.c", []),
        ("@/etc/passwd", []),
        ("`@a.txt` is how", []),
        ("@@a.txt", []),
        ("@", []),
        ("@...", []),
        (" ".join(f"@f{number}" for number in range(30)), [f"f{number}" for number in range(10)]),
    ],
)
def test_what_may_be_a_path_is_found(text: str, paths: list[str]) -> None:
    assert paths_in(text) == paths


async def test_a_text_that_is_named_stands_in_the_prompt(desk: Desk) -> None:
    desk.put("src/a.py", b"print('hi')\n```\n")
    prompt = await desk.prompt("explain @src/a.py and @missing.py")

    assert prompt.text.startswith(
        "explain @src/a.py and @missing.py\n\n(File of the message: src/a.py (text/x-python, "
    )
    assert "print('hi')" in prompt.text
    assert prompt.blocks == ()


async def test_a_picture_that_is_named_is_seen(desk: Desk) -> None:
    desk.put("out/plot.png", png())
    prompt = await desk.prompt("what is in @out/plot.png?")

    assert prompt.blocks == (Block("image/png", png()),)
    assert "(File of the message: out/plot.png (image/png, " in prompt.text


async def test_a_long_text_is_cut_and_that_is_said(desk: Desk) -> None:
    desk.put("long.txt", b"x" * (fetching.MOST_INLINE_BYTES + 1))
    prompt = await desk.prompt("@long.txt")

    assert "its first 32 KB; read the file for the rest" in prompt.text
    assert prompt.text.count("x" * fetching.MOST_INLINE_BYTES) == 1


async def test_many_texts_stand_there_as_far_as_there_is_room(desk: Desk) -> None:
    names = [f"{number}.txt" for number in range(4)]
    for name in names:
        desk.put(name, b"x" * fetching.MOST_INLINE_BYTES)
    prompt = await desk.prompt(" ".join(f"@{name}" for name in names))

    assert len(prompt.text) < fetching.MOST_INLINE_IN_ALL + 1000
    assert "(File of the message: 3.txt (text/plain, 32 KB))" in prompt.text


PLANT: dict[str, Callable[[Path, Path], object]] = {
    "a link": lambda place, secret: place.symlink_to(secret),
    "a second name": lambda place, secret: place.hardlink_to(secret),
    "a pipe": lambda place, _: os.mkfifo(place),
    "a folder": lambda place, _: place.mkdir(),
    "too large": lambda place, _: place.write_bytes(b"\0" * (MIB + 1)),
    "bytes of no kind": lambda place, _: place.write_bytes(b"\0secret"),
}


@pytest.mark.parametrize("what", PLANT)
async def test_what_a_room_has_bent_is_not_read(desk: Desk, tmp_path: Path, what: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    PLANT[what](desk.workspace / "bait", secret)
    prompt = await desk.prompt("read @bait")

    assert "secret" not in prompt.text.replace("read @bait", "")
    assert prompt.blocks == ()


async def test_a_path_that_leads_out_is_only_text(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")

    assert (await desk.prompt("read @a/../../secret")).text == "read @a/../../secret"


async def test_a_command_that_is_not_known_has_no_files(desk: Desk) -> None:
    unknown: Command = command("$unknown")

    assert (await desk.fetcher.prompt(unknown, desk.workspace, 1, text=unknown.text)).text == unknown.text
    await settle(desk.ledger)
