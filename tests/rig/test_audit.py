"""What came of asking about pins: a package that nobody answers for is no package of which nothing is known."""

from pathlib import Path
from typing import Any

import pytest

from rig.audit import KNOWN, NOT_ASKED, NOTHING_KNOWN, Finding, files, judge, verdict
from rig.pins import pins

NOT_FOUND = "Dependency not found on PyPI and could not be audited: aiohttp (3.14.5)"
WANTED = {"aiohttp": "3.14.5", "markdown-it-py": "4.3.0"}


def answers(*each: dict[str, Any]) -> dict[str, Any]:
    """As pip-audit 2.10 prints them."""
    return {"dependencies": list(each), "fixes": []}


def answered(name: str, version: str, *holes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": version, "vulns": list(holes)}


def test_all_is_well_where_each_pin_was_answered_for() -> None:
    finding = judge(WANTED, answers(answered("aiohttp", "3.14.5"), answered("Markdown_It.py", "4.3.0")))

    assert finding == Finding(asked=("aiohttp", "markdown-it-py"))


def test_a_hole_is_said_with_all_of_its_names_and_what_mends_it() -> None:
    mended = {"id": "PYSEC-1", "fix_versions": ["3.14.6", "4.0"], "aliases": ["CVE-2026-1"]}
    open_still = {"id": "PYSEC-2", "fix_versions": [], "aliases": []}

    assert judge(WANTED, answers(answered("aiohttp", "3.14.5", mended, open_still))).known == (
        "aiohttp 3.14.5: PYSEC-1, CVE-2026-1; mended in 3.14.6, 4.0",
        "aiohttp 3.14.5: PYSEC-2; not mended yet",
    )


@pytest.mark.parametrize(
    "said",
    [
        None,
        answers(),
        answers({"name": "aiohttp", "skip_reason": NOT_FOUND}),
        answers(answered("aiohttp", "3.14.4")),
    ],
    ids=["nothing", "no word of it", "skipped", "another version"],
)
def test_what_was_not_answered_for_is_unasked(said: dict[str, Any] | None) -> None:
    assert judge({"aiohttp": "3.14.5"}, said) == Finding(asked=(), unasked=("aiohttp 3.14.5",))


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([Finding(("a",)), Finding(("b",))], NOTHING_KNOWN),
        ([Finding(("a",)), Finding((), unasked=("b 1",))], NOT_ASKED),
        ([Finding(("a",), known=("a 1: X",)), Finding((), unasked=("b 1",))], KNOWN),
        ([Finding(("a",), known=("a 1: X",))], KNOWN),
    ],
)
def test_it_is_a_pass_only_where_everything_was_asked(findings: list[Finding], code: int) -> None:
    assert verdict(findings) == code


@pytest.mark.parametrize("file", files(), ids=lambda file: file.name)
def test_every_line_that_pins_something_is_read_with_its_hashes(file: Path) -> None:
    found = list(pins(file))

    assert len(found) == file.read_text("utf-8").count("==") - _markers(file)
    assert all(pin.hashes for pin in found)


def _markers(file: Path) -> int:
    """How often == stands in a condition."""
    return sum(line.partition(";")[2].count("==") for line in file.read_text("utf-8").splitlines() if "==" in line)


def test_a_pin_knows_whether_it_is_for_this_machine_and_who_wants_it(tmp_path: Path) -> None:
    hashed = f"    --hash=sha256:{'0' * 64}"
    file = tmp_path / "requirements.txt"
    file.write_text(
        f"# made\nColor.ama==0.4.6 ; sys_platform == 'win32' \\\n{hashed} \\\n{hashed}\n    # via click\n"
        f"mcp[cli]==1.30.0 \\\n{hashed}\n    # via\n    #   aiagentchat (pyproject.toml)\n    #   other\nplain==1\n",
        "utf-8",
    )

    windows, mcp, plain = pins(file)
    assert (windows.name, windows.version, windows.here, windows.via) == ("color-ama", "0.4.6", False, ("click",))
    assert windows.hashes == ("0" * 64,) * 2
    assert (mcp.name, mcp.here, mcp.via) == ("mcp", True, ("aiagentchat (pyproject.toml)", "other"))
    assert (plain.name, plain.version, plain.hashes, plain.via) == ("plain", "1", (), ())
