"""What the package imports is what it declares, so that it runs where only its requirements are installed."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMES = {
    "PIL": "pillow",
    "markdown_it": "markdown-it-py",
    "nio": "matrix-nio",
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",
    "yaml": "pyyaml",
}
"""Modules that are not called like the package that brings them."""


def imported() -> set[str]:
    """The packages that modules of ours name in an import, at any depth."""
    modules: set[str] = set()
    for file in (ROOT / "aiagentchat").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            modules |= {name.partition(".")[0] for name in names}
    return {NAMES.get(module, module) for module in modules - sys.stdlib_module_names - {"aiagentchat"}}


def test_every_imported_package_is_declared_and_every_declared_one_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert imported() == {re.split(r"[<>=[]", line)[0] for line in project["dependencies"]}


def test_every_declared_package_is_pinned_with_a_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w.-]+)(?:\[\w+\])?==\S+ \\\n    --hash=sha256:", pins, re.MULTILINE)

    assert {re.split(r"[<>=[]", line)[0] for line in project["dependencies"]} <= set(pinned)
