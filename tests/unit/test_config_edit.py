"""Values put into a config.yaml, in which everything else stays as it is."""

from pathlib import Path

import pytest
import yaml

from aiagentchat.config.edit import add_room, example, name_room, put, save, try_to_save
from aiagentchat.core.errors import ConfigError

ROOM = {"id": "!new:hs", "name": "new"}
LINES = ['  - id: "!new:hs"', "    name: new"]


def test_a_value_is_replaced_where_it_stands() -> None:
    text = '# mine\nmatrix: {homeserver: "http://a", user_id: "@b:c"} # the account\n'

    assert put(text, ("matrix", "user_id"), "@new:hs") == text.replace('"@b:c"', '"@new:hs"')


def test_the_id_of_one_room_is_replaced_and_no_other() -> None:
    text = 'rooms:\n  - id: "#a:hs" # first\n  - id: "#b:hs"\n    name: b\n'

    assert put(text, ("rooms", 1, "id"), "!b:hs") == text.replace('"#b:hs"', '"!b:hs"')


def test_a_list_is_written_in_brackets() -> None:
    assert put('a:\n  users: ["@x:y"]\n', ("a", "users"), ["@b:c", "@d:e"]) == 'a:\n  users: ["@b:c", "@d:e"]\n'


def test_a_key_that_is_a_comment_gets_its_line() -> None:
    text = "# Where.\n#registry:\n  #room: example\n  # What it is called.\n  #instance: workshop\n\n#other: 1\n"

    assert put(text, ("registry", "room"), "#a:hs") == (
        '# Where.\nregistry:\n  room: "#a:hs"\n  # What it is called.\n  #instance: workshop\n\n#other: 1\n'
    )
    assert put("#a: 1\nb: 2\n", ("a",), "x y") == 'a: "x y"\nb: 2\n'


def test_a_key_that_stands_nowhere_is_added_to_its_section_or_to_the_file() -> None:
    assert put("a: # mine\n  b: c\n", ("a", "d"), "word") == "a: # mine\n  d: word\n  b: c\n"
    assert put("a: c\n\n", ("b",), "word") == "a: c\n\nb: word\n"
    assert put("a: c\n", ("b", "d"), "word") == "a: c\n\nb:\n  d: word\n"


def test_the_first_and_the_next_room_are_added() -> None:
    assert add_room("a: b\n", ROOM).splitlines() == ["a: b", "", "rooms:", *LINES]
    assert add_room("rooms: []\nz: b\n", ROOM).splitlines() == ["rooms: ", *LINES, "z: b"]
    assert add_room("rooms:\nz: b\n", ROOM).splitlines() == ["rooms: ", *LINES, "z: b"]
    assert add_room('rooms: [{id: "!a:hs"}]\n', ROOM) == 'rooms: [{id: "!a:hs"}, {id: "!new:hs", name: new}]\n'


def test_a_room_comes_after_what_is_said_about_the_last_one_and_before_what_is_said_about_the_next_key() -> None:
    before = 'rooms:\n- id: "!a:hs"\n  env:\n    A: b\n  #name: a\n\n  # more of it\n\n# What follows.\nb: c\n'

    assert add_room(before, ROOM).splitlines() == [
        *before.splitlines()[:7],
        '- id: "!new:hs"',
        "  name: new",
        *before.splitlines()[7:],
    ]


def test_a_room_that_gets_an_id_keeps_the_name_that_its_alias_made() -> None:
    text = 'rooms:\n  - id: "#a:hs" # first\n    timeout: 5\n  - {id: "#b:hs"}\n  - id: "#c:hs"\n    name: kitchen\n'
    text = name_room(name_room(name_room(text, 0, "!a:hs", "aa"), 1, "!b:hs", "bb"), 2, "!c:hs", "cc")

    assert text == (
        'rooms:\n  - id: "!a:hs" # first\n    name: aa\n    timeout: 5\n  - {id: "!b:hs", name: bb}\n'
        '  - id: "!c:hs"\n    name: kitchen\n'
    )


def test_lines_that_end_as_on_windows_stay_so() -> None:
    assert add_room('rooms:\r\n  - id: "!a:hs"\r\n', ROOM).split("\r\n")[2:4] == LINES


@pytest.mark.parametrize(
    ("text", "loc"),
    [
        ("a:\n  - b\n  - c\nd: e\n", ("a",)),
        ("a: {b: c}\n", ("a", "d")),
        ("a: &x b\nc: *x\n", ("a",)),
    ],
)
def test_what_cannot_be_changed_safely_is_not_changed_and_said(text: str, loc: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=rf"write into it: {'.'.join(loc)}: word"):
        put(text, loc, "word")


def test_what_is_no_yaml_is_not_changed() -> None:
    with pytest.raises(ConfigError, match="not YAML"):
        add_room("a: [\n", ROOM)


@pytest.mark.parametrize("value", ["true", "null", "1", 'with "quotes" \\ ü', "# x", "- a", ""])
def test_text_stays_text(value: str) -> None:
    assert yaml.safe_load(put("a: b\n", ("a",), value)) == {"a": value}


def test_rooms_and_registry_go_into_the_example() -> None:
    before = yaml.safe_load(example())
    text = add_room(put(example(), ("registry", "room"), "#agents:hs"), ROOM)

    assert yaml.safe_load(text) == {**before, "rooms": [*before["rooms"], ROOM], "registry": {"room": "#agents:hs"}}
    assert len(text.splitlines()) == len(example().splitlines()) + 2


def test_a_file_is_replaced_whole_and_keeps_its_mode_also_behind_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "config.yaml"
    file.write_text("a: b\n")
    file.chmod(0o640)
    link.symlink_to(file)

    save(link, "a: ü\n")
    assert (file.read_text("utf-8"), file.stat().st_mode & 0o777, link.is_symlink()) == ("a: ü\n", 0o640, True)
    try_to_save(link)
    assert file.read_text("utf-8") == "a: ü\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        save(tmp_path / "none" / "config.yaml", "")
    with pytest.raises(ConfigError, match="cannot be written"):
        try_to_save(tmp_path / "none" / "config.yaml")
