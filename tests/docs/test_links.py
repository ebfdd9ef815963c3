"""What the pages point at is there: relative links, headings in them, and every file of ours that is named in code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "aiagentchat"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "rooms/README.md"])

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
OURS = re.compile(r"\.(?:py|sql|sh|service|toml)$")


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Where its links lead that stay in the house."""
    return [target for target in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as forges make them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def is_ours(token: str) -> bool:
    """Whether a piece of code names a file or folder of this repository: by a folder of ours, or by its ending."""
    first = token.partition("/")[0]
    in_a_folder = "/" in token and first.strip(".") and ((ROOT / first).is_dir() or (PACKAGE / first).is_dir())
    return bool(in_a_folder or OURS.search(token))


def named_files(page: Path) -> list[str]:
    """The files of ours that the page names in code."""
    return [token for token in CODE.findall(prose(page)) if PATH.fullmatch(token) and is_ours(token)]


def exists(page: Path, name: str) -> bool:
    """From the top, from the package, or beside the page."""
    return any((folder / name).exists() for folder in (ROOT, PACKAGE, page.parent))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(page: Path) -> None:
    assert [name for name in named_files(page) if not exists(page, name)] == []


def test_every_test_that_is_named_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", prose(page))}
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))

    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_every_page_of_the_docs_can_be_reached_from_their_index() -> None:
    index = ROOT / "docs/README.md"
    reached, todo = set(), [index]
    while todo:
        page = todo.pop()
        if page not in reached:
            reached.add(page)
            found = ((page.parent / target.partition("#")[0]).resolve() for target in links(page))
            todo += [path for path in found if path.suffix == ".md" and path.is_file()]

    assert sorted(page for page in PAGES if page.is_relative_to(index.parent) and page not in reached) == []


def test_a_name_is_taken_for_a_file_only_where_it_is_one_of_ours() -> None:
    assert [is_ours(token) for token in ("core/errors.py", "deploy/gone.md", "nowhere.py")] == [True] * 3
    assert [is_ours(token) for token in ("application/json", "turn.ended", "config.yaml", "hello.txt")] == [False] * 4
