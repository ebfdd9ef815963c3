"""What the CLI has written down of a conversation: <HOME>/.claude/projects/<folder>/<session>.jsonl.

The room can write there, too. So the file is opened beneath the HOME, its end is read and no more than that, and what
has not the shape that we know is nothing to us. It says what was said, and proves nothing.
"""

import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from aiagentchat.agents.claude_code.command import CONFIG
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.ids import SessionId
from aiagentchat.core.transcripts import Part, Piece, Transcript
from aiagentchat.process.beneath import open_beneath, open_folder_beneath
from aiagentchat.render.tools import tool_line

PROJECTS = f"{CONFIG}/projects"
MOST_BYTES = 32 * 1024 * 1024
"""Of the end of the file. An hour of work has about one."""
MOST_FOLDERS = 100
MOST_LINE = 4 * 1024 * 1024
"""What is longer holds a picture, and no words."""

_NO_WORDS = re.compile(r"[^A-Za-z0-9]")
_INTERESTING = (b'"type":"user"', b'"type":"assistant"')
"""What a line has that is worth being parsed: most of them are the CLI's own."""


def read(home: Path, workspace: Path, session: SessionId) -> Transcript | None:
    """The end of the conversation; None where nothing of it can be read."""
    for folder in _folders(home, workspace):
        try:
            descriptor = open_beneath(home, f"{PROJECTS}/{folder}/{session}.jsonl")
        except NotOpened:
            continue
        try:
            return _read(descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
    return None


def _folders(home: Path, workspace: Path) -> Iterator[str]:
    """The folder of the workspace first; a workspace may have had another path when the conversation began."""
    yield _NO_WORDS.sub("-", str(workspace))
    try:
        descriptor = open_folder_beneath(home, PROJECTS)
    except NotOpened:
        return
    try:
        with os.scandir(descriptor) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST_FOLDERS))
    except OSError:
        return
    finally:
        os.close(descriptor)
    yield from names


def _read(descriptor: int) -> Transcript:
    size = os.fstat(descriptor).st_size
    start = max(0, size - MOST_BYTES)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(start)
        data = file.read(MOST_BYTES)
    lines = data.split(b"\n")
    if start:
        del lines[0]  # the rest of one that begins before
    pieces = [piece for line in lines for piece in pieces_in(line)]
    return Transcript(pieces=pieces, is_cut=start > 0)


def pieces_in(line: bytes) -> list[Piece]:
    """What was said in one line; nothing for what has another shape."""
    if len(line) > MOST_LINE or not any(mark in line for mark in _INTERESTING):
        return []
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return []
    match value:
        case {"isSidechain": True} | {"isMeta": True}:
            return []
        case {"type": "user", "uuid": str(uuid), "message": {"content": content}}:
            text = _text(content)
            return [Piece(part=Part.ASKED, text=text, uuid=uuid)] if text else []
        case {"type": "assistant", "message": {"content": list(blocks)}}:
            return [piece for block in blocks for piece in _block(block)]
        case _:
            return []


def _text(content: object) -> str:
    """Of what was asked; what tools have answered is none."""
    if isinstance(content, str):
        return content
    blocks: list[Any] = content if isinstance(content, list) else []
    said = []
    for block in blocks:
        match block:
            case {"type": "text", "text": str(text)}:
                said.append(text)
            case _:
                pass
    return "\n\n".join(said)


def _block(block: object) -> list[Piece]:
    match block:
        case {"type": "text", "text": str(text)} if text.strip():
            return [Piece(part=Part.SAID, text=text)]
        case {"type": "tool_use", "name": str(name), "input": dict(used)}:
            return [Piece(part=Part.USED, text=tool_line(name, used))]
        case _:
            return []
