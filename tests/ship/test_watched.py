"""A real Prometheus scrapes a real daemon: alerts fire when the thing is broken, dashboards have something to show."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rig.daemon import Daemon
from rig.dashboards import expressions
from rig.faults.proxy import FaultProxy, Kind, is_send
from rig.gateway import free_port
from rig.model import Model
from rig.people import People
from rig.prometheus import MISSING, RULES, Prometheus, alertmanager, is_there, prometheus, promtool
from rig.script import Step, script
from tests.e2e.house import House, move_in, pipe_within_reach

pytestmark = [
    pytest.mark.ship,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not is_there(), reason=MISSING),
]
EVER = 10**6
HOLD = "tail -f /dev/null"
VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$instance": ".*", "$room": ".*", "$agent": ".*"}


def filled(expression: str) -> str:
    """As Grafana asks it, with everything chosen."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def healthcheck(daemon: Daemon, *more: str) -> tuple[int, str]:
    """What the command says, typed as root or the daemon's user."""
    argv = [sys.executable, "-m", "aiagentchat", "healthcheck", "--config", str(daemon.config), *more]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=daemon.environ)
    return done.returncode, done.stdout + done.stderr


async def busy(house: House, pipe: Path) -> str:
    """A command that runs until it is ended, once it runs."""
    step = Step(text="Working.", tool="Bash", input={"command": f"echo go > {pipe}; {HOLD}"})
    command = await house.ask(script("keep busy", step))
    assert await asyncio.to_thread(pipe.read_text) == "go\n"
    return command


async def sealed(house: House) -> None:
    """A message whose key nobody has."""
    content = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "ciphertext": "AwgAEnAkp6hTKgUvN6IlQbQPR0jP",
        "device_id": "NOWHERE",
        "sender_key": "IlRMeOPX2e0MurIyfWEucYBRVOEEUMrOHqn/8mLqMjA",
        "session_id": "X3lUlvLELLYxeTx4yOVu6UDpasGEVO0Jbu+QFnm0cKQ",
    }
    path = f"/rooms/{house.room}/send/m.room.encrypted/sealed"
    await house.anna.request("PUT", path, content)
    await house.daemon.until_line("event.sealed")


def test_the_rules_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool(["test", "rules", "alerts.test.yaml"])


