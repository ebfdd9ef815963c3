"""Where the CLI is, and whether it is one that we can drive."""

import asyncio
import os
from importlib import metadata
from pathlib import Path

import pytest

from aiagentchat.agents.claude_code import binary
from aiagentchat.core.errors import AgentUnavailable
from aiagentchat.render import words
from rig import fake_cli
from tests.process.trees import living, mark

NOWHERE = {"PATH": "/no/such/folder"}


def program(folder: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    file = folder / "claude"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)


# ── find ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    file = program(tmp_path)

    assert binary.find(str(file), NOWHERE) == file


def test_a_link_is_resolved_so_that_an_update_is_seen(tmp_path: Path) -> None:
    file = program(tmp_path)
    (tmp_path / "link").symlink_to(file)

    assert binary.find(str(tmp_path / "link"), NOWHERE) == file


def test_a_name_is_looked_up_on_path(tmp_path: Path) -> None:
    file = program(tmp_path)

    assert binary.find("claude", {"PATH": f"/no/such/folder:{tmp_path}"}) == file


def test_without_one_on_path_the_wheel_has_it(cli: Path) -> None:
    assert binary.find("claude", NOWHERE).samefile(cli)


def test_without_a_wheel_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    no_wheel(monkeypatch)

    with pytest.raises(AgentUnavailable, match="pip install") as caught:
        binary.find("claude", NOWHERE)
    assert caught.value.human == words.NO_BINARY


def test_a_wheel_for_another_platform_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda _: [metadata.PackagePath("claude_agent_sdk/__init__.py")])

    with pytest.raises(AgentUnavailable):
        binary.find("claude", NOWHERE)


def test_a_wheel_whose_program_is_gone_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = metadata.PackagePath("claude_agent_sdk/_bundled/claude")
    gone.dist = metadata.PathDistribution(tmp_path / "claude_agent_sdk.dist-info")
    monkeypatch.setattr(metadata, "files", lambda _: [gone])

    with pytest.raises(AgentUnavailable, match="neither on PATH nor"):
        binary.find("claude", NOWHERE)


@pytest.mark.parametrize("mode", [0o644, 0o000])
def test_a_file_that_may_not_be_run_is_none(tmp_path: Path, mode: int) -> None:
    with pytest.raises(AgentUnavailable, match="not an executable file"):
        binary.find(str(program(tmp_path, mode=mode)), NOWHERE)


def test_a_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(AgentUnavailable):
        binary.find(str(tmp_path), NOWHERE)


def test_a_path_that_leads_nowhere_is_none(tmp_path: Path) -> None:
    with pytest.raises(AgentUnavailable):
        binary.find(str(tmp_path / "missing"), NOWHERE)


# ── check ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_real_one_says_its_version(cli: Path) -> None:
    assert (await binary.check(cli)).version == binary.MEASURED


@pytest.mark.parametrize("version", ["2.1.197", "2.1.329", "2.2.0", "3.0.0"])
async def test_a_version_that_we_can_drive_is_taken(tmp_path: Path, version: str) -> None:
    found = await binary.check(fake_cli.install(tmp_path, version=version))

    assert found == binary.Binary(tmp_path / "cli" / "claude", tuple(map(int, version.split("."))))  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["2.1.196", "2.0.999", "1.9.9"])
async def test_one_that_is_too_old_is_named(tmp_path: Path, version: str) -> None:
    with pytest.raises(AgentUnavailable, match=version) as caught:
        await binary.check(fake_cli.install(tmp_path, version=version))
    assert version in caught.value.human


@pytest.mark.parametrize("said", ["", "echo hello", "echo version 2.1.329", "printf '\\377'", "exit 1"])
async def test_a_program_without_a_version_is_another_program(tmp_path: Path, said: str) -> None:
    with pytest.raises(AgentUnavailable, match="no Claude Code version"):
        await binary.check(program(tmp_path, f"#!/bin/sh\n{said}\n"))


