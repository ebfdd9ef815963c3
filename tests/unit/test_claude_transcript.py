"""What the CLI has written down of a conversation, and what a room may have written instead."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.agents.claude_code import transcript
from aiagentchat.agents.claude_code.transcript import PROJECTS, pieces_in, read
from aiagentchat.core.ids import SessionId
from aiagentchat.core.transcripts import Part, Piece, Transcript

SESSION = SessionId("5e551011-0000-4000-8000-000000000001")
WORKSPACE = Path("/rooms/kit.chen")
FOLDER = "-rooms-kit-chen"


def line(**value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def user(content: object, **more: Any) -> bytes:
    return line(type="user", uuid="u1", message={"role": "user", "content": content}, **more)


def assistant(*blocks: object, **more: Any) -> bytes:
    return line(type="assistant", message={"role": "assistant", "content": [*blocks]}, **more)


TEXT = {"type": "text", "text": "So."}
SAID = Piece(part=Part.SAID, text="So.")


def write(home: Path, *lines: bytes, folder: str = FOLDER) -> Path:
    file = home / PROJECTS / folder / f"{SESSION}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\n".join([*lines, b""]))
    return file


@pytest.mark.parametrize(
    ("said", "pieces"),
    [
        pytest.param(user("tea"), [Piece(part=Part.ASKED, text="tea", uuid="u1")], id="a message"),
        pytest.param(
            user([{"type": "image"}, TEXT, TEXT, "x"]),
            [Piece(part=Part.ASKED, text="So.\n\nSo.", uuid="u1")],
            id="a message with a picture",
        ),
        pytest.param(user([{"type": "tool_result", "content": "x"}]), [], id="what a tool has answered"),
        pytest.param(user(None), [], id="a message without content"),
        pytest.param(user("tea", isMeta=True), [], id="what nobody typed"),
        pytest.param(user("tea", isSidechain=True), [], id="what another agent was asked"),
        pytest.param(assistant(TEXT, {"type": "thinking", "thinking": "hm"}, 7), [SAID], id="an answer"),
        pytest.param(assistant({"type": "text", "text": " "}), [], id="an empty answer"),
        pytest.param(
            assistant({"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}),
            [Piece(part=Part.USED, text="▸ Bash: `ls`")],
            id="a tool",
        ),
        pytest.param(line(type="user", message="x"), [], id="another shape"),
        pytest.param(b'{"type":"user"', [], id="half a line"),
        pytest.param(b'"type":"user"' + b"[" * 100_000, [], id="too deep"),
        pytest.param(line(type="attachment", content="x"), [], id="the program's own"),
        pytest.param(b"\xff", [], id="no text"),
    ],
)
def test_of_a_line_what_was_said_is_read(said: bytes, pieces: list[Piece]) -> None:
    assert pieces_in(said) == pieces


def test_a_line_that_is_too_long_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MOST_LINE", 10)

    assert pieces_in(user("tea")) == []


_KEYS = st.sampled_from(["type", "message", "content", "x"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner),
    max_leaves=20,
)


@given(_JSON, st.sampled_from(["user", "assistant"]))
def test_no_json_whatsoever_breaks_it(value: object, kind: str) -> None:
    for said in (line(type=kind, uuid="u", message=value), line(type=kind, uuid="u", message={"content": value})):
        assert all(isinstance(piece, Piece) for piece in pieces_in(said))


def test_a_conversation_is_found_beneath_the_home(tmp_path: Path) -> None:
    write(tmp_path, user("tea"), line(type="other"), assistant(TEXT))

    found = read(tmp_path, WORKSPACE, SESSION)
    assert found == Transcript(pieces=[Piece(part=Part.ASKED, text="tea", uuid="u1"), SAID])


def test_one_from_when_the_workspace_had_another_path_is_found_too(tmp_path: Path) -> None:
    write(tmp_path, assistant(TEXT), folder="-other")

    found = read(tmp_path, WORKSPACE, SESSION)
    assert found is not None
    assert found.pieces == [SAID]


@pytest.mark.parametrize("kind", ["nothing", "no folder", "link", "folder", "second name", "linked folder"])
def test_nothing_else_is_read(tmp_path: Path, kind: str) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    secret = write(other, assistant(TEXT))
    file = write(home)
    file.unlink()
    match kind:
        case "no folder":
            file.parent.rmdir()
            file.parent.parent.rmdir()
        case "link":
            file.symlink_to(secret)
        case "folder":
            file.mkdir()
        case "second name":
            file.hardlink_to(secret)
        case "linked folder":
            file.parent.rmdir()
            file.parent.symlink_to(secret.parent)
        case _:
            pass

    assert read(home, WORKSPACE, SESSION) is None


def test_of_a_long_one_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, user("x" * 500), assistant(TEXT))
    monkeypatch.setattr(transcript, "MOST_BYTES", 300)

    assert read(tmp_path, WORKSPACE, SESSION) == Transcript(pieces=[SAID], is_cut=True)
