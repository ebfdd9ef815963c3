"""Make what a release is made of, in dist. `make dist` and `make release` call this.

    python -m rig.release [--rehearse]

The source, the wheel, the requirements with their hashes, a bill of materials, and a checksum of each. The package is
built with what the Dockerfile and deploy.sh build it with (deploy/requirements-build.txt), from the time of the commit:
the same commit gives the same files. It is a release only where the version, the changelog and the tag say the same and
the tree is the commit's; --rehearse does not ask.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from aiagentchat import __version__
from rig import sbom
from rig.setup import ROOT, SetupFailed

DIST = ROOT / "dist"
SUMS = "SHA256SUMS"
INSTALLED_FROM = ("requirements.txt", "requirements-cli.txt")
"""What the wheel is installed with, as deploy/on-host.sh does."""
_BUILD = ("-m", "hatchling", "build", "--target", "sdist", "--target", "wheel", "--directory")
_DATED = re.compile(r"(\S+): \d{4}-\d\d-\d\d")
_WITHIN = 300.0


def disagreements(version: str, *, changelog: str, tags: Collection[str], changed: Collection[str]) -> list[str]:
    """Why this is no release of `version`, in sentences. `changed` are files that are not as they were committed."""
    found: list[str] = []
    newest = re.search(r"^## (.*)$", changelog, re.MULTILINE)
    heading = newest[1] if newest else ""
    dated = _DATED.fullmatch(heading)
    if not dated or dated[1] != version:
        found.append(
            f"aiagentchat/__init__.py says {version}, and CHANGELOG.md begins with {heading!r}: "
            f"write '## {version}: ' and the day, or the other version"
        )
    if f"v{version}" not in tags:
        others = ", ".join(sorted(tags)) or "none"
        found.append(f"the commit has no tag v{version} (it has: {others}): git tag v{version}, or the other version")
    if changed:
        found.append(f"the tree is not as it was committed ({', '.join(sorted(changed)[:5])}): commit it, or undo it")
    return found


def git(*words: str) -> str:
    """What git says of this tree. Raises SetupFailed."""
    done = subprocess.run(["git", *words], check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    if done.returncode != 0:
        raise SetupFailed(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def tags() -> set[str]:
    """Those of this commit; a pipeline says for which one it runs."""
    if told := os.environ.get("CI_COMMIT_TAG"):
        return {told}
    return set(git("tag", "--points-at", "HEAD").split())


def build(folder: Path) -> None:
    """Fill a new folder. Raises SetupFailed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or git("show", "--no-patch", "--format=%ct", "HEAD").strip()
    argv = [sys.executable, *_BUILD, str(folder)]
    done = subprocess.run(
        argv,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"SOURCE_DATE_EPOCH": epoch},
        timeout=_WITHIN,
    )
    if done.returncode != 0:
        raise SetupFailed(f"{' '.join(argv)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    for name in INSTALLED_FROM:
        shutil.copyfile(ROOT / name, folder / name)
    sbom.write(folder, environ={"SOURCE_DATE_EPOCH": epoch})
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(sums), "utf-8")


def main() -> None:
    """Ask whether this is a release, and make it."""
    parser = argparse.ArgumentParser(prog="python -m rig.release", description="Make what a release is made of.")
    parser.add_argument("--rehearse", action="store_true", help="whatever the tag and the changelog say")
    asked = parser.parse_args()
    try:
        if not asked.rehearse:
            wrong = disagreements(
                __version__,
                changelog=(ROOT / "CHANGELOG.md").read_text("utf-8"),
                tags=tags(),
                changed=[line[3:] for line in git("status", "--porcelain").splitlines()],
            )
            if wrong:
                sys.exit("This is no release, and nothing was built:\n" + "\n".join(f"- {each}" for each in wrong))
        build(DIST)
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")
    print(f"{DIST.name}: {__version__}{' (a rehearsal)' if asked.rehearse else ''}")
    for file in sorted(DIST.iterdir()):
        print(f"  {file.name}  {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
