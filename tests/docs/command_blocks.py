"""The fenced blocks of the pages, and what becomes of those that are commands.

A fence says its language: `sh` for what is typed in a shell, `text` for what is only read. The line before an `sh`
fence says, in a comment that no reader of the page sees, one of these:

    <!-- run: SCENE -->        a test runs this very block, in that scene (`SCENES`); behind the scene may stand
                               ", in a new terminal", where the blocks before it on the page have left their variables
    <!-- run by: FILE -->      that test runs the same commands, or this block out of the page
    <!-- not run: REASON -->   nobody runs it here, and why
"""

import re
import shlex
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.unprivileged import as_unprivileged

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *(ROOT / "docs").rglob("*.md")]
)

SCENES = {
    "first room": "tests/e2e/test_first_room.py",
    "bare machine": "tests/e2e/test_bare_machine.py",
    "house": "tests/e2e/test_command_blocks.py",
}
"""Each with the one test that runs its blocks, all of them, in the order of the pages."""

NEW_TERMINAL = ", in a new terminal"

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"^ *<!-- (?P<how>run|run by|not run): (?P<what>[^\n]+?) -->\n\Z", re.MULTILINE)
_ALONE = 120.0
"""Seconds that a block may take, unless its test says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `how` and `what` are of the comment before it, empty where there is none."""

    page: str
    line: int
    language: str
    text: str
    how: str = ""
    what: str = ""

    @property
    def place(self) -> str:
        """For a message: the page, and the line of the fence."""
        return f"{self.page}:{self.line}"

    @property
    def scene(self) -> str:
        """Where it is to be run; empty where it is not."""
        return self.what.removesuffix(NEW_TERMINAL) if self.how == "run" else ""

    @property
    def is_in_a_new_terminal(self) -> bool:
        """Whether it does not go on from the block before."""
        return self.how == "run" and self.what.endswith(NEW_TERMINAL)

    @property
    def commands(self) -> list[str]:
        """Its lines, put together where they go on, without comments."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        return [line for line in (re.sub(r"(^|\s+)#.*", "", each).strip() for each in joined.splitlines()) if line]


def parse(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()]
        comment = _COMMENT.search(before[before[:-1].rfind("\n") + 1 :])
        yield Block(
            page=page,
            line=before.count("\n") + 1,
            language=fence["language"].strip(),
            text=re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE),
            how=comment["how"] if comment else "",
            what=comment["what"] if comment else "",
        )


def blocks(*pages: str) -> list[Block]:
    """Those of these pages, or of all."""
    chosen = [ROOT / page for page in pages] or PAGES
    return [block for page in chosen for block in parse(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))]


def of_scene(scene: str) -> list[Block]:
    """The blocks that are to be run there."""
    return [block for block in blocks() if block.scene == scene]


@dataclass(slots=True)
class Shell:
    """A shell of somebody who follows the pages: he keeps his folder and his variables from one block to the next."""

    folder: Path
    """Where he begins."""
    environ: Mapping[str, str]
    instead: dict[str, str]
    """What stands on the pages for what is his own, such as the name of his homeserver, and what that is here."""

    def script(self, block: Block, *, foreground: bool = False) -> str:
        """What is typed. What stays in the `foreground` is the last command, and takes the place of the shell."""
        text = block.text
        for word, own in self.instead.items():
            text = text.replace(word, own)
        state = shlex.quote(str(self._state))
        if foreground:
            rest, _, last = text.rstrip("\n").rpartition("\n")
            steps, _, program = last.rpartition(" && ")
            text = "\n".join(filter(None, (rest, steps.removesuffix(" && "), f"exec {program}")))
        end = "" if foreground else f"export -p > {state}\necho \"cd '$PWD'\" >> {state}\n"
        return f"set -ea\n. {state}\n{text}\n{end}"

    def run(
        self, block: Block, *, within: float = _ALONE, typed: str = "", may_end_with: Collection[int] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        """Type it, and wait. Raises AssertionError with what it said if it fails."""
        keys = self.folder / ".typed"  # a file, because whoever may not open our pipes may open that
        keys.write_text(typed, encoding="utf-8")
        keys.chmod(0o644)
        with keys.open("rb") as keyboard:
            done = subprocess.run(
                self.argv(block),
                check=False,
                env=dict(self.environ),
                cwd=self.folder,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=within,
                stdin=keyboard,
            )
        assert done.returncode in may_end_with, (
            f"{block.place} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def argv(self, block: Block, *, foreground: bool = False) -> list[str]:
        """For a test that looks on while it runs."""
        if not self._state.exists():
            self._state.write_text(f"cd {shlex.quote(str(self.folder))}\n", encoding="utf-8")
            self._state.chmod(0o666)  # whom the shell belongs to may be somebody else than who begins it
        return [*as_unprivileged(), "sh", "-c", self.script(block, foreground=foreground)]

    def forget(self) -> None:
        """Another page: another terminal."""
        self._state.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.folder / ".shell-state"
