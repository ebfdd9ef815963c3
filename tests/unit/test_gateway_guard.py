"""Requests that a web page, a foreign name, another user or nobody has sent are not looked at."""

import pytest

from aiagentchat.gateway.guard import bearer, check_port, check_socket, hosts_of

HOSTS = hosts_of(8870)
OURS = 1000
GOOD = (b"host", b"127.0.0.1:8870")

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([GOOD], id="by its address"),
        pytest.param([(b"host", b"localhost:8870")], id="by the name of this machine"),
        pytest.param([(b"host", b"LocalHost:8870")], id="in any case"),
        pytest.param([(b"host", b"[::1]:8870")], id="by its other address"),
        pytest.param([GOOD, (b"sec-fetch-site", b"none")], id="typed into a browser"),
        pytest.param([GOOD, (b"sec-fetch-site", b"same-origin")], id="from itself"),
    ],
)
def test_a_program_of_this_machine_is_let_in(headers: Headers) -> None:
    assert check_port(headers, HOSTS) is None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param([(b"host", b"evil.example:8870")], "wrong_host", id="a name that was led here by DNS"),
        pytest.param([(b"host", b"127.0.0.1.nip.io:8870")], "wrong_host", id="a name with our address in it"),
        pytest.param([(b"host", b"localhost.evil.example:8870")], "wrong_host", id="a name that begins like ours"),
        pytest.param([(b"host", b"127.0.0.1")], "wrong_host", id="without the port"),
        pytest.param([(b"host", b"127.0.0.1:80")], "wrong_host", id="another port"),
        pytest.param([(b"host", b"127.0.0.1:08870")], "wrong_host", id="the port in another spelling"),
        pytest.param([(b"host", b"localhost.:8870")], "wrong_host", id="a dot at the end"),
        pytest.param([(b"host", b"0.0.0.0:8870")], "wrong_host", id="every address"),
        pytest.param([(b"host", b"2130706433:8870")], "wrong_host", id="the address as one number"),
        pytest.param([(b"host", b"0x7f.1:8870")], "wrong_host", id="the address in hexadecimal"),
        pytest.param([(b"host", b"127.1:8870")], "wrong_host", id="the address cut short"),
        pytest.param([(b"host", b"127.0.0.1:8870@evil.example")], "wrong_host", id="as somebody's name"),
        pytest.param([(b"host", b"evil.example@127.0.0.1:8870")], "wrong_host", id="with somebody's name"),
        pytest.param([(b"host", b" 127.0.0.1:8870")], "wrong_host", id="a blank before it"),
        pytest.param([(b"host", "ｌocalhost:8870".encode())], "wrong_host", id="letters that look alike"),
        pytest.param([GOOD, (b"host", b"evil.example")], "wrong_host", id="two hosts"),
        pytest.param([GOOD, GOOD], "wrong_host", id="the same host twice"),
        pytest.param([], "wrong_host", id="no host"),
        pytest.param([(b"host", b"")], "wrong_host", id="an empty host"),
        pytest.param([(b"x-forwarded-host", GOOD[1]), (b"host", b"evil.example")], "wrong_host", id="through a proxy"),
        pytest.param([GOOD, (b"origin", b"https://evil.example")], "wrong_origin", id="a web page"),
        pytest.param([GOOD, (b"origin", b"null")], "wrong_origin", id="a page that hides where it is from"),
        pytest.param([GOOD, (b"origin", b"http://127.0.0.1:8870")], "wrong_origin", id="a page that says it is us"),
        pytest.param([GOOD, (b"origin", b"http://localhost:3000")], "wrong_origin", id="a page of this machine"),
        pytest.param([GOOD, (b"origin", b"chrome-extension://abc")], "wrong_origin", id="a browser's extension"),
        pytest.param([GOOD, (b"origin", b"")], "wrong_origin", id="an empty origin"),
        pytest.param([GOOD, (b"sec-fetch-site", b"cross-site")], "wrong_origin", id="an image on a page"),
        pytest.param([GOOD, (b"sec-fetch-site", b"same-site")], "wrong_origin", id="a page of a neighbour"),
        pytest.param(
            [GOOD, (b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"cross-site")], "wrong_origin", id="two sites"
        ),
    ],
)
def test_what_a_web_page_or_a_foreign_name_brings_is_refused(headers: Headers, code: str) -> None:
    trouble = check_port(headers, HOSTS)

    assert trouble is not None
    assert trouble.code == code


@pytest.mark.parametrize("peer", [0, OURS], ids=["root", "the daemon's user"])
def test_the_socket_is_for_whoever_runs_the_daemon(peer: int) -> None:
    assert check_socket([(b"host", b"whatever")], peer, OURS) is None


@pytest.mark.parametrize("peer", [1001, None], ids=["another user", "nobody knows who"])
def test_the_socket_is_for_nobody_else(peer: int | None) -> None:
    trouble = check_socket([], peer, OURS)

    assert trouble is not None
    assert trouble.code == "wrong_peer"


def test_a_web_page_that_was_led_to_the_socket_is_refused() -> None:
    trouble = check_socket([(b"origin", b"https://evil.example")], OURS, OURS)

    assert trouble is not None
    assert trouble.code == "wrong_origin"


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        pytest.param([(b"authorization", b"Bearer abc")], "abc", id="a token"),
        pytest.param([(b"authorization", b"bearer abc")], "abc", id="in small letters"),
        pytest.param([], None, id="none"),
        pytest.param([(b"authorization", b"Basic abc")], None, id="a password"),
        pytest.param([(b"authorization", b"abc")], None, id="bare"),
        pytest.param([(b"authorization", b"Bearer ")], None, id="empty"),
        pytest.param([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], None, id="two"),
        pytest.param([(b"authorization", "Bearer ä".encode())], None, id="no ASCII"),
        pytest.param([(b"authorization", b"Bearer " + b"a" * 201)], None, id="too long"),
        pytest.param([(b"cookie", b"token=abc")], None, id="a cookie"),
    ],
)
def test_a_token_is_in_one_header_and_nowhere_else(headers: Headers, token: str | None) -> None:
    assert bearer(headers) == token
