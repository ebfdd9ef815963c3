"""A few values put into a config.yaml without touching anything else in it: comments, order and layout stay.

Pure, but for `save` and `try_to_save`. Each change is read again before it is believed: the file then says what it
said, and the one thing more. What stands there in a way that cannot be changed so is left alone, and the operator told
what to write.
"""

import copy
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import yaml

from aiagentchat.config.document import parse
from aiagentchat.config.folders import real
from aiagentchat.config.problems import Loc, key_of
from aiagentchat.core.errors import ConfigError

Value: TypeAlias = str | bool | Sequence[str]

_EXAMPLE = "example.yaml"
_ROOMS = "rooms"


def example() -> str:
    """The commented config.yaml that comes with aiagentchat."""
    return resources.files("aiagentchat.config").joinpath(_EXAMPLE).read_text(encoding="utf-8")


def put(text: str, loc: Loc, value: Value) -> str:
    """`text`, in which the value at `loc` is `value`: one that is there, or a key of a section, or of the file.

    A key that stands there as a comment (`#key: …`) gets its line, so that what explains it is above it. Raises
    ConfigError.
    """
    wanted = parse(text).data
    node = _at(_root(text), loc)
    if node is not None:
        changed = _replaced(text, node, _shown(value))
    else:
        changed = _added(text, loc, f"{loc[-1]}: {_shown(value)}")
    _set(wanted, loc, value)
    return _believed(changed, wanted, f"{key_of(loc)}: {_shown(value)}")


def add_room(text: str, entry: Mapping[str, str]) -> str:
    """`text` with one more room at the end of `rooms`. Raises ConfigError."""
    wanted = parse(text).data
    wanted[_ROOMS] = [*(wanted.get(_ROOMS) or []), dict(entry)]
    return _believed(_with_room(text, entry), wanted, f"a room with {_flow(entry)}")


def name_room(text: str, number: int, id_: str, name: str) -> str:
    """`text`, in which a room has this id, and this name unless it has one. Raises ConfigError.

    A name that was made from an alias would be another one for an id, and the room's folder with it.
    """
    wanted = parse(text).data
    room = wanted[_ROOMS][number]
    loc: Loc = (_ROOMS, number, "id")
    node = _at(_root(text), loc)
    if node is None or "name" in room:
        return put(text, loc, id_)
    changed = _replaced(text, node, _shown(id_))
    begin = node.start_mark
    if text[: begin.index].rpartition("\n")[2].count("{"):
        changed = _replaced(text, node, f"{_shown(id_)}, name: {_shown(name)}")
    else:
        newline, lines = _lines(changed)
        column = begin.column - len(lines[begin.line][: begin.column].rpartition("id")[2]) - len("id")
        lines.insert(begin.line + 1, f"{' ' * column}name: {_shown(name)}")
        changed = newline.join(lines)
    wanted[_ROOMS][number] = {**room, "id": id_, "name": name}
    return _believed(changed, wanted, f"{key_of(loc)}: {_shown(id_)}, and name: {_shown(name)}")


def save(file: Path, text: str) -> None:
    """Put `text` in the place of `file`, whole or not at all, with its owner and its mode. Raises ConfigError."""
    with _beside(file) as (made, new):
        made.write(text.encode("utf-8"))
        made.flush()
        os.fsync(made.fileno())
        new.replace(real(file))


def try_to_save(file: Path) -> None:
    """As `save`, but for what it is about: nothing is changed. Raises ConfigError."""
    with _beside(file):
        pass


