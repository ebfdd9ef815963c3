"""A secret that is known is hidden in every form in which it is usually written, also when it comes in pieces."""

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.redact import (
    CONTEXT,
    LEAST_KNOWN,
    MOST_HELD,
    MOST_KEY,
    RedactingStream,
    Redactor,
    redacted,
    shapes_only,
)

TOKEN = "syt_Y2xhdWRl_dOqxPkCLYTvTfwxTzxjK_2Xq9Xp"
SIGNS = "p<s\"w&r'd/+é ok"
UMLAUTS = "größe-schlüssel-密码"
REDACT = Redactor([("TOKEN", TOKEN), ("SIGNS", SIGNS), ("UMLAUTS", UMLAUTS), ("SHORT", "abcde")])
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDIabcdefghijkl"
KEY = f"-----BEGIN PRIVATE KEY-----\n{LINE}\n{LINE}\nQQ==\n-----END PRIVATE KEY-----"


def _base64(before: bytes, value: str, after: bytes) -> str:
    return base64.b64encode(before + value.encode() + after).decode()


@pytest.mark.parametrize("value", [TOKEN, SIGNS])
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda value: value, id="as it is"),
        pytest.param(lambda value: value[::-1], id="backwards"),
        pytest.param(lambda value: quote(value, safe=""), id="in a URL"),
        pytest.param(quote, id="in a path"),
        pytest.param(
            lambda value: re.sub("%..", lambda match: match[0].lower(), quote(value, safe="")), id="in a URL, small hex"
        ),
        pytest.param(lambda value: quote(value, safe=" ").replace(" ", "+"), id="in a form"),
        pytest.param(lambda value: value.encode().hex(), id="hex"),
        pytest.param(lambda value: value.encode().hex().upper(), id="HEX"),
        pytest.param(lambda value: json.dumps(value)[1:-1], id="JSON"),
        pytest.param(lambda value: json.dumps(value, ensure_ascii=False)[1:-1], id="JSON in UTF-8"),
        pytest.param(lambda value: json.dumps(value)[1:-1].replace("/", "\\/"), id="JSON with slashes escaped"),
        pytest.param(html.escape, id="HTML"),
        pytest.param(lambda value: html.escape(value).replace("&#x27;", "&#39;"), id="HTML, decimal"),
        pytest.param(lambda value: html.escape(value, quote=False), id="HTML text"),
    ],
)
def test_each_usual_form_is_hidden_whole(value: str, written: Callable[[str], str]) -> None:
    name = "TOKEN" if value == TOKEN else "SIGNS"

    assert REDACT(f"<{written(value)}>") == f"<[redacted: {name}]>"


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("after", [b"", b"1", b"12"])
@pytest.mark.parametrize("url", [False, True])
def test_base64_is_hidden_wherever_it_stands_in_what_was_encoded(before: bytes, after: bytes, url: bool) -> None:
    coded = _base64(before, SIGNS, after)
    shown = REDACT(coded.translate(str.maketrans("+/", "-_")) if url else coded)

    assert "[redacted: SIGNS]" in shown
    # What is left of it are the characters that it shares with its neighbours.
    assert len(shown) - len("[redacted: SIGNS]") <= len(_base64(before, "", after)) + 6


def test_ordinary_text_is_the_same_object() -> None:
    text = "Everything is in order here: abcde, correct, horse."

    assert REDACT(text) is text
    assert Redactor()(text) is text
    assert shapes_only()(text) is text


def test_a_value_that_could_be_a_word_is_not_hidden() -> None:
    assert Redactor([("PIN", "x" * (LEAST_KNOWN - 1))])("x" * LEAST_KNOWN) == "x" * LEAST_KNOWN
    assert Redactor([("PIN", "x" * LEAST_KNOWN)])("x" * LEAST_KNOWN) == "[redacted: PIN]"


