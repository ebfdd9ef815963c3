"""Tokens in files that nobody else can read."""

import os
from pathlib import Path

import pytest

from aiagentchat.core.errors import ConfigError
from aiagentchat.gateway.tokens import OPERATOR, PORT, Tokens, caller_file

CI = caller_file("ci")


def tokens(folder: Path, told: list[tuple[str, str]] | None = None) -> Tokens:
    heard = [] if told is None else told
    made = Tokens(folder / "gateway", [OPERATOR, PORT, CI], told=lambda *pair: heard.append(pair))
    made.prepare()
    return made


def read(folder: Path, name: str) -> str:
    return (folder / "gateway" / name).read_text(encoding="ascii").strip()


def test_each_file_is_made_with_a_token_of_its_own_that_only_its_owner_reads(tmp_path: Path) -> None:
    tokens(tmp_path)

    files = [tmp_path / "gateway" / name for name in (OPERATOR, PORT, CI)]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert [file.parent.stat().st_mode & 0o777 for file in files] == [0o700] * 3
    assert len({file.read_text(encoding="ascii") for file in files}) == 3
    assert all(len(file.read_text(encoding="ascii").strip()) >= 40 for file in files)


def test_a_token_says_whose_it_is(tmp_path: Path) -> None:
    made = tokens(tmp_path)

    assert [made.owner(read(tmp_path, name)) for name in (OPERATOR, PORT, CI)] == [OPERATOR, PORT, CI]
    assert made.owner("") is None
    assert made.owner(read(tmp_path, PORT)[:-1]) is None
    assert made.owner(read(tmp_path, PORT) + "x") is None
    assert made.owner("nö") is None
    assert made.owner("\ud800") is None


def test_tokens_last_longer_than_a_life(tmp_path: Path) -> None:
    tokens(tmp_path)
    before = read(tmp_path, PORT)

    assert tokens(tmp_path).owner(before) == PORT


def test_every_token_is_told_so_that_it_can_be_hidden(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    tokens(tmp_path, told)

    assert {value for _, value in told} == {read(tmp_path, name) for name in (OPERATOR, PORT, CI)}


def test_deleting_a_file_rotates_its_token_at_once(tmp_path: Path) -> None:
    made = tokens(tmp_path)
    before = read(tmp_path, CI)

    (tmp_path / "gateway" / CI).unlink()

    assert made.owner(before) is None
    assert read(tmp_path, CI) != before
    assert made.owner(read(tmp_path, CI)) == CI


def test_a_token_that_somebody_writes_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    made = tokens(tmp_path)
    before = read(tmp_path, PORT)

    (tmp_path / "gateway" / PORT).write_text("my-own-token-of-some-length\n", encoding="ascii")

    assert made.owner("my-own-token-of-some-length") == PORT
    assert made.owner(before) is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        pytest.param("my-own-token-of-some-length", 0o640, id="others can read it"),
        pytest.param("short", 0o600, id="too short"),
        pytest.param("a token with some blanks in it", 0o600, id="blanks"),
    ],
)
def test_a_file_that_is_no_good_is_said_at_the_start_and_good_for_nobody_later(
    tmp_path: Path, text: str, mode: int
) -> None:
    made = tokens(tmp_path)
    file = tmp_path / "gateway" / PORT
    before = read(tmp_path, PORT)
    file.write_text(text, encoding="ascii")
    file.chmod(mode)

    assert made.owner(before) is None
    assert made.owner(text) is None
    with pytest.raises(ConfigError, match=r"port\.token"):
        tokens(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    tokens(tmp_path)
    file = tmp_path / "gateway" / PORT
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)

    with pytest.raises(ConfigError, match="cannot be made or read"):
        tokens(tmp_path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    tokens(tmp_path)
    file = tmp_path / "gateway" / PORT
    file.unlink()
    os.mkfifo(file, 0o600)

    with pytest.raises(ConfigError, match="is not a file"):
        tokens(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "gateway").write_text("", encoding="ascii")

    with pytest.raises(ConfigError, match="gateway"):
        tokens(tmp_path)


def test_a_folder_that_is_a_link_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "gateway").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="not a folder of ours"):
        tokens(tmp_path)
