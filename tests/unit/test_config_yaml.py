"""What is not a file, not text or not YAML is answered in a sentence; what is YAML is read without surprises."""

import re
from pathlib import Path

import pytest

from aiagentchat.config.document import parse
from aiagentchat.config.load import load
from aiagentchat.core.errors import ConfigError
from tests.unit.config_file import ENVIRON, MATRIX, problems_of


def problems_of_bytes(folder: Path, content: bytes) -> list[str]:
    file = folder / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file, ENVIRON)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            b"",
            "config.yaml: the file is empty; make one with: aiagentchat init --force",
            id="an empty file",
        ),
        pytest.param(
            b"a: 1\nb: \xff\n", "config.yaml:2: the file is not UTF-8 text; save it as UTF-8", id="a file in Latin-1"
        ),
        pytest.param(
            b"#" * (1024 * 1024 + 1),
            "config.yaml: the file is larger than 1 MiB; is it the right one?",
            id="a file that is too large",
        ),
        pytest.param(
            b"# only a comment\n",
            "config.yaml:1: the file must be made of keys and values, such as data_dir: ./data",
            id="only comments",
        ),
        pytest.param(
            b"- a\n- b\n",
            "config.yaml:1: the file must be made of keys and values, such as data_dir: ./data",
            id="a list",
        ),
        pytest.param(
            b"a: 1\nb: \x01\n",
            "config.yaml:2: this is not YAML: there is a control character; remove it",
            id="a control character",
        ),
        pytest.param(
            b"defaults:\n\ttimeout: 3\n",
            "config.yaml:2: this is not YAML: there is a tab; indent with spaces",
            id="a tab",
        ),
        pytest.param(
            b"defaults: {users: [@you:localhost]}\n",
            "config.yaml:1: this is not YAML: found character '@' that cannot start any token; "
            'a value that begins with @, ! or # must be in quotes, for example "@you:localhost"',
            id="a user without quotes",
        ),
        pytest.param(
            b"rooms: [{id: !abc:localhost, name: a}]\n",
            "config.yaml:1: this is not YAML: expected ',' or '}', but got ':'; "
            'a value that begins with @, ! or # must be in quotes, for example "@you:localhost"',
            id="a room without quotes, in braces",
        ),
        pytest.param(
            b"a: 1\n b: 2\n",
            "config.yaml:2: this is not YAML: mapping values are not allowed here; "
            "check the indentation, the quotes and the brackets on this line and the one before",
            id="bad indentation",
        ),
        pytest.param(
            b"matrix: *hunter2\n",
            "config.yaml:1: this is not YAML: found undefined alias; "
            'values that begin with "*", "&" or "!" must be in quotes',
            id="an alias, which may be a secret and is not printed",
        ),
        pytest.param(b"a: " + b"[" * 1000, "config.yaml:1: values are nested too deeply", id="too many brackets"),
        pytest.param(
            b"a: " + b"[" * 30 + b"]" * 30,
            "config.yaml:1: the file has too many values, or one that contains itself",
            id="many brackets",
        ),
        pytest.param(
            b"a: &a [*a]\n",
            "config.yaml:1: the file has too many values, or one that contains itself",
            id="a value that contains itself",
        ),
        pytest.param(
            b"a: &a [1,1,1,1,1,1,1,1,1]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefgh"),
            "config.yaml:1: the file has too many values, or one that contains itself",
            id="a billion laughs",
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes, expected: str) -> None:
    assert problems_of_bytes(tmp_path, content) == [expected]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.yaml", ENVIRON)

    assert str(caught.value) == (
        f"{tmp_path}/config.yaml: there is no such file; make one with aiagentchat init, "
        "or name another file with --config"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("", "this is a folder; name the file in it, for example config.yaml", id="a folder"),
        pytest.param("x" * 300, "the file cannot be read: File name too long", id="a long name"),
        pytest.param("\0", "the file cannot be read: not a usable file name", id="no name"),
    ],
)
def test_a_path_that_is_no_file_says_so(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(tmp_path / name, ENVIRON)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "rooms:\n  - id: !abc:localhost\n    name: a",
            'config.yaml:3: rooms[0].id: YAML reads a leading "!" as a tag; put the value in quotes, '
            'for example "!abc:localhost"',
            id="a room without quotes",
        ),
        pytest.param(
            "defaults:\n  users:\n    - !x",
            'config.yaml:4: defaults.users[0]: YAML reads a leading "!" as a tag; put the value in quotes, '
            'for example "!abc:localhost"',
            id="a tag in a list",
        ),
        pytest.param(
            "data_dir: !!binary aGk=",
            "config.yaml:2: data_dir: YAML tags are not used here; remove the tag",
            id="a tag of YAML",
        ),
        pytest.param(
            "rooms: !!set {a, b}", "config.yaml:2: rooms: YAML tags are not used here; remove the tag", id="a set"
        ),
        pytest.param(
            "max_queue: !!int many",
            "config.yaml:2: max_queue: this value cannot be read; write it without a tag",
            id="a number that is none",
        ),
        pytest.param(
            "defaults: {mention_only: !!bool maybe}",
            "config.yaml:2: defaults.mention_only: this value cannot be read; write it without a tag",
            id="a boolean that is none",
        ),
        pytest.param("5: x", "config.yaml:2: ?: a key must be text; put it in quotes", id="a number as key"),
        pytest.param("? [a]\n: x", "config.yaml:2: ?: a key must be text; put it in quotes", id="a list as key"),
        pytest.param(
            "max_queue: 5\nmax_warm: 1\nmax_queue: 6",
            "config.yaml:4: max_queue: is written twice, first on line 2; remove one of them",
            id="a key twice",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert problems_of(tmp_path, MATRIX + text) == [expected]


def test_words_and_numbers_mean_what_they_look_like() -> None:
    text = "{a: no, b: 0o17, c: 1:30, d: 2026-01-01, e: true, f: -3, g: 1.5, h: ~, i: 'null', j: 010, k: !!str 5}"

    assert parse(text).data == {
        "a": "no",
        "b": "0o17",
        "c": "1:30",
        "d": "2026-01-01",
        "e": True,
        "f": -3,
        "g": 1.5,
        "h": None,
        "i": "null",
        "j": "010",
        "k": "5",
    }


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + MATRIX.encode())

    assert load(file, ENVIRON).matrix.user_id == "@claude:localhost"
