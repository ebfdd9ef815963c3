"""The container image as it is tested: with the Claude Code program and without, from a tree with secrets in it.

    python -m rig.image         # builds both, on buildah; make image-test calls it

The secrets lie where people leave theirs, and none may get into a layer. What the image is built upon is PYTHON_IMAGE,
or Debian with Python in its place, made by mmdebstrap, where no registry is in reach. `settings` is for machines on
which Podman's own do not do: a root without CAP_SYS_RESOURCE, as in many containers.
"""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from rig.setup import FOLDER, ROOT, SetupFailed, ensure_venv, say

NAME = "localhost/aiagentchat-test"
WITH_CLI, WITHOUT_CLI = f"{NAME}:with-cli", f"{NAME}:without-cli"
PYTHON_IMAGE = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)[0]
STAND_IN = "localhost/aiagentchat-test-base:bookworm"
"""Debian with its own Python, in the place of PYTHON_IMAGE."""
CANARY = "syt_cGxhbnRlZA_aPlantedSecret_0AbCdE"
"""It is in no image."""
PLANTED = (
    ".env", ".git/config", "aiagentchat/.env", "aiagentchat/config/secrets/MATRIX_PASSWORD", "aiagentchat/store.key",
    "config/config.yaml", "config/secrets/ANTHROPIC_API_KEY", "data/gateway/operator.token", "deploy/id.pem",
    "rooms/_template/operator.token", "rooms/first/notes.md", "secrets.env",
)  # fmt: skip
"""Where people leave secrets; all of it lies in the tree that is built."""
BUILD_SECONDS = 1800.0
_NEEDED = ("buildah", "podman", "runc")
_PACKAGES = "ca-certificates,git,python3,python3-pip,python3-venv,tini"
_CAP_SYS_RESOURCE = 24


def tools(name: str) -> Path:
    """A program of requirements-ship.txt: docker-compose, hadolint or check-jsonschema."""
    return ensure_venv(FOLDER / "ship", ROOT / "requirements-ship.txt").with_name(name)


@cache
def settings() -> Mapping[str, str]:
    """What podman and buildah need in their environment here: nothing, as a rule."""
    if os.environ.get("CONTAINERS_CONF") or os.geteuid() != 0 or _may_raise_limits():
        return {}
    file = Path(tempfile.mkdtemp(prefix="aiagentchat-podman-")) / "containers.conf"
    atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
    file.write_text(
        # Each limit twice the same, because Podman 4's Docker interface takes the one for the other.
        '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
        "utf-8",
    )
    return {"CONTAINERS_CONF": str(file)}


def podman(*words: str, within: float = 120.0) -> "subprocess.CompletedProcess[str]":
    """Call it, and wait for its end."""
    return subprocess.run(
        ["podman", *words],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | settings(),
        timeout=within,
    )


def build(image: str, tree: Path, environ: Mapping[str, str]) -> None:
    """Build `tree` by its own script. Raises SetupFailed."""
    base = _base()
    variables = {
        "ENGINE": "buildah",
        "IMAGE": image,
        "PYTHON_IMAGE": base,
        "SOURCE": "a/place",
        "REVISION": "abc",
        **environ,
    }
    say(f"building {image} upon {base}")
    _call([str(tree / "deploy/build-image.sh"), *_flags()], os.environ | settings() | variables)


@contextmanager
def planted() -> Iterator[Path]:
    """A copy of what git has here, with changes, and with a secret in every place of PLANTED."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="aiagentchat-image-") as folder:
        tree = Path(folder)
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        for name in PLANTED:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(f"MATRIX_ACCESS_TOKEN={CANARY}\n", "utf-8")
        yield tree


@contextmanager
def saved(image: str) -> Iterator[tuple[dict[str, Any], list[tarfile.TarFile]]]:
    """What others get when they pull it: its configuration, and each of its layers."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-saved-") as folder:
        file = Path(folder) / "image.tar"
        done = podman("save", "--format", "docker-archive", "--output", str(file), image, within=BUILD_SECONDS)
        if done.returncode != 0:
            raise SetupFailed(f"podman save {image}: {done.stderr}")
        with tarfile.open(file) as outer, ExitStack() as opened:

            def member(name: str) -> IO[bytes]:
                found = outer.extractfile(name)
                assert found is not None, name
                return opened.enter_context(found)

            [manifest] = json.load(member("manifest.json"))
            layers = [opened.enter_context(tarfile.open(fileobj=member(name))) for name in manifest["Layers"]]
            yield json.load(member(manifest["Config"])), layers


