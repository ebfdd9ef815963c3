"""Signed JSON: the examples of the specification, and what is no signature."""

from typing import Any

import pytest

from aiagentchat.matrix.crypto.signatures import SigningKey, canonical, decode, encode, is_signed

# "Signing JSON" and "Canonical JSON" in the appendices of the Matrix specification.
SPEC = SigningKey(decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"))
SPEC_EMPTY = "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
SPEC_TWO = "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
USER = "@anna:example.org"
KEY = SigningKey.new()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ({"one": 1, "two": "Two"}, '{"one":1,"two":"Two"}'),
        ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
        ({"auth": {"mxid": "@john.doe:example.com", "success": True}}, None),
        ({"a": "日本語"}, '{"a":"日本語"}'),
        ({"本": 2, "日": 1}, '{"日":1,"本":2}'),
        ({"a": "\u65e5"}, '{"a":"日"}'),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_the_canonical_text_is_that_of_the_specification(value: dict[str, Any], text: str | None) -> None:
    assert canonical(value) == (text or '{"auth":{"mxid":"@john.doe:example.com","success":true}}')


def test_signatures_and_what_is_unsigned_are_not_signed() -> None:
    assert canonical({"a": 1, "signatures": {"x": {}}, "unsigned": {"age": 5}}) == '{"a":1}'


def test_the_signatures_are_those_of_the_specification() -> None:
    assert SPEC.sign({}) == SPEC_EMPTY
    assert SPEC.sign({"one": 1, "two": "Two"}) == SPEC_TWO


def test_what_was_signed_is_signed_by_that_user_with_that_key() -> None:
    value = {"a": 1, "unsigned": {"age": 1}, "signatures": {USER: {KEY.id: KEY.sign({"a": 1})}}}

    assert is_signed(value, USER, KEY.id, KEY.public)
    assert is_signed(value | {"unsigned": {"age": 2}}, USER, KEY.id, KEY.public)
    assert not is_signed(value | {"a": 2}, USER, KEY.id, KEY.public)
    assert not is_signed(value, "@bert:example.org", KEY.id, KEY.public)
    assert not is_signed(value, USER, "ed25519:other", KEY.public)
    assert not is_signed(value, USER, KEY.id, SigningKey.new().public)


@pytest.mark.parametrize(
    "signatures",
    [
        None,
        [],
        "x",
        {USER: None},
        {USER: [KEY.id]},
        {USER: {KEY.id: None}},
        {USER: {KEY.id: 7}},
        {USER: {KEY.id: "!!"}},
        {USER: {KEY.id: "AAAA"}},
        {USER: {KEY.id: "é"}},
    ],
)
def test_nonsense_is_no_signature(signatures: Any) -> None:
    assert not is_signed({"a": 1, "signatures": signatures}, USER, KEY.id, KEY.public)


@pytest.mark.parametrize("part", ["\ud800", float("nan"), float("inf")])
def test_what_has_no_canonical_text_is_not_signed(part: Any) -> None:
    signed = {"a": part, "signatures": {USER: {KEY.id: KEY.sign({})}}}

    assert not is_signed(signed, USER, KEY.id, KEY.public)


@pytest.mark.parametrize("public", ["", "AAAA", "!!", encode(bytes(31))])
def test_nonsense_is_no_key(public: str) -> None:
    assert not is_signed({"signatures": {USER: {KEY.id: KEY.sign({})}}}, USER, KEY.id, public)


def test_base64_is_written_without_padding_and_read_with_or_without() -> None:
    assert encode(b"\xff\xfe") == "//4"
    assert decode("//4") == decode("//4=") == b"\xff\xfe"
    with pytest.raises(ValueError, match="2 bytes"):
        decode("//4", 3)


def test_a_seed_is_not_shown() -> None:
    assert repr(KEY.seed) not in repr(KEY)
