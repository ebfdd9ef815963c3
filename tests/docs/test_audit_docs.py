"""docs/reference/audit.md lists every kind of line, and nothing else."""

import re
from pathlib import Path

from aiagentchat.core.audit import AuditKind

PAGE = Path(__file__).parents[2] / "docs/reference/audit.md"


def test_the_page_has_exactly_the_kinds_that_there_are() -> None:
    kinds = PAGE.read_text(encoding="utf-8").partition("## Kinds")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", kinds, re.MULTILINE)

    assert sorted(kind for row in rows for kind in re.findall(r"`(\w+)`", row)) == sorted(AuditKind)
