"""docs/reference/log-events.md lists every event that is logged, with its level and fields, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/log-events.md").read_text(encoding="utf-8")

LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
Entry = tuple[str, frozenset[str], frozenset[str]]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call that logs, and where. A logger handed over as a function (`f(log.info, "name")`) counts too."""
    for file in sorted((ROOT / "aiagentchat").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (call := _logging(node)) is not None:
                yield f"{file.relative_to(ROOT)}: {ast.unparse(node)}", call


def _logging(node: ast.Call) -> ast.Call | None:
    if isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS and _is_logger(node.func.value):
        return node
    for position, argument in enumerate(node.args):
        if isinstance(argument, ast.Attribute) and argument.attr in LEVELS and _is_logger(argument.value):
            return ast.Call(argument, node.args[position + 1 :], [])
    return None


def _is_logger(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return text in {"log", "bound"} or text.startswith("structlog.get_logger(")


def logged() -> set[Entry]:
    """What the code logs."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for _, call in calls():
        assert isinstance(call.func, ast.Attribute)
        levels, fields = found.setdefault(ast.literal_eval(call.args[0]), (set(), set()))
        levels.add(LEVELS[call.func.attr])
        fields.update(keyword.arg or "**" for keyword in call.keywords)
    return {(name, frozenset(levels), frozenset(fields)) for name, (levels, fields) in found.items()}


def documented() -> list[Entry]:
    """What the page says."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([\w, ]+) \| ([^|]*) \| [^|]*\. \|$", PAGE, re.MULTILINE)
    return [
        (name, frozenset(levels.split(", ")), frozenset(re.findall(r"`(\w+)`", fields)))
        for name, levels, fields in rows
    ]


def test_every_event_has_a_constant_name_of_two_words() -> None:
    names = {
        where: call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        for where, call in calls()
    }

    assert len(names) > 40
    assert [where for where, name in names.items() if not re.fullmatch(r"[a-z]+\.[a-z_]+", str(name))] == []


def test_the_reference_lists_exactly_the_events_there_are_with_their_levels_and_fields() -> None:
    assert set(documented()) == logged()


def test_every_event_is_explained_once() -> None:
    assert (
        len(documented()) == len({name for name, *_ in documented()}) == len(re.findall(r"^\| `", PAGE, re.MULTILINE))
    )
