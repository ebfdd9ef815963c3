"""docs/reference/errors.md has every error, and every sentence about one; and no sentence is out of its place."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import aiagentchat
from aiagentchat.core.errors import AppError
from rig import errors_page

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "aiagentchat"
PAGE = errors_page.PAGE.read_text(encoding="utf-8")

SPEAKS = ("receive", "route", "execute", "send")
"""The layers whose every sentence a room would read, if they had one of their own."""
_SENTENCE = re.compile(r"[A-Z][^\n]* [^\n]* [^\n]*[.!?]$")
_SAID_TO_NOBODY = {"structlog.get_logger", "AssertionError", "RuntimeError", "ValueError"}


def errors(kind: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """It and everything that is one, in the whole package."""
    yield kind
    for child in kind.__subclasses__():
        yield from errors(child)


def test_the_reference_lists_exactly_the_errors_there_are_with_their_exit_codes() -> None:
    for module in pkgutil.walk_packages(aiagentchat.__path__, "aiagentchat."):
        # What runs in a sandbox, and a program's own entry, are started and not imported.
        if not re.search(r"__main__|\.raid|\.inside|\.shim", module.name):
            importlib.import_module(module.name)
    ours = {error for error in errors() if error.__module__.startswith("aiagentchat.")}
    documented = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)

    assert sorted(documented) == sorted((error.__name__, str(error.exit_code)) for error in ours)


def test_the_reference_has_the_sentences_as_they_are_in_the_code() -> None:
    assert errors_page.page() == PAGE, "run: python -m rig.errors_page"


def test_every_sentence_that_a_room_reads_is_in_render() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {text}"
        for layer in SPEAKS
        for file in sorted((PACKAGE / layer).rglob("*.py"))
        for text in _sentences(ast.parse(file.read_text(encoding="utf-8")))
    ]

    assert found == []


def test_what_an_error_says_to_a_room_is_in_render() -> None:
    said = [
        f"{file.relative_to(ROOT)}: {ast.unparse(node)}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "human" and not ast.unparse(node.value).startswith("words.")
    ]

    assert said == []


def _sentences(tree: ast.AST) -> Iterator[str]:
    """The texts of a module that read like sentences, without its docstrings and what is raised for programmers."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Call(func=called) if ast.unparse(called) in _SAID_TO_NOBODY:
                continue
            case ast.Constant(value=str(text)) if _SENTENCE.match(text):
                yield text
            case ast.JoinedStr(values=parts):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
                yield from [text] if _SENTENCE.match(text) else []
            case _:
                yield from _sentences(node)
