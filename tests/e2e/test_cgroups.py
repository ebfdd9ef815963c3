"""The daemon as a service of a real systemd that delegates a cgroup to it: the kernel itself holds its runs."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from tests.e2e.house import move_in
from tests.e2e.test_limits import HOG, takes_too_much
from tests.process.test_raid import needs_bubblewrap

pytestmark = [
    needs_bubblewrap,
    pytest.mark.usefixtures("cli"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not Path("/run/systemd/system").is_dir() or shutil.which("systemd-run") is None,
        reason="needs systemd, and root to ask it for a service",
    ),
]

FILES_IN_MEMORY = "for n in 1 2 3 4 5 6 7 8; do head -c 100M /dev/zero > /tmp/held.$n; done; sleep 600"


@pytest.mark.parametrize(
    "command", [f"/usr/bin/python3 - <<'END'\n{HOG}\nEND", FILES_IN_MEMORY], ids=["in processes", "in files"]
)
async def test_the_kernel_holds_a_run_of_the_service_to_its_memory(
    people: People, model: Model, workplace: Path, command: str
) -> None:
    room = {"allow": ["Bash"], "limits": {"memory": 400}}
    async with move_in(people, model, workplace, rooms=2, room=room, start=False) as house:
        unit = f"aiagentchat-test-{secrets.token_hex(4)}"
        variables = [word for name, value in house.daemon.environ.items() for word in ("-E", f"{name}={value}")]
        properties = ["User=nobody", "Delegate=memory pids", "OOMPolicy=continue", f"WorkingDirectory={workplace}"]
        house.daemon.before = (
            *("systemd-run", "--quiet", "--pipe", "--wait", f"--unit={unit}"),
            *(word for each in properties for word in ("-p", each)),
            *variables,
        )
        await house.daemon.start()
        delegated = await house.daemon.until_line("cgroup.delegated")
        await takes_too_much(house, "memory", command, "used more than 400 MiB of memory")
        groups = os.listdir(delegated["path"])  # noqa: PTH208 - as is the next line
        subprocess.run(["systemctl", "stop", unit], check=True)  # noqa: ASYNC221 - the daemon needs nothing from us
        code = await house.daemon.wait()

    assert "daemon" in groups
    assert code == 0
    assert not os.path.exists(delegated["path"])  # noqa: ASYNC240, PTH110 - it is no disk