async def test_a_file_that_cannot_be_started_is_none(tmp_path: Path) -> None:
    with pytest.raises(AgentUnavailable, match="cannot be started"):
        await binary.check(program(tmp_path, "#!/no/such/interpreter\n"))


async def test_a_program_that_never_answers_is_ended_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "VERSION_SECONDS", 0.2)
    word = mark()

    with pytest.raises(AgentUnavailable, match="did not answer"):
        await binary.check(program(tmp_path, f"#!/bin/sh\n/bin/sh -c 'sleep 60; true' {word} & wait\n"))

    assert living(word) == []


async def test_the_question_is_asked_without_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "syt_secret")
    await binary.check(program(tmp_path, f"#!/bin/sh\nenv > {tmp_path}/seen\necho 2.1.329\n"))

    seen = (tmp_path / "seen").read_text(encoding="utf-8")
    assert "syt_secret" not in seen
    assert "HOME=/nonexistent" in seen


# ── once for all who ask ──────────────────────────────────────────────────────────────────────────────────────────

COUNTING = "#!/bin/sh\necho x >> {folder}/asked\n{then}\n"


class Asked:
    """A program that counts how often it was asked, and time that the test moves."""

    def __init__(self, folder: Path, then: str) -> None:
        self.folder = folder
        self.now = 0.0
        self.examiner = binary.Examiner(lambda: self.now)
        self.becomes(then)

    def becomes(self, then: str) -> None:
        """From now on it is another file, that does this."""
        self.path = program(self.folder, COUNTING.format(folder=self.folder, then=then))
        os.utime(self.path, (self.times + 1, self.times + 1))

    @property
    def times(self) -> int:
        file = self.folder / "asked"
        return file.read_text(encoding="ascii").count("x") if file.exists() else 0


async def test_a_program_is_asked_again_when_it_is_another_one(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "echo 2.1.329")
    said = [await asked.examiner.examine(asked.path) for _ in range(3)]
    once = asked.times
    asked.becomes("echo 2.2.0")
    said.append(await asked.examiner.examine(asked.path))

    assert [found.version for found in said] == [(2, 1, 329)] * 3 + [(2, 2, 0)]
    assert (once, asked.times) == (1, 2)


async def test_a_failure_is_kept_for_who_only_watches(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "exit 1")
    for seconds in (0.0, 30.0, 59.0, 61.0):
        asked.now = seconds
        with pytest.raises(AgentUnavailable, match="no Claude Code version"):
            await asked.examiner.examine(asked.path, kept=60.0)
    watched = asked.times
    with pytest.raises(AgentUnavailable):
        await asked.examiner.examine(asked.path, kept=60.0)
    asked.now += 1.0
    with pytest.raises(AgentUnavailable):
        await asked.examiner.examine(asked.path)  # a turn that starts wants to know

    assert (watched, asked.times) == (2, 3)


async def test_who_waited_for_longer_does_not_take_the_word_of_who_did_not(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "mkdir {}/first 2>/dev/null && sleep 60; echo 2.1.329".format(tmp_path))  # noqa: UP032
    watching, turn = await asyncio.gather(
        asked.examiner.examine(asked.path, kept=60.0, within=0.2),
        asked.examiner.examine(asked.path),
        return_exceptions=True,
    )

    assert isinstance(watching, AgentUnavailable)
    assert isinstance(turn, binary.Binary)


async def test_all_who_ask_meanwhile_get_one_answer(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "exit 1")
    said = await asyncio.gather(*(asked.examiner.examine(asked.path) for _ in range(4)), return_exceptions=True)

    assert [type(each) for each in said] == [AgentUnavailable] * 4
    assert asked.times == 1


async def test_who_only_watches_does_not_wait_for_long(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "sleep 60")

    with pytest.raises(AgentUnavailable, match="did not answer in 0 s"):
        await asked.examiner.examine(asked.path, within=0.2)


async def test_a_program_that_is_gone_in_between_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AgentUnavailable, match="No such file") as caught:
        await binary.Examiner().examine(tmp_path / "claude")
    assert caught.value.human == words.NO_BINARY
