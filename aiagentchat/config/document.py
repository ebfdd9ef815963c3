"""A YAML file as plain values, with the line of each.

Only YAML's core is read: no tags, no merge keys, `true`/`false` as the only booleans, decimal numbers. YAML 1.1 reads
`no` as false, `0300` as 192 and `5:00` as 300; here these are text, and a key that wants something else says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aiagentchat.config.problems import Loc, printable
from aiagentchat.core.errors import ConfigError

_MOST_BYTES = 1024 * 1024
_MOST_NODES = 50_000  # aliases can make a small file endless
_MOST_DEPTH = 20
_UNQUOTED = re.compile(r"[:,\[{-]\s*[@!#%`]")
_CORE = "tag:yaml.org,2002:"
_MISSING_FILE = "there is no such file; make one with aiagentchat init, or name another file with --config"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own class attribute, replaced so that nothing is inherited


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)$", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_CORE + _tag, re.compile(_pattern), _first)


@dataclass(slots=True)
class Document:
    """What a file says. `wrong` is what could not be read as a value, and is left out of `data`."""

    text: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Loc, int] = field(default_factory=dict)
    wrong: list[tuple[Loc, str, int]] = field(default_factory=list)
    broken: tuple[int, str] | None = None
    """Line and reason, when it is not YAML at all."""

    def line_of(self, loc: Loc) -> int:
        """The line of the value, or of what it would stand in."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)


def read_text(path: Path) -> str:
    """The text of the file, or a `ConfigError` that says why there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise _unreadable(path, "the file is larger than 1 MiB; is it the right one?")
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise _unreadable(path, _MISSING_FILE) from None
    except IsADirectoryError:
        raise _unreadable(path, "this is a folder; name the file in it, for example config.yaml") from None
    except PermissionError:
        raise _unreadable(path, "only another user may read this file; ask as that one (sudo -u USER …)") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _unreadable(path, "the file is not UTF-8 text; save it as UTF-8", line) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable file name"
        raise _unreadable(path, f"the file cannot be read: {reason}") from None
    if not text.strip():
        raise _unreadable(path, "the file is empty; make one with: aiagentchat init --force")
    return text


def parse(text: str) -> Document:
    """Read YAML. Never raises: what is wrong is in the document."""
    document = Document(text)
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        document.broken = _Plain(document).read(root)
    except yaml.MarkedYAMLError as error:
        document.broken = _syntax(error, text)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        document.broken = line, "this is not YAML: there is a control character; remove it"
    except RecursionError:
        document.broken = 1, "values are nested too deeply"
    finally:
        if loader is not None:
            loader.dispose()
    return document


class _Plain:
    """Turns nodes into values, and writes down where they stood and what is wrong with them."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = _MOST_NODES

    def read(self, root: yaml.Node | None) -> tuple[int, str] | None:
        """Fill the document; the return value says why that is impossible."""
        if not isinstance(root, yaml.MappingNode):
            line = root.start_mark.line + 1 if root else 1
            return line, "the file must be made of keys and values, such as data_dir: ./data"
        try:
            self._document.data = self._mapping(root, ())
        except _TooMuchError:
            return 1, "the file has too many values, or one that contains itself"
        return None

    def _value(self, node: yaml.Node, loc: Loc) -> object:
        self._left -= 1
        if self._left < 0 or len(loc) > _MOST_DEPTH:
            raise _TooMuchError
        if isinstance(node, yaml.MappingNode) and node.tag == _CORE + "map":
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode) and node.tag == _CORE + "seq":
            return list(self._items(node, loc))
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        raise _WrongError(_tagged(node))

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not _is_key(key_node):
                self._wrong((*loc, "?"), line, "a key must be text; put it in quotes")
                continue
            here = (*loc, key_node.value)
            if here in self._document.lines:
                first = self._document.lines[here]
                self._wrong(here, line, f"is written twice, first on line {first}; remove one of them")
                continue
            self._document.lines[here] = line
            try:
                values[key_node.value] = self._value(value_node, here)
            except _WrongError as wrong:
                self._wrong(here, line, str(wrong))
        return values

    def _items(self, node: yaml.SequenceNode, loc: Loc) -> Iterator[object]:
        for number, item in enumerate(node.value):
            here = (*loc, number)
            self._document.lines[here] = item.start_mark.line + 1
            try:
                yield self._value(item, here)
            except _WrongError as wrong:
                self._wrong(here, item.start_mark.line + 1, str(wrong))
                yield WRONG

    def _wrong(self, loc: Loc, line: int, sentence: str) -> None:
        self._document.wrong.append((loc, sentence, line))


class _Wrong:
    """Stands in a list for an item that could not be read, so that the others keep their numbers."""


WRONG = _Wrong()


class _WrongError(Exception):
    """This one value cannot be read."""


class _TooMuchError(Exception):
    """The file is too large to be settings."""


def _is_key(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _CORE + "str" and node.value.isprintable()


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    try:
        match node.tag.removeprefix(_CORE):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return {"true": True, "false": False}[text.lower()]
            case "int":
                return int(text)
            case "float":
                return float(text)
    except (KeyError, ValueError):
        raise _WrongError("this value cannot be read; write it without a tag") from None
    raise _WrongError(_tagged(node))


def _tagged(node: yaml.Node) -> str:
    if node.tag.startswith("!"):  # not shown: it may be a password
        return 'YAML reads a leading "!" as a tag; put the value in quotes, for example "!abc:localhost"'
    return "YAML tags are not used here; remove the tag"


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    problem = error.problem or error.context or "it cannot be read"
    hint = "check the indentation, the quotes and the brackets on this line and the one before"
    if "'\\t'" in problem:
        problem, hint = "there is a tab", "indent with spaces"
    elif "alias" in problem or "anchor" in problem or "handle" in problem:
        problem = problem.partition(" '")[0]  # the name may be a secret that was written without quotes
        hint = 'values that begin with "*", "&" or "!" must be in quotes'
    elif _UNQUOTED.search("".join(text.splitlines()[line - 1 : line])):
        hint = 'a value that begins with @, ! or # must be in quotes, for example "@you:localhost"'
    return line, printable(f"this is not YAML: {problem}; {hint}")


def _unreadable(path: Path, sentence: str, line: int | None = None) -> ConfigError:
    where = f"{path}:{line}" if line else f"{path}"
    return ConfigError([printable(f"{where}: {sentence}")])