def test_the_longest_of_those_that_begin_alike_is_meant() -> None:
    redact = Redactor([("A", "secret-one"), ("B", "secret-one-and-more")])

    assert redact("secret-one-and-more secret-one") == "[redacted: B] [redacted: A]"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"PASSWORD={TOKEN}", id="in an assignment"),
        pytest.param(f"sk-ant-api03-{TOKEN}", id="at the end of a token"),
        pytest.param(f"{TOKEN}abcdefg", id="at the beginning of a token"),
    ],
)
def test_what_overlaps_is_one_and_has_the_name_that_is_known(text: str) -> None:
    shown = REDACT(text)

    assert shown.count("[redacted: ") == 1
    assert shown.endswith("[redacted: TOKEN]")


def test_every_text_in_a_value_is_redacted() -> None:
    value = {"a": [TOKEN, 1, None, {"b": (TOKEN, True)}], TOKEN: 2.5}
    gone = "[redacted: TOKEN]"

    assert redacted(value, REDACT) == {"a": [gone, 1, None, {"b": [gone, True]}], gone: 2.5}


def _streamed(pieces: list[str], redactor: Redactor = REDACT) -> list[str]:
    stream = RedactingStream(lambda: redactor)
    return [*map(stream.add, pieces), stream.end()]


@pytest.mark.parametrize(
    "secret",
    [TOKEN, SIGNS, UMLAUTS, UMLAUTS[::-1], KEY, _base64(b"x", TOKEN, b""), TOKEN.encode().hex()],
    ids=range(7),
)
@pytest.mark.parametrize(
    "around",
    [
        ("", ""),
        ("see ", " there"),
        ("a\n", "\nb\n"),
        ("`", "` and more"),
        ("x=", ";"),
        ("密码是", "。好"),
        ("grö", "ß"),
    ],
)
def test_a_secret_in_two_pieces_is_never_shown_in_part(secret: str, around: tuple[str, str]) -> None:
    whole = around[0] + secret + around[1]
    expected = REDACT(whole)

    assert "[redacted: " in expected
    for cut in range(len(whole) + 1):
        assert "".join(_streamed([whole[:cut], whole[cut:]])) == expected
    assert "".join(_streamed(list(whole))) == expected


WORDS = st.one_of(
    st.sampled_from(
        [TOKEN, SIGNS, UMLAUTS, KEY, f"{KEY}\n", "hello", "DB_PASSWORD=hunter22", "password: 'aB3dE6gH9jK'", "-----"]
    ),
    st.text(max_size=12),
)
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", "\n", "\t", "", "  \n"])), max_size=12).map(
    lambda parts: "".join(word + blank for word, blank in parts)
)


