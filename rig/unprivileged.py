"""Start programs as an ordinary user would: without root's powers, without the caller's environment.

Root may read a 0000 file, and some programs change their manners when they run as root; both hide faults. Whoever is
not root already has what is promised here. Root becomes `nobody`; where nobody can read this checkout or its Python (a
clone in /root), he stays root in name only, without a single capability.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65534
"""It owns nothing, so that a test shows it exactly what it needs."""
_ROOT = Path(__file__).resolve().parent.parent


def as_unprivileged() -> list[str]:
    """What to put before an argv."""
    if os.geteuid() != 0:
        return []
    return _drop(NOBODY if _nobody_can_read_us() else 0)


def own(path: Path) -> Path:
    """Give the tree at `path` to the user whom `as_unprivileged` makes. Links are given away, not followed."""
    if os.geteuid() == 0 and _nobody_can_read_us():
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder, name), NOBODY, NOBODY, follow_symlinks=False)
    return path


def clean_env(**extra: str) -> dict[str, str]:
    """An environment with nothing of ours in it."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb", **extra}


def _drop(user: int) -> list[str]:
    who = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *who, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]


@functools.cache
def _nobody_can_read_us() -> bool:
    """Found out by trying: modes, libraries and mounts would have to be guessed."""
    argv = [*_drop(NOBODY), sys.executable, "-c", "import rig.unprivileged"]
    env = clean_env(PYTHONPATH=str(_ROOT), PYTHONDONTWRITEBYTECODE="1")
    return subprocess.run(argv, check=False, capture_output=True, env=env, cwd="/", timeout=30).returncode == 0
