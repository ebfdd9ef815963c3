"""What a turn has changed in a folder: run as a program of its own inside of a sandbox, never by the daemon itself.

    python -ISE snapshot.py FOLDER SINCE [first]

It keeps a repository of its own in the working directory, which no run can reach, and prints one line of JSON. Standard
library only, and no import of ours: the sandbox has nothing but this file.

What git reads of FOLDER are its files, `.gitignore` and `.gitattributes`; no configuration, no hook and no repository
that lies in there. Files that changed before SINCE (nanoseconds since the epoch) were changed by others: they are taken
in first, and the difference is what came after. With `first` nothing else is done: what came after is for the next look
to find, however late this one comes.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys

MOST_BYTES = 2 * 2**20
"""Larger files are left out."""
MOST_FILES = 20_000
"""A folder with more of them is not looked at."""
MOST_TAKEN = 256 * 2**20
"""Bytes that are taken in at once."""
MOST_PATCH = 512 * 1024
"""So much of a patch is printed."""
MOST_REPOSITORIES = 50
"""Folders in FOLDER that are repositories of their own, and are looked into."""
MOST_KEPT = 512 * 2**20
"""Bytes that are kept to compare with; when so many were taken in, what is not needed any more goes."""
EXCLUDED = (
    "/long-answers/", ".git", "node_modules/", ".venv/", "venv/", "__pycache__/", "*.pyc", ".tox/", ".mypy_cache/",
    ".pytest_cache/", ".ruff_cache/", ".DS_Store",
)  # fmt: skip
"""Beside what `.gitignore` says: what is installed and made by programs, and what the daemon itself writes there."""
SETTINGS = """\
[core]
	repositoryFormatVersion = 0
	bare = false
	fsmonitor = false
	hooksPath = /dev/null
	attributesFile = /dev/null
	quotePath = false
	autocrlf = false
	fsync = none
	looseCompression = 1
[gc]
	auto = 0
