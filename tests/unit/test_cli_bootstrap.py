"""`aiagentchat bootstrap …` as far as no homeserver is needed, and what is made of a homeserver that is slow or odd."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from typer.testing import CliRunner, Result

from aiagentchat.bootstrap.api import LONGEST_WAIT, Api, connect
from aiagentchat.bootstrap.passwords import Passwords, write_secret
from aiagentchat.bootstrap.plan import Invite, Step, Verdict
from aiagentchat.bootstrap.run import carry_out
from aiagentchat.bootstrap.wanted import Kind, Place
from aiagentchat.cli.bootstrap import Printed
from aiagentchat.cli.main import app
from aiagentchat.config.secrets import Secret
from aiagentchat.core.errors import ConfigError, LoginFailed, RateLimited, Refused, Unreachable
from tests.fakes.people import ANNA, ME
from tests.unit.test_app_live import GOOD


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(GOOD)
    return file


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["bootstrap", *map(str, words)], env={"MATRIX_PASSWORD": None})


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--room", "A Room", "is no name"),
        ("--encrypt", "cellar", "there is no room 'cellar'"),
        ("--account", "you", "is no id"),
        ("--account", "@you:elsewhere", "is not on localhost"),
        ("--server-admin", "@you:elsewhere", "is not on localhost"),
        ("--registry-member", "bot", "is no id"),
        ("--shared-secret-file", "/nowhere", "--shared-secret-file /nowhere: the file cannot be read"),
    ],
)
def test_an_option_that_cannot_be_meant_is_a_sentence(config: Path, option: str, value: str, said: str) -> None:
    shown = run("--config", config, option, value)

    assert shown.exit_code == 2
    assert said in shown.stderr
    assert not (config.parent / "secrets").exists()


def test_a_homeserver_that_does_not_answer_is_a_sentence(config: Path) -> None:
    config.write_text(GOOD.replace("http://127.0.0.1:8008", "http://127.0.0.1:9"))
    shown = run("--config", config)

    assert shown.exit_code == 1
    assert "http://127.0.0.1:9 does not answer" in shown.stderr


def test_the_settings_of_a_homeserver_are_written_once_and_its_secrets_never_again(tmp_path: Path) -> None:
    words = ("synapse-config", "--server-name", "hs", "--out", tmp_path / "synapse")
    first = run(*words)
    before = {file.name: file.read_text() for file in (tmp_path / "synapse").iterdir()}
    again = run(*words, "--port", 9000)
    same = {file.name: file.read_text() for file in (tmp_path / "synapse").iterdir()}
    forced = run(*words, "--port", 9000, "--force")
    after = {file.name: file.read_text() for file in (tmp_path / "synapse").iterdir()}

    assert (first.exit_code, again.exit_code, forced.exit_code) == (0, 0, 0)
    assert same == before
    assert {name for name in before if before[name] != after[name]} == {"homeserver.yaml"}
    assert yaml.safe_load(after["homeserver.yaml"])["listeners"][0]["port"] == 9000
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "synapse").iterdir()} == {0o600}
    assert f"--shared-secret-file {tmp_path}/synapse/registration_shared_secret" in first.stdout
    assert before["registration_shared_secret"].strip() not in first.stdout


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("bad name", (), "--server-name: 'bad name' is no name of a server"),
        ("https://hs.example", (), "is no name of a server; write for example example.org, without https://"),
        ("", (), "is no name of a server"),
        ("hs", ("--public-url", "hs.example"), '--public-url: "hs.example" is not a web address'),
    ],
)
def test_settings_that_a_homeserver_does_not_start_with_are_not_written(
    tmp_path: Path, name: str, more: tuple[str, ...], said: str
) -> None:
    shown = run("synapse-config", "--server-name", name, "--out", tmp_path / "synapse", *more)

    assert shown.exit_code == 2
    assert said in shown.stderr
    assert not (tmp_path / "synapse").exists()


@pytest.mark.parametrize("name", ["localhost", "example.org", "hs.example.org:8448", "[::1]", "192.168.0.1"])
def test_every_name_that_a_homeserver_can_have_is_taken(tmp_path: Path, name: str) -> None:
    assert run("synapse-config", "--server-name", name, "--out", tmp_path / "synapse").exit_code == 0


@pytest.mark.parametrize("more", [(), ("--force",)])
def test_the_name_of_a_homeserver_that_is_there_is_never_changed(tmp_path: Path, more: tuple[str, ...]) -> None:
    words = ("synapse-config", "--out", tmp_path / "synapse")
    run(*words, "--server-name", "example.org")
    before = (tmp_path / "synapse/homeserver.yaml").read_text()
    shown = run(*words, "--server-name", "example.com", *more)

    assert shown.exit_code == 2
    assert "homeserver.yaml is of the server example.org, whose name can never be changed" in shown.stderr
    assert (tmp_path / "synapse/homeserver.yaml").read_text() == before


def test_passwords_are_kept_for_their_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path / "secrets", ME, {})
    assert passwords.of(ME) is None

    passwords.keep(ME)
    passwords.keep(ANNA)
    files = [file for file in (tmp_path / "secrets").rglob("*") if file.is_file()]
    assert sorted(file.name for file in files) == ["MATRIX_PASSWORD", "anna"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert passwords.of(ME) != passwords.of(ANNA)
    with pytest.raises(ConfigError, match="not overwritten"):
        passwords.keep(ME)
    assert Passwords(tmp_path, ME, {"MATRIX_PASSWORD": "typed"}).of(ME) == Secret("typed")


def test_a_secret_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_secret(Path("/proc/nowhere/secret"), "x")


async def test_what_the_homeserver_does_not_want_holds_up_nothing_else() -> None:
    place = Place(key="a", kind=Kind.ROOM, name="a", ref="#a:hs")
    steps = [Step(Verdict.TO_DO, str(who), Invite(place, who)) for who in (ANNA, ME)]
    done: list[object] = []

    async def do(act: object) -> None:
        if act == steps[0].act:
            raise Refused("M_FORBIDDEN: no")
        done.append(act)

    assert await carry_out(steps, do, Printed(dry_run=False)) is False
    assert done == [steps[1].act]


@asynccontextmanager
async def homeserver(*answers: tuple[int, Any]) -> AsyncIterator[tuple[Api, list[float]]]:
    """One that gives these answers, one after the other."""
    left = list(answers)
    waits: list[float] = []

    async def answer(_: web.Request) -> web.Response:
        status, body = left.pop(0)
        return web.json_response(body, status=status) if not isinstance(body, str) else web.Response(text=body)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        async with connect(f"http://127.0.0.1:{port}", waits.append) as api:
            yield api, waits
    finally:
        await runner.cleanup()


async def test_it_waits_as_long_as_the_homeserver_says_and_no_longer_than_makes_sense() -> None:
    limited = (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1})
    async with homeserver(limited, limited, (200, {"a": 1})) as (api, waits):
        assert await api.ask("GET", "/") == {"a": 1}
        assert waits == [0.001, 0.001]
    too_long = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": int(1000 * (LONGEST_WAIT + 1))}
    async with homeserver((429, too_long)) as (api, _):
        with pytest.raises(RateLimited, match="asks to wait 61 s"):
            await api.ask("GET", "/")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "<html>", Unreachable),
        (502, {"errcode": "M_UNKNOWN"}, Unreachable),
        (404, {}, Unreachable),
        (403, {"errcode": "M_FORBIDDEN", "error": "no\nway"}, Refused),
        (401, {"errcode": "M_UNKNOWN_TOKEN"}, LoginFailed),
    ],
)
async def test_every_odd_answer_is_an_error_of_ours(status: int, body: Any, error: type[Exception]) -> None:
    async with homeserver((status, body)) as (api, _):
        with pytest.raises(error):
            await api.ask("GET", "/", token=Secret("x"))


async def test_what_is_not_there_is_nothing() -> None:
    async with homeserver((404, {"errcode": "M_NOT_FOUND"}), (403, {"errcode": "M_FORBIDDEN"})) as (api, _):
        assert await api.find("/") is None
        with pytest.raises(Refused):
            await api.find("/")
