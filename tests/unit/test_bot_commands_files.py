"""/files and /get: what is in the workspace, and nothing else."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiagentchat.core.files import MOST_UNSENT
from aiagentchat.core.ids import EventId
from aiagentchat.core.parcels import Attachment
from aiagentchat.render import file_words, words
from aiagentchat.render.file_message import file_message
from aiagentchat.route.bot_commands.files import MOST_SHOWN
from tests.fakes.front import Front, open_front
from tests.fakes.people import VERA, settings, typed
from tests.pictures import png

MIB = 2**20
ROOT = EventId("$root")


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(tmp_path / "ledger.db") as opened:
        opened.settings = settings(workspaces=tmp_path / "rooms", max_file=1)
        yield opened


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "rooms" / "kitchen"
    made.mkdir(parents=True)
    return made


def put(front: Front, place: Path, data: bytes = b"hello", *, age: float = 0) -> None:
    """A file that was changed so many seconds ago."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    moment = front.clock.now_ms() / 1000 - age
    os.utime(place, (moment, moment))


async def test_the_newest_files_are_listed_first(front: Front, workspace: Path) -> None:
    put(front, workspace / "old.txt", age=90_000)
    put(front, workspace / "src/new.py", b"x" * 3000, age=70)
    put(front, workspace / ".git/config")
    (workspace / "link").symlink_to("/etc/passwd")

    [told] = await front.told(typed("/files"))
    assert told == (
        "The newest files in the workspace:\n\n- `src/new.py` · 3 KB · 1 min ago\n- `old.txt` · 5 B · 1 d ago\n\n"
        "`/get path` sends one."
    )


async def test_a_folder_is_listed_alone(front: Front, workspace: Path) -> None:
    put(front, workspace / "a.txt")
    put(front, workspace / "src/deep/b.txt", age=1)

    [told] = await front.told(typed("/files ./src/"))
    assert "src/deep/b.txt" in told
    assert "a.txt" not in told


async def test_a_room_in_which_nothing_was_run_has_no_files(front: Front) -> None:
    assert await front.told(typed("/files")) == [file_words.listing("", [], 0, whole=True)]
    assert await front.told(typed("/get a.txt")) == [file_words.not_opened("a.txt", "missing")]


@pytest.mark.parametrize(("folder", "why"), [("../", "outside"), ("/etc", "outside"), ("missing", "missing")])
async def test_no_other_folder_is_listed(front: Front, workspace: Path, folder: str, why: str) -> None:
    put(front, workspace / "a.txt")

    assert await front.told(typed(f"/files {folder}")) == [file_words.no_folder(folder.rstrip("/"), why)]


async def test_a_link_to_a_folder_is_not_listed(front: Front, workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc")

    assert await front.told(typed("/files link")) == [file_words.no_folder("link", "link")]


async def test_a_long_list_is_cut_and_that_is_said(front: Front, workspace: Path) -> None:
    for number in range(MOST_SHOWN + 2):
        put(front, workspace / f"{number}.txt", age=number)

    [told] = await front.told(typed("/files"))
    assert "`0.txt`" in told
    assert f"`{MOST_SHOWN}.txt`" not in told
    assert "… and 2 more files" in told


@pytest.mark.parametrize("typed_path", ["out/plot.png", "./out/plot.png", "`out/plot.png`", "@out/plot.png"])
async def test_a_file_is_sent(front: Front, workspace: Path, typed_path: str) -> None:
    put(front, workspace / "out/plot.png", png())
    said = typed(f"/get {typed_path}")
    await front.hear(said)
    attempt = await front.ledger.outbox.claim(front.clock.now_ms(), device="D")

    assert attempt is not None
    answers = {"m.relates_to": {"m.in_reply_to": {"event_id": said.event}}}
    assert attempt.parcel.content == {**file_message("plot.png", png()), **answers}
    assert await front.ledger.outbox.attachment(attempt.parcel.txn) == Attachment(png())


async def test_what_is_asked_for_in_a_thread_is_sent_there(front: Front, workspace: Path) -> None:
    put(front, workspace / "a.txt")
    await front.hear(typed("/get a.txt", thread=ROOT), typed("/files", thread=ROOT))

    assert [parcel.thread for parcel in await front.deliver()] == [ROOT, ROOT]


async def test_without_a_path_it_says_how(front: Front) -> None:
    assert await front.told(typed("/get")) == [file_words.GET_WHAT]


async def test_what_is_too_large_is_not_sent(front: Front, workspace: Path) -> None:
    put(front, workspace / "a", bytes(MIB + 1))

    assert await front.told(typed("/get a")) == [file_words.too_large_to_send(1)]


async def test_what_is_bent_is_not_sent(front: Front, workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc/passwd")

    assert await front.told(typed("/get link")) == [file_words.not_opened("link", "link")]
    assert await front.told(typed("/get ../secret")) == [file_words.not_opened("../secret", "outside")]


async def test_so_much_waits_for_a_room_and_no_more(front: Front, workspace: Path) -> None:
    put(front, workspace / "a", bytes(MIB))
    await front.hear(*(typed("/get a") for _ in range(MOST_UNSENT)))
    await front.hear(typed("/get a"))

    assert [parcel.content["body"] for parcel in await front.deliver()] == [
        *(["a"] * MOST_UNSENT),
        file_words.TOO_MUCH_WAITS,
    ]


@pytest.mark.parametrize("body", ["/files", "/get a"])
async def test_a_viewer_sees_the_room_and_not_its_files(front: Front, body: str) -> None:
    assert await front.told(typed(body, sender=VERA)) == [words.VIEWER_MAY_NOT_RUN]
