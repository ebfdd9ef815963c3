"""A login that ends: one clear sentence, nothing that repeats itself, and nothing lost."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rig.homeserver import Account, Homeserver, HomeserverFailed
from rig.model import Model
from rig.people import People
from rig.people import people as invite_people
from rig.script import Step, script
from rig.unprivileged import as_unprivileged
from tests.e2e.house import House, move_in, pipe_within_reach

LOGOUT = "/_matrix/client/v3/logout"
DEACTIVATE = "/_matrix/client/v3/account/deactivate"


def with_password(house: House) -> None:
    """The daemon logs in by itself."""
    del house.daemon.environ["MATRIX_ACCESS_TOKEN"]
    house.daemon.environ["MATRIX_PASSWORD"] = house.account.password


def devices_but_ours(house: House, homeserver: Homeserver) -> list[str]:
    """The devices of the daemon's account, without the one that it was registered with."""
    found = homeserver.request("GET", "/_matrix/client/v3/devices", token=house.account.access_token)["devices"]
    return [device["device_id"] for device in found if device["device_id"] != house.account.device_id]


def log_out(house: House, homeserver: Homeserver, device: str) -> None:
    """Somebody logs the daemon's device out, as in the settings of a client."""
    proof = {"auth": _proof(house.account)}
    homeserver.request("DELETE", f"/_matrix/client/v3/devices/{device}", proof, token=house.account.access_token)


def _proof(account: Account) -> dict[str, Any]:
    who = {"type": "m.id.user", "user": account.user_id}
    return {"type": "m.login.password", "identifier": who, "password": account.password}


def the_end(house: House) -> dict[str, Any]:
    """The one line that says why it has ended."""
    [ended] = [line for line in house.daemon.lines() if line["event"] == "daemon.ended"]
    said = house.daemon.tail(1000)
    assert "Traceback" not in said
    assert house.account.access_token not in said
    return ended


