"""What the doctor found out about one thing, and what follows from all of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How one thing is, the best first."""

    OK = "ok"
    NOT_APPLICABLE = "n/a"
    """It cannot be found out, or there is nothing to find out here; the detail says why."""
    WARN = "warn"
    FAIL = "fail"


EXIT_CODES = {Verdict.OK: 0, Verdict.NOT_APPLICABLE: 0, Verdict.WARN: 10, Verdict.FAIL: 20}
"""Away from the codes of errors, so that a script can tell "something is wrong" from "could not look"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `id` is stable: scripts look for it."""

    id: str
    verdict: Verdict
    detail: str
    fix: str = ""
    """What to do about it; only where something is wrong."""

    @property
    def group(self) -> str:
        """What it belongs to: the id up to its first dot."""
        return self.id.partition(".")[0]


def ok(id_: str, detail: str) -> Row:
    """All is well."""
    return Row(id=id_, verdict=Verdict.OK, detail=detail)


def unknown(id_: str, detail: str, fix: str = "") -> Row:
    """Not to be found out here."""
    return Row(id=id_, verdict=Verdict.NOT_APPLICABLE, detail=detail, fix=fix)


def warn(id_: str, detail: str, fix: str) -> Row:
    """It works, but not as it should."""
    return Row(id=id_, verdict=Verdict.WARN, detail=detail, fix=fix)


def fail(id_: str, detail: str, fix: str) -> Row:
    """It does not work, or does not hold."""
    return Row(id=id_, verdict=Verdict.FAIL, detail=detail, fix=fix)


def exit_code(rows: Iterable[Row]) -> int:
    """The code of the worst row."""
    return max((EXIT_CODES[row.verdict] for row in rows), default=0)


def as_values(rows: Iterable[Row]) -> list[dict[str, str]]:
    """For `--json`: three keys, and the fix, where there is one, at the end of the detail."""
    return [
        {"id": row.id, "verdict": str(row.verdict), "detail": " ".join(filter(None, (row.detail, row.fix)))}
        for row in rows
    ]
