"""What a turn has changed is looked at from inside of a sandbox of its own, in every way that there is."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aiagentchat.core.changes import Changed
from aiagentchat.core.ids import RoomId, SessionId
from aiagentchat.core.isolation import Isolation
from aiagentchat.core.ports.agent import RunSpec
from aiagentchat.core.redact import Redactor
from aiagentchat.execute import changes
from aiagentchat.execute.changes import Differ
from tests.process.test_sandbox import EVERY, HELD, place, uid_in

__all__ = ["place"]


def make_spec(place: Path, isolation: Isolation = Isolation.NONE) -> RunSpec:
    """A room's folders, as `execute.places` makes them."""
    uid = uid_in(isolation)
    (place / "homes").mkdir(mode=0o711)
    for name in ("workspace", "homes/kitchen"):
        (place / name).mkdir(mode=0o700)
        if uid is not None:
            os.chown(place / name, uid, uid)
    return RunSpec(
        room=RoomId("!kitchen:example.org"),
        session=SessionId("5e551011-0000-4000-8000-000000000001"),
        resume=False,
        workspace=str(place / "workspace"),
        home=str(place / "homes/kitchen"),
        instructions="",
        uid=uid,
    )


def write(spec: RunSpec, name: str, text: str) -> None:
    file = Path(spec.workspace, name)
    file.write_text(text, encoding="utf-8")
    if spec.uid is not None:
        os.chown(file, spec.uid, spec.uid)


def names(folder: str) -> list[str]:
    return [each.name for each in Path(folder).iterdir()]


def now(spec: RunSpec) -> int:
    """A moment (milliseconds) after everything that was written, and before what is written next."""
    newest = max(each.stat().st_ctime_ns for each in Path(spec.workspace).rglob("*"))
    while time.time_ns() // 1_000_000 * 1_000_000 <= newest + changes.COARSE_MS * 1_000_000:
        pass
    moment = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == moment:
        pass
    return moment


@pytest.mark.parametrize("isolation", EVERY)
async def test_what_a_turn_changed_is_seen(isolation: Isolation, place: Path) -> None:
    spec, differ = make_spec(place, isolation), Differ(isolation)
    write(spec, "soup", "salt\n")
    since = now(spec)
    await differ.prepare(spec, since)
    write(spec, "soup", "pepper\n")

    found = await differ.changed(spec, since)

    assert found is not None
    assert (found.files, found.added, found.removed, found.cut) == (1, 1, 1, False)
    assert "-salt\n+pepper\n" in found.patch
    assert names(spec.home) == []
    assert names(spec.workspace) == ["soup"]


@pytest.mark.parametrize("isolation", HELD)
async def test_nothing_in_the_workspace_can_be_changed_by_it(isolation: Isolation, place: Path) -> None:
    """Whatever git could be brought to run there would have less than a tool of the room has."""
    spec, differ = make_spec(place, isolation), Differ(isolation)
    write(spec, ".gitattributes", "* filter=trap\n")
    since = now(spec)
    await differ.prepare(spec, since)
    config = place / "homes/kitchen.changes/git/config"
    trap = f'[filter "trap"]\n\tclean = "touch {spec.workspace}/ran {spec.home}/ran; echo cleaned"\n'
    config.write_text(config.read_text("utf-8") + trap, encoding="utf-8")
    write(spec, "soup", "pepper\n")

    found = await differ.changed(spec, since)

    assert found is not None
    assert "+cleaned\n" in found.patch  # it did run
    assert "ran" not in names(spec.workspace) + names(spec.home)


async def test_where_there_is_something_to_compare_with_the_first_look_is_spared(place: Path) -> None:
    spec, differ = make_spec(place), Differ(Isolation.NONE)
    write(spec, "soup", "salt\n")
    await differ.prepare(spec, now(spec))
    write(spec, "bread", "salt\n")
    since = now(spec)
    await differ.prepare(spec, since)

    assert await differ.changed(spec, since) == Changed(files=0)


async def test_secrets_are_hidden(place: Path) -> None:
    spec = make_spec(place)
    differ = Differ(Isolation.NONE, redacting=lambda: Redactor([("THE_KEY", "hunter2hunter2")]))
    write(spec, "soup", "salt\n")
    since = now(spec)
    write(spec, "notes", "hunter2hunter2\n")

    found = await differ.changed(spec, since)

    assert found is not None
    assert "hunter2" not in found.patch
    assert "+[redacted: THE_KEY]\n" in found.patch


async def test_what_cannot_be_looked_at_is_looked_at_once(place: Path) -> None:
    spec, differ = make_spec(place), Differ(Isolation.NONE, path="/nowhere")
    with capture_logs() as logged:
        await differ.prepare(spec, 0)
        assert await differ.changed(spec, 0) is None
        await differ.prepare(spec, 0)

    assert [(line["event"], line["why"]) for line in logged] == [("changes.not_seen", "no git")]


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("nonsense", None, id="no JSON"),
        pytest.param("[1]", None, id="no object"),
        pytest.param("{}", None, id="no number"),
        pytest.param(
            '{"files": 1, "added": -5, "removed": "x", "patch": 7, "cut": 1}', Changed(files=1), id="what it cannot be"
        ),
        pytest.param('{"files": 99999999999999}', Changed(files=10**9), id="more than there can be"),
    ],
)
async def test_what_comes_out_of_it_is_not_believed(
    place: Path, monkeypatch: pytest.MonkeyPatch, said: str, seen: Changed | None
) -> None:
    program = place / "program.py"
    program.write_text(f"print({said!r})", encoding="utf-8")
    monkeypatch.setattr(changes, "_PROGRAM", program)

    assert await Differ(Isolation.NONE).changed(make_spec(place), 0) == seen


async def test_nobody_waits_for_long(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = place / "program.py"
    program.write_text("import time; time.sleep(600)", encoding="utf-8")
    monkeypatch.setattr(changes, "_PROGRAM", program)
    monkeypatch.setattr(changes, "LAST_SECONDS", 0.2)
    with capture_logs() as logged:
        assert await Differ(Isolation.NONE).changed(make_spec(place), 0) is None

    assert [line["why"] for line in logged if line["event"] == "changes.not_seen"] == ["no time"]


async def test_a_room_whose_folder_is_in_the_way_is_not_looked_at(place: Path) -> None:
    spec = make_spec(place)
    (place / "homes/kitchen.changes").symlink_to(place)
    with capture_logs() as logged:
        assert await Differ(Isolation.NONE).changed(replace(spec, uid=None), 0) is None

    assert [line["event"] for line in logged] == ["changes.not_seen"]
