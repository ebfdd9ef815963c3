"""Sentences about files."""

import pytest

from aiagentchat.render.file_words import (
    Listed,
    NotFetched,
    Shown,
    listing,
    no_folder,
    not_fetched,
    not_opened,
    not_taken,
    size,
    with_files,
)


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1 KB"), (2**20, "1.0 MB"), (2_600_000, "2.5 MB")]
)
def test_a_size_is_read_at_a_glance(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize("why", NotFetched)
def test_why_a_file_was_not_fetched_is_said_with_what_to_do(why: NotFetched) -> None:
    text = not_fetched("a.pdf", why)

    assert text.startswith("`a.pdf` could not be fetched: ")
    assert "Nothing was run. `/retry`" in text


def test_why_a_file_was_not_opened_is_said() -> None:
    assert not_opened("a", "link") == "`a` was not sent: it is a symbolic link, or behind one."
    assert not_opened("a", "failed") == "`a` was not sent: it could not be read."
    assert no_folder("a", "missing").startswith("`a` cannot be listed: there is no such file.")


def test_a_caption_is_not_lost_with_its_file() -> None:
    assert not_taken("a.png", "Look!").startswith("Look!\n\n⚠️ The file `a.png` could not be delivered")
    assert not_taken("a.png", "").startswith("⚠️ The file")


def test_the_agent_is_told_of_files_behind_the_text() -> None:
    came = Shown(path="inbox/a.png", mime="image/png", size=3, seen=True)
    named = Shown(path="b.txt", mime="text/plain", size=9, text="```", cut=True)
    bare = Shown(path="c.bin", mime="application/octet-stream", size=9)

    assert with_files("look", [], []) == "look"
    assert with_files("look", [came], [named, bare]) == (
        "look\n\n"
        "(Files that came with this message, in your working directory:\n"
        "- inbox/a.png (image/png, 3 B; you see it above))\n\n"
        "(File of the message: b.txt (text/plain, 9 B), its first 3 B; read the file for the rest)\n"
        "````\n```\n````\n\n"
        "(File of the message: c.bin (application/octet-stream, 9 B))"
    )


def test_a_listing_shows_the_newest_and_says_what_it_leaves_out() -> None:
    files = [
        Listed(path="a`b.txt", size=10, age=5),
        Listed(path="src/c.py", size=2000, age=3 * 3600),
        Listed(path="d", size=0, age=3 * 86_400),
        Listed(path="e", size=0, age=120),
    ]

    assert listing("", files, 1, whole=False) == (
        "The newest files in the workspace:\n\n"
        "- ``a`b.txt`` · 10 B · just now\n"
        "- `src/c.py` · 2 KB · 3 h ago\n"
        "- `d` · 0 B · 3 d ago\n"
        "- `e` · 0 B · 2 min ago\n"
        "- … and 1 more file\n\n"
        "There are more than I look through; name a folder: `/files src`.\n\n"
        "`/get path` sends one."
    )
    assert listing("src", [], 0, whole=True) == "There are no files in `src`."
