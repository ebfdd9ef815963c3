"""How a file is shown in a room."""

import pytest

from aiagentchat.render.file_message import MOST_CAPTION, file_message
from aiagentchat.render.message import message
from tests.pictures import jpeg, png


def test_a_picture_says_how_large_it_is() -> None:
    assert file_message("plot.png", png(300, 200)) == {
        "msgtype": "m.image",
        "body": "plot.png",
        "filename": "plot.png",
        "info": {"mimetype": "image/png", "size": len(png(300, 200)), "w": 300, "h": 200},
        "m.mentions": {},
    }


def test_a_small_picture_of_it_goes_along_and_nothing_else_does() -> None:
    info = file_message("plot.png", png(300, 200), thumbnail=png(30, 20))["info"]

    assert info["thumbnail_info"] == {"mimetype": "image/png", "size": len(png(30, 20)), "w": 30, "h": 20}
    assert "thumbnail_info" not in file_message("plot.png", png(300, 200), thumbnail=b"text")["info"]


def test_a_caption_stands_beside_the_name() -> None:
    content = file_message("a.txt", b"hello", "The **file** for @room")
    said = message("The **file** for @room", notice=False)

    assert (content["body"], content["formatted_body"]) == (said["body"], said["formatted_body"])
    assert (content["filename"], content["m.mentions"]) == ("a.txt", {})
    assert "formatted_body" not in file_message("a.txt", b"hello", "plain")


def test_a_long_caption_is_cut() -> None:
    assert file_message("a.txt", b"", "x" * (MOST_CAPTION + 1))["body"] == "x" * MOST_CAPTION


@pytest.mark.parametrize(
    ("name", "data", "shown", "mime"),
    [
        ("a.txt", b"hello", "m.file", "text/plain"),
        ("a.mp3", b"\0", "m.audio", "audio/mpeg"),
        ("a.mp4", b"\0", "m.video", "video/mp4"),
        ("a.pdf", b"%PDF", "m.file", "application/pdf"),
        ("photo.png", jpeg(), "m.image", "image/jpeg"),
        ("fake.png", b"<html>", "m.file", "application/octet-stream"),
        ("a.svg", b"<svg/>", "m.file", "image/svg+xml"),
        ("Makefile", b"all:\n", "m.file", "text/plain"),
        ("core", b"\0", "m.file", "application/octet-stream"),
    ],
)
def test_what_it_is_follows_from_what_is_in_it(name: str, data: bytes, shown: str, mime: str) -> None:
    content = file_message(name, data)

    assert (content["msgtype"], content["info"]["mimetype"]) == (shown, mime)


def test_what_it_is_may_be_said() -> None:
    assert file_message("a.md", b"# hi", mime="text/markdown")["info"]["mimetype"] == "text/markdown"


def test_its_name_is_safe() -> None:
    assert file_message("x\u202e/../.name.txt", b"")["filename"] == "name.txt"