async def run_in_vain(house: House) -> "subprocess.CompletedProcess[str]":
    """Start it as one does who expects it to end by itself."""
    house.daemon.write_config()
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat", "run", "--config", str(house.daemon.config)]
    return await asyncio.to_thread(
        subprocess.run, argv, env=house.daemon.environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("way", ["a given token", pytest.param("a password", marks=pytest.mark.long)])
async def test_a_daemon_that_is_logged_out_says_one_clear_sentence_and_ends_with_3(
    people: People, model: Model, workplace: Path, way: str
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        if way == "a password":
            with_password(house)
        async with house.daemon:
            await house.settle_in()
            if way == "a password":
                [device] = devices_but_ours(house, people.homeserver)
                log_out(house, people.homeserver, device)
            else:
                people.homeserver.request("POST", LOGOUT, {}, token=house.account.access_token)

            assert await house.daemon.wait() == 3
    ended = the_end(house)
    assert ended["exit_code"] == 3
    assert all(part in ended["error"] for part in ("logged out", "MATRIX_ACCESS_TOKEN", "MATRIX_PASSWORD"))
    assert sum(line["event"] == "matrix.logged_in" for line in house.daemon.lines()) == 1


@pytest.mark.long
async def test_a_turn_in_which_the_daemon_was_logged_out_is_reported_and_not_run_again(
    people: People, model: Model, workplace: Path
) -> None:
    pipe = pipe_within_reach(workplace)
    hold = {"command": f"(setsid sleep 600 &) ; echo started > {pipe}; tail -f /dev/null"}
    async with move_in(people, model, workplace, room={"allow": ["Bash"]}, start=False) as house:
        with_password(house)
        async with house.daemon:
            await house.settle_in()
            text = f"hold on in {house.room}"
            command = await house.ask(script(text, Step(text="Working.", tool="Bash", input=hold)))
            assert await asyncio.to_thread(pipe.read_text) == "started\n"
            [device] = devices_but_ours(house, people.homeserver)
            log_out(house, people.homeserver, device)

            assert await house.daemon.wait() == 3
        the_end(house)
        await house.daemon.start(until="sync.resumed")  # whoever starts it again has decided that it may log in
        assert await house.ended(command) == "⚠️"
        told = await house.anna.until_message(house.room, "Interrupted by a restart", sender=house.account.user_id)
        await house.daemon.stop()

        assert told.reply_to == command
        assert len(model.requests(text)) == 1
        assert devices_but_ours(house, people.homeserver) == [device]


@pytest.mark.long
async def test_an_account_that_is_closed_ends_it_and_says_so_at_the_next_start(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        with_password(house)
        async with house.daemon:
            await house.settle_in()
            body = {"auth": _proof(house.account)}
            people.homeserver.request("POST", DEACTIVATE, body, token=house.account.access_token)

            assert await house.daemon.wait() == 3
        the_end(house)
        again = await run_in_vain(house)
    assert again.returncode == 3
    assert "Traceback" not in again.stdout + again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert re.search("use another one|is MATRIX_PASSWORD right", again.stderr)


@pytest.mark.long
async def test_a_token_of_another_account_ends_it_with_one_sentence(
    people: People, model: Model, workplace: Path
) -> None:
    async with move_in(people, model, workplace, start=False) as house:
        other = people.account("somebody")
        house.daemon.environ["MATRIX_ACCESS_TOKEN"] = other.access_token
        ended = await run_in_vain(house)

    assert ended.returncode == 3
    assert len(ended.stderr.strip().splitlines()) == 1
    assert f"belongs to {other.user_id}, but matrix.user_id is {house.account.user_id}; give it" in ended.stderr


# ── homeservers that are stricter ──


@asynccontextmanager
async def on_its_own(folder: Path, **options: Any) -> AsyncIterator[People]:
    """People on a homeserver of their own."""
    with Homeserver(folder, **options) as server:
        async with invite_people(server) as present:
            yield present


@pytest.mark.long
async def test_a_daemon_outlives_its_tokens_and_logs_in_once(tmp_path: Path, model: Model, workplace: Path) -> None:
    brief = {"refreshable_access_token_lifetime": "2s"}
    async with (
        on_its_own(tmp_path, config=brief) as people,
        move_in(people, model, workplace, start=False, sync_timeout=1) as house,
    ):
        with_password(house)
        house.daemon.arguments = ("--log-level", "debug")
        async with house.daemon:
            await house.settle_in()
            first = await house.ended(await house.ask("first"))
            for _ in range(3):
                await house.daemon.until_line("matrix.token_renewed", skip=len(house.daemon.lines()))
            second = await house.ended(await house.ask("second"))
            await house.daemon.kill()
        await house.daemon.start(until="sync.resumed")
        third = await house.ended(await house.ask("third"))
        await house.daemon.stop()
        lines = house.daemon.lines()

        assert [first, second, third] == ["✅"] * 3
        assert len(devices_but_ours(house, people.homeserver)) == 1
        assert not {"matrix.soft_logout", "sync.failed", "matrix.stored_login_refused"} & {
            line["event"] for line in lines
        }
        assert not re.search(r"sy[rt]_", house.daemon.log.read_text())


@pytest.mark.long
async def test_the_limit_on_logins_that_synapse_ships_with_is_waited_for_and_the_log_says_how_long(
    tmp_path: Path, model: Model, workplace: Path
) -> None:
    async with (
        on_its_own(tmp_path, limits="default") as people,
        move_in(people, model, workplace, start=False) as house,
    ):
        with pytest.raises(HomeserverFailed, match="M_LIMIT_EXCEEDED"):
            await asyncio.to_thread(_log_in_too_often, people.homeserver, house.account)
        with_password(house)
        before = devices_but_ours(house, people.homeserver)
        await house.daemon.start(until="matrix.unreachable")
        code = await house.daemon.stop()

        [limited] = [line for line in house.daemon.lines() if line["event"] == "matrix.login_limited"]
        [waiting] = [line for line in house.daemon.lines() if line["event"] == "matrix.unreachable"]
        assert limited["wait_s"] == waiting["wait_s"] > 100
        assert code == 0
        assert devices_but_ours(house, people.homeserver) == before


@pytest.mark.long
async def test_after_the_wait_it_logs_in_once(tmp_path: Path, model: Model, workplace: Path) -> None:
    strict = {"rc_login": {"address": {"per_second": 0.05, "burst_count": 1}}}
    async with (
        on_its_own(tmp_path, config=strict) as people,
        move_in(people, model, workplace, start=False) as house,
    ):
        with pytest.raises(HomeserverFailed, match="M_LIMIT_EXCEEDED"):
            await asyncio.to_thread(_log_in_too_often, people.homeserver, house.account)
        with_password(house)
        before = devices_but_ours(house, people.homeserver)
        async with house.daemon:
            assert await house.ended(await house.ask("hello")) == "✅"
        events = [line["event"] for line in house.daemon.lines()]
        after = devices_but_ours(house, people.homeserver)

        assert [event for event in events if event.startswith("matrix.")] == [
            "matrix.login_limited",
            "matrix.unreachable",
            "matrix.logged_in",
        ]
        assert len(after) == len(before) + 1


def _log_in_too_often(homeserver: Homeserver, account: Account) -> None:
    for _ in range(20):
        homeserver.login(account.user_id, account.password)
