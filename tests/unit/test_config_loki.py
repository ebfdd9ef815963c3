"""Where the log is sent, and as whom."""

import base64
import socket
from pathlib import Path

import pytest

from aiagentchat.app.live import Live
from aiagentchat.app.push import loki_handler, target_of
from aiagentchat.config.reload import compare
from aiagentchat.config.secrets import Secrets, load_secrets
from aiagentchat.core.errors import ConfigError
from tests.unit.config_file import MATRIX, load_text, problems_of

URL = 'loki: {url: "https://loki.example.org"}\n'


def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX)

    assert target_of(settings, Secrets()) is None
    assert loki_handler(Live(settings, Secrets(), {})) is None


def test_a_line_has_few_labels_of_which_some_may_be_set(tmp_path: Path) -> None:
    plain = target_of(load_text(tmp_path, MATRIX + URL), Secrets())
    said = 'loki: {url: "http://127.0.0.1:3100/", labels: {env: production, host: web-1}}\n'
    more = target_of(load_text(tmp_path, MATRIX + said), Secrets())

    assert plain is not None
    assert more is not None
    assert plain.labels == {"service_name": "aiagentchat", "host": socket.gethostname()}
    assert more.labels == {"service_name": "aiagentchat", "host": "web-1", "env": "production"}
    assert (plain.url, more.url) == ("https://loki.example.org", "http://127.0.0.1:3100")


@pytest.mark.parametrize(
    ("user", "environ", "header"),
    [
        pytest.param("", {}, None, id="nobody"),
        pytest.param("", {"LOKI_TOKEN": "abc123"}, "Bearer abc123", id="a token"),
        pytest.param("12345", {"LOKI_PASSWORD": "abc123"}, "12345:abc123", id="a user"),
        pytest.param("12345", {"LOKI_TOKEN": "abc123"}, "12345:abc123", id="a user whose password is a token"),
        pytest.param("", {"LOKI_PASSWORD": "abc123"}, None, id="a password of nobody"),
    ],
)
def test_who_we_are_there(tmp_path: Path, user: str, environ: dict[str, str], header: str | None) -> None:
    text = URL.replace("}", f', user: "{user}"}}') if user else URL
    target = target_of(load_text(tmp_path, MATRIX + text), load_secrets(environ))
    basic = header is not None and user != ""

    assert target is not None
    expected = f"Basic {base64.b64encode(str(header).encode()).decode()}" if basic else header
    assert target.authorization == expected


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        (URL.replace("}", ', user: "me"}'), {}, "loki.user: it has no password; set LOKI_PASSWORD"),
        (
            'loki: {url: "http://loki:3100"}\n',
            {"LOKI_TOKEN": "abc123"},
            "http://loki:3100 would send its token",
        ),
    ],
)
def test_what_would_not_work_or_would_show_a_secret_is_refused(
    tmp_path: Path, text: str, environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        target_of(load_text(tmp_path, MATRIX + text), load_secrets(environ))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("{level: x}", "aiagentchat sets this one itself, for each line; remove it"),
        ("{room: x}", "this is different for each line, and is found as structured metadata; remove it"),
        ("{a-b: x}", "this is not the name of a label; use letters, digits and _"),
        ("{__a: x}", "this is not the name of a label; use letters, digits and _"),
        ("{a: 1}", "1 is not text; put it in quotes"),
        (f"{{{', '.join(f'l{n}: x' for n in range(13))}}}", "13 labels are too many; write at most 12"),
    ],
)
def test_labels_that_loki_would_not_take_or_suffer_from_are_refused(tmp_path: Path, labels: str, problem: str) -> None:
    [found] = problems_of(tmp_path, f"{MATRIX}loki: {{labels: {labels}}}\n")

    assert problem in found


def test_a_change_needs_a_restart(tmp_path: Path) -> None:
    [problem] = compare(load_text(tmp_path, MATRIX), load_text(tmp_path, MATRIX + URL))

    assert problem.startswith("loki: the change from")
