"""Every command on the pages is run by a test, or says why not (`command_blocks.py` has the rules)."""

import re
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.command_blocks import PAGES, ROOT, SCENES, Block, Shell, blocks, of_scene, parse

BLOCKS = blocks()
COMMANDS = [block for block in BLOCKS if block.language == "sh"]
OTHER_NAMES_OF_SH = {"", "bash", "console", "shell", "shell-session", "zsh"}
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


def is_run_by(block: Block, text: str) -> bool:
    """Whether a test runs it: it opens the page, or has all of its words."""
    return Path(block.page).name in text or all(word in text for each in block.commands for word in words(each))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_is_a_fence_and_all_of_them_are_found(page: Path) -> None:
    found = Counter(token.type for token in MarkdownIt().parse(page.read_text(encoding="utf-8")))

    assert found["code_block"] == 0, "a block by indentation says no language"
    assert found["fence"] == len(blocks(str(page.relative_to(ROOT))))


def test_every_fence_says_its_language() -> None:
    assert [block.place for block in BLOCKS if block.language in OTHER_NAMES_OF_SH] == []


def test_what_begins_like_a_command_is_one() -> None:
    texts = [block for block in BLOCKS if block.language == "text" and block.text.strip()]

    assert [block.place for block in texts if block.text.split()[0].strip("$") in PROGRAMS] == []


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
        if not file.is_file() or not is_run_by(block, file.read_text(encoding="utf-8")):
            wrong.append((block.place, block.what))

    assert wrong == []


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


@pytest.mark.parametrize(("text", "runs"), [("keys export", True), ("keys", False), ("see page.md", True)])
def test_a_test_that_does_something_else_is_found_out(text: str, runs: bool) -> None:
    block = Block(page="docs/page.md", line=1, language="sh", text="aiagentchat keys export /root/file\n")

    assert is_run_by(block, text) is runs


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
