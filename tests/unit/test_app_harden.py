"""A hardened process is closed to the others of its user; one that is not is open to the same looks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rig.unprivileged import as_unprivileged, clean_env

ROOT = Path(__file__).parents[2]
VICTIM = """
import os, resource, subprocess, sys
from aiagentchat.app.harden import harden
if sys.argv[1] == "hardened":
    assert harden() is None
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    assert os.listdir("/proc/self/fd") and open("/proc/self/stat").read() and os.readlink("/proc/self/exe")
# What it starts, and sees of it, is as before.
child = subprocess.run(["cat", "/proc/self/environ"], capture_output=True, check=True)
assert b"SECRET=hunter2" in child.stdout
print("ready", flush=True)
sys.stdin.read()
"""
LOOK = """
import json, os, sys
proc = f"/proc/{sys.argv[1]}"

def taken(what):
    try:
        return bool(what())
    except OSError:
        return False

print(json.dumps({
    "environ": taken(lambda: b"hunter2" in open(f"{proc}/environ", "rb").read()),
    "mem": taken(lambda: open(f"{proc}/mem", "rb")),
    "fd": taken(lambda: os.listdir(f"{proc}/fd")),
    "maps": taken(lambda: open(f"{proc}/maps").read()),
    "cwd": taken(lambda: os.listdir(f"{proc}/cwd")),
    "root": taken(lambda: os.listdir(f"{proc}/root")),
    "exe": taken(lambda: os.readlink(f"{proc}/exe")),
    "cmdline": taken(lambda: open(f"{proc}/cmdline").read()),
}))
"""
OPEN = {"cmdline"}
"""What stays open: whatever is in an argument is seen by everybody."""


def python(program: str, *words: str) -> list[str]:
    return [*as_unprivileged(), sys.executable, "-c", program, *words]


@pytest.mark.parametrize("state", ["hardened", "as it is"])
def test_another_process_of_the_same_user_cannot_look_into_it(state: str) -> None:
    env = clean_env(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1", SECRET="hunter2")
    victim = subprocess.Popen(
        python(VICTIM, state), env=env, cwd="/usr", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        looked = subprocess.run(
            python(LOOK, str(victim.pid)), env=clean_env(), cwd="/", capture_output=True, timeout=30, check=True
        )
        victim.communicate()

    found = {name for name, is_taken in json.loads(looked.stdout).items() if is_taken}
    assert victim.returncode == 0
    assert found == (OPEN if state == "hardened" else set(json.loads(looked.stdout)))
