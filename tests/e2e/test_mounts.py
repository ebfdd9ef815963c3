"""A mount opens a folder outside of the workspace to the agent's file tools, as far as it says and no further."""

from pathlib import Path

import pytest

from rig.model import Model
from rig.people import People
from rig.script import Step, script
from tests.e2e.house import move_in


def _write(path: Path) -> Step:
    return Step(tool="Write", input={"file_path": str(path), "content": "new words"})


def _read(path: Path) -> Step:
    return Step(tool="Read", input={"file_path": str(path)})


def _edit(path: Path) -> Step:
    return Step(tool="Edit", input={"file_path": str(path), "old_string": "old", "new_string": "new"})


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "note").write_text(f"old words in {path.name}", encoding="utf-8")
    return path


@pytest.mark.long
async def test_a_mount_is_read_unasked_and_changed_only_where_it_may_be(
    people: People, model: Model, workplace: Path
) -> None:
    shown, shared = _folder(workplace / "shown (old)"), _folder(workplace / "shared")
    room = {
        "mounts": [{"path": str(shown)}, {"path": str(shared), "mode": "rw"}],
        "permission_mode": "acceptEdits",
        "allow": [f"Edit(/{shown}/**)"],
    }
    async with move_in(people, model, workplace, room=room, approval_timeout=2) as house:
        command = await house.ask(
            script(
                "look and change",
                *(_read(shown / "note"), _edit(shown / "note"), _write(shown / "deep" / "made")),
                *(_read(shared / "note"), _edit(shared / "note"), _write(shared / "deep" / "made")),
                Step(text="That was it."),
            )
        )
        answer = await house.answer(command)

        assert "That was it." in answer
        assert "✅ allows it once" not in answer
        assert house.prompts("old words in shown (old)")
        assert house.prompts("denied by your permission settings")
    assert (shown / "note").read_text(encoding="utf-8") == "old words in shown (old)"
    assert not (shown / "deep").exists()
    assert (shared / "note").read_text(encoding="utf-8") == "new words in shared"
    assert (shared / "deep" / "made").read_text(encoding="utf-8") == "new words"


@pytest.mark.long
async def test_what_is_not_mounted_is_asked_about(people: People, model: Model, workplace: Path) -> None:
    shown, beside = _folder(workplace / "shown"), _folder(workplace / "shown-not")
    room = {"mounts": [{"path": str(shown), "mode": "rw"}], "permission_mode": "acceptEdits"}
    async with move_in(people, model, workplace, room=room) as house:
        command = await house.ask(script("look beside", _read(beside / "note"), Step(text="That was it.")))
        question = await house.question()
        await house.ask("!deny")

        assert "Read" in question.body
        assert await house.ended(command) == "✅"
        assert not house.prompts("old words in shown-not")
