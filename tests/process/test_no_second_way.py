"""Whoever works in a room's folders opens files through process/beneath.py, and in no other way."""

import ast
from collections import defaultdict
from pathlib import Path

import aiagentchat

PACKAGE = Path(aiagentchat.__file__).parent
FOLDERS = ("execute", "agents", "receive", "route", "send", "exchange", "registry")
"""The parts that know where a room lives, and those that speak of its files: they have no business in them."""

# fmt: off
TOUCHING = frozenset({
    "chmod", "chown", "copyfile", "copytree", "exists", "glob", "hardlink_to", "is_dir", "is_file", "is_symlink",
    "iterdir", "listdir", "lstat", "makedirs", "mkdir", "read_bytes", "read_text", "readlink", "rename", "rglob",
    "rmdir", "rmtree", "scandir", "stat", "symlink", "symlink_to", "touch", "truncate", "unlink", "utime",
    "write_bytes", "write_text",
})
# fmt: on
"""Without those that text and sets have too (`replace`, `remove`)."""
OURS = {
    # The workspace itself, before anything of the room has run in it; its parent is the operator's.
    "execute/places.py": {"chmod", "copytree", "exists", "is_dir", "is_symlink", "mkdir", "rename", "rmtree", "stat"},
    # Beside the room's HOME, in a folder that no room reaches.
    "agents/claude_code/quarters.py": {"chown", "mkdir", "unlink"},
    "execute/aside.py": {"chown"},
    "execute/changes.py": {"exists"},
    # In a folder of its own there, which is new each time; and Pillow, which is the operator's.
    "execute/thumbnails.py": {"chmod", "exists", "write_bytes"},
    # By a descriptor of a folder that was opened beneath HOME.
    "agents/claude_code/transcript.py": {"scandir"},
    # The program, which is the operator's.
    "agents/claude_code/fetched.py": {"chmod", "is_file", "iterdir", "mkdir", "read_text"},
    "agents/claude_code/binary.py": {"is_file", "open", "stat"},
}


def touched(file: Path) -> set[str]:
    """The functions of a module that look at, open or change something by its path."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name("open") | ast.Attribute(ast.Name("os"), "open"):
                found.add("open")
            case ast.Attribute(_, name) if name in TOUCHING:
                found.add(name)
            case ast.Attribute(_, "open") if node.args and isinstance(node.args[0], ast.Constant):
                found.add("open")
            case _:
                pass
    return found


def test_nothing_in_a_room_is_opened_by_its_path() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for folder in FOLDERS:
        for file in (PACKAGE / folder).rglob("*.py"):
            found[str(file.relative_to(PACKAGE))] |= touched(file)

    assert {name: calls for name, calls in found.items() if calls} == OURS
