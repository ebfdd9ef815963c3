"""What a release is made of: the same from the same commit, whole, and what deploy.sh and the image install."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rig.setup import FOLDER, ROOT
from rig.unprivileged import clean_env
from tests.ship.tree import as_release, copied

pytestmark = [pytest.mark.ship, pytest.mark.real, pytest.mark.timeout(900)]


def make(tree: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = clean_env(HOME=str(tree.parent), **variables)
    return subprocess.run(["make", *words], check=False, capture_output=True, text=True, cwd=tree, env=environ)


def contents(dist: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in dist.iterdir()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that is a release."""
    tree = copied(tmp_path_factory.mktemp("release") / "tree")
    as_release(tree)
    return tree


@pytest.fixture(scope="module")
def dist(tree: Path) -> Path:
    made = make(tree, "release")
    assert made.returncode == 0, made.stdout + made.stderr
    return tree / "dist"


def test_a_release_has_its_parts_and_the_sum_of_each(dist: Path) -> None:
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], check=False, capture_output=True, text=True, cwd=dist)
    sums = {line.split("  ")[1] for line in (dist / "SHA256SUMS").read_text("utf-8").splitlines()}

    assert checked.returncode == 0, checked.stdout
    assert sums == {file.name for file in dist.iterdir()} - {"SHA256SUMS"}
    assert {name.partition("-")[2].lstrip("0123456789.") for name in sums if name.startswith("aiagentchat")} == {
        "-py3-none-any.whl",
        "tar.gz",
        "cdx.json",
    }
    assert {"requirements.txt", "requirements-cli.txt"} < sums


def test_the_same_commit_gives_the_same_files_to_the_byte(tree: Path, dist: Path, tmp_path: Path) -> None:
    first = contents(dist)
    other = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(tree), str(other)], check=True)
    for name in (".venv", ".rig"):
        (other / name).symlink_to(ROOT / name)
    (other / ".git/info/exclude").write_text(".venv\n.rig\n", "utf-8")

    made = make(other, "--assume-old=.venv/installed", "release")
    assert made.returncode == 0, made.stdout + made.stderr
    assert contents(other / "dist") == first


def test_the_source_has_all_that_deploys_it_and_gives_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    [source], [wheel] = dist.glob("*.tar.gz"), dist.glob("*.whl")
    subprocess.run(["tar", "-xf", str(source), "-C", str(tmp_path)], check=True)
    [unpacked] = tmp_path.iterdir()
    # As the Dockerfile and deploy/on-host.sh build it.
    argv = [
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path / "again"),
        str(unpacked),
    ]
    subprocess.run([sys.executable, *argv], check=True, capture_output=True)
    planned = subprocess.run(
        ["./deploy.sh", "--dry-run", "--version", str(wheel), "chat.example.org"],
        check=False,
        capture_output=True,
        text=True,
        cwd=unpacked,
    )

    [again] = (tmp_path / "again").iterdir()
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {each.filename: each.CRC for each in one.infolist()} == {
            each.filename: each.CRC for each in other.infolist()
        }
    assert planned.returncode == 0, planned.stderr
    assert wheel.name in planned.stdout


def test_the_bill_fits_its_schema_and_says_who_needs_whom(dist: Path) -> None:
    [bill] = dist.glob("*.cdx.json")
    script = (
        "import pathlib, sys; from cyclonedx.schema import SchemaVersion; "
        "from cyclonedx.validation.json import JsonStrictValidator; "
        "print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text()))"
    )
    argv = [str(FOLDER / "supply/bin/python"), "-c", script, str(bill)]
    checked = subprocess.run(argv, check=True, capture_output=True, text=True)
    found = json.loads(bill.read_text("utf-8"))
    names = {each["bom-ref"]: each["name"] for each in found["components"]}
    needs = {each["ref"]: {names[ref] for ref in each["dependsOn"]} for each in found["dependencies"]}

    assert checked.stdout.strip() == "None"
    assert found["metadata"]["component"]["version"] in bill.name
    assert {"matrix-nio", "typer"} <= needs["root-component"]
    assert "pywin32" not in names.values()
    assert all(each["externalReferences"][0]["hashes"] for each in found["components"])


def test_what_is_no_release_is_not_built(tmp_path: Path) -> None:
    tree = copied(tmp_path / "tree")
    (tree / "README.md").write_text("Changed.\n", "utf-8")

    refused = make(tree, "release")
    assert refused.returncode != 0
    assert "This is no release, and nothing was built" in refused.stderr
    assert refused.stderr.count("\n- ") >= 2
    assert "README.md" in refused.stderr
    assert not (tree / "dist").exists()
