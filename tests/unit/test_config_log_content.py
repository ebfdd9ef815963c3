"""How much of what is said a room lets into the log: said by the room, then by the defaults; nothing unless said."""

from pathlib import Path

from aiagentchat.config.describe import describe
from aiagentchat.config.secrets import Secrets
from aiagentchat.core.log_content import LogContent
from tests.unit.config_file import MATRIX, load_text, problems_of

ROOMS = 'defaults: {log_content: preview}\nrooms: [{id: "!a:x", log_content: full}, {id: "!b:x"}]\n'


def test_who_says_nothing_has_nothing_in_the_log(tmp_path: Path) -> None:
    settings = load_text(tmp_path, f"{MATRIX}rooms: [{{id: '!a:x'}}]\n")

    assert [room.log_content for room in (*settings.rooms, settings.template)] == [LogContent.NONE] * 2
    assert "is in the log" not in describe(settings, Secrets())


def test_a_room_says_otherwise_than_the_defaults(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + ROOMS)

    assert [room.log_content for room in settings.rooms] == [LogContent.FULL, LogContent.PREVIEW]
    assert [room["log_content"] for room in settings.effective()["rooms"]] == ["full", "preview"]


def test_whoever_checks_the_settings_is_told_of_it(tmp_path: Path) -> None:
    settings = load_text(tmp_path, MATRIX + ROOMS)

    name = settings.rooms[0].name
    assert f"# {name}: what is said there is in the log (log_content: full)\n" in describe(settings, Secrets())


def test_anything_else_is_refused(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, f"{MATRIX}defaults: {{log_content: all}}\n")

    assert '"all" is not allowed here; write one of: none, preview, full' in problem
