"""What a run holds in place of a key, and what its way out makes of it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.agents.claude_code.binary import readable_for
from aiagentchat.agents.claude_code.quarters import cell_of, held, new_token, prepare, settings_file, upstream
from aiagentchat.config.settings import Mount
from aiagentchat.core.ports.agent import Mounted, RunSpec
from aiagentchat.egress.upstream import Upstream
from tests.unit.claude_stage import make_spec

KEY, GATEWAY, SUBSCRIPTION = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"


@pytest.mark.parametrize(
    ("credentials", "name", "begins"),
    [
        pytest.param({KEY: "sk-ant-real", SUBSCRIPTION: "other"}, KEY, "sk-ant-", id="a key wins"),
        pytest.param({GATEWAY: "real", KEY: ""}, GATEWAY, "", id="a gateway's token"),
        pytest.param({SUBSCRIPTION: "sk-ant-oat01-real"}, SUBSCRIPTION, "sk-ant-oat01-", id="a subscription"),
    ],
)
def test_a_run_holds_a_token_of_its_own_in_the_place_of_the_credential(
    credentials: dict[str, str], name: str, begins: str
) -> None:
    token = new_token(credentials)
    variables = held(credentials, token, subscription_in_room=False)

    assert variables[name] == token
    assert token.startswith(begins)
    assert new_token(credentials) != token
    assert not [value for value in variables.values() if "real" in value or "other" in value]
    assert {KEY, GATEWAY, SUBSCRIPTION} & variables.keys() == {name}
    assert variables["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:0"
    assert variables["https_proxy"] == f"http://run:{token}@127.0.0.1:0"


def known(credentials: Mapping[str, str], *, subscription_in_room: bool) -> Upstream:
    """The upstream of credentials that have one."""
    found = upstream(credentials, subscription_in_room=subscription_in_room)
    assert found is not None
    return found


def test_a_subscription_is_in_the_room_only_where_that_was_asked_for() -> None:
    credentials = {SUBSCRIPTION: "sk-ant-oat01-real"}
    token = new_token(credentials)

    assert held(credentials, token, subscription_in_room=True)[SUBSCRIPTION] == "sk-ant-oat01-real"
    assert known(credentials, subscription_in_room=True).passthrough
    assert not known(credentials, subscription_in_room=False).passthrough


def test_the_way_out_knows_the_real_one_and_where_it_is_asked() -> None:
    with_key = known({KEY: "k", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, subscription_in_room=True)
    with_token = known({GATEWAY: "t"}, subscription_in_room=True)

    assert (with_key.credential(), with_key.base_url) == (("x-api-key", "k"), "http://127.0.0.1:9")
    assert (with_token.credential(), with_token.passthrough) == (("authorization", "Bearer t"), False)
    assert with_token.base_url == "https://api.anthropic.com"
    assert upstream({KEY: ""}, subscription_in_room=True) is None


def test_a_program_is_read_alone_and_a_script_with_what_is_beside_it(tmp_path: Path) -> None:
    program, script = tmp_path / "program", tmp_path / "script"
    program.write_bytes(b"\x7fELF")
    script.write_text("#!/bin/sh\n", encoding="utf-8")

    assert readable_for(program) == (program,)
    assert readable_for(script) == (tmp_path,)
    assert readable_for(tmp_path / "gone") == (tmp_path / "gone",)


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return replace(make_spec(tmp_path), mounts=(Mounted("/usr", "ro", "/usr"),))


def test_a_cell_is_the_rooms_and_nothing_else(spec: RunSpec) -> None:
    cell = cell_of(spec, Path("/bin/true"), Path("/gate"))

    assert (cell.workspace, cell.home) == (Path(spec.workspace), Path(spec.home))
    assert cell.mounts == (Mount(Path("/usr")),)
    assert cell.programs == (Path("/bin/true"), settings_file(spec))
    assert (cell.gate, cell.limits, cell.uid) == (Path("/gate"), spec.limits, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_room_with_a_user_reads_its_settings_and_cannot_change_them(spec: RunSpec) -> None:
    theirs = replace(spec, uid=262_013)
    prepare(theirs, cell_of(theirs, Path("/bin/true"), None))
    file, home = settings_file(theirs), Path(theirs.home)

    assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (0, 262_013, 0o440)
    assert [path.stat().st_uid for path in (home, home / ".claude", home / "tmp")] == [262_013] * 3
    assert (
        (home.parent / "kitchen.etc" / "passwd")
        .read_text(encoding="utf-8")
        .splitlines()[1]
        .startswith(f"agent:x:262013:262013:agent:{home}")
    )