"""
REPOSITORY = "git"
FIRST = "first"


class TooMuch(Exception):
    """The folder is larger than what is looked at."""


class Snapshot:
    """One look at a folder."""

    _taken = 0
    """Bytes that it has found to take in."""

    def __init__(self, folder: str, since: int) -> None:
        self._folder = folder
        self._since = since
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.getcwd(),
            "LC_ALL": "C",
            "GIT_DIR": os.path.abspath(REPOSITORY),
            "GIT_WORK_TREE": folder,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_LITERAL_PATHSPECS": "1",
        }

    def look(self, *, is_first: bool) -> dict[str, object]:
        """What has changed since, and from now on that is known; a first look only knows what was there before."""
        self._prepare()
        earlier, later = self._changed()
        self._tidy()
        self._take_in(earlier)
        if is_first or not later:
            return {"files": 0}
        before = self._git("write-tree").decode().strip()
        self._take_in(later)
        after = self._git("write-tree").decode().strip()
        return self._difference(before, after)

    def _prepare(self) -> None:
        if os.path.exists(f"{REPOSITORY}/info/exclude"):
            # Whoever held it was ended: there is one of us at a time.
            if os.path.exists(f"{REPOSITORY}/index.lock"):
                os.unlink(f"{REPOSITORY}/index.lock")
            return
        shutil.rmtree(REPOSITORY, ignore_errors=True)
        self._git("init", "--quiet", "--template=")
        os.makedirs(f"{REPOSITORY}/info")
        _write(f"{REPOSITORY}/config", SETTINGS)
        _write(f"{REPOSITORY}/info/exclude", "".join(f"{line}\n" for line in EXCLUDED))

    def _changed(self) -> tuple[list[bytes], list[bytes]]:
        """The paths of what is not as it was: what others changed before, and what changed after."""
        known = set(_paths(self._git("ls-files", "-z", "--cached")))
        found = [*_paths(self._git("diff-files", "-z", "--name-only", "--ignore-submodules=all"))]
        found += [path for path in self._untracked(b"") if path not in known]
        if len(known) + len(found) > MOST_FILES:
            raise TooMuch
        earlier: list[bytes] = []
        later: list[bytes] = []
        for path in dict.fromkeys(found):
            status = self._status(path)
            if status is not None and not _is_kept(status):
                continue
            self._taken += 0 if status is None else status.st_size
            changed = self._gone_at(path) if status is None else status.st_ctime_ns
            (earlier if changed < self._since else later).append(path)
        if self._taken > MOST_TAKEN:
            raise TooMuch
        return earlier, later

    def _untracked(self, below: bytes, left: "list[int] | None" = None) -> list[bytes]:
        """Files that git does not know; those in repositories of their own, too, which git keeps out of."""
        left = [MOST_REPOSITORIES] if left is None else left
        environment = self._environment
        if below:
            tree = os.path.join(self._folder, os.fsdecode(below))
            environment = {**environment, "GIT_WORK_TREE": tree, "GIT_INDEX_FILE": f"{environment['GIT_DIR']}/none"}
        found = []
        for path in _paths(self._git("ls-files", "-z", "--others", "--exclude-standard", environment=environment)):
            if not path.endswith(b"/"):
                found.append(below + path)
            elif left[0] > 0:
                left[0] -= 1
                found += self._untracked(below + path, left)
            if len(found) > MOST_FILES:
                raise TooMuch
        return found

    def _status(self, path: bytes) -> "os.stat_result | None":
        try:
            return os.lstat(os.path.join(os.fsencode(self._folder), path))
        except OSError:
            return None

    def _gone_at(self, path: bytes) -> int:
        """When it was deleted at the latest: the folder that it was in has changed then, or is gone, too."""
        while path := os.path.dirname(path):
            status = self._status(path)
            if status is not None:
                return status.st_ctime_ns
        return os.stat(self._folder).st_ctime_ns

    def _take_in(self, paths: list[bytes]) -> None:
        if paths:
            given = b"".join(path + b"\0" for path in paths)
            self._git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", given=given)

    def _difference(self, before: str, after: str) -> dict[str, object]:
        plain = ("diff-tree", "-r", "-M", "--no-color", "--no-ext-diff", "--no-textconv")
        head, _, patch = self._git(*plain, "--shortstat", "-p", before, after).partition(b"\n\n")
        numbers = head.decode("ascii", "replace")
        return {
            "files": _number(r"(\d+) files? changed", numbers),
            "added": _number(r"(\d+) insertions?", numbers),
            "removed": _number(r"(\d+) deletions?", numbers),
            "patch": patch[:MOST_PATCH].decode("utf-8", "replace"),
            "cut": len(patch) > MOST_PATCH,
        }

    def _tidy(self) -> None:
        """Before more is taken in than is kept. What only earlier looks needed goes first."""
        if self._taken == 0:
            return
        kept = self._taken + _read_number(f"{REPOSITORY}/taken")
        if kept > MOST_KEPT:
            self._git("prune", "--expire=now")
            kept = self._taken + 1024 * _number(r"\bsize: (\d+)", self._git("count-objects", "-v").decode())
        if kept > MOST_KEPT:
            shutil.rmtree(REPOSITORY, ignore_errors=True)
            raise TooMuch
        _write(f"{REPOSITORY}/taken", str(kept))

    def _git(self, *words: str, given: bytes = b"", environment: "dict[str, str] | None" = None) -> bytes:
        environment = environment or self._environment
        # In the tree itself: where git writes its index elsewhere, it does not see what has changed within a second.
        done = subprocess.run(
            ["git", *words],
            input=given,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=environment["GIT_WORK_TREE"],
            check=True,
        )
        return done.stdout


def _is_kept(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES)


def _write(path: str, text: str) -> None:
    """Whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def _read_number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _paths(listed: bytes) -> list[bytes]:
    return [path for path in listed.split(b"\0") if path]


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def main() -> None:
    """Print what was found, or why nothing was."""
    folder, since, *wish = sys.argv[1:]
    try:
        found = Snapshot(folder, int(since)).look(is_first=wish == [FIRST])
    except TooMuch:
        found = {"why": "too large"}
    except FileNotFoundError:
        found = {"why": "no git"}
    except subprocess.CalledProcessError:
        # What it keeps may be broken: the next look begins anew.
        shutil.rmtree(REPOSITORY, ignore_errors=True)
        found = {"why": "git failed"}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
