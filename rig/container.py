"""The image in containers, as Docker and Podman run it, on the machine's own network so that the rig is in reach.

It takes Podman, and an image that holds the Claude Code program, named by AIAGENTCHAT_TEST_IMAGE (`python -m rig.image`
builds one). Where there is only Podman, Docker's stricter seccomp profile is made from Podman's: no namespaces, no
mounts, no keyrings. Its AppArmor profile cannot be imitated.
"""

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rig.image import settings as podmans_settings
from rig.setup import ROOT

IMAGE = os.environ.get("AIAGENTCHAT_TEST_IMAGE", "")
PODMANS_PROFILE = Path("/usr/share/containers/seccomp.json")
DOCKERS_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip
"""What the root of a container has there; an ordinary user has none of it."""
COMMAND_SECONDS = 120.0
LOOK_SECONDS = 0.2

_NOT_ALLOWED = {
    "add_key", "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "keyctl",
    "lookup_dcookie", "mount", "mount_setattr", "move_mount", "open_tree", "perf_event_open", "pivot_root", "quotactl",
    "request_key", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
}  # fmt: skip
_CLONE_NEW = 0x7E020000
"""The flags of clone that make namespaces."""
_ENOSYS = 38


def dockers_profile(file: Path) -> Path:
    """Write a seccomp profile that forbids what Docker's does."""
    profile = json.loads(PODMANS_PROFILE.read_text("utf-8"))
    kept = [
        {**rule, "names": [name for name in rule["names"] if name not in _NOT_ALLOWED]} for rule in profile["syscalls"]
    ]
    plain = {"index": 0, "value": _CLONE_NEW, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    profile["syscalls"] = [
        *(rule for rule in kept if rule["names"]),
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [plain]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    profile["defaultErrnoRet"] = 1
    profile.pop("defaultErrno", None)
    file.write_text(json.dumps(profile), "utf-8")
    return file


def as_docker_has_it(folder: Path, *, root: bool = False) -> list[str]:
    """Options for a container as Docker starts it without any."""
    options = ["--security-opt", f"seccomp={dockers_profile(folder / 'docker.json')}"]
    if not root:
        return options
    return [*options, "--user", "0:0", "--cap-drop", "all", *(f"--cap-add={name}" for name in DOCKERS_CAPABILITIES)]


def as_compose_has_it(service: str = "aiagentchat") -> list[str]:
    """The options of docker-compose.yml that hold the container, in Podman's words."""
    said = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"][service]
    # Podman calls it so; and where the kernel has no AppArmor, it takes no profile for it, not even none.
    words = {"systempaths=unconfined": "unmask=ALL", "apparmor=unconfined": None}
    security = [words.get(word, word) for word in said["security_opt"]]
    return [
        *(f"--security-opt={word}" for word in security if word),
        *(f"--cap-drop={name}" for name in said["cap_drop"]),
        *(f"--tmpfs={place}" for place in said["tmpfs"]),
        *(["--read-only"] if said["read_only"] else []),
        f"--memory={said['mem_limit']}",
        f"--pids-limit={said['pids_limit']}",
    ]


class Container:
    """One container. `start` it and `remove` it, or `run` it to its end."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        environ: Mapping[str, str],
        options: Iterable[str],
        image: str = IMAGE,
    ) -> None:
        self._image = image
        self.name = f"aiagentchat-{secrets.token_hex(4)}"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump({"data_dir": "/data", "workspaces": "/rooms", **settings}), "utf-8")
        config.chmod(0o644)
        self._options = [
            *("--name", self.name, "--network", "host", "--volume", f"{folder}:/config:ro"),
            *(f"--env={name}={value}" for name, value in environ.items()),
            *options,
        ]

    async def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Start it with these words, wait for its end, and remove it."""
        return await _podman("run", "--rm", *self._options, self._image, *words)

    async def start(self, *words: str) -> None:
        """Start it with these words, or the image's own, and let it run."""
        done = await _podman("run", "--detach", *self._options, self._image, *words)
        assert done.returncode == 0, done.stderr

    async def until(self, event: str) -> dict[str, Any]:
        """Wait for an event in its log."""
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                while True:
                    for line in await self.log():
                        if line.get("event") == event:
                            return line
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"no {event!r} in the log: {(await self.log())[-20:]}") from None

    async def log(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        done = await _podman("logs", self.name)
        lines = (done.stdout + done.stderr).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def exec(self, *argv: str) -> str:
        """What a program in it says."""
        done = await _podman("exec", self.name, *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def health(self) -> tuple[int, str]:
        """Have its health check made now: its exit code, and what it says."""
        # Podman keeps what it says to itself, so it is asked twice.
        checked = await _podman("healthcheck", "run", self.name)
        said = await _podman("exec", self.name, "aiagentchat", "healthcheck")
        assert (checked.returncode == 0) == (said.returncode == 0), (checked, said)
        return said.returncode, said.stderr

    async def signal(self, name: str, pid: int) -> None:
        """Send a signal to a process in it."""
        done = await _podman("exec", self.name, "sh", "-c", f"kill -{name} {pid}")
        assert done.returncode == 0, done.stderr

    async def stop(self) -> int:
        """SIGTERM, and its exit code; after 10 seconds it is killed."""
        await _podman("stop", "--time", "10", self.name)
        return int((await _podman("inspect", "--format", "{{.State.ExitCode}}", self.name)).stdout)

    async def remove(self) -> None:
        """Nothing of it is left."""
        await _podman("rm", "--force", "--volumes", self.name)


async def _podman(*words: str) -> "subprocess.CompletedProcess[str]":
    argv: Sequence[str] = ["podman", *words]
    return await asyncio.to_thread(
        subprocess.run,
        argv,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | podmans_settings(),
        timeout=COMMAND_SECONDS,
    )
