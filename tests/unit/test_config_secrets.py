"""Secrets come from the environment or from private files, and print as nothing."""

import base64
import copy
import os
from pathlib import Path

import pytest

from aiagentchat.config.secrets import (
    STORE_KEY,
    VARIABLES,
    Secret,
    Secrets,
    load_secrets,
    missing_matrix_login,
    missing_model_key,
    read_secret,
    store_key_bytes,
    with_folder,
)
from aiagentchat.core.errors import ConfigError


def secret_file(folder: Path, content: str = "hunter2\n", mode: int = 0o600) -> str:
    file = folder / "secret"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return str(file)


REFRESH_TOKEN = "MATRIX_REFRESH_TOKEN"
PLAIN = [name for name in VARIABLES if name not in (STORE_KEY, REFRESH_TOKEN)]
"""Those that may be any text, and stand alone."""
A_STORE_KEY = base64.b64encode(bytes(range(32))).decode()


def problem_of(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_secrets(environ)
    return str(caught.value)


@pytest.mark.parametrize("name", PLAIN)
def test_each_secret_is_read_from_its_variable_or_its_file(tmp_path: Path, name: str) -> None:
    from_variable = load_secrets({name: " hunter2 "})
    from_file = load_secrets({f"{name}_FILE": secret_file(tmp_path), name: ""})

    assert getattr(from_variable, VARIABLES[name]) == Secret("hunter2")
    assert getattr(from_file, VARIABLES[name]) == Secret("hunter2")
    assert from_variable.found == (name,)
    assert from_file.found == (f"{name}_FILE",)


def test_nothing_given_is_nothing_found() -> None:
    assert load_secrets({"MATRIX_PASSWORD": "", "ANTHROPIC_API_KEY_FILE": ""}) == Secrets()


def test_a_secret_never_prints_its_value() -> None:
    secret = Secret("hunter2")
    secrets = load_secrets({"MATRIX_PASSWORD": "hunter2"})

    assert f"{secret} {secret!r} {secrets} {secrets!r}".count("(hidden)") == 4
    assert "hunter2" not in f"{secret} {secret!r} {secrets} {secrets!r}"
    assert secret.reveal() == "hunter2"


def test_a_secret_is_compared_but_not_copied() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    with pytest.raises(TypeError):
        copy.copy(Secret("a"))


def test_both_ways_at_once_are_an_error(tmp_path: Path) -> None:
    environ = {"MATRIX_PASSWORD": "x", "MATRIX_PASSWORD_FILE": secret_file(tmp_path)}

    assert problem_of(environ) == "MATRIX_PASSWORD and MATRIX_PASSWORD_FILE are both set; keep one of them"


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        pytest.param(" \n", 0o600, "the file is empty; write the secret into it", id="empty"),
        pytest.param("x" * 70000, 0o600, "the file is too large to be a secret", id="too large"),
        pytest.param(
            "one\ntwo",
            0o600,
            "the secret must be one line of text; it has line breaks or other characters",
            id="two lines",
        ),
        pytest.param("x", 0o640, "other users can read this file; run: chmod 600 {file}", id="readable by the group"),
        pytest.param("x", 0o604, "other users can read this file; run: chmod 600 {file}", id="readable by all"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path, content: str, mode: int, expected: str) -> None:
    file = secret_file(tmp_path, content, mode)

    assert problem_of({"ANTHROPIC_API_KEY_FILE": file}) == (
        f"ANTHROPIC_API_KEY_FILE: {file}: {expected.format(file=file)}"
    )


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert problem_of(
        {
            "MATRIX_ACCESS_TOKEN_FILE": str(tmp_path / "missing"),
            "MATRIX_PASSWORD_FILE": str(tmp_path),
            "ANTHROPIC_API_KEY_FILE": str(tmp_path / "pipe"),
            "ANTHROPIC_AUTH_TOKEN_FILE": "a\0b",
        }
    ).splitlines() == [
        f"MATRIX_ACCESS_TOKEN_FILE: {tmp_path}/missing: the file cannot be read: No such file or directory",
        f"MATRIX_PASSWORD_FILE: {tmp_path}: this is a folder; name the file in it",
        f"ANTHROPIC_API_KEY_FILE: {tmp_path}/pipe: this is not a file",
        r"ANTHROPIC_AUTH_TOKEN_FILE: a\x00b: the file cannot be read: not a usable file name",
    ]


def test_a_secret_with_a_line_break_is_refused_and_not_printed() -> None:
    assert problem_of({"MATRIX_ACCESS_TOKEN": "hunter2\r\nX: y"}) == (
        "MATRIX_ACCESS_TOKEN: the secret must be one line of text; it has line breaks or other characters"
    )


@pytest.mark.parametrize("url", ["api.anthropic.com", "https://me:hunter2@x", "http://x y"])
def test_an_address_of_the_model_that_cannot_be_used_is_refused_and_not_printed(url: str) -> None:
    assert problem_of({"ANTHROPIC_BASE_URL": url}) == (
        "ANTHROPIC_BASE_URL: this is not a web address without user name; write for example https://api.anthropic.com"
    )


def test_what_is_missing_is_said_in_one_sentence() -> None:
    nothing = load_secrets({})

    assert missing_matrix_login(nothing) == (
        "There is no login for Matrix: set MATRIX_ACCESS_TOKEN or MATRIX_PASSWORD, "
        "or one of them with _FILE at its end and the name of a file."
    )
    assert missing_model_key(nothing) == (
        "There is no key for the model: set ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or CLAUDE_CODE_OAUTH_TOKEN, "
        "or one of them with _FILE at its end and the name of a file."
    )


@pytest.mark.parametrize("name", [name for name in PLAIN if not name.startswith("LOKI_")])
def test_one_secret_of_each_kind_is_enough(name: str) -> None:
    secrets = load_secrets({name: "x"})

    assert [missing_matrix_login(secrets), missing_model_key(secrets)].count(None) == 1


def test_a_refresh_token_goes_with_an_access_token(tmp_path: Path) -> None:
    found = load_secrets({"MATRIX_ACCESS_TOKEN": "x", f"{REFRESH_TOKEN}_FILE": secret_file(tmp_path)})

    assert found.matrix_refresh_token == Secret("hunter2")
    assert problem_of({REFRESH_TOKEN: "hunter2", "MATRIX_PASSWORD": "x"}) == (
        f"{REFRESH_TOKEN}: it goes with an access token; set MATRIX_ACCESS_TOKEN as well"
    )


def test_a_store_key_is_32_bytes_in_base64(tmp_path: Path) -> None:
    found = load_secrets({f"{STORE_KEY}_FILE": secret_file(tmp_path, f"{A_STORE_KEY}\n")})

    assert found.store_key == Secret(A_STORE_KEY)
    assert store_key_bytes(A_STORE_KEY) == bytes(range(32))


@pytest.mark.parametrize("text", ["hunter2", "aGVsbG8=", A_STORE_KEY[:-4], A_STORE_KEY + "AAAA", "é" * 44])
def test_what_is_no_store_key_is_refused_and_not_printed(text: str) -> None:
    problem = problem_of({STORE_KEY: text})

    assert problem == f"{STORE_KEY}: this is not a store key; make one with: openssl rand -base64 32"


def test_every_secret_is_known_by_name_and_value() -> None:
    given = {name: f"value of {name}" for name in (*PLAIN, REFRESH_TOKEN)} | {STORE_KEY: A_STORE_KEY}

    assert dict(load_secrets(given).known()) == given


def test_what_is_too_short_to_be_hidden_is_named() -> None:
    assert load_secrets({"MATRIX_PASSWORD": "abcde", "ANTHROPIC_API_KEY": "abcdef"}).too_short() == ("MATRIX_PASSWORD",)


def test_a_file_in_the_folder_beside_the_settings_is_the_secret_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in ("MATRIX_PASSWORD", "ANTHROPIC_API_KEY", "NOTHING"):
        Path(secret_file(tmp_path, f"{name} in a file")).rename(tmp_path / "secrets" / name)
    found = load_secrets(with_folder(tmp_path / "config.yaml", {}))

    assert found.found == ("MATRIX_PASSWORD_FILE", "ANTHROPIC_API_KEY_FILE")
    assert found.matrix_password == Secret("MATRIX_PASSWORD in a file")


def test_what_the_environment_gives_goes_before_the_folder(tmp_path: Path) -> None:
    other = secret_file(tmp_path, "from elsewhere")
    (tmp_path / "secrets").mkdir()
    for name in ("MATRIX_PASSWORD", "ANTHROPIC_API_KEY"):
        (tmp_path / "secrets" / name).write_text("from the folder")
    environ = {"MATRIX_PASSWORD": "typed", "ANTHROPIC_API_KEY_FILE": other}

    assert with_folder(tmp_path / "config.yaml", environ) == environ
    assert with_folder(tmp_path / "elsewhere" / "config.yaml", {}) == {}


def test_what_systemd_gives_goes_before_the_folder_that_it_is_from(tmp_path: Path) -> None:
    for folder in ("secrets", "given"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "MATRIX_PASSWORD").write_text("hunter2")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")}

    assert with_folder(tmp_path / "config.yaml", environ) == environ


def test_a_file_that_an_option_names_is_read_as_carefully(tmp_path: Path) -> None:
    assert read_secret("--file", secret_file(tmp_path)) == Secret("hunter2")
    with pytest.raises(ConfigError, match=r"--file /.* other users can read this file"):
        read_secret("--file", secret_file(tmp_path, mode=0o644))
    with pytest.raises(ConfigError, match=r"--file /.* must be one line of text"):
        read_secret("--file", secret_file(tmp_path, "two\nlines"))


def credentials(folder: Path, name: str, content: str = "hunter2\n", *, mode: int = 0o400) -> dict[str, str]:
    """What systemd puts into the environment for `LoadCredential=`."""
    (folder / name).write_text(content, encoding="utf-8")
    (folder / name).chmod(mode)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


@pytest.mark.parametrize("prefix", ["", "secrets_"])
def test_a_credential_of_systemd_is_a_secret(tmp_path: Path, prefix: str) -> None:
    found = load_secrets(credentials(tmp_path, f"{prefix}MATRIX_PASSWORD"))

    assert found.matrix_password == Secret("hunter2")
    assert found.found == (f"credential {prefix}MATRIX_PASSWORD",)


def test_an_access_list_on_a_credential_is_systemds_own(tmp_path: Path) -> None:
    found = load_secrets(credentials(tmp_path, "MATRIX_PASSWORD", mode=0o440))

    assert found.matrix_password == Secret("hunter2")


@pytest.mark.parametrize("other", ["MATRIX_PASSWORD", "MATRIX_PASSWORD_FILE"])
def test_a_credential_and_a_variable_at_once_are_an_error(tmp_path: Path, other: str) -> None:
    environ = {**credentials(tmp_path, "MATRIX_PASSWORD"), other: "y"}

    assert problem_of(environ) == f"{other} and credential MATRIX_PASSWORD are both set; keep one of them"


def test_a_credential_that_is_empty_is_an_error(tmp_path: Path) -> None:
    environ = credentials(tmp_path, "MATRIX_PASSWORD", "")

    assert problem_of(environ) == (
        f"credential MATRIX_PASSWORD: {tmp_path}/MATRIX_PASSWORD: the file is empty; write the secret into it"
    )


@pytest.mark.parametrize("folder", ["", "relative", "/run/none"])
def test_where_systemd_gives_nothing_nothing_is_found(folder: str) -> None:
    assert load_secrets({"CREDENTIALS_DIRECTORY": folder}) == Secrets()