@st.composite
def pieces(draw: st.DrawFn) -> list[str]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=10)))
    return [text[first:last] for first, last in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(pieces())
def test_however_it_is_cut_a_stream_says_what_the_whole_would(parts: list[str]) -> None:
    assert "".join(_streamed(parts)) == REDACT("".join(parts))


@given(st.lists(st.text(max_size=20), max_size=10))
def test_what_is_no_secret_comes_out_unchanged_and_in_order(parts: list[str]) -> None:
    redactor = Redactor([("TOKEN", "\ue000" * 9)])
    said = "".join(_streamed(parts, redactor))

    assert said == redactor("".join(parts))


@given(pieces())
def test_no_more_is_held_than_the_last_word_when_nothing_is_secret(parts: list[str]) -> None:
    stream = RedactingStream()
    given_, shown = "", ""
    for part in parts:
        given_ += part.replace("-", "+").replace(":", "").replace("=", "")
        shown += stream.add(part.replace("-", "+").replace(":", "").replace("=", ""))

        if "redacted" not in shown:
            held = given_[len(shown) :]
            assert held.isascii()
            assert not any(map(str.isspace, held))


def test_words_come_out_as_soon_as_a_blank_follows() -> None:
    assert _streamed(["Hel", "lo ", "wor", "ld\n", "!"]) == ["", "Hello ", "", "world\n", "", "!"]


def test_a_language_without_blanks_comes_out_at_once() -> None:
    assert _streamed(["我先看", "一下日", "志。", "ภาษา", "テスト"]) == [
        "我先看",
        "一下日",
        "志。",
        "ภาษา",
        "テスト",
        "",
    ]
    assert _streamed(["文件 main", ".py 在", "这里", "ok"]) == ["文件 ", "main.py 在", "这里", "", "ok"]


def test_a_secret_of_several_words_is_held_from_its_first_one_on() -> None:
    redactor = Redactor([("PW", "correct horse battery")])

    assert _streamed(["the correct ", "horse ", "bat", "tery is "], redactor) == [
        "the ", "", "", "[redacted: PW] is ", "",
    ]  # fmt: skip
    assert _streamed(["the correct ", "answer "], redactor) == ["the ", "correct answer ", ""]
    assert _streamed(["是größe-", "schlüssel-密", "码。"], REDACT) == ["是", "", "[redacted: UMLAUTS]。", ""]


def test_a_private_key_is_held_until_its_end() -> None:
    first, last = KEY[:60], KEY[60:]

    assert _streamed(["see -----BEGIN ", "CERTIFICATE-----\n"]) == ["see ", "-----BEGIN CERTIFICATE-----\n", ""]
    assert _streamed([f"see\n{first}", last, "\nso "]) == ["see\n", "", "[redacted: private key]\nso ", ""]


def test_a_private_key_without_end_is_let_go_at_a_limit() -> None:
    stream = RedactingStream()
    shown = stream.add("-----BEGIN PRIVATE KEY-----\n")
    lines = 0
    while not shown:
        shown = stream.add(f"{LINE}\n")
        lines += 1

    assert shown == "[redacted: private key]\n"
    assert lines * len(LINE) < MOST_KEY + 100
    assert stream.add("and words ") == "and words "


def test_a_word_without_end_is_let_out_in_parts_and_a_secret_in_it_is_not() -> None:
    stream = RedactingStream(lambda: REDACT)
    blob = "äöü" * 5_000
    shown = ""
    for place in range(0, len(blob), 100):
        shown += stream.add(blob[place : place + 100])
        if place == 10_000:
            shown += stream.add(TOKEN[:20])
            shown += stream.add(TOKEN[20:])

    assert len(shown) > MOST_HELD / 2
    shown += stream.end()
    assert shown.replace("[redacted: TOKEN]", "") == blob
    assert shown.count("[redacted: TOKEN]") == 1


def test_what_is_too_long_for_a_secret_is_not_held_for_ever() -> None:
    stream = RedactingStream()
    shown = "".join(stream.add("sk-ant-" + "a" * 1000 if number == 0 else "a" * 1000) for number in range(50))

    assert shown.startswith("[redacted: Anthropic key]")


def test_the_name_before_a_value_is_remembered() -> None:
    assert _streamed(["password = ", "s3cr3tpassw0rd "])[1] == "[redacted: secret] "
    assert _streamed(["x " * CONTEXT + "Authorization: ", "Bearer ", "aB3dE6gH9jK "])[2] == "[redacted: credentials] "


def test_what_was_taken_back_is_forgotten() -> None:
    stream = RedactingStream()
    stream.add("half a wo")
    stream.drop()

    assert stream.add("whole words ") == "whole words "


def test_the_end_of_a_text_is_no_context_for_the_next() -> None:
    stream = RedactingStream()
    stream.add("password = ")
    stream.end()

    assert stream.add("s3cr3tpassw0rd ") == "s3cr3tpassw0rd "


def test_a_secret_that_becomes_known_in_its_middle_hides_the_rest() -> None:
    known = [Redactor(), Redactor([("PW", "correct horse")])]
    stream = RedactingStream(lambda: known[0])
    shown = stream.add("correct ")
    del known[0]

    assert shown + stream.add("horse ") == "correct [redacted: PW] "