def test_the_rules_and_the_configuration_are_taken(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    config = (RULES / "prometheus.yaml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yaml").write_text(config.replace("/etc/prometheus/aiagentchat.token", str(token)))
    (tmp_path / "alerts.yaml").write_text((RULES / "alerts.yaml").read_text(encoding="utf-8"))

    assert "6 rules found" in promtool(["check", "config", "prometheus.yaml"], tmp_path)


async def test_an_alert_gets_to_the_alertmanager_that_is_named_and_from_there_to_a_person(tmp_path: Path) -> None:
    """The shipped settings, but for the way: a webhook here, for there is no mail."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(request: web.Request) -> web.Response:
        heard.put_nowait(await request.text())
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", hear)
    async with TestServer(app) as person, alertmanager(tmp_path, webhook=str(person.make_url("/"))) as target:
        (tmp_path / "alertmanagers.yaml").write_text(f'- targets: ["{target}"]\n', encoding="utf-8")
        async with prometheus(tmp_path, target=free_port(), token=tmp_path / "no.token"):
            told = await asyncio.wait_for(heard.get(), 90)

    assert "AiagentchatHostSilent" in told
    assert "Nothing is heard of the daemon" in told


async def test_every_alert_fires_when_the_thing_is_broken_and_every_picture_has_something_to_show(
    people: People, model: Model, workplace: Path, tmp_path: Path
) -> None:
    port, pipe = free_port(), pipe_within_reach(workplace)
    gateway = {"enabled": True, "port": port, "callers": {"prometheus": {}}}
    room = {"allow": ["Bash"]}
    async with (
        FaultProxy(people.homeserver.port) as proxy,
        move_in(people, model, workplace, start=False, room=room, gateway=gateway) as house,
        prometheus(tmp_path, target=port, token=house.daemon.data_dir / "gateway/callers/prometheus.token") as watcher,
    ):
        house.daemon.settings["matrix"]["homeserver"] = proxy.url
        await watcher.until_firing("AiagentchatHostSilent")  # nothing runs yet
        assert healthcheck(house.daemon)[0] != 0

        async with house.daemon:
            await house.settle_in()
            await house.daemon.until_line("gateway.open")
            await watcher.until_firing()
            assert healthcheck(house.daemon) == (0, "healthy\n")
            assert healthcheck(house.daemon, "--ready") == (0, "ready\n")
            await _turns_are_counted(house, watcher, proxy)

            await _what_waits(house, watcher, pipe)
            await _a_homeserver_that_is_away(house, watcher, proxy)
            await _a_database_that_cannot_be_written(house, watcher)
            await _a_life_that_is_cut_short(house, watcher, pipe)
            await sealed(house)
            await watcher.until_fires("AiagentchatUndecryptable")

            empty = [each for each in expressions() if not await watcher.query(filled(each))]
            shown = await _labels(watcher)
        await watcher.until_fires("AiagentchatHostSilent")
    assert empty == []
    for secret in (house.room, house.anna.id, "keep busy", house.account.access_token):
        assert secret not in shown


async def _turns_are_counted(house: House, watcher: Prometheus, proxy: FaultProxy) -> None:
    proxy.arm(Kind.TOO_MANY, is_send)
    assert await house.ended(await house.ask(script("say it", Step(text="It is green.")))) == "✅"
    of_room = 'room="room0",agent="claude"'
    await watcher.until_value(f'aiagentchat_turns_total{{{of_room},outcome="done"}}', 1)

    assert await watcher.value(f"aiagentchat_turn_first_text_seconds_count{{{of_room}}}") == 1
    assert await watcher.value("increase(aiagentchat_turns_total{outcome='done'}[1m]) > 0") is not None
    assert await watcher.value("aiagentchat_rate_limit_refusals_total") == 1
    assert await watcher.value("aiagentchat_runs_warm") == 1


async def _what_waits(house: House, watcher: Prometheus, pipe: Path) -> None:
    await busy(house, pipe)
    waiting = await house.ask(script("wait for it", Step(text="At last.")))
    await watcher.until_firing("AiagentchatQueueAge")
    assert await watcher.value('aiagentchat_queued_commands{room="room0"}') == 1
    await house.ask("/stop")
    assert await house.ended(waiting) == "✅"
    await watcher.until_firing()


async def _a_homeserver_that_is_away(house: House, watcher: Prometheus, proxy: FaultProxy) -> None:
    slow = await house.ask(script("say it later", Step(text="Late.", before=2.0)))
    await house.daemon.until_line("turn.started", command=slow)
    proxy.arm(Kind.CUT_BEFORE, times=EVER)
    proxy.cut_all()
    await watcher.until_firing("AiagentchatSyncStale", "AiagentchatOutboxAge")
    assert healthcheck(house.daemon)[0] == 0
    proxy.disarm()
    assert await house.ended(slow, timeout=90) == "✅"
    await watcher.until_firing()


async def _a_database_that_cannot_be_written(house: House, watcher: Prometheus) -> None:
    with closing(sqlite3.connect(house.daemon.data_dir / "aiagentchat.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = await house.ask(script("write it down", Step(text="Written.")))
        await watcher.until_value("aiagentchat_ready", 0)
        assert await watcher.value("aiagentchat_store_works") == 0
        assert healthcheck(house.daemon) == (0, "degraded\n")
        code, said = healthcheck(house.daemon, "--ready")
        other.execute("ROLLBACK")
    assert (code, said) == (1, "aiagentchat: The daemon is not ready: the database cannot be written.\n")
    assert await house.ended(asked) == "✅"
    await watcher.until_value("aiagentchat_ready", 1)


async def _a_life_that_is_cut_short(house: House, watcher: Prometheus, pipe: Path) -> None:
    running = await busy(house, pipe)
    await house.daemon.kill()
    await house.daemon.start(until="sync.resumed")
    assert await house.ended(running) == "⚠️"
    await watcher.until_fires("AiagentchatInterrupted")


async def _labels(watcher: Prometheus) -> str:
    """All that Prometheus knows of the daemon."""
    return re.sub(r"'value': \[[^]]*\]", "", str(await watcher.query('{__name__=~"aiagentchat_.*"}')))
