"""Writes the lists of docs/reference/errors.md out of the code: every sentence that says what did not go well.

    python -m rig.errors_page        # after a sentence was added or changed

A sentence stands in the page as it stands in the code, with … where something is filled in. What it means is the first
line of the docstring of what makes it, or its name, so that there is one place to say it. `tests/docs` compares the
page.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "aiagentchat"
PAGE = ROOT / "docs" / "reference" / "errors.md"

ROOMS = "rooms"
SHELLS = "shells"
"""The names of the two lists; each stands between a line that begins it and one that ends it."""

NO_CLASS = "Of no class"
"""What is said on stderr beside them."""
_ON_STDERR = ("_no",)
_OPTION = re.compile(r"--[a-z-]+(?: …)?: ")
_TROUBLE = re.compile(
    r"\b(?:not|nothing|nobody|no|none|never|cannot|failed|refused?s?|denied|ended|stopped|lost|damaged|too|full|only|"
    r"missing|more than|other users|neither)\b|n't\b",
    re.IGNORECASE,
)
"""What a sentence has in it that tells of something that is not as somebody wanted it."""
_LEAST_WORDS = 4
_NAME = re.compile(r"^# ── (?P<name>.+?) ─+$")
_FOR_THE_AGENT = ("For the agent", "What the agent reads")
"""How the docstring of what no room reads begins."""
_INSIDE = frozenset({"NotOpened", "RaidFailed", "MatrixError", "Unreachable", "RateLimited", "Refused", "TooLarge"})
"""What is raised to be handled, or said in the log only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One row."""

    text: str
    means: str


def in_rooms() -> dict[str, list[Sentence]]:
    """By section: what a room reads. The sections are those of the modules in `render`."""
    found: dict[str, list[Sentence]] = {}
    for file in [*sorted((PACKAGE / "render").glob("*.py")), PACKAGE / "core" / "errors.py"]:
        text = file.read_text("utf-8")
        module = ast.parse(text)
        names = {
            number: match["name"] for number, line in enumerate(text.splitlines(), 1) if (match := _NAME.match(line))
        }
        title = (ast.get_docstring(module) or "").partition("\n")[0].rstrip(".")
        for place, sentence in _said(module):
            section = next((name for number, name in reversed(names.items()) if number < place), title)
            found.setdefault(section, []).append(sentence)
    return found


def in_shells() -> dict[str, list[Sentence]]:
    """By error: what stands in the last lines of a program that ends with it."""
    found: dict[str, list[Sentence]] = {}
    ours = _errors()
    for file in sorted(PACKAGE.rglob("*.py")):
        is_typed, is_config = _is_typed(file), _is_config(file)
        pieces = {id(piece) for each in _nodes(file) if isinstance(each, ast.JoinedStr) for piece in each.values}
        for node in _nodes(file):
            match node:
                case (
                    ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[said, *_]))
                    | ast.Return(value=ast.Call(func=ast.Name(id=name), args=[said, *_]))
                ) if name in ours:
                    pass
                case ast.JoinedStr() | ast.Constant(value=str()) if (
                    is_typed and id(node) not in pieces and _is_of_an_option(node)
                ):
                    name, said = "ConfigError", node
                case ast.Call(func=called, args=[said, *_], keywords=named) if is_typed and (
                    ast.unparse(called) in _ON_STDERR or any(each.arg == "err" for each in named)
                ):
                    name = NO_CLASS
                case ast.Call(func=ast.Name(id="Step"), keywords=named) if is_typed:
                    name, said = NO_CLASS, next((each.value for each in named if each.arg == "why"), ast.Constant(""))
                case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError"), args=[said])) if is_config:
                    name = "ConfigError"
                case ast.Call(func=ast.Attribute(attr="add", value=who), args=[_, said, *_]) if is_config and (
                    "problems" in ast.unparse(who)
                ):
                    name = "ConfigError"
                case _:
                    continue
            texts = said.elts if isinstance(said, ast.List) else [said]
            found.setdefault(name, []).extend(
                Sentence(text=text.strip(), means="")
                for each in texts
                for text in _templates(each, {})
                if name != NO_CLASS or _TROUBLE.search(text)
            )
    return {name: _once(sentences) for name, sentences in sorted(found.items())}


@cache
def _nodes(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(file.read_text("utf-8"))))


def _is_config(file: Path) -> bool:
    """Whether it reads config.yaml, and what it finds there goes into one `ConfigError`."""
    return file.parent == PACKAGE / "config"


def _is_typed(file: Path) -> bool:
    """Whether it is what is typed in a shell, or what that says of its steps."""
    return PACKAGE / "cli" in file.parents or file.parent == PACKAGE / "bootstrap"


def _is_of_an_option(node: ast.expr) -> bool:
    """Whether a text says what is wrong with an option: it begins with that."""
    return any(map(_OPTION.match, _templates(node, {})))


def _errors() -> set[str]:
    bases: dict[str, list[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in _nodes(file):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]

    def is_ours(name: str) -> bool:
        return name == "AppError" or any(map(is_ours, bases.get(name, ())))

    return {name for name in bases if is_ours(name)} - _INSIDE


def _said(module: ast.Module) -> Iterator[tuple[int, Sentence]]:
    """Every sentence of a module that tells of trouble, and the line where what makes it begins."""
    constants = _constants(module)
    for node, after in zip(module.body, [*module.body[1:], None], strict=True):
        match node:
            case ast.FunctionDef(name=name, lineno=place):
                means = (ast.get_docstring(node) or "").partition("\n")[0]
                returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                texts = (
                    [] if name.startswith("_") else [text for each in returned for text in _templates(each, constants)]
                )
            case (
                ast.Assign(lineno=place, targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(lineno=place, target=ast.Name(id=name), value=ast.expr() as value)
            ):
                yield from _constant(place, name, value, _docstring(after), constants)
                continue
            case ast.ClassDef(lineno=place):
                means = (ast.get_docstring(node) or "").partition("\n")[0]
                texts = [text for each in node.body for text in _human(each)]
            case _:
                continue
        yield from _rows(place, texts, means)


def _constant(
    place: int, name: str, value: ast.expr, means: str, constants: dict[str, str]
) -> Iterator[tuple[int, Sentence]]:
    """A text, or a table of them: without words about it, its name must do."""
    if not isinstance(value, ast.Dict):
        yield from _rows(place, _templates(value, constants), means or _spelled(name))
        return
    for key, each in zip(value.keys, value.values, strict=True):
        yield from _rows(place, _templates(each, constants), _spelled(ast.unparse(key)) if key else means)


def _rows(place: int, texts: list[str], means: str) -> Iterator[tuple[int, Sentence]]:
    for text in texts:
        if not means.startswith(_FOR_THE_AGENT) and _TROUBLE.search(text) and len(text.split()) >= _LEAST_WORDS:
            yield place, Sentence(text=text, means=means)


def _spelled(name: str) -> str:
    """`Failure.USAGE_LIMIT` as "Usage limit"."""
    plain = name.rpartition(".")[2].strip("'\"").replace("_", " ").strip().lower()
    return f"{plain[:1].upper()}{plain[1:]}"


def _human(node: ast.stmt) -> list[str]:
    match node:
        case (
            ast.Assign(targets=[ast.Name(id="human")], value=value)
            | ast.AnnAssign(target=ast.Name(id="human"), value=ast.expr() as value)
        ):
            return _templates(value, {})
        case _:
            return []


def _docstring(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text.partition("\n")[0]
        case _:
            return ""


def _constants(module: ast.Module) -> dict[str, str]:
    """The texts that others are put together of."""
    found: dict[str, str] = {}
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if texts := _templates(value, found):
                    found[name] = texts[0]
            case _:
                continue
    return found


def _templates(node: ast.expr, constants: dict[str, str]) -> list[str]:
    """The texts that an expression can be, with … for what is filled in; none when it is not put together of texts."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name) if name in constants:
            return [constants[name]]
        case ast.JoinedStr(values=parts):
            return ["".join(_part(part, constants) for part in parts)]
        case ast.IfExp(body=one, orelse=other):
            return [*_templates(one, constants), *_templates(other, constants)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [
                one + other for one in _templates(left, constants) for other in _templates(right, constants) or ["…"]
            ]
        case _:
            return []


def _part(part: ast.expr, constants: dict[str, str]) -> str:
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return constants[name]
        case _:
            return "…"


def _once(sentences: list[Sentence]) -> list[Sentence]:
    return list(dict.fromkeys(sentence for sentence in sentences if len(sentence.text.split()) >= _LEAST_WORDS))


def listed(which: str) -> str:
    """One of the two lists, as Markdown."""
    if which == ROOMS:
        sections = {name: ("said when", sentences) for name, sentences in in_rooms().items()}
    else:
        sections = {
            name if name == NO_CLASS else f"`{name}`": ("", sentences) for name, sentences in in_shells().items()
        }
    return "\n".join(line for name, (means, rows) in sections.items() for line in _section(name, means, rows))


def _section(name: str, means: str, rows: list[Sentence]) -> list[str]:
    if not rows:
        return []
    if not means:
        return [f"### {name}", "", *(f"- {_cell(row.text)}" for row in rows), ""]
    body = (f"| {_cell(row.text)} | {_cell(row.means)} |" for row in rows)
    return [f"### {name[0].upper()}{name[1:]}", "", f"| the room reads | {means} |", "|---|---|", *body, ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def page() -> str:
    """The whole page, with both lists as they are now."""
    text = PAGE.read_text("utf-8")
    for which in (ROOMS, SHELLS):
        begin, end = f"<!-- {which}: written by rig/errors_page.py -->", f"<!-- end of {which} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        assert found, f"{PAGE} has no list of {which}"
        text = f"{before}{begin}\n\n{listed(which)}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
