"""The account is required, and its homeserver must be reached safely."""

from pathlib import Path

import pytest

from tests.unit.config_file import load_text, problems_of

_ADDRESS = 'is not a web address; write for example "https://matrix.example.org"'


@pytest.mark.parametrize(
    ("homeserver", "expected"),
    [
        pytest.param("matrix.org", f'"matrix.org" {_ADDRESS}', id="no scheme"),
        pytest.param("ftp://x", f'"ftp://x" {_ADDRESS}', id="another scheme"),
        pytest.param("https://", f'"https://" {_ADDRESS}', id="no host"),
        pytest.param("https://x:99999", f'"https://x:99999" {_ADDRESS}', id="a port that cannot be"),
        pytest.param("https://[::1", f'"https://[::1" {_ADDRESS}', id="half an address"),
        pytest.param("https://x/?a=b", f'"https://x/?a=b" {_ADDRESS}', id="a query"),
        pytest.param("https://x y", f'"https://x y" {_ADDRESS}', id="a space"),
        pytest.param(
            "https://me:hunter2@x",
            "the address must not contain a user name or a password; remove the part before the @",
            id="a password, which is not printed",
        ),
        pytest.param(
            "http://192.168.1.5:8008",
            '"http://192.168.1.5:8008" would send the password and every message in the clear; write https://…, '
            "or add allow_http: true to matrix if the way there is private",
            id="in the clear",
        ),
    ],
)
def test_a_homeserver_must_be_a_safe_address(tmp_path: Path, homeserver: str, expected: str) -> None:
    text = f'matrix:\n  user_id: "@claude:localhost"\n  homeserver: "{homeserver}"\n'

    assert problems_of(tmp_path, text) == [f"config.yaml:3: matrix.homeserver: {expected}"]


def test_a_homeserver_that_is_a_number_is_no_address(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "matrix: {homeserver: 8008, user_id: '@a:b'}") == [
        f"config.yaml:1: matrix.homeserver: 8008 {_ADDRESS}"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "data_dir: ./data",
            [
                (
                    "config.yaml:1: matrix: is missing; write for example "
                    'matrix: {homeserver: "http://127.0.0.1:8008", user_id: "@claude:localhost"}'
                )
            ],
            id="no account",
        ),
        pytest.param(
            "matrix: {}",
            [
                'config.yaml:1: matrix.homeserver: is missing; write for example homeserver: "http://127.0.0.1:8008"',
                'config.yaml:1: matrix.user_id: is missing; write for example user_id: "@claude:localhost"',
            ],
            id="an empty account",
        ),
        pytest.param(
            "matrix:",
            ["config.yaml:1: matrix: has no value; write one, or remove the line"],
            id="an account without anything",
        ),
    ],
)
def test_the_account_is_required(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems_of(tmp_path, text) == expected


def test_a_misspelt_key_of_the_account_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path, 'matrix: {homeserver: "http://localhost", user_id: "@a:b", device_nam: x}') == [
        'config.yaml:1: matrix.device_nam: this key is not known; did you mean "device_name"?'
    ]


@pytest.mark.parametrize(
    "homeserver",
    ["https://matrix.org/", "http://localhost:8008", "http://[::1]:8008", "http://hs.localhost", "http://127.9.9.9"],
)
def test_a_homeserver_behind_https_or_on_this_machine_is_accepted(tmp_path: Path, homeserver: str) -> None:
    settings = load_text(tmp_path, f'matrix: {{homeserver: "{homeserver}", user_id: "@a:b"}}')

    assert settings.matrix.homeserver == homeserver.rstrip("/")


def test_a_homeserver_in_the_clear_is_accepted_when_that_is_said(tmp_path: Path) -> None:
    settings = load_text(tmp_path, 'matrix: {homeserver: "http://synapse:8008", user_id: "@a:b", allow_http: true}')

    assert settings.matrix.homeserver == "http://synapse:8008"
