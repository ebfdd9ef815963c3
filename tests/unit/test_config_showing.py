"""How a room wants its answers: said by the room, then by the defaults."""

from pathlib import Path

import pytest

from aiagentchat.core.ids import RoomId
from aiagentchat.core.showing import Form, Show, Showing
from tests.unit.config_file import MATRIX, load_text, problems_of


def test_who_says_nothing_sees_live_answers_with_tools(tmp_path: Path) -> None:
    room = load_text(tmp_path, f"{MATRIX}rooms: [{{id: '!a:x'}}]\n").rooms[0]

    assert room.showing == Showing(form=Form.LIVE, show=Show.TOOLS, notify_after=30, file_after=30)
    assert (room.showing.tools, room.showing.thinking, room.showing.most_bytes) == (True, False, 30_000)


def test_a_room_says_otherwise_than_the_defaults_key_by_key(tmp_path: Path) -> None:
    text = """
defaults: {output: append, show: thinking, notify_after: 0, file_after: 100}
rooms: [{id: "!a:x", show: none}, {id: "!b:x", output: live, notify_after: 60, file_after: 0}]
"""
    settings = load_text(tmp_path, MATRIX + text)

    first, second = (settings.showing(room.id) for room in settings.rooms)
    assert first == Showing(form=Form.APPEND, show=Show.NONE, notify_after=0, file_after=100)
    assert second == Showing(form=Form.LIVE, show=Show.THINKING, notify_after=60, file_after=0)
    assert settings.showing(RoomId("!elsewhere:x")) == settings.template.showing
    assert (first.tools, second.tools, second.thinking, second.most_bytes) == (False, True, True, None)


def test_what_is_in_force_can_be_read(tmp_path: Path) -> None:
    room = load_text(tmp_path, f"{MATRIX}rooms: [{{id: '!a:x', output: append}}]\n").effective()["rooms"][0]

    assert {key: room[key] for key in ("output", "show", "notify_after", "file_after")} == {
        "output": "append",
        "show": "tools",
        "notify_after": 30,
        "file_after": 30,
    }


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("output: edit", 'defaults.output: "edit" is not allowed here; write one of: live, append'),
        ("show: all", 'defaults.show: "all" is not allowed here; write one of: tools, thinking, none'),
        ("notify_after: -1", "defaults.notify_after: -1 is not between 0 and 604800; write for example 30"),
        ("file_after: 30 KB", 'defaults.file_after: "30 KB" is not a whole number of KB; write for example 30'),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, said: str, problem: str) -> None:
    problems = problems_of(tmp_path, f"{MATRIX}defaults: {{{said}}}\n")

    assert any(problem in each for each in problems)
