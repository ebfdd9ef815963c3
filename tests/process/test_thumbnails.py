"""Small pictures are made of large ones from inside of a sandbox, in every way that there is."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.isolation import Isolation
from aiagentchat.core.pictures import JPEG, picture_of
from aiagentchat.execute import thumbnails
from aiagentchat.execute.thumbnails import Thumbnailer
from tests.pictures import gif, jpeg, png
from tests.process.test_changes import make_spec
from tests.process.test_sandbox import EVERY, HELD, place

__all__ = ["place"]

LARGE = png(1600, 400)


def written_in(place: Path) -> list[Path]:
    return [*place.rglob("written")]


@pytest.mark.parametrize("isolation", EVERY)
async def test_a_large_picture_gets_a_small_one_of_the_same_shape(isolation: Isolation, place: Path) -> None:
    spec = make_spec(place, isolation)

    small = await Thumbnailer(isolation).of(LARGE, spec)

    assert small is not None
    picture = picture_of(small)
    assert picture is not None
    assert (picture.mime, picture.width, picture.height) == (JPEG, 800, 200)
    made = {each.name for each in (place / "homes").iterdir() if "picture" in each.name}
    assert made <= {"kitchen.pictures", "kitchen.pictures.etc"}


@pytest.mark.parametrize("data", [png(), b"text", jpeg()], ids=["small", "none", "small without bytes"])
async def test_what_is_small_or_no_picture_is_not_looked_at(data: bytes, place: Path) -> None:
    assert await Thumbnailer(Isolation.NONE).of(data, make_spec(place)) is None
    assert not (place / "homes/kitchen.pictures").exists()


@pytest.mark.parametrize(
    "data",
    [jpeg(9000, 9000), gif(900, 900), png(12_000, 12_000)[:-40] + b"IEND" + bytes(12)],
    ids=["jpeg", "gif", "png"],
)
async def test_what_only_says_that_it_is_a_picture_gets_none(data: bytes, place: Path) -> None:
    with capture_logs() as logs:
        assert await Thumbnailer(Isolation.NONE).of(data, make_spec(place)) is None

    [line] = logs
    assert line["event"] == "thumbnail.not_made"


@pytest.mark.parametrize("isolation", HELD)
async def test_the_program_that_unpacks_it_can_write_nothing_that_is_read_again(
    isolation: Isolation, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a hole in the decoder would: it says which of the room's places it could change."""
    spec = make_spec(place, isolation)
    program = place / "program.py"
    program.write_text(
        "import json, sys, pathlib\n"
        "could = []\n"
        f"for place in {[spec.workspace, spec.home, str(place)]!r} + [str(pathlib.Path(sys.argv[2]).parent)]:\n"
        "    try:\n"
        "        pathlib.Path(place, 'written').write_text('x')\n"
        "        could.append(place)\n"
        "    except OSError:\n"
        "        pass\n"
        "print(json.dumps({'why': str(sys.argv[2].rpartition('/')[0] in could)}))\n",
        encoding="utf-8",
    )
    program.chmod(0o644)
    monkeypatch.setattr(thumbnails, "_PROGRAM", program)

    with capture_logs() as logs:
        assert await Thumbnailer(isolation).of(LARGE, spec) is None

    assert [line["why"] for line in logs] == ["False"]
    assert written_in(place) == []


@pytest.mark.parametrize(
    "said",
    [{"data": "%%%"}, {"data": "aGVsbG8="}, {"data": 7}, {}, [1], "x"],
    ids=["no base64", "no picture", "a number", "nothing", "a list", "text"],
)
async def test_what_it_says_is_not_taken_on_trust(said: object, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = place / "program.py"
    program.write_text(f"import json\nprint(json.dumps({said!r}))\n", encoding="utf-8")
    monkeypatch.setattr(thumbnails, "_PROGRAM", program)

    assert await Thumbnailer(Isolation.NONE).of(LARGE, make_spec(place)) is None