def build_upon_python(image: str, lines: str, *files: Path) -> None:
    """Build an image by these lines of a Dockerfile, upon what ours is built upon. Raises SetupFailed."""
    with tempfile.TemporaryDirectory(prefix="aiagentchat-lines-") as folder:
        (Path(folder) / "Dockerfile").write_text(f"FROM {_base()}\n{lines}", "utf-8")
        for file in files:
            shutil.copy2(file, folder)
        say(f"building {image}")
        _call(["buildah", "build", *_flags(), "--format", "docker", "--tag", image, folder], os.environ | settings())


def _require() -> None:
    if missing := [name for name in _NEEDED if shutil.which(name) is None]:
        packages = "podman buildah runc mmdebstrap netavark aardvark-dns iptables uidmap"
        raise SetupFailed(
            f"{', '.join(missing)} is missing; Debian: apt-get install --no-install-recommends {packages}"
        )


def _flags() -> list[str]:
    """For each build here."""
    flags = ["--isolation", "chroot", "--network", "host", "--layers", *_lent()]
    return flags if "PYTHON_IMAGE" in os.environ else [*flags, "--pull-never"]


def _base() -> str:
    if named := os.environ.get("PYTHON_IMAGE"):
        return named
    for image in (f"docker.io/library/{PYTHON_IMAGE}", STAND_IN):
        if podman("image", "exists", image).returncode == 0:
            return image
    if shutil.which("mmdebstrap") is None:
        raise SetupFailed(
            f"there is no {PYTHON_IMAGE} here, and no mmdebstrap to make one in its place; pull it, name another one "
            "by PYTHON_IMAGE, or: apt-get install mmdebstrap"
        )
    with tempfile.TemporaryDirectory(prefix="aiagentchat-base-") as folder:
        tar = Path(folder) / "base.tar"
        say("making a base image of Debian (once; two minutes)")
        _call(["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(tar)], os.environ)
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        _call(["podman", "import", "--change", path, str(tar), STAND_IN], os.environ | settings())
    return STAND_IN


def _lent() -> list[str]:
    """A certificate that pip is told to trust here holds for the build, too, and is in no layer."""
    if not (certificate := os.environ.get("PIP_CERT")):
        return []
    folder = Path(tempfile.mkdtemp(prefix="aiagentchat-pip-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "pip.conf").write_text(f"[global]\ncert = {certificate}\n", "utf-8")
    lent = {str(folder / "pip.conf"): "/etc/pip.conf", certificate: certificate}
    return [f"--volume={here}:{there}:ro" for here, there in lent.items()]


def _may_raise_limits() -> bool:
    status = Path("/proc/self/status").read_text("utf-8")
    held = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(held, 16) >> _CAP_SYS_RESOURCE & 1)


def _call(argv: list[str], environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        argv, check=False, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS
    )
    if done.returncode != 0:
        raise SetupFailed(f"{' '.join(argv)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


def main() -> None:
    """Build both."""
    try:
        _require()
        with planted() as tree:
            secret = {"MATRIX_ACCESS_TOKEN": CANARY, "ANTHROPIC_API_KEY": CANARY}
            build(WITHOUT_CLI, tree, secret | {"WITH_CLI": "0"})
            build(WITH_CLI, tree, secret | {"WITH_CLI": "1"})
        tools("docker-compose")
    except SetupFailed as failed:
        sys.exit(f"rig: {failed}")


if __name__ == "__main__":
    main()
