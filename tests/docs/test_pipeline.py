"""The pipeline is as thin as it says, leaves no question out, and is what its page says. tests/ship runs it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/how-to/ci.md").read_text(encoding="utf-8")
PIPELINE: dict[str, Any] = yaml.safe_load(TEXT)
JOBS = {name: job for name, job in PIPELINE.items() if isinstance(job, dict) and "script" in job}
TEMPLATES = {name: job for name, job in PIPELINE.items() if name.startswith(".")}
MAKE_TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
CALLED = {target for job in JOBS.values() for line in job["script"] for target in line.split()[1:]}
BY_HAND = {
    "help", "clean", "fix", "requirements", "screenshots",  # for a person, who looks at what comes of them
    "compiled",  # others begin with it
    "demo", "pipeline",  # for a person, who is at the machine
    "image",  # image-test builds it in the same way, and deploys nothing
    "bench", "bench-limits", "bench-catch-up", "bench-neighbours", "bench-sealed", "bench-changes", "bench-gateway",
    "bench-cchat",  # a shared runner measures nothing
}  # fmt: skip

BROUGHT_BY = {
    "/usr/bin/python3": "python3",  # the images of the jobs have theirs in /usr/local alone
    '"apparmor_parser"': "apparmor",
    '"bwrap"': "bubblewrap",
    '"jq"': "jq",
    '"rsync"': "rsync",
    '"shellcheck"': "shellcheck",
    '"ssh-keygen"': "openssh-server",
    '"strace"': "strace",
    '"systemd-analyze"': "systemd",
}
"""What tests and their stand-ins start outright or are left out without, and the package of Debian that has it."""


def merged(name: str) -> dict[str, Any]:
    """A job with what it extends."""
    job = JOBS[name]
    above = job.get("extends", [])
    whole: dict[str, Any] = {}
    for each in [*(TEMPLATES[up] for up in ([above] if isinstance(above, str) else above)), job]:
        whole |= each | {"variables": whole.get("variables", {}) | each.get("variables", {})}
    return whole


def timeout(text: str) -> int:
    """Minutes."""
    number, unit = text.split()
    return int(number) * (60 if unit.startswith("hour") else 1)


@pytest.mark.parametrize("job", JOBS)
def test_every_line_of_a_job_calls_a_make_target_that_exists(job: str) -> None:
    lines = JOBS[job]["script"]

    assert lines
    assert all(re.fullmatch(r"make( [a-z-]+)+", line) for line in lines)
    assert {target for line in lines for target in line.split()[1:]} <= MAKE_TARGETS


def test_every_target_is_in_a_job_or_for_a_person() -> None:
    assert MAKE_TARGETS - CALLED == BY_HAND
    assert not CALLED & BY_HAND


def test_every_job_has_a_stage_that_exists() -> None:
    assert {merged(name)["stage"] for name in JOBS} == set(PIPELINE["stages"])


def test_every_job_has_a_rule_of_its_own() -> None:
    assert [name for name in JOBS if not merged(name).get("rules")] == []


@pytest.mark.parametrize("job", JOBS)
def test_a_job_waits_for_nothing_but_what_it_needs(job: str) -> None:
    assert set(merged(job)["needs"]) <= JOBS.keys()


def test_the_tests_run_on_every_python_that_is_supported() -> None:
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert JOBS["test"]["parallel"]["matrix"] == [{"PYTHON": classifiers}]
    assert PIPELINE["default"]["image"] == f"python:{classifiers[0]}-slim-bookworm"


@pytest.mark.parametrize("job", JOBS)
def test_a_job_brings_the_packages_that_its_target_asks_for(job: str) -> None:
    text = MAKEFILE + (ROOT / "rig/image.py").read_text(encoding="utf-8")
    asked = {
        "test-ship": re.findall(r"--no-install-recommends ([a-z -]+)\" >&2", text)[0],
        "image-test": re.findall(r'packages = "([a-z -]+)"', text)[0],
    }
    packages = merged(job)["variables"].get("PACKAGES", PIPELINE["variables"]["PACKAGES"])

    assert set(packages.split()) >= {"make", "git", *asked.get(job, "").split()}


@pytest.mark.parametrize("job", ["test", "test-long", "test-clients"])
def test_a_job_brings_the_programs_without_which_tests_fail_or_are_left_out(job: str) -> None:
    files = [file for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)]
    text = "".join(file.read_text(encoding="utf-8") for file in [*files, *(ROOT / "rig").rglob("*.py")])

    assert [program for program in BROUGHT_BY if program not in text] == []
    assert set(merged(job)["variables"]["PACKAGES"].split()) >= set(BROUGHT_BY.values())


def test_the_host_that_is_deployed_to_has_a_python_of_debian_that_makes_environments() -> None:
    assert "python3-venv" in merged("test-ship")["variables"]["PACKAGES"].split()
    assert ":/usr/sbin:/usr/bin:/sbin:/bin " in (ROOT / "rig/host/__init__.py").read_text(encoding="utf-8")


def test_the_image_is_asked_for_no_python_at_a_place_that_its_base_may_not_have() -> None:
    files = (ROOT / "tests/container").rglob("*.py")

    assert [file.name for file in files if "/usr/bin/python3" in file.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("job", JOBS)
def test_what_a_job_leaves_is_kept_for_a_time_that_is_said(job: str) -> None:
    artifacts = merged(job).get("artifacts", {"expire_in": "nothing is left"})

    assert artifacts["expire_in"]


def test_what_jobs_write_is_ignored_so_that_a_release_is_still_what_was_committed() -> None:
    kept = [path for job in JOBS for path in merged(job).get("artifacts", {}).get("paths", [])]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    written = {path.partition("/")[0] for path in kept + PIPELINE["default"]["cache"]["paths"]}

    assert written == {"dist", "report.xml", ".cache"}
    assert written <= {line.strip("/") for line in ignored}


def test_a_job_is_ended_in_time_and_only_what_changes_nothing_outside_may_be_interrupted() -> None:
    assert {name for name in JOBS if merged(name).get("interruptible") is False} == {"release", "deploy", "rollback"}
    for name in JOBS:
        assert 10 <= timeout(merged(name).get("timeout", PIPELINE["default"]["timeout"])) <= 240


def test_the_page_tells_the_limit_of_each_job() -> None:
    told = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE))

    assert told == {name: merged(name).get("timeout", PIPELINE["default"]["timeout"]) for name in JOBS}


@pytest.mark.parametrize("job", ["deploy", "rollback"])
def test_a_deployment_may_wait_for_turns_as_long_as_its_page_says(job: str) -> None:
    [drain] = re.findall(r"--drain (\d+)h", PAGE)

    assert timeout(merged(job)["timeout"]) >= 60 * int(drain) + 30


def test_a_host_is_touched_only_by_hand_one_at_a_time_and_from_protected_tags() -> None:
    for name in ("deploy", "rollback"):
        [rule] = merged(name)["rules"]

        assert rule["when"] == "manual"
        assert '$CI_COMMIT_TAG && $CI_COMMIT_REF_PROTECTED == "true"' in rule["if"]
        assert merged(name)["resource_group"] == merged(name)["environment"]["name"] == "production"


def test_no_file_of_the_pipeline_names_a_server_or_holds_a_secret() -> None:
    files = [
        ROOT / ".gitlab-ci.yml",
        *(ROOT / ".ci").iterdir(),
        *ROOT.glob("requirements*"),
        *ROOT.glob("rig/*/packages.txt"),
    ]
    text = "".join(file.read_text(encoding="utf-8") for file in files)

    assert re.findall(r"https?://\S+|\b(?:docker|quay|ghcr|registry\.\w+|registry)\.(?:io|com|org)\b", text) == []
    assert re.findall(r"(?i)(?:token|password|secret|private.key)\w*\s*[:=]\s*\S+", TEXT) == []


def test_the_page_names_every_job_and_every_variable_and_no_other() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    variables = set(re.findall(r"\b(DEPLOY_\w+)", TEXT + (ROOT / ".ci/ssh_config").read_text(encoding="utf-8")))

    assert sorted(table) == sorted(JOBS)
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)) == variables
