"""`aiagentchat init` as an operator types it, and as a script does."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.bootstrap.begin import KEYS, Answers
from aiagentchat.cli.init import Typed, interview
from aiagentchat.cli.init_options import by_option
from aiagentchat.cli.main import app
from aiagentchat.config.edit import example
from aiagentchat.config.load import load
from aiagentchat.config.secrets import Secret, load_secrets, with_folder

CLEAN = dict.fromkeys(("MATRIX_PASSWORD", "MATRIX_ACCESS_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"))
ENOUGH = ("--homeserver", "https://m.example", "--user-id", "@bot:example", "--user", "@you:example", "--offline")


def init(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["init", "--config", str(folder / "config.yaml"), *words], env=CLEAN)


def secret_file(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.touch(mode=0o600)
    file.write_text(text)
    return str(file)


def test_options_are_enough_and_the_file_says_what_the_example_says_with_the_answers_in_it(tmp_path: Path) -> None:
    shown = init(tmp_path, *ENOUGH, "--room", "one", "--room", "two=!b:example", "--room", "#three:example")
    text = (tmp_path / "config.yaml").read_text("utf-8")
    settings = load(tmp_path / "config.yaml", {})

    assert shown.exit_code == 0, shown.output
    assert [(room.name, room.id) for room in settings.rooms] == [
        ("one", "#one:example"),
        ("two", "!b:example"),
        ("three", "#three:example"),
    ]
    assert (settings.matrix.homeserver, settings.matrix.user_id) == ("https://m.example", "@bot:example")
    assert settings.rooms[0].users == {"@you:example"}
    comments = [line for line in example().splitlines() if line.lstrip().startswith("#")]
    assert [line for line in text.splitlines() if line.lstrip().startswith("#")] == comments


def test_what_it_writes_for_a_container_is_what_was_asked_for(tmp_path: Path) -> None:
    there = (
        "--data-dir",
        "/data",
        "--workspaces",
        "/rooms",
        "--registry-room",
        "#agents:example",
        "--admin",
        "@a:example",
    )
    shown = init(tmp_path, *ENOUGH, "--homeserver", "http://synapse:8008", "--allow-http", *there)
    settings = load(tmp_path / "config.yaml", {})

    assert shown.exit_code == 0, shown.output
    assert (str(settings.data_dir), str(settings.workspaces)) == ("/data", "/rooms")
    assert (settings.matrix.allow_http, settings.registry.room) == (True, "#agents:example")
    assert settings.rooms[0].admins == {"@a:example"}


def test_secrets_are_copied_where_the_daemon_looks_for_them_and_are_its_own(tmp_path: Path) -> None:
    key, password = secret_file(tmp_path, "key", "sk-ant-api-x\n"), secret_file(tmp_path, "word", "hunter2\n")
    shown = init(tmp_path, *ENOUGH, "--api-key-file", key, "--password-file", password)
    folder = tmp_path / "secrets"
    secrets = load_secrets(with_folder(tmp_path / "config.yaml", {}))

    assert shown.exit_code == 0, shown.output
    assert secrets.anthropic_api_key == Secret("sk-ant-api-x")
    assert secrets.matrix_password == Secret("hunter2")
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "hunter2" not in shown.output
    assert "sk-ant" not in shown.output.replace(KEYS, "")
    assert "Next: aiagentchat run --config" in shown.output


def test_without_a_key_it_says_how_to_get_one(tmp_path: Path) -> None:
    shown = init(tmp_path, *ENOUGH)

    assert KEYS in shown.output
    assert "claude setup-token" in shown.output
    assert "secrets/CLAUDE_CODE_OAUTH_TOKEN" in shown.output


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "ANTHROPIC_API_KEY").write_text("mine")
    key = secret_file(tmp_path, "key", "new")
    shown = init(tmp_path, *ENOUGH, "--api-key-file", key)

    assert shown.exit_code == 2
    assert shown.stderr.count("not overwritten without --force") == 2
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert (tmp_path / "secrets" / "ANTHROPIC_API_KEY").read_text() == "mine"

    (tmp_path / "config.yaml").chmod(0o640)
    assert init(tmp_path, *ENOUGH, "--api-key-file", key, "--force").exit_code == 0
    assert (tmp_path / "secrets" / "ANTHROPIC_API_KEY").read_text() == "new\n"
    assert (tmp_path / "config.yaml").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--homeserver", "matrix.example", ': "matrix.example" is not a web address; write for example "https://'),
        ("--homeserver", "http://m.example", ': "http://m.example" would send the password and every message in the'),
        ("--user-id", "bot", ': "bot" is not a Matrix user id; write for example "@you:localhost"'),
        ("--user", "you", ': "you" is not a Matrix user id; write for example "@you:localhost"'),
        ("--user", "@bot:example", ': "@bot:example" is the account that answers, and is not asked by itself; write'),
        ("--admin", "@bot:example", ': "@bot:example" is the account that answers, and is not asked by itself; write'),
        ("--admin", "@*", ': "@*" is neither one user nor one server; write "@you:localhost" for one person'),
        ("--room", "a b", ': "a b" is not a room id or alias; write for example "!abc:localhost"'),
        ("--room", "x=y", ': "y" is not a room id or alias; write for example "!abc:localhost"'),
        ("--registry-room", "agents", ': "agents" is not a room id or alias; write for example "!abc:localhost"'),
        ("--data-dir", " ", ': " " is not a folder; write for example "./rooms"'),
        ("--data-dir", "~nobody/data", ': "~nobody/data" cannot be looked up; write the whole path, beginning with /'),
    ],
)
def test_an_option_that_cannot_be_used_is_named_with_its_value_and_writes_nothing(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    shown = init(tmp_path, *ENOUGH, option, value)

    assert shown.exit_code == 2
    problem, end = shown.stderr.splitlines()
    assert problem.startswith(f"{option}{said}")
    assert end == "1 problem; nothing was changed."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--api-key-file", "sk-ant-oat01-x", "give it by --setup-token-file"),
        ("--setup-token-file", "sk-ant-api03-x", "give it by --api-key-file"),
    ],
)
def test_what_pays_for_the_model_is_taken_as_what_it_is(tmp_path: Path, option: str, value: str, said: str) -> None:
    file = tmp_path / "given"
    file.write_text(value)
    file.chmod(0o600)
    shown = init(tmp_path, *ENOUGH, option, str(file))

    assert shown.exit_code == 2
    assert said in shown.stderr
    assert value not in shown.output
    assert not (tmp_path / "config.yaml").exists()


def test_a_key_of_another_shape_is_kept_and_remarked_upon(tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_text("of-a-gateway")
    file.chmod(0o600)
    shown = init(tmp_path, *ENOUGH, "--api-key-file", str(file))

    assert shown.exit_code == 0
    assert "ANTHROPIC_API_KEY begins with neither sk-ant-api nor sk-ant-oat" in shown.output
    assert "of-a-gateway" not in shown.output
    assert (tmp_path / "secrets/ANTHROPIC_API_KEY").read_text() == "of-a-gateway\n"


def test_what_is_said_of_keys_fits_a_terminal() -> None:
    assert max(map(len, KEYS.splitlines())) <= 78


def test_all_options_that_cannot_be_used_are_said_at_once(tmp_path: Path) -> None:
    shown = init(tmp_path, *ENOUGH, "--user", "you", "--user-id", "bot", "--homeserver", "http://m.example")

    assert [line.partition(":")[0] for line in shown.stderr.splitlines()[:-1]] == [
        "--user-id",
        "--user",
        "--homeserver",
    ]
    assert "--allow-http" in shown.stderr


def test_two_rooms_that_are_one_are_said_of_the_option_that_names_it_again(tmp_path: Path) -> None:
    shown = init(tmp_path, *ENOUGH, "--room", "one", "--room", "two=#one:example")
    problem, _ = shown.stderr.splitlines()

    assert shown.exit_code == 2
    assert problem.startswith('--room "two=#one:example": ')
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_no_option_is_said_as_it_is() -> None:
    answers = Answers(homeserver="https://m.example", user_id="@bot:example", users=("@you:example",))

    assert by_option("new.yaml:7: warm_ttl: too long", "new.yaml", answers) == "new.yaml:7: warm_ttl: too long"
    assert by_option("new.yaml cannot be read", "new.yaml", answers) == "new.yaml cannot be read"


def test_without_a_terminal_it_says_which_options_it_needs(tmp_path: Path) -> None:
    shown = init(tmp_path, "--user-id", "@bot:example")

    assert shown.exit_code == 2
    assert [line.partition(":")[0] for line in shown.stderr.splitlines()[:-1]] == ["--homeserver", "--user"]


def test_a_homeserver_that_does_not_answer_is_said_when_all_is_written(tmp_path: Path) -> None:
    shown = init(tmp_path, *ENOUGH[2:-1], "--homeserver", "http://127.0.0.1:9")

    assert shown.exit_code == 10
    assert "✗ http://127.0.0.1:9 does not answer" in shown.output
    assert (tmp_path / "config.yaml").exists()


def answering(*answers: str) -> Callable[..., str]:
    """Somebody who says these, one after the other; empty: what Enter says."""
    left = list(answers)
    return lambda _question, otherwise="": left.pop(0) or otherwise


def test_somebody_is_asked_until_it_makes_sense() -> None:
    said: list[str] = []
    answers = answering(
        "nowhere", "https://m.example", "bot", "@bot:example", "@you:example, @*:example", "a b!", "one #two:example"
    )
    typed, secrets = interview(Typed(files={}), {}, answers, answering(" hunter2 ", "sk-ant-oat-x"), say=said.append)

    assert (typed.homeserver, typed.user_id) == ("https://m.example", "@bot:example")
    assert (typed.users, typed.rooms) == (("@you:example", "@*:example"), ("one", "#two:example"))
    assert secrets == {"MATRIX_PASSWORD": Secret("hunter2"), "CLAUDE_CODE_OAUTH_TOKEN": Secret("sk-ant-oat-x")}
    assert KEYS in said
    assert any('"nowhere" is not a web address' in line for line in said)


def test_enter_takes_what_is_offered_and_a_secret_may_come_later() -> None:
    offered = answering("", "", "", "")
    typed, secrets = interview(Typed(files={}), {}, offered, answering("", ""), say=lambda _: None)

    assert (typed.homeserver, typed.user_id) == ("http://127.0.0.1:8008", "@claude:localhost")
    assert (typed.users, typed.rooms, secrets) == (("@you:localhost",), ("first",), {})


def test_what_was_given_is_not_asked_for() -> None:
    given = {"MATRIX_ACCESS_TOKEN": Secret("x"), "ANTHROPIC_API_KEY": Secret("y")}
    known = Typed(homeserver="https://m.example", user_id="@bot:example", rooms=("a",), files={})
    typed, secrets = interview(known, given, answering("@you:example"), answering(), say=lambda _: None)

    assert (typed.users, secrets) == (("@you:example",), {})
