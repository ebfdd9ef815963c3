"""Where to chat and as whom, from options and the environment."""

from pathlib import Path

import pytest

from aiagentchat.cli.chat.settings import ChatSettings, chat_settings
from aiagentchat.cli.exchange.logins import Login
from aiagentchat.core.errors import ConfigError

URL = "http://127.0.0.1:8008"


def settings(
    *,
    homeserver: str | None = URL,
    user: str | None = None,
    room: str | None = None,
    token_file: str | None = None,
    named: Login | None = None,
    kept: Login | None = None,
    **environ: str,
) -> ChatSettings:
    return chat_settings(
        homeserver=homeserver,
        user=user,
        room=room,
        token_file=token_file,
        environ=environ,
        named=named,
        kept=kept,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("syt_file\n", encoding="utf-8")
    return path


def test_the_token_comes_from_the_option_before_the_environment(file: Path) -> None:
    assert settings(token_file=str(file), CCHAT_ACCESS_TOKEN="syt_env").token.reveal() == "syt_file"
    assert settings(CCHAT_ACCESS_TOKEN="syt_env").token.reveal() == "syt_env"
    assert settings(CCHAT_ACCESS_TOKEN_FILE=str(file)).token.reveal() == "syt_file"


def test_what_is_optional_may_be_missing() -> None:
    found = settings(homeserver="https://hs.example/", user="", room="", CCHAT_ACCESS_TOKEN="t")

    assert (found.homeserver, found.user, found.room) == ("https://hs.example", None, None)


@pytest.mark.parametrize(
    ("homeserver", "problem"),
    [
        (None, "there is no homeserver"),
        ("matrix.example.org", "is not a web address"),
        ("ftp://matrix.example.org", "is not a web address"),
        ("http://[::1", "is not a web address"),
        ("http://127.0.0.1:port", "is not a web address"),
        ("https://me:secret@matrix.example.org", "is not a web address"),
        ("http://matrix.example.org", "use https"),
        ("http://a\x1b[2Jb", "a\\u001b[2Jb"),
    ],
)
def test_a_homeserver_that_cannot_be_used_is_explained(homeserver: str | None, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(homeserver=homeserver, CCHAT_ACCESS_TOKEN="t")

    assert len(raised.value.problems) == 1
    assert problem in raised.value.problems[0]


def test_everything_that_is_wrong_is_said_at_once_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(homeserver="x", user="you", CCHAT_ACCESS_TOKEN_FILE=str(tmp_path / "none"))

    address, user, token = raised.value.problems
    assert address.startswith("--homeserver x: ")
    assert user.startswith("--user you: ")
    assert token.startswith("CCHAT_ACCESS_TOKEN_FILE: ")


def test_a_token_that_others_can_read_is_refused(file: Path) -> None:
    file.chmod(0o644)

    with pytest.raises(ConfigError, match=r"--token-file: .*other users can read"):
        settings(token_file=str(file))


def test_without_a_token_it_is_said_where_to_get_one() -> None:
    with pytest.raises(ConfigError, match="Access Token"):
        settings()


ANNA = Login(homeserver="https://hs.example", user_id="@anna:hs", access_token="syt_anna")


def test_a_login_by_its_name_wins_over_everything() -> None:
    found = settings(named=ANNA, room="den", CCHAT_ACCESS_TOKEN="syt_env")

    assert (found.homeserver, found.token.reveal(), found.room) == ("https://hs.example", "syt_anna", "den")


def test_the_login_that_is_kept_is_taken_where_there_is_no_other(file: Path) -> None:
    assert settings(homeserver=None, kept=ANNA).token.reveal() == "syt_anna"
    assert settings(homeserver="https://hs.example", kept=ANNA).token.reveal() == "syt_anna"
    assert settings(kept=ANNA, CCHAT_ACCESS_TOKEN="syt_env").token.reveal() == "syt_env"
    assert settings(kept=ANNA, token_file=str(file)).token.reveal() == "syt_file"
    with pytest.raises(ConfigError):
        settings(homeserver="https://other.example", kept=ANNA)
