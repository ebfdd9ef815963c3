"""What a picture is and how large, by its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.pictures import GIF, JPEG, PNG, WEBP, Picture, pages_of_pdf, picture_of
from tests.pictures import gif, jpeg, pdf, png, webp

WHOLE = {
    "png": (png(300, 200), PNG),
    "jpeg": (jpeg(300, 200), JPEG),
    "gif": (gif(300, 200), GIF),
    "webp": (webp(b"VP8X", 300, 200), WEBP),
    "webp without loss": (webp(b"VP8L", 300, 200), WEBP),
    "webp with loss": (webp(b"VP8 ", 300, 200), WEBP),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_says_what_it_is_and_how_large(name: str) -> None:
    data, mime = WHOLE[name]

    assert picture_of(data) == Picture(mime, 300, 200)


@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_that_was_cut_off_is_none(name: str) -> None:
    data, _ = WHOLE[name]

    assert picture_of(data[:-10]) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="a text"),
        pytest.param(png(0, 0), id="a png of no size"),
        pytest.param(webp(b"VP8L").replace(b"\x2f", b"\x00"), id="a webp without its sign"),
        pytest.param(webp(b"VP8 ").replace(b"\x9d\x01", b"\x00\x00"), id="another webp without its sign"),
        pytest.param(webp()[:4] + b"\xff\0\0\0" + webp()[8:], id="a webp that says that it goes on"),
        pytest.param(webp(b"ALPH"), id="a webp of no known kind"),
        pytest.param(b"\xff\xd8\xff\xda\x00\x02" + bytes(80) + b"\xff\xd9", id="a jpeg that says no size"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", id="a jpeg with a segment that is none"),
    ],
)
def test_what_is_no_sound_picture_is_none(data: bytes) -> None:
    assert picture_of(data) is None


@given(st.sampled_from([data for data, _ in WHOLE.values()]), st.binary(max_size=64), st.integers(0, 60))
def test_no_bytes_make_it_fail(data: bytes, other: bytes, at: int) -> None:
    for given_bytes in (other, data[:at] + other, data[:at] + other + data[at:]):
        found = picture_of(given_bytes)
        pages_of_pdf(given_bytes)
        assert found is None or min(found.width, found.height) > 0


def test_the_pages_of_a_pdf_are_counted() -> None:
    assert pages_of_pdf(pdf(3)) == 3
    assert pages_of_pdf(pdf().replace(b"trailer <<", b"trailer << /Encrypt 1 0 R")) is None
    assert pages_of_pdf(pdf()[:-8]) is None
    assert pages_of_pdf(b"no pdf") is None


def test_pages_that_may_be_packed_are_not_counted() -> None:
    packed = b"<< /Type /ObjStm /N 500 >>"
    nodes = b"<< /Type /Pages /Count 3 >>"

    assert pages_of_pdf(pdf(0)) is None
    assert pages_of_pdf(pdf(0) + packed + b"%%EOF") is None
    assert pages_of_pdf(pdf(1) + packed + b"%%EOF") is None
    assert pages_of_pdf(pdf(3).replace(b"/Pages", b"/Catalog") + packed + b"/Count 3 %%EOF") is None
    assert pages_of_pdf(pdf(2) + packed + nodes + b"%%EOF") is None
    assert pages_of_pdf(pdf(3) + packed + nodes + b"<< /Count -2 >> %%EOF") == 3
