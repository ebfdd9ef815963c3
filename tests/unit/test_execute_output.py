"""How much of a turn's text goes into its room, and where the rest is."""

import os
from pathlib import Path

import pytest

from aiagentchat.core.agent_events import PlanChanged, PlanState, PlanStep
from aiagentchat.core.parcels import Parcel
from aiagentchat.core.redact import Redactor
from aiagentchat.execute.output import FOLDER, MIB, Output
from aiagentchat.render import words


class Kept:
    """A sink that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended = 0
        self.retracted = 0
        self.broken_off = 0

    @property
    def silent(self) -> bool:
        return not self.said

    async def serve(self) -> None:
        raise NotImplementedError

    def add(self, text: str) -> None:
        self.said.append(text)

    def tool(self, line: str) -> None:
        self.said.append(line)

    def think(self, text: str) -> None:
        self.said.append(f"thought: {text}")

    def plan(self, plan: PlanChanged) -> None:
        self.said.append(f"plan: {plan.steps[0].text}")

    def progress(self, line: str) -> None:
        raise NotImplementedError

    def block_ended(self) -> None:
        self.ended += 1

    def break_off(self) -> list[Parcel]:
        self.broken_off = len(self.said)
        return []

    def retract(self) -> None:
        self.retracted += 1

    def close(self, last_words: str, footer: str) -> list[Parcel]:  # noqa: ARG002 - the port has them
        return []


SECRET = "correct-horse-battery"
GONE = "[redacted: PASSWORD]"


def output(folder: Path) -> tuple[Output, Kept]:
    kept = Kept()
    redactor = Redactor([("PASSWORD", SECRET)])
    return Output(kept, folder, "a.md", 1, lambda: redactor), kept


def test_an_answer_without_blanks_is_said_as_it_comes(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    for delta in ("我先看", "一下日", "志，然", "后再说", "。"):
        out.add(delta)

    assert kept.said == ["我先看", "一下日", "志，然", "后再说", "。"]


def test_what_is_within_the_limit_is_said(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("x" * MIB)
    out.block_ended()
    out.retract()
    out.close()

    assert ("".join(kept.said), kept.ended, kept.retracted) == ("x" * MIB, 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_over_it_is_announced_once_and_kept_in_a_file(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("x" * MIB)
    out.block_ended()
    for text in ("first ", "é\ud800", "last"):
        out.add(text)
        out.block_ended()
        out.retract()
    out.close()

    assert kept.said[-1] == words.output_cut(1, f"{FOLDER}/a.md")
    assert "".join(kept.said[:-1]) == "x" * MIB
    assert kept.retracted == 0
    assert (tmp_path / FOLDER / "a.md").read_text() == "first é?last"


def test_bytes_count_and_not_characters(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("é" * (MIB // 2))
    out.add("é")
    out.close()

    assert kept.said[-1] == words.output_cut(1, f"{FOLDER}/a.md")


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

    assert kept.said[-1] == words.output_cut(1, None)
    assert list(outside.iterdir()) == []


def test_a_full_disk_ends_the_keeping_and_not_the_turn(tmp_path: Path) -> None:
    out, kept = output(tmp_path)
    out.add("x" * MIB)
    out.add("first ")
    out.block_ended()
    assert out._file is not None
    with Path("/dev/full").open("wb", buffering=0) as full:
        os.dup2(full.fileno(), out._file)

    out.add("second ")
    out.add("third ")
    out.close()

    assert kept.said[-1] == words.output_cut(1, f"{FOLDER}/a.md")


def test_a_secret_in_pieces_is_said_as_a_mark(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    for piece in ("It is ", SECRET[:5], SECRET[5:12], f"{SECRET[12:]} I ", "think", "."):
        out.add(piece)
    assert kept.said == ["It is ", f"{GONE} I "]
    out.block_ended()

    assert "".join(kept.said) == f"It is {GONE} I think."
    assert kept.ended == 1


def test_what_is_said_beside_the_text_comes_after_what_was_held_back(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("wait")
    out.tool("a tool")
    out.add("and")
    out.break_off()
    out.add("end")
    out.close()

    assert kept.said == ["wait", "a tool", "and", "end"]
    assert kept.broken_off == 3


def test_thoughts_and_plans_have_no_secret_and_come_after_what_was_held_back(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("wait")
    out.think(f"It is {SECRET}")
    out.add("and")
    out.plan(PlanChanged((PlanStep(f"Use {SECRET}", PlanState.DOING),)))

    assert kept.said == ["wait", f"thought: It is {GONE}", "and", f"plan: Use {GONE}"]


def test_a_word_that_is_held_back_is_no_silence(tmp_path: Path) -> None:
    out, _ = output(tmp_path)

    assert out.silent
    out.add("Yes")
    assert not out.silent


def test_what_is_taken_back_is_not_said_later(tmp_path: Path) -> None:
    out, kept = output(tmp_path)

    out.add("half a wo")
    out.retract()
    out.add("half a word")
    out.close()

    assert kept.said == ["half a ", "half a ", "word"]
    assert kept.retracted == 1


def test_the_file_has_no_secret_either(tmp_path: Path) -> None:
    out, _ = output(tmp_path)
    out.add("x" * MIB + " ")

    out.add(f"again {SECRET[:7]}")
    out.add(f"{SECRET[7:]} and")
    out.close()

    assert (tmp_path / FOLDER / "a.md").read_text().endswith(f"again {GONE} and")


def test_the_input_of_a_tool_is_shown_without_secrets(tmp_path: Path) -> None:
    given = {"command": f"login {SECRET}", "more": [{"a": SECRET}, 1]}

    assert output(tmp_path)[0].shown(given) == {"command": f"login {GONE}", "more": [{"a": GONE}, 1]}
    assert given["command"] == f"login {SECRET}"


def test_what_was_said_and_not_taken_back_is_gathered_for_the_log(tmp_path: Path) -> None:
    out, _ = output(tmp_path)

    out.add(f"Tea with {SECRET}, ")
    out.block_ended()
    out.add("or coffee ")
    out.retract()
    out.add("ready")
    out.close()

    assert out.gathered.text == f"Tea with {GONE}, ready"
