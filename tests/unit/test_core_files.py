"""Names that nobody can do harm with, and what a file says of itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.files import (
    ANY_TYPE,
    MOST_NAME_BYTES,
    clean_type,
    is_text,
    numbered,
    safe_name,
    split_name,
    type_of,
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("plan.pdf", "plan.pdf"),
        ("Urlaub in Köln 2026.jpeg", "Urlaub_in_Köln_2026.jpeg"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (r"C:\Users\anna\plan.pdf", "plan.pdf"),
        (".bashrc", "bashrc"),
        ("...", "file"),
        ("", "file"),
        ("-rf", "rf"),
        ("~root", "root"),
        ("a\x00b\x1b[31m.txt", "ab[31m.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ('what?<is>|"it"*.txt', "what__is___it__.txt"),
        ("line\nbreak.txt", "linebreak.txt"),
        ("half \ud83d.txt", "half_.txt"),
        ("e\u0301.txt", "é.txt"),
        ("trailing. ", "trailing"),
    ],
)
def test_a_name_is_one_plain_name(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_name_without_suffix_gets_that_of_its_kind() -> None:
    assert safe_name("photo", "image/png") == "photo.png"
    assert safe_name("photo", "what/ever") == "photo"
    assert safe_name("photo.jpg", "image/png") == "photo.jpg"


def test_a_long_name_is_cut_and_keeps_its_suffix() -> None:
    name = safe_name("é" * 300 + ".tar.gz")

    assert name.endswith("é.tar.gz")
    assert len(name.encode()) <= MOST_NAME_BYTES


@given(st.text(st.characters(exclude_categories=()), max_size=300), st.sampled_from([ANY_TYPE, "image/png", "x"]))
def test_whatever_it_is_called_it_is_a_name(name: str, mime: str) -> None:
    safe = safe_name(name, mime)

    assert safe == safe_name(safe)
    assert 0 < len(safe.encode()) <= MOST_NAME_BYTES + 10
    assert safe[0] not in ".-~"
    assert not set(safe) & set("/\\\0\n\u202e ")


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a.png", ("a", ".png")), ("a.tar.gz", ("a", ".tar.gz")), ("a", ("a", "")), (".a", (".a", ""))],
)
def test_a_suffix_is_told_from_what_it_is_called(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts


def test_the_second_file_of_a_name_has_a_number() -> None:
    assert numbered("a.tar.gz", 1) == "a.tar.gz"
    assert numbered("a.tar.gz", 2) == "a-2.tar.gz"


def test_a_kind_that_is_none_is_not_believed() -> None:
    assert clean_type("image/PNG") == "image/png"
    assert clean_type("text/html; charset=x\r\nSet-Cookie: a") == ANY_TYPE
    assert clean_type("") == ANY_TYPE
    assert type_of("a.pdf") == "application/pdf"
    assert type_of("a.unheard-of") == ANY_TYPE


@pytest.mark.parametrize(("data", "text"), [(b"", True), (b"h\xc3\xa9", True), (b"\xff", False), (b"a\0b", False)])
def test_a_text_is_told_from_what_is_none(data: bytes, text: bool) -> None:
    assert is_text(data) is text