@contextmanager
def _beside(file: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file that may take the place of `file`, and is gone afterwards if it has not. Raises ConfigError."""
    target = real(file)
    try:
        before = target.stat()
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as made:
                os.fchmod(made.fileno(), before.st_mode & 0o7777)
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(made.fileno(), before.st_uid, before.st_gid)
                yield made, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError([f"{file}: the file cannot be written: {error.strerror}; it is as it was"]) from error


def _believed(changed: str, wanted: Mapping[str, Any], what: str) -> str:
    """`changed`, if it says what is wanted."""
    document = parse(changed)
    if document.broken or document.wrong or document.data != wanted:
        raise ConfigError([f"config.yaml is written in a way that is not changed by a program; write into it: {what}"])
    return changed


def _root(text: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(["config.yaml is not YAML; aiagentchat check says where"]) from error
    return node


def _at(node: yaml.Node | None, loc: Loc) -> yaml.Node | None:
    """What stands at `loc`; None if nothing does."""
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return None
    return node


def _set(data: dict[str, Any], loc: Loc, value: Value) -> None:
    holder: Any = data
    for part in loc[:-1]:
        if isinstance(holder, dict) and holder.get(str(part)) is None:
            holder[str(part)] = {}
        holder = holder[part]
    holder[loc[-1]] = value if isinstance(value, str | bool) else list(value)


def _replaced(text: str, node: yaml.Node, by: str) -> str:
    """In place of a value that ends where it seems to: text, or a list in brackets."""
    start, end = node.start_mark.index, node.end_mark.index
    return f"{text[:start]}{' ' if start == end else ''}{by}{text[end:]}"


def _added(text: str, loc: Loc, line: str) -> str:
    """With one more line: where it stands as a comment, else at the end of its section, else of the file."""
    newline, lines = _lines(text)
    if len(loc) == 1:
        return newline.join(_uncommented(lines, 0, len(lines), "", line) or [*_trimmed(lines), "", line, ""])
    begin = _section(lines, str(loc[0]))
    if begin is None:
        return newline.join([*_trimmed(lines), "", f"{loc[0]}:", f"  {line}", ""])
    lines[begin] = lines[begin].removeprefix("#")
    end = next((number for number in range(begin + 1, len(lines)) if _is_top(lines[number])), len(lines))
    inserted = [*lines[: begin + 1], f"  {line}", *lines[begin + 1 :]]
    return newline.join(_uncommented(lines, begin + 1, end, "  ", line) or inserted)


def _section(lines: list[str], name: str) -> int | None:
    """Where a section begins, or would if its line were no comment."""
    for pattern in (rf"{name}:\s*(?:#.*)?", rf"#{name}:\s*"):
        found = next((number for number, line in enumerate(lines) if re.fullmatch(pattern, line)), None)
        if found is not None:
            return found
    return None


def _is_top(line: str) -> bool:
    """Whether another section, or what is said about it, begins here."""
    return bool(line.strip()) and not line.startswith(" ")


def _uncommented(lines: list[str], begin: int, end: int, indent: str, by: str) -> list[str] | None:
    """With `by` in the place of the comment that shows its key; None if there is none."""
    shown = re.compile(rf"{indent}#{re.escape(by.partition(':')[0])}:.*")
    for number in range(begin, end):
        if shown.fullmatch(lines[number]):
            return [*lines[:number], f"{indent}{by}", *lines[number + 1 :]]
    return None


def _with_room(text: str, entry: Mapping[str, str]) -> str:
    rooms = _at(_root(text), (_ROOMS,))
    newline, lines = _lines(text)
    if rooms is None:
        return newline.join([*_trimmed(lines), "", f"{_ROOMS}:", *_item("  ", entry), ""])
    if not isinstance(rooms, yaml.SequenceNode) or not rooms.value:
        return _replaced(text, rooms, newline.join(["", *_item("  ", entry)]))
    if rooms.flow_style:
        end = rooms.value[-1].end_mark.index
        return f"{text[:end]}, {_flow(entry)}{text[end:]}"
    dash = rooms.start_mark.column
    after = _last_line(rooms.value[-1]) + 1
    for number in range(after, len(lines)):
        # What is commented out below the last room belongs to it.
        if lines[number].strip() and not lines[number].startswith(f"{' ' * (dash + 1)}"):
            break
        after = number + 1 if lines[number].strip() else after
    return newline.join([*lines[:after], *_item(" " * dash, entry), *lines[after:]])


def _last_line(node: yaml.Node) -> int:
    """Where the last thing in `node` ends. The end of a block is where the next one begins, comments included."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    return int(node.end_mark.line)


def _item(indent: str, entry: Mapping[str, str]) -> list[str]:
    lines = [f"{indent}  {key}: {_shown(value)}" for key, value in entry.items()]
    return [f"{indent}- {lines[0].strip()}", *lines[1:]]


def _flow(entry: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {_shown(value)}' for key, value in entry.items())}}}"


def _shown(value: Value) -> str:
    """As YAML has it in any place: JSON, whose texts are always in quotes; plain where that is a word and no more."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if re.fullmatch(r"[a-z][a-z_-]*[a-z0-9]", value) and _is_text(value) else _quoted(value)
    return f"[{', '.join(map(_quoted, value))}]"


def _is_text(value: str) -> bool:
    return parse(f"key: {value}\n").data == {"key": value}


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(text: str) -> tuple[str, list[str]]:
    newline = "\r\n" if "\r\n" in text else "\n"
    return newline, text.split(newline)


def _trimmed(lines: list[str]) -> list[str]:
    kept = copy.copy(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
