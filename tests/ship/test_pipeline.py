"""The pipeline as gitlab-ci-local runs it: which jobs there are for what; and those that need no container run."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from rig import pipeline
from rig.host import Host, free_port, missing
from rig.image import tools
from rig.setup import ROOT
from rig.unprivileged import clean_env
from tests.ship.tree import as_release, commit, copied

pytestmark = [
    pytest.mark.ship,
    pytest.mark.real,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync"),
]

CHANGE = {"check", "test", "dist", "sbom"}
RELEASE = {"check", "test", "sbom", "audit", "image-test", "release"}
NIGHT = {
    "audit", "test-long", "test-clients", "test-ship", "properties", "faults", "torture", "gateway-load", "image-test",
}  # fmt: skip
PASSED_ON = ("PIP_CERT", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL")
"""Where packages come from on this machine, which a job must know as make does."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that is a release."""
    tree = copied(tmp_path_factory.mktemp("pipeline") / "tree")
    as_release(tree)
    return tree


def run(
    tree: Path, *words: str, variables: Mapping[str, str] | None = None, within: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """gitlab-ci-local in the tree, with nothing of ours in its environment."""
    known = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environ = clean_env(HOME=str(tree.parent), **known)
    environ["PATH"] = f"{environ['PATH']}:/usr/sbin:/sbin"
    return pipeline.run(*words, tree=tree, environ=environ, variables=variables or {}, within=within)


def jobs(tree: Path, **variables: str) -> dict[str, str]:
    """Those of one pipeline, with when they run. Of several that differ by a variable there is one."""
    listed = run(tree, "--list-csv", variables=variables)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    lines = [line.split(";") for line in listed.stdout.splitlines() if ";" in line]
    return {re.sub(r": \[.*", "", name.strip('"')): when for name, _, when, *_ in lines[1:]}


def test_the_file_fits_the_schema_that_gitlab_publishes() -> None:
    argv = [str(tools("check-jsonschema")), "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    checked = subprocess.run(
        [*argv, str(ROOT / ".gitlab-ci.yml")], check=False, capture_output=True, text=True, timeout=60
    )

    assert checked.returncode == 0, checked.stdout


def test_what_renovate_is_told_fits_its_schema() -> None:
    argv = [str(tools("check-jsonschema")), "--builtin-schema", "vendor.renovate"]
    checked = subprocess.run(
        [*argv, str(ROOT / ".gitlab/renovate.json")], check=False, capture_output=True, text=True, timeout=60
    )

    assert checked.returncode == 0, checked.stdout


def test_a_key_that_gitlab_does_not_know_is_found(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    text = (copy / ".gitlab-ci.yml").read_text("utf-8")
    (copy / ".gitlab-ci.yml").write_text(text.replace("  script: [make check]", "  skript: [make check]"), "utf-8")

    assert run(copy, "--list").returncode != 0


def test_a_change_is_checked_tested_and_packed(tree: Path) -> None:
    branch = jobs(tree, CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="main")
    request = jobs(tree, CI_PIPELINE_SOURCE="merge_request_event")

    assert branch.keys() == request.keys() == CHANGE
    assert set(branch.values()) == {"on_success"}


def test_a_change_of_the_pins_is_audited_too(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    with (copy / "deploy/requirements-build.txt").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    commit(copy)

    assert jobs(copy, CI_PIPELINE_SOURCE="merge_request_event").keys() == CHANGE | {"audit"}


def test_a_night_asks_what_takes_longer(tree: Path) -> None:
    night = jobs(tree, CI_PIPELINE_SOURCE="schedule", CI_COMMIT_BRANCH="main")

    assert night.keys() == NIGHT
    assert set(night.values()) == {"on_success"}


def test_a_tag_is_a_release_and_touches_no_host_by_itself(tree: Path) -> None:
    tag = {"CI_COMMIT_TAG": "v0.1.0", "CI_PIPELINE_SOURCE": "push"}
    released = jobs(tree, **tag)
    protected = jobs(tree, **tag, CI_COMMIT_REF_PROTECTED="true", DEPLOY_HOST="root@chat.example.org")
    unprotected = jobs(tree, **tag, CI_COMMIT_REF_PROTECTED="false", DEPLOY_HOST="root@chat.example.org")

    assert released.keys() == unprotected.keys() == RELEASE
    assert protected.keys() == RELEASE | {"deploy", "rollback"}
    assert (protected["deploy"], protected["rollback"]) == ("manual", "manual")


def test_every_job_is_in_some_pipeline() -> None:
    text = (ROOT / ".gitlab-ci.yml").read_text("utf-8")
    named = {name for name, job in yaml.safe_load(text).items() if isinstance(job, dict) and "script" in job}

    assert named == CHANGE | RELEASE | NIGHT | {"deploy", "rollback"}


@pytest.mark.parametrize("job", ["check", "sbom", "dist"])
def test_a_job_that_needs_no_container_passes(tree: Path, job: str) -> None:
    done = run(tree, job, within=800.0)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"PASS\W+{job}\b", done.stdout)


def test_the_audit_passes_only_where_everything_could_be_asked(tree: Path) -> None:
    done = run(tree, "audit", variables={"CI_PIPELINE_SOURCE": "schedule"}, within=600.0)

    assert (done.returncode == 0) == ("Nothing is known against what is pinned." in done.stdout)
    assert re.search(r"Nothing is known against|Something is known against|This is no pass", done.stdout)


def test_a_tag_is_released_and_what_was_released_would_be_deployed(tree: Path, tmp_path: Path) -> None:
    [tag] = [line for line in (tree / ".git/refs/tags").iterdir() if line.name.startswith("v")]
    (tmp_path / "key").write_text("no key\n", "utf-8")
    variables = {"CI_COMMIT_TAG": tag.name, "CI_COMMIT_REF_PROTECTED": "true", "DEPLOY_HOST": "root@chat.example.org"}
    variables |= {"DEPLOY_KEY": str(tmp_path / "key")}
    released = run(tree, "release", variables=variables, within=600.0)
    planned = run(tree, "deploy", variables=variables | {"ARGS": "--dry-run"})
    back = run(tree, "rollback", variables=variables | {"ARGS": "--dry-run"})
    [wheel] = (tree / "dist").glob("*.whl")

    assert released.returncode == 0, released.stdout + released.stderr
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "would do on root@chat.example.org" in planned.stdout
    assert str(wheel) in planned.stdout
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert back.returncode == 0, back.stdout + back.stderr
    assert "'--rollback' 'yes'" in back.stdout


def test_another_tag_is_not_released(tree: Path) -> None:
    done = run(tree, "release", variables={"CI_COMMIT_TAG": "v9.9.9"})

    assert done.returncode != 0
    assert "This is no release" in done.stdout + done.stderr


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """One that is deployed to."""
    host = Host(tmp_path)
    host.make(port=free_port())
    host.listen()
    yield host
    host.close()


@pytest.mark.skipif(bool(missing()), reason=f"needs {', '.join(missing())}")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the user on a host is")
def test_ssh_takes_the_key_and_the_host_of_the_variables_and_no_other(host: Host) -> None:
    address = re.search(r"^ListenAddress (\S+):(\d+)$", (host.folder / "sshd_config").read_text("utf-8"), re.MULTILINE)
    assert address
    known = (host.folder / "known_hosts").read_text("utf-8").replace("testhost", f"[{address[1]}]:{address[2]}")
    (host.folder / "variable").write_text(known, "utf-8")
    argv = ["ssh", "-F", str(ROOT / ".ci/ssh_config"), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    argv += ["-o", "GlobalKnownHostsFile=/dev/null", "-p", address[2], f"root@{address[1]}", "echo here"]

    def connect(key: str, hosts: str) -> "subprocess.CompletedProcess[str]":
        environ = clean_env(DEPLOY_KEY=str(host.folder / key), DEPLOY_KNOWN_HOSTS=str(host.folder / hosts))
        return subprocess.run(argv, check=False, capture_output=True, text=True, env=environ, timeout=30)

    assert connect("user_key", "variable").stdout == "here\n"
    assert "Host key verification failed" in connect("user_key", "nothing").stderr
    assert "Permission denied" in connect("host_key", "variable").stderr
