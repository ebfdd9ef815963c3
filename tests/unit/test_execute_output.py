"""How much of a turn's text goes into its room, and where the rest is."""

import os
from pathlib import Path

import pytest

from aiagentchat.core.parcels import Parcel
from aiagentchat.execute.output import FOLDER, MIB, Output
from aiagentchat.render import words


class Kept:
    """A sink that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended = 0
        self.retracted = 0
        self.silent = True

    async def serve(self) -> None:
        raise NotImplementedError

    def add(self, text: str) -> None:
        self.said.append(text)

    def tool(self, line: str) -> None:
        self.said.append(line)

    def progress(self, line: str) -> None:
        raise NotImplementedError

    def block_ended(self) -> None:
        self.ended += 1

    def break_off(self) -> list[Parcel]:
        return []

    def retract(self) -> None:
        self.retracted += 1

    def close(self, last_words: str, footer: str) -> list[Parcel]:  # noqa: ARG002 - the port has them
        return []


def output(folder: Path) -> tuple[Output, Kept]:
    kept = Kept()
    return Output(kept, folder, "a.md", 1), kept


def test_what_is_within_the_limit_is_said(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("x" * MIB)
    out.block_ended()
    out.retract()
    out.close()

    assert (kept.said, kept.ended, kept.retracted) == (["x" * MIB], 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_over_it_is_announced_once_and_kept_in_a_file(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("x" * MIB)
    for text in ("first ", "é\ud800", "last"):
        out.add(text)
        out.block_ended()
        out.retract()
    out.close()

    assert kept.said[1:] == [words.output_cut(1, f"{FOLDER}/a.md")]
    assert kept.retracted == 0
    assert (tmp_path / FOLDER / "a.md").read_text() == "first é?last"


def test_bytes_count_and_not_characters(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("é" * (MIB // 2))
    out.add("é")
    out.close()

    assert len(kept.said) == 2


@pytest.mark.parametrize(
    "trap", ["a link in place of the folder", "a file in place of the folder", "the file is there"]
)
def test_what_lies_in_the_workspace_is_neither_followed_nor_changed(tmp_path: Path, trap: str) -> None:
    workspace, outside = tmp_path / "w", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    if trap.startswith("a link"):
        (workspace / FOLDER).symlink_to(outside)
    elif trap.startswith("a file"):
        (workspace / FOLDER).write_text("mine")
    else:
        (workspace / FOLDER).mkdir()
        (workspace / FOLDER / "a.md").symlink_to(outside / "target")
    out, kept = output(workspace)

    out.add("x" * MIB)
    out.add("secret")
    out.close()

    assert kept.said[1:] == [words.output_cut(1, None)]
    assert list(outside.iterdir()) == []


def test_a_full_disk_ends_the_keeping_and_not_the_turn(tmp_path: Path) -> None:
    out, kept = output(tmp_path)
    out.add("x" * MIB)
    out.add("first")
    assert out._file is not None
    with Path("/dev/full").open("wb", buffering=0) as full:
        os.dup2(full.fileno(), out._file)

    out.add("second")
    out.add("third")
    out.close()

    assert len(kept.said) == 2
