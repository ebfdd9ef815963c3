"""docker-compose.yml as people start it: the real compose, at Podman's Docker interface, in a folder of its own.

The images of others lie in registries. Whoever has pulled them has them tested; in the place of each that is not here
stands another one, with the same name for as long as the test lasts, that keeps what the file relies on: where programs
and settings lie, who runs them, which port they take.

    synapse         the package of the version that requirements-synapse.txt pins, `python` in PATH, an entry point that
                    is not there, so that the file's own must be taken
    element         a server of files as the ordinary user nginx, at ELEMENT_WEB_PORT or 80, with /app/config.json
    prometheus,     Debian's programs as the user nobody, with the folders of the images; they are older (2.42, 0.25)
    alertmanager

Of Loki, Alloy and Grafana there is no program to be had without a registry, so nothing stands in for them.

Podman has systemd do the health checks. Where that is not process 1, nobody does them and `up` would wait for ever, so
they are done from here.
"""

import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from rig.image import build_upon_python, podman, settings, tools
from rig.setup import ROOT
from rig.unprivileged import clean_env

PARTS = ("docker-compose.yml", "deploy")
"""What of the checkout lies beside whoever types `docker compose`."""
SYNAPSE = ROOT / "requirements-synapse.txt"
NAME = "localhost/aiagentchat-test-stand-in"
MODEL_PORT = 8000
UP_SECONDS = 300.0
CHECK_SECONDS = 1.0
"""Between two health checks of everything that runs."""

_OF_DEBIAN = """
RUN apt-get update -qq && cd /tmp && apt-get download -qq {package} && dpkg --extract {package}_*.deb it \\
    && mv it/usr/bin/{package} /bin/ && mv it/usr/share/prometheus /usr/share/ \\
    && rm -rf it *.deb /var/lib/apt/lists/* && install -d -o 65534 -g 65534 {folder}
USER 65534
VOLUME {folder}
WORKDIR {folder}
ENTRYPOINT ["/bin/{package}"]
"""
STAND_INS: Mapping[str, str] = {
    "synapse": """
COPY requirements-synapse.txt /
RUN python3 -m venv /opt/synapse \\
    && /opt/synapse/bin/pip install --no-cache-dir --require-hashes --requirement /requirements-synapse.txt
ENV PATH=/opt/synapse/bin:$PATH
ENTRYPOINT ["/start.py"]
""",
    "element": """
RUN useradd --system --uid 101 nginx && mkdir /app && echo '{}' > /app/config.json
USER nginx
ENV ELEMENT_WEB_PORT=80
HEALTHCHECK CMD python3 -c \
"import os, urllib.request as web; web.urlopen(f'http://localhost:{os.environ[\\"ELEMENT_WEB_PORT\\"]}/config.json')"
ENTRYPOINT ["sh", "-euc", "exec python3 -m http.server --directory /app $ELEMENT_WEB_PORT"]
""",
    "prometheus": _OF_DEBIAN.format(package="prometheus", folder="/prometheus"),
    "alertmanager": _OF_DEBIAN.format(package="prometheus-alertmanager", folder="/alertmanager"),
}
"""By the service that uses it."""


@contextmanager
def images_of_others(*services: str) -> Iterator[None]:
    """Those of these services of the file; what stands in for one is called so until the block ends."""
    said = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    lent = []
    try:
        for service in services:
            wanted = f"docker.io/{said[service]['image']}"
            stand_in = _stand_in(service) if _image(wanted) in ("", _image(_tag(service))) else ""
            if stand_in:
                assert podman("tag", stand_in, wanted).returncode == 0
                lent.append(wanted)
        yield
    finally:
        for wanted in lent:
            podman("untag", wanted, wanted)


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Podman's Docker interface; yields its address, as DOCKER_HOST has it."""
    place = folder / "podman.sock"
    argv = ["podman", "system", "service", "--time", "0", f"unix://{place}"]
    with (folder / "podman.log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | settings(), start_new_session=True
        )
    try:
        _until_open(place, process)
        yield f"unix://{place}"
    finally:
        process.terminate()
        process.wait(UP_SECONDS)


