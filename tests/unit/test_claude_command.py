"""What is started: argv, environment and settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.agents.claude_code import command
from aiagentchat.agents.claude_code.quarters import cell_of, prepare, settings_file
from aiagentchat.agents.claude_code.room_tools import mcp_config
from aiagentchat.core.agent_events import SEND_FILE
from aiagentchat.core.errors import NotOpened
from aiagentchat.core.ids import RoomId, RunId, SessionId
from aiagentchat.core.ports.agent import Mounted, RunSpec
from aiagentchat.process.beneath import Why

SESSION = SessionId("5e551011-0000-4000-8000-000000000001")
CREDENTIALS = {"ANTHROPIC_API_KEY": "sk-ant-1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return RunSpec(
        room=RoomId("!k:hs"),
        session=SESSION,
        resume=False,
        workspace=str(tmp_path / "rooms" / "kitchen"),
        home=str(tmp_path / "homes" / "kitchen"),
        instructions="Be brief.",
    )


@pytest.mark.parametrize(
    ("resume", "session"),
    [
        pytest.param(False, ["--session-id", SESSION], id="a new conversation"),
        pytest.param(True, ["--model", "default", f"--resume={SESSION}"], id="one that goes on"),
    ],
)
def test_the_command_line_is_exactly_this(spec: RunSpec, resume: bool, session: list[str]) -> None:
    wanted = replace(spec, resume=resume, permission_mode="plan")

    assert command.argv(Path("/opt/claude"), "/data/kitchen.settings.json", wanted) == [
        "/opt/claude",
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool",
        "stdio",
        "--permission-mode",
        "plan",
        "--setting-sources",
        "",
        "--settings",
        "/data/kitchen.settings.json",
        "--strict-mcp-config",
        "--mcp-config",
        mcp_config(),
        *session,
    ]


@pytest.mark.parametrize("resume", [False, True])
def test_a_model_is_named_because_a_conversation_keeps_the_one_it_had(spec: RunSpec, resume: bool) -> None:
    words = command.argv(Path("claude"), "file", replace(spec, resume=resume, model="opus"))

    assert words[words.index("--model") + 1] == "opus"


def test_that_a_conversation_goes_on_makes_no_other_flags(spec: RunSpec) -> None:
    assert command.flags("file", replace(spec, resume=True)) == command.flags("file", spec)


def test_no_instruction_and_no_secret_is_in_the_command_line(spec: RunSpec) -> None:
    secretive = replace(spec, env=(("TOKEN", "hidden"),), instructions="hidden", allow=("hidden",))

    assert not [word for word in command.argv(Path("claude"), "file", secretive) if "hidden" in word]


def test_the_environment_is_this_and_nothing_else(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")

    assert command.environment(spec, RunId("run-1"), path="/bin", credentials=CREDENTIALS) == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "HOME": spec.home,
        "CLAUDE_CONFIG_DIR": f"{spec.home}/.claude",
        "CLAUDE_CODE_TMPDIR": f"{spec.home}/tmp",
        "TMPDIR": f"{spec.home}/tmp",
        "AICHAT_RUN": "run-1",
        **command.QUIET,
        **CREDENTIALS,
    }


def test_background_tasks_are_off() -> None:
    assert command.QUIET["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "1"


@pytest.mark.parametrize("name", ["HOME", "CLAUDE_CONFIG_DIR", "TMPDIR", "AICHAT_RUN", *CREDENTIALS, *command.QUIET])
def test_a_rooms_own_variables_replace_none_of_ours(spec: RunSpec, name: str) -> None:
    planted = replace(spec, env=((name, "planted"), ("LEVEL", "1"), ("PATH", "/opt/bin")))
    made = command.environment(planted, RunId("run-1"), path="/bin", credentials=CREDENTIALS)

    assert made[name] != "planted"
    assert (made["LEVEL"], made["PATH"]) == ("1", "/opt/bin")


def test_the_settings_hold_the_rooms_rules_and_its_model(spec: RunSpec) -> None:
    ruled = replace(spec, allow=("Bash(make:*)",), deny=("WebFetch",), model="sonnet")

    assert json.loads(command.settings(ruled)) == {
        "permissions": {"allow": [SEND_FILE, "Bash(make:*)"], "deny": ["WebFetch"]},
        "model": "sonnet",
    }


def test_without_a_model_the_cli_chooses(spec: RunSpec) -> None:
    assert json.loads(command.settings(spec)) == {"permissions": {"allow": [SEND_FILE], "deny": []}}


def test_folders_outside_are_opened_and_those_to_read_are_not_written(spec: RunSpec) -> None:
    mounted = replace(spec, mounts=(Mounted("/srv/docs", "ro", "/srv/docs"), Mounted("/srv/out", "rw", "/srv/out")))

    assert json.loads(command.settings(mounted))["permissions"] == {
        "allow": [SEND_FILE],
        "deny": ["Edit(//srv/docs/**)"],
        "additionalDirectories": ["/srv/docs", "/srv/out"],
    }


# ── the room's own folder ─────────────────────────────────────────────────────────────────────────────────────────


def _prepare(spec: RunSpec) -> Path:
    prepare(spec, cell_of(spec, Path("/bin/true"), None))
    return settings_file(spec)


def test_the_home_is_private_and_the_settings_lie_outside_of_it_read_only(spec: RunSpec) -> None:
    file = _prepare(spec)

    folders = [Path(spec.home), Path(spec.home, ".claude"), Path(spec.home, "tmp")]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
    assert file == Path(spec.home).with_name("kitchen.settings.json")
    assert file.stat().st_mode & 0o777 == 0o400
    assert file.read_text(encoding="utf-8") == command.settings(spec)


def test_the_settings_are_written_afresh_for_each_run(spec: RunSpec) -> None:
    _prepare(spec)
    file = _prepare(replace(spec, model="sonnet"))

    assert json.loads(file.read_text(encoding="utf-8"))["model"] == "sonnet"
    assert [each.name for each in file.parent.iterdir() if each.is_file()] == ["kitchen.settings.json"]


@pytest.mark.parametrize("planted", ["kitchen", "kitchen/.claude", "kitchen/tmp"])
def test_a_link_that_a_room_put_in_the_place_of_a_folder_is_not_followed(
    spec: RunSpec, tmp_path: Path, planted: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = Path(spec.home).parent / planted
    folder.parent.mkdir(parents=True)
    folder.symlink_to(outside)

    with pytest.raises(NotOpened) as refused:
        _prepare(spec)
    assert refused.value.why == Why.LINK
    assert list(outside.iterdir()) == []


def test_settings_that_were_half_written_are_written_afresh(spec: RunSpec) -> None:
    half = Path(spec.home).with_name("kitchen.settings.new")
    half.parent.mkdir(parents=True)
    half.write_text("{", encoding="utf-8")
    file = _prepare(spec)

    assert file.read_text(encoding="utf-8") == command.settings(spec)
    assert not half.exists()
