"""Every command on the pages is run by a test, or says why not (`command_blocks.py` has the rules)."""

import re
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.command_blocks import PAGES, ROOT, SCENES, Block, Shell, blocks, of_scene, parse

BLOCKS = blocks()
COMMANDS = [block for block in BLOCKS if block.language == "sh"]
LANGUAGES = {"sh", "text", "yaml", "json", "logql", "python", "ini", "mermaid"}
"""Commands are in `sh`. A list of what else there is, because a shell has more names than anybody thinks of."""
PROMPT = re.compile(r"^\s*(?:\$|#|>|\w+@[\w.-]+[:~\w/ -]*[#$])\s+")
PROGRAMS = {
    *("aiagentchat", "cchat", "make", "./deploy.sh", "docker", "podman", "pip", "python", "python3", "git", "curl"),
    *("systemctl", "journalctl", "apt-get", "sudo", "install", "cp", "mv", "mkdir", "cd", "export", "echo", "promtool"),
}
FILE = re.compile(r"\btests/[\w/]+\.\w+")
WORD = re.compile(r"(?:--)?[a-z][a-z_.-]+")


def words(command: str) -> set[str]:
    """What tells a command from others: its program, unless it is one of ours, subcommands and options."""
    found = {each.removeprefix("./") for each in command.split() if WORD.fullmatch(each.removeprefix("./"))}
    return found - {"aiagentchat", "cchat", "sudo"}