class Project:
    """One `docker compose` project, made by `project`. `folder` is where its commands are typed."""

    def __init__(self, folder: Path, docker_host: str, image: str, beside: Mapping[str, Any]) -> None:
        self.folder = folder
        self.name = f"aiagentchat-{secrets.token_hex(4)}"
        self._label = f"label=com.docker.compose.project={self.name}"
        self._environ = clean_env(
            HOME=str(folder),
            DOCKER_HOST=docker_host,
            COMPOSE_PROJECT_NAME=self.name,
            AIAGENTCHAT_IMAGE=image,
        )
        for part in PARTS:
            copied = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copied(ROOT / part, folder / part)
        self._lay_programs(folder / "bin")
        self._environ["PATH"] = f"{folder / 'bin'}:{self._environ['PATH']}"
        (folder / "docker-compose.override.yml").write_text(yaml.safe_dump(_with_model(beside, image)), "utf-8")

    def type(self, text: str, *, within: float = UP_SECONDS) -> str:
        """Have a shell do this, up to the first command that fails; what was said. Raises AssertionError."""
        done = subprocess.run(
            ["sh", "-euc", text],
            check=False,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
        )
        assert done.returncode == 0, f"{text}\nended with {done.returncode}\n{done.stdout}\n{self.logs()}"
        return done.stdout

    def compose(self, *words: str, within: float = UP_SECONDS) -> str:
        """What it says on stdout to these words. Raises AssertionError."""
        argv = [str(tools("docker-compose")), *words]
        done = subprocess.run(
            argv,
            check=False,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )
        assert done.returncode == 0, f"{words} ended with {done.returncode}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def states(self) -> dict[str, str]:
        """How each service is, also those that have ended: its health, and where it has none its state."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        found = [json.loads(line) for line in lines]
        return {each["Service"]: each["Health"] or f"{each['State']} {each['ExitCode']}" for each in found}

    def fetch(self, service: str, address: str) -> str:
        """What is at a web address for a service that has Python."""
        read = "import sys, urllib.request as web; print(web.urlopen(sys.argv[1]).read().decode(), end='')"
        return self.compose("exec", "-T", service, "python3", "-c", read, address)

    def asked(self, containing: str) -> list[str]:
        """The requests that the model has got, of those that hold this text."""
        found: list[str] = json.loads(
            self.fetch("model", f"http://model:{MODEL_PORT}/requests?containing={quote(containing)}")
        )
        return found

    def volumes(self) -> set[str]:
        """What its containers have volumes for, and what is left of earlier ones; one without a name is its id."""
        mounted = "{{range .Mounts}}{{.Name}} {{end}}"
        used = "".join(
            podman("inspect", "--format", mounted, name).stdout for name in self._containers("--all")
        ).split()
        left = podman("volume", "ls", "--quiet", "--filter", self._label).stdout.split()
        return {name.removeprefix(f"{self.name}_") for name in (*used, *left)}

    def logs(self) -> str:
        """The last words of every container of it."""
        names = self._containers("--all")
        return "\n".join(f"--- {name}\n{_both(podman('logs', '--tail', '20', name))}" for name in names)

    def remove(self) -> None:
        """Nothing of it is left, whatever happened."""
        if names := self._containers("--all"):
            # Those at once that share a network: Podman removes no container whose network others have.
            podman("rm", "--force", "--volumes", "--time", "5", *names)
        for kind in ("volume", "network"):
            for name in podman(kind, "ls", "--quiet", "--filter", self._label).stdout.split():
                podman(kind, "rm", "--force", name)

    def check_health(self) -> None:
        """Have the health check of each container done once."""
        for name in self._containers():
            podman("healthcheck", "run", name)

    def _containers(self, *more: str) -> list[str]:
        return podman("ps", *more, "--filter", self._label, "--format", "{{.Names}}").stdout.split()

    def _lay_programs(self, folder: Path) -> None:
        """`docker compose`, which is a program of its own here, and `sudo`, for whoever is root already."""
        folder.mkdir()
        docker = f'[ "$1" = compose ] && shift && exec {tools("docker-compose")} "$@"'
        for name, line in (("docker", docker), ("sudo", 'exec "$@"')):
            (folder / name).write_text(f"#!/bin/sh\n{line}\n", "utf-8")
            (folder / name).chmod(0o755)


@contextmanager
def project(folder: Path, image: str, beside: Mapping[str, Any]) -> Iterator[Project]:
    """A project in that folder, and `beside` as its docker-compose.override.yml. It is removed with all that it has."""
    with engine(folder) as docker_host:
        made = Project(folder, docker_host, image, beside)
        over = threading.Event()

        def check() -> None:
            while not over.wait(CHECK_SECONDS):
                made.check_health()

        checking = threading.Thread(target=check, name="health checks", daemon=True)
        checking.start()
        try:
            yield made
        finally:
            over.set()
            checking.join(UP_SECONDS)
            made.remove()


def _with_model(beside: Mapping[str, Any], image: str) -> Mapping[str, Any]:
    """That file, and the model, which the daemon asks in the network that they share."""
    services = dict(beside["services"])
    services["aiagentchat"] = {
        **services["aiagentchat"],
        "environment": {"ANTHROPIC_BASE_URL": f"http://model:{MODEL_PORT}"},
    }
    services["model"] = {
        "image": image,
        "entrypoint": ["/opt/aiagentchat/bin/python", "-m", "rig.model"],
        "command": ["--host", "0.0.0.0", "--port", str(MODEL_PORT)],  # noqa: S104 - in the network of the project
        "working_dir": "/src",
        "volumes": [f"{ROOT / 'rig'}:/src/rig:ro"],
        "tmpfs": ["/data", "/rooms"],
        "healthcheck": {"disable": True},
    }
    return {**beside, "services": services}


def _tag(service: str) -> str:
    pinned = SYNAPSE.read_bytes() if service == "synapse" else b""
    made = hashlib.sha256(STAND_INS[service].encode() + pinned).hexdigest()[:12]
    return f"{NAME}:{service}-{made}"


def _stand_in(service: str) -> str:
    tag = _tag(service)
    if not _image(tag):
        build_upon_python(tag, STAND_INS[service], SYNAPSE)
    return tag


def _image(name: str) -> str:
    """Its id; empty where there is none."""
    return podman("image", "inspect", "--format", "{{.Id}}", name).stdout.strip()


def _both(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stdout + done.stderr


def _until_open(place: Path, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        with socket.socket(socket.AF_UNIX) as trial:
            if trial.connect_ex(str(place)) == 0:
                return
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"podman system service did not open {place}")
