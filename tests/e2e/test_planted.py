"""The attacks `cli.…`: what a room plants, met by the real Claude Code program.

They work when the program is started as anybody would start it; with our flags three of them are not looked at, and
what the fourth does stays in the sandbox.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from aiagentchat.config.schema import Agent
from aiagentchat.config.settings import Settings
from aiagentchat.core.isolation import Isolation
from aiagentchat.doctor.assault import RaidFailed
from aiagentchat.doctor.attacks import PLANTED
from aiagentchat.doctor.cells import Found
from aiagentchat.doctor.isolation import planted_rows
from aiagentchat.doctor.planted import AIMS, planted
from aiagentchat.doctor.rows import Verdict
from tests.process.raiding import users_for
from tests.process.test_raid import left, needs_bubblewrap, needs_root
from tests.unit.execute_house import make_settings


def test_these_are_the_attacks_that_are_listed() -> None:
    assert AIMS.keys() == {attack.id for attack in PLANTED}


async def test_what_is_planted_runs_when_the_program_is_started_as_anybody_would(cli: Path) -> None:
    assert (await planted(Isolation.NONE, cli, ours=False)).touched == AIMS.keys()


async def test_our_flags_run_nothing_that_is_planted_but_git_runs_its_own(cli: Path) -> None:
    assert (await planted(Isolation.NONE, cli, ours=True)).touched == {"cli.git_hook"}


@pytest.mark.parametrize("ours", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "isolation",
    [pytest.param(Isolation.STRICT, marks=needs_bubblewrap), pytest.param(Isolation.USERS, marks=needs_root)],
)
async def test_nothing_that_is_planted_gets_out_of_the_sandbox(cli: Path, isolation: Isolation, ours: bool) -> None:
    assert (await planted(isolation, cli, ours=ours, users=users_for(isolation))).touched == frozenset()


async def test_a_program_that_does_something_else_is_no_proof_of_anything(workplace: Path) -> None:
    with pytest.raises(RaidFailed, match="did not do what it was asked to, and said: nothing"):
        await planted(Isolation.NONE, Path("/bin/true"), ours=True, place=workplace)

    assert left(workplace) == []


@pytest.mark.long
@needs_bubblewrap
async def test_the_doctor_says_of_each_whether_it_is_stopped_here(cli: Path, tmp_path: Path) -> None:
    rows = await planted_rows(Found(chosen=Isolation.STRICT), _with(cli, tmp_path), {})

    assert [(row.id, row.verdict) for row in rows] == [(attack.id, Verdict.OK) for attack in PLANTED]


async def test_without_the_program_nothing_is_known(tmp_path: Path) -> None:
    rows = await planted_rows(Found(chosen=Isolation.STRICT), _with(tmp_path / "claude", tmp_path), {})
    none = await planted_rows(Found(chosen=None), _with(tmp_path / "claude", tmp_path), {})

    assert {row.verdict for row in rows} == {Verdict.NOT_APPLICABLE}
    assert "is not an executable file" in rows[0].detail
    assert none == []


def _with(program: Path, folder: Path) -> Settings:
    return replace(make_settings(folder), agents={"claude": Agent(binary=str(program))})
