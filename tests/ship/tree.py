"""A copy of this tree with a git of its own, in which jobs and releases may write."""

import shutil
import subprocess
from pathlib import Path

from rig.setup import ROOT
from rig.unprivileged import clean_env

_BORROWED = (".venv", ".rig")
"""Made once for all trees."""


def git(tree: Path, *words: str) -> str:
    """What git says, as somebody who may commit."""
    named = ["-c", "user.name=A test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    environ = clean_env(HOME=str(tree.parent), GIT_CONFIG_NOSYSTEM="1")
    done = subprocess.run(["git", *named, *words], check=True, capture_output=True, text=True, cwd=tree, env=environ)
    return done.stdout


def commit(tree: Path) -> None:
    """All that lies there."""
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "As it lies there")


def copied(tree: Path) -> Path:
    """What git has here, with changes, as one commit. Times are kept, so that make finds everything done."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    git(tree, "init", "--quiet", "--initial-branch=main")
    for name in _BORROWED:
        (tree / name).symlink_to(ROOT / name)
    with (tree / ".git/info/exclude").open("a", encoding="utf-8") as file:
        file.write("".join(f"{name}\n" for name in [*_BORROWED, ".pipeline"]))
    commit(tree)
    # As a clone has it, though nobody is there: what a change is compared with.
    git(tree, "remote", "add", "origin", "https://git.invalid/people/aiagentchat.git")
    git(tree, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(tree, "update-ref", "refs/remotes/origin/main", "HEAD")
    return tree


def as_release(tree: Path) -> str:
    """Let a copied tree agree that it is a release. Its tag."""
    version = (tree / "aiagentchat/__init__.py").read_text("utf-8").split('__version__ = "')[1].split('"')[0]
    changelog = tree / "CHANGELOG.md"
    head, _, rest = changelog.read_text("utf-8").partition("\n## ")
    changelog.write_text(f"{head}\n## {version}: 2026-12-01\n{rest.partition(chr(10))[2]}", "utf-8")
    commit(tree)
    git(tree, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(tree, "tag", f"v{version}")
    return f"v{version}"
