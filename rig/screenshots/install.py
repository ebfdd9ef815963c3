"""What the pictures need: Debian's Chromium, and from npm Element's and Hydrogen's interface and Playwright."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from rig.setup import FOLDER, Node, Say, SetupFailed, node_with, run_installer, say
from rig.unprivileged import clean_env

HERE = Path(__file__).resolve().parent
OVERRIDE = "AIAGENTCHAT_CHROMIUM"
"""Names a Chromium that is somewhere else; then none is installed."""
PAGES = ("element", "hydrogen")
BUILD_WITHIN = 300.0
"""Seconds for a page. Element takes ten."""

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_PACKAGES = ("chromium", "fonts-noto-color-emoji", "fonts-dejavu-core")


def chromium(*, say: Say = say) -> Path:
    """The browser, after it was installed when need be, if that is possible here."""
    if chosen := os.environ.get(OVERRIDE):
        return Path(chosen)
    if found := _found():
        return found
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *_PACKAGES]
    if os.geteuid() == 0 and shutil.which(command[0]):
        say(f"installing Debian's {_PACKAGES[0]} and fonts (once; about a minute)")
        run_installer(command)
        if found := _found():
            return found
    raise SetupFailed(
        f"there is no Chromium here, and I cannot install it. As root: {' '.join(command)} - or name a Chromium or "
        f"Chrome in {OVERRIDE}"
    )


def pages(*, say: Say = say) -> tuple[Node, Path]:
    """node with the packages, and the folder of the built pages: built again when they or their sources changed."""
    node = node_with(FOLDER / "pages", HERE / "packages.txt", say=say)
    built = FOLDER / "pages" / "built"
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in _sources())).hexdigest()
    stamp = built / "stamp"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return node, built
    for page in PAGES:
        say(f"building {page} (once; some seconds)")
        _build(node, page, built / page)
    stamp.write_text(wanted, "utf-8")
    return node, built


def _found() -> Path | None:
    return next((Path(found) for name in _PROGRAMS if (found := shutil.which(name))), None)


def _sources() -> list[Path]:
    return [HERE / "packages.txt", *sorted((HERE / "js").iterdir())]


def _build(node: Node, page: str, folder: Path) -> None:
    done = subprocess.run(
        [str(node.program), str(HERE / "js" / f"{page}.mjs"), str(folder)],
        check=False,
        env=clean_env(AIAGENTCHAT_NODE_MODULES=str(node.modules), HOME=str(folder.parent)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BUILD_WITHIN,
    )
    if done.returncode != 0:
        raise SetupFailed(f"the page of {page} cannot be built\n{done.stdout.decode(errors='replace')[-3000:]}")