def is_run_by(block: Block, file: str, text: str) -> bool:
    """Whether a test runs it: in Python it opens the page; in a shell it has all of its words, but for comments."""
    if file.endswith(".py"):
        return f'blocks("{block.page}")' in text
    typed = re.sub(r"(?m)(^|\s)#.*", "", text)
    return all(
        re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", typed) for each in block.commands for word in words(each)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_is_a_fence_and_all_of_them_are_found(page: Path) -> None:
    found = Counter(token.type for token in MarkdownIt().parse(page.read_text(encoding="utf-8")))

    assert found["code_block"] == 0, "a block by indentation says no language"
    assert found["fence"] == len(blocks(str(page.relative_to(ROOT))))


def hides_a_command(block: Block) -> bool:
    """Whether a line of what is no block of commands is one: with a prompt before it, with variables, behind others."""
    for line in block.text.splitlines():
        words = PROMPT.sub("", line).split()
        while words and re.fullmatch(r"\w+=\S*|sudo|env|nice|exec", words[0]):
            words = words[1:]
        # One word alone is a name, as in a drawing or an answer; what is drawn has its words far apart.
        if len(words) > 1 and words[0] in PROGRAMS and f"{words[0]} {words[1]}" in line:
            return True
    return False


def test_every_fence_says_its_language_and_there_is_one_for_commands() -> None:
    assert {block.language for block in BLOCKS} == LANGUAGES


def test_no_command_stands_in_another_language() -> None:
    assert [block.place for block in BLOCKS if block.language != "sh" and hides_a_command(block)] == []


@pytest.mark.parametrize(
    "text",
    ["make demo", "$ aiagentchat run", "# as root:\naiagentchat run", "anna@host:~$ make demo", "A=1 sudo cp -r a b"],
)
def test_a_command_in_another_language_is_found(text: str) -> None:
    assert hides_a_command(Block(page="docs/page.md", line=1, language="text", text=f"{text}\n"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_blocks_in_html(page: Path) -> None:
    html = [each.content for each in MarkdownIt().parse(page.read_text(encoding="utf-8")) if each.type == "html_block"]

    assert [text for text in html if re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip()] == []


def test_every_block_of_commands_is_run_or_says_why_not() -> None:
    silent = [block.place for block in COMMANDS if not block.how]

    assert silent == [], f"{len(silent)} of {len(COMMANDS)} blocks neither are run nor say why not"


def test_every_scene_that_a_block_names_is_played_and_every_scene_has_blocks() -> None:
    named = {block.scene for block in COMMANDS if block.how == "run"}

    assert named == SCENES.keys()
    for scene, file in SCENES.items():
        assert f'of_scene("{scene}")' in (ROOT / file).read_text(encoding="utf-8")
        assert of_scene(scene)


def test_a_reason_is_a_sentence_and_the_tests_that_it_names_are_there() -> None:
    short = [block.place for block in COMMANDS if block.how == "not run" and len(block.what.split()) < 4]
    gone = [
        (block.place, file)
        for block in COMMANDS
        if block.how != "run"
        for file in FILE.findall(block.what)
        if not (ROOT / file).is_file()
    ]

    assert (short, gone) == ([], [])


def test_a_test_that_runs_a_block_has_its_words() -> None:
    wrong = []
    for block in (block for block in COMMANDS if block.how == "run by"):
        file = ROOT / block.what
        if not file.is_file() or not is_run_by(block, file.name, file.read_text(encoding="utf-8")):
            wrong.append((block.place, block.what))

    assert wrong == []


def test_the_readme_installs_it_as_the_tutorial_does_which_is_run() -> None:
    told, run = (
        [
            line
            for block in blocks(page)
            if block.language == "sh"
            for line in block.commands
            if ".venv" in line.split()[0]
        ]
        for page in ("README.md", "docs/tutorial/first-room.md")
    )

    assert len(told) == 3
    assert [line for line in told if line not in run] == []


def test_a_comment_stands_right_before_its_fence() -> None:
    for page in sorted({block.page for block in BLOCKS}):
        comments = re.findall(
            r"^ *<!-- (?:run|run by|not run): ", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE
        )

        assert len(comments) == sum(bool(block.how) for block in blocks(page)), page


PAGE = """\
Text.

<!-- run: house -->
```sh
one \\
    two   # three
```

1. A step:

   <!-- not run: it would take a day -->
   ```sh
   four
     five
   ```

<!-- run: house -->

```text
six
```
"""


def test_blocks_are_found_with_what_is_said_of_them() -> None:
    first, second, third = parse("page.md", PAGE)

    assert (first.place, first.how, first.what, first.commands) == ("page.md:4", "run", "house", ["one  two"])
    assert (second.text, second.how, second.what) == ("four\n  five\n", "not run", "it would take a day")
    assert (third.language, third.how) == ("text", "")


@pytest.mark.parametrize(
    ("file", "text", "runs"),
    [
        ("test_x.py", '[block] = blocks("docs/page.md")', True),
        ("test_x.py", '"""Tells `aiagentchat keys export`, as on page.md."""', False),
        ("x.bats", "run -0 keys export", True),
        ("x.bats", "run -0 keys", False),
        ("x.bats", "run -0 keys  # and export", False),
        ("x.bats", "run -0 keys-export", False),
    ],
)
def test_a_test_that_does_something_else_is_found_out(file: str, text: str, runs: bool) -> None:
    block = Block(page="docs/page.md", line=1, language="sh", text="aiagentchat keys export /root/file\n")

    assert is_run_by(block, file, text) is runs


def test_a_shell_keeps_its_folder_and_its_variables_and_says_what_failed(workplace: Path) -> None:
    shell = Shell(workplace, {"PATH": "/usr/bin:/bin"}, {"SIDE": "side"})
    begin = Block(page="page.md", line=1, language="sh", text="mkdir SIDE\ncd SIDE\nword=good\n")
    after = Block(page="page.md", line=9, language="sh", text="echo $word > said\npwd\n")
    shell.run(begin)

    assert shell.run(after).stdout == f"{workplace}/side\n"
    assert (workplace / "side/said").read_text() == "good\n"
    with pytest.raises(AssertionError, match=r"page\.md:5 ended with 3"):
        shell.run(Block(page="page.md", line=5, language="sh", text="(exit 3)\ntrue\n"))
    shell.forget()
    assert shell.run(Block(page="page.md", line=1, language="sh", text="pwd\n")).stdout == f"{workplace}\n"


def test_what_stays_in_the_foreground_takes_the_place_of_the_shell(workplace: Path) -> None:
    shell = Shell(workplace, {}, {})
    block = Block(page="page.md", line=1, language="sh", text="one\ntwo && three --four\n")

    assert shell.script(block, foreground=True).endswith("\none\ntwo\nexec three --four\n")
