"""What stands before the first sync, and what does not."""

import os
from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.unprivileged import own
from tests.e2e.house import move_in


@pytest.mark.long
async def test_an_agent_that_is_slow_to_say_its_version_keeps_nobody_from_hearing(
    people: People, model: Model, workplace: Path
) -> None:
    os.mkfifo(workplace / "never")
    slow = workplace / "claude"
    slow.write_text(f"#!/bin/sh\ncat {workplace}/never\n")
    slow.chmod(0o755)
    own(workplace)
    agents = {"claude": {"type": "claude-code", "binary": str(slow)}}
    async with move_in(people, model, workplace, agents=agents) as house:
        await house.daemon.until_line("sync.first")

        assert await house.daemon.stop() == 0
    events = {line["event"] for line in house.daemon.lines()}
    assert "agent.found" not in events
    assert "agent.unavailable" not in events
