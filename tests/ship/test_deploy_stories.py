"""The stories of deploy.bats, which are written in the language of what they are about."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rig.host import REPOSITORY, missing
from rig.unprivileged import clean_env

pytestmark = [
    pytest.mark.ship,
    pytest.mark.real,  # not for the quick suite
    pytest.mark.skipif(bool(missing("bats")), reason=f"needs {', '.join(missing('bats'))}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the user on a host is"),
]

BATS = Path(__file__).parent / "deploy.bats"
STORIES = re.findall(r'^@test "(.*)" \{$', BATS.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("story", STORIES)
def test_each_story_is_as_it_is_told(story: str) -> None:
    environ = clean_env(HOME="/root", PYTHON=sys.executable, REPOSITORY=str(REPOSITORY))
    environ["PATH"] = f"/usr/sbin:/sbin:{environ['PATH']}"
    argv = ["bats", "--tap", "--filter", f"^{re.escape(story)}$", str(BATS)]

    told = subprocess.run(
        argv, env={**environ, "TMPDIR": os.environ.get("TMPDIR", "/tmp")}, capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert f"ok 1 {story}" in told.stdout
