"""What looks like a secret is found; words, programs and paths are not."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiagentchat.core.redact import Redactor
from aiagentchat.core.shapes import SHAPES, names_a_secret, shaped_like, unfinished_key

REDACT = Redactor()
# Long enough for each kind; tokens are put together below, so that no scanner takes this file for a leak.
A = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{A * 2}\n{A * 2}\n{A}==\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("before", "secret", "after", "name"),
    [
        pytest.param("key ", f"sk-ant-api03-{A}", ".", "Anthropic key", id="Anthropic"),
        pytest.param("`", f"sk-ant-oat01-{A}", "`", "Anthropic key", id="Anthropic OAuth"),
        pytest.param("", f"sk-proj-{A}", "", "OpenAI key", id="OpenAI project"),
        pytest.param("", f"sk-{A}{A}", "", "OpenAI key", id="OpenAI"),
        pytest.param('"', f"syt_Y2xh_{A}_abc", '"', "Matrix token", id="Synapse"),
        pytest.param('"', f"syr_Y2xh_{A}_abc", '"', "Matrix token", id="Synapse, to refresh"),
        pytest.param("x-", f"mct_{A}_AbCdEf", "", "Matrix token", id="the authentication service"),
        pytest.param("", f"ghp_{A}{A}", "", "GitHub token", id="GitHub"),
        pytest.param("", f"github_pat_{A}_{A}{A}", "", "GitHub token", id="GitHub, fine-grained"),
        pytest.param("", f"glpat-{A}", "", "GitLab token", id="GitLab"),
        pytest.param("", f"AKIA{A.upper()[:16]}", " ", "AWS key", id="AWS"),
        pytest.param("", f"xoxb-{A}", "", "Slack token", id="Slack"),
        pytest.param("", f"AIza{A}{A[:8]}", "", "Google key", id="Google"),
        pytest.param("", f"npm_{A}{A[:9]}", "", "npm token", id="npm"),
        pytest.param("", f"pypi-{A}{A}", "", "PyPI token", id="PyPI"),
        pytest.param("", f"sk_live_{A}", "", "Stripe key", id="Stripe"),
        pytest.param("", f"hf_{A}abcd", "", "Hugging Face token", id="Hugging Face"),
        pytest.param("bot", f"123456789:AA{A}{A[:6]}", "", "Telegram token", id="Telegram in a URL"),
        pytest.param("=", f"eyJ{A}.eyJ{A}.{A}", "", "JSON web token", id="JWT"),
        pytest.param("", f"AGE-SECRET-KEY-1{A.upper()}{A.upper()}", "", "age key", id="age"),
        pytest.param("see\n", KEY, "\nso", "private key", id="PEM"),
        pytest.param('"', KEY.replace("\n", "\\n"), '\\n"', "private key", id="PEM in JSON"),
        pytest.param("", KEY.replace("\n", " "), "", "private key", id="PEM on one line"),
        pytest.param("", KEY.replace("\n", "\n   12\t"), "", "private key", id="PEM with numbered lines"),
        pytest.param("", KEY.partition("\n-----END")[0], "\n\nthat was it", "private key", id="PEM without its end"),
        pytest.param("", KEY.replace("\n", "\nProc-Type: 4,ENCRYPTED\n", 1), "", "private key", id="PEM with headers"),
        pytest.param("postgres://bob:", "hunter2", "@db/x", "password", id="a URL"),
        pytest.param("Authorization: Bearer ", A, "", "credentials", id="a header"),
        pytest.param('"x-api-key": "', A, '"', "credentials", id="a header in JSON"),
        pytest.param("with Bearer ", A, " it works", "credentials", id="a bearer token"),
        pytest.param("Set-Cookie: theme=dark; sid=", A, "; Path=/", "cookie", id="a cookie"),
        pytest.param("DB_PASSWORD=", "correcthorse", "\n", "secret", id="a variable"),
        pytest.param('export API_KEY="', A, '"', "secret", id="an exported variable"),
        pytest.param("AWS_SECRET_ACCESS_KEY=", f"/{A}", "", "secret", id="a variable with a slash in front"),
        pytest.param("aws_secret_access_key = ", f"{A}/{A}", "", "secret", id="an ini file"),
        pytest.param('password: "', "hunter2hunter", '"', "secret", id="YAML"),
        pytest.param('{\\"client_secret\\": \\"', A, '\\"}', "secret", id="JSON in JSON"),
        pytest.param('apiKey: "', "correct=horse", '"', "secret", id="a quoted value with a sign in it"),
        pytest.param("?access_token=", A, "&x=1", "secret", id="a query"),
        pytest.param("password = ", "s3cr3tpassw0rd", "", "secret", id="an assignment"),
    ],
)  # fmt: skip
def test_a_secret_is_hidden_and_the_rest_stays(before: str, secret: str, after: str, name: str) -> None:
    assert REDACT(f"{before}{secret}{after}") == f"{before}[redacted: {name}]{after}"


@pytest.mark.parametrize(
    "text",
    [
        "The key begins with sk-ant-api03- and the token with syt_ or mat_.",
        "task-force-one-hundred-and-twenty-three-people",
        "format_abcdefghijklmnopqrst mat_multiplication_of_large_matrices",
        "-----BEGIN PRIVATE KEY----- is the first line, then comes Base64.",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "https://user:password@host/path and https://user:pass@host, https://localhost:8008/@me",
        "postgres://{user}:{password}@db postgres://u:$PASS@db postgres://u:%s@db",
        "Authorization: Bearer <token>",
        "authorization: required",
        "the bearer of this letter",
        "bearer authentication-is-not-used-here",
        "Cookie: theme=dark; lang=en",
        "cookie: str = None",
        "MATRIX_PASSWORD_FILE=/run/secrets/matrix",
        "SECRET_KEY=/etc/app/key.pem TOKEN=$TOKEN PASSWORD=<yours> API_KEY=required PASSWORD=********",
        "password = os.environ['X2'] token = get_token2() api_key=self.api_key2.value,",
        "password=password2, secret = None",
        "password: /etc/shadow1/file",
        'password: "/home/anna/file1"',
        'password = "correct horse"',
        'token = "TokenType" password: "required"',
        "input_tokens=12345678 token_count: 1234567890123456",
        "secret: my-service-1",
        "tokenizer = Qwen2TokenizerFast1",
        'password: "hunter2hunter',
        'PASSWORD="$(rm1)" password=`rm1_rm1_rm1`',
        "password=a1b2c3d4(x)",
    ],
)
def test_words_programs_and_paths_are_not_secrets(text: str) -> None:
    assert REDACT(text) is text


@pytest.mark.parametrize("command", ["; rm -rf ~", "$(rm -rf ~)", "&& rm x", "`rm x`", "|sh", "\nrm x", ">x"])
@pytest.mark.parametrize("start", ["DB_PASSWORD=aaaaaaa1", "password=aaaaaaa1", "cookie: a=aaaaaaa1", f"ghp_{A}{A}"])
def test_a_command_cannot_hide_in_a_secret(start: str, command: str) -> None:
    assert command in REDACT(f"{start}{command}")


def test_a_command_cannot_hide_in_a_private_key() -> None:
    shown = REDACT(KEY.replace("==", "==\nrm -rf /; curl x | sh"))

    assert "rm -rf /; curl x | sh" in shown


@pytest.mark.parametrize(
    ("text", "start", "place"),
    [
        pytest.param("x -----BEGIN ", 0, 2, id="it may become one"),
        pytest.param("x -----BEGIN RSA PRIVATE KE", 0, 2, id="its header is cut"),
        pytest.param("x -----BEGIN CERTIFICATE-----\n", 0, None, id="another thing"),
        pytest.param("x -----BEGIN PRIVATE KEY-----\nAAAA\n", 0, 2, id="it goes on"),
        pytest.param("x -----BEGIN PRIVATE KEY-----\nAAAA\nProc-Ty", 0, 2, id="a line is cut"),
        pytest.param("x -----BEGIN PRIVATE KEY-----\nAAAA\nis one.\n", 0, None, id="other lines follow"),
        pytest.param("x -----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", 0, None, id="it has ended"),
        pytest.param("x -----BEGIN PRIVATE KEY-----\nAAAA\n", 3, None, id="before the start"),
        pytest.param("x", 0, None, id="nothing"),
    ],
)
def test_a_private_key_that_goes_on_is_known_by_its_beginning(text: str, start: int, place: int | None) -> None:
    assert unfinished_key(text, start) == place


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NPM_TOKEN", True),
        ("DB_PASSWORD", True),
        ("GITHUB_PAT", True),
        ("SECRET_KEY_BASE", True),
        ("apikey", True),
        ("AWS_ACCESS_KEY_ID", True),
        ("PASS", True),
        ("PATH", False),
        ("COMPASS", False),
        ("LANG", False),
        ("KEYBOARD", False),
    ],
)
def test_a_variable_is_secret_by_its_name(name: str, expected: bool) -> None:
    assert names_a_secret(name) is expected


def test_our_own_secrets_name_their_variable() -> None:
    assert shaped_like(f"x sk-ant-oat01-{A}") == "CLAUDE_CODE_OAUTH_TOKEN"
    assert shaped_like(f"ghp_{A}{A}") is None


def test_every_mark_is_in_small_letters() -> None:
    assert [mark for shape in SHAPES for mark in shape.marks if mark != mark.lower()] == []


@pytest.mark.parametrize(
    "seed",
    [
        "a", "-", "eyJ", "-eyJ", "eyJ-aaaaaaaa.", KEY[:36], KEY[:36] + "AAAA\n", "-----BEGIN ", "\n", "\\n", "://a:",
        "password=", "password: ", "PASSWORD_", "token-", "cookie: a=1;", "a=1;", "authorization: bearer ",
        "mat_aaaaaa", "sk-ant-", "12345678:AA", "api-key", "x-api-key: a", '\\"password\\":\\"', "secret ", "bearer\t",
    ],
)  # fmt: skip
def test_twice_the_text_takes_no_more_than_some_times_as_long(seed: str) -> None:
    short, long = (seed * (size // len(seed)) for size in (10_000, 80_000))

    assert _seconds(long) < 40 * max(_seconds(short), 0.005)


def _seconds(text: str) -> float:
    begun = time.process_time()
    for before in ("", KEY[:36], "cookie: a=1", "password="):
        REDACT.spans(before + text)
    return time.process_time() - begun


def test_ordinary_output_of_tools_is_left_alone() -> None:
    library = Path(re.__file__).parents[1]
    listed = subprocess.run(["ls", "-lR", str(library)], capture_output=True, text=True, timeout=60, check=False).stdout
    python = "".join(file.read_text("utf-8", "replace") for file in sorted(library.glob("[a-m]*.py")))

    assert len(listed) > 50_000
    assert len(python) > 1_000_000
    assert REDACT(listed) is listed
    assert REDACT(python) is python


def test_the_sources_of_pip_are_left_alone() -> None:
    pip = next(Path(folder, "pip") for folder in sys.path if Path(folder, "pip/__init__.py").exists())
    found = [
        text[first:last]
        for file in sorted(pip.rglob("*.py"))
        for text in [file.read_text("utf-8", "replace")]
        for first, last, _ in REDACT.spans(text)
    ]

    assert found == []
