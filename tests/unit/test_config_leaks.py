"""A secret in config.yaml is refused, and never printed."""

from pathlib import Path

import pytest

from tests.unit.config_file import MATRIX, problems_of

SYNAPSE = "syt_Y2xhdWRl_dOqxPkCLYTvTfwxTzxjK_2Xq9Xp"
MAS = "mat_abcdefghijklmnopqrstuvwxyz0123_AbCdEf"
ANTHROPIC = "sk-ant-api03-abcdefgh"
OAUTH = "sk-ant-oat01-abcdefgh"


def advice(variable: str) -> str:
    return (
        f"remove it and set the environment variable {variable}, or {variable}_FILE with the name of a file that "
        "holds it (if others could read this file, replace the secret too)"
    )


@pytest.mark.parametrize(
    ("text", "key", "variable"),
    [
        pytest.param("access_token: hunter2", "access_token", "MATRIX_ACCESS_TOKEN", id="a token"),
        pytest.param("refresh_token: hunter2", "refresh_token", "MATRIX_REFRESH_TOKEN", id="what renews it"),
        pytest.param("password: hunter2", "password", "MATRIX_PASSWORD", id="a password"),
        pytest.param("password: 12345678", "password", "MATRIX_PASSWORD", id="a password of digits"),
        pytest.param("password: [hunter2]", "password", "MATRIX_PASSWORD", id="a password in a list"),
        pytest.param("Api-Key: hunter2", "Api-Key", "ANTHROPIC_API_KEY", id="a key, spelt another way"),
        pytest.param("auth_token: hunter2", "auth_token", "ANTHROPIC_AUTH_TOKEN", id="a bearer token"),
        pytest.param("oauth_token: hunter2", "oauth_token", "CLAUDE_CODE_OAUTH_TOKEN", id="an OAuth token"),
        pytest.param(f"data_dir: {SYNAPSE}", "data_dir", "MATRIX_ACCESS_TOKEN", id="Synapse's token"),
        pytest.param(
            f"data_dir: x-{MAS}", "data_dir", "MATRIX_ACCESS_TOKEN", id="a token of the authentication service"
        ),
        pytest.param(
            f"defaults: {{env: {{A: {ANTHROPIC}}}}}", "defaults.env.A", "ANTHROPIC_API_KEY", id="a key in env"
        ),
        pytest.param(
            f"defaults: {{users: [a, {OAUTH}]}}", "defaults.users[1]", "CLAUDE_CODE_OAUTH_TOKEN", id="a key in a list"
        ),
        pytest.param(f"rooms: [{ANTHROPIC}]", "rooms[0]", "ANTHROPIC_API_KEY", id="a key instead of a room"),
    ],
)
def test_a_secret_is_refused_by_key_or_by_shape(tmp_path: Path, text: str, key: str, variable: str) -> None:
    problems = problems_of(tmp_path, MATRIX + text)

    assert f"config.yaml:2: {key}: a secret does not belong in this file; {advice(variable)}" in problems
    for secret in ("hunter2", "12345678", SYNAPSE, MAS, ANTHROPIC, OAUTH):
        assert secret not in "\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"# the key is {ANTHROPIC}", id="in a comment"),
        pytest.param(f"{ANTHROPIC}: x", id="as a key"),
        pytest.param(f"agents: {{{ANTHROPIC}: {{}}}}", id="as a name"),
    ],
)
def test_a_secret_that_is_no_value_is_refused_by_its_line(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, MATRIX + text) == [
        "config.yaml:2: there is a secret on this line, and it does not belong in this file; "
        + advice("ANTHROPIC_API_KEY")
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{ANTHROPIC}: x\n{ANTHROPIC}: y", id="a key twice"),
        pytest.param(f"data_dir: !{ANTHROPIC}", id="a tag"),
        pytest.param(f"data_dir: *{ANTHROPIC}", id="an alias"),
        pytest.param(f"data_dir: {{{ANTHROPIC}", id="broken YAML"),
        pytest.param(f"data_dir: [{{a: {ANTHROPIC}}}]", id="deep in a list"),
    ],
)
def test_no_other_problem_prints_a_secret(tmp_path: Path, text: str) -> None:
    assert ANTHROPIC not in "\n".join(problems_of(tmp_path, MATRIX + text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("agents: {claude: {}, token: {}}", id="an agent may be called token"),
        pytest.param("defaults: {env: {NPM_TOKEN: abc}}", id="a room may have variables of its own"),
        pytest.param("defaults: {allow: ['Bash(./format_abcdefghijklmnopqrst)']}", id="a word that ends like a shape"),
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_accepted(tmp_path: Path, text: str) -> None:
    good = problems_of(tmp_path, MATRIX + text + "\nmax_queue: x")

    assert len(good) == 1
