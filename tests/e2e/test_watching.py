"""Whoever looks after the daemon finds out what became of a message: from the database, the log, and Loki."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from rig.unprivileged import as_unprivileged
from tests.e2e.house import House, move_in
from tests.fakes.loki import running_loki

TOKEN = "loki-token-that-nobody-sees"


def _typed(house: House, *words: str) -> str:
    """What an operator reads beside the daemon that runs."""
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", *words, "--config", str(house.daemon.config)]
    done = subprocess.run(argv, env=house.daemon.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _why(house: House, event: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_typed(house, "why", event, "--json"))
    return found


@pytest.mark.long
async def test_what_became_of_a_message_can_be_found_out(people: People, model: Model, workplace: Path) -> None:
    with running_loki() as loki:
        settings: dict[str, Any] = {
            "loki": {"url": loki.url, "labels": {"env": "test"}},
            "environ": {"LOKI_TOKEN": TOKEN},
        }
        room = {"log_content": "preview"}
        async with move_in(people, model, workplace, room=room, **settings) as house:
            asked = await house.ask(script("make tea", Step(text="Tea is ready.")))
            await house.ended(asked)
            command = await house.ask("/version")
            told = await house.anna.until_message(house.room, "aiagentchat", sender=house.account.user_id)
            story, bot, log = _why(house, asked), _why(house, command), _typed(house, "logs", str(house.daemon.log))
        loki.until(lambda: any('"daemon.stopped"' in line for line in loki.lines))

    whole = [row["what"] for row in story["rows"]]
    assert whole[:5] == ["sent", "taken in", "routed", "queued", "started"]
    assert (story["state"], story["answered"], bot["answered"]) == ("done", True, True)
    assert told.id in str(bot["rows"])
    assert " room0         turn.ended  state=done" in log

    of_the_turn = {json.loads(kept.line)["event"] for kept in loki.kept if kept.metadata.get("command") == asked}
    assert {"turn.started", "turn.ended"} <= of_the_turn
    [decided] = [json.loads(kept.line) for kept in loki.kept if kept.metadata.get("event_id") == asked][:1]
    assert decided["text"].startswith("make tea")
    assert all(kept.labels["env"] == "test" for kept in loki.kept)
    assert {len(kept.labels) for kept in loki.kept} == {4}
    assert loki.headers[0]["Authorization"] == f"Bearer {TOKEN}"
    assert sorted(loki.lines) == sorted(line for line in house.daemon.log.read_text().splitlines() if line[:1] == "{")
    assert TOKEN not in house.daemon.log.read_text()
