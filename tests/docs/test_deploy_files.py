"""What builds and deploys the product is in order, as far as that can be seen without building and deploying it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from aiagentchat.app.notify import EXTENSION_SECONDS, LOOK_SECONDS
from aiagentchat.core import errors
from aiagentchat.core.errors import AppError, IdentityError
from aiagentchat.process.sandbox.ladder import OPTIONS

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/aiagentchat.service"
BUILD_REQUIREMENTS = ROOT / "deploy/requirements-build.txt"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BUILD_IMAGE = (ROOT / "deploy/build-image.sh").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SCRIPTS = [ROOT / "deploy.sh", *sorted((ROOT / "deploy").glob("*.sh")), ROOT / ".ci/install-packages", ROOT / ".ci/run"]
STORIES = sorted((ROOT / "tests/ship").glob("*.bats"))
MOST_EXPOSED = 4.3
"""What systemd gives the unit, of 10 for one that nothing holds: bubblewrap and the agent need the rest of it."""


def pins(file: Path) -> dict[str, set[str]]:
    """The hashes of each pinned requirement."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^([a-z][\w.-]*==\S+)(.*)$", text, re.MULTILINE)
    return {pin: set(re.findall(r"--hash=(\S+)", hashes)) for pin, hashes in lines}


def test_every_program_of_the_package_is_found_in_a_container() -> None:
    programs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]

    linked = re.findall(r"^RUN ln -s (.+) /usr/local/bin/$", DOCKERFILE, re.MULTILINE)

    assert linked == [" ".join(f"/opt/aiagentchat/bin/{name}" for name in programs)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_and_stops_at_its_first_error(script: Path) -> None:
    parsed = subprocess.run(["bash", "-n", str(script)], check=False, capture_output=True, text=True, timeout=10)

    assert (parsed.returncode, parsed.stderr) == (0, "")
    assert script.stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    found = subprocess.run(["shellcheck", *SCRIPTS, *STORIES], check=False, capture_output=True, text=True, timeout=60)

    assert found.stdout == ""


def test_no_script_trusts_a_host_that_it_does_not_know() -> None:
    text = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)

    assert set(re.findall(r"StrictHostKeyChecking=(\w+)", text)) == {"yes"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    # It exits with 0 on keys that it does not know, and complains about programs that are not there yet.
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(re.sub(r"(?<==)/opt/\S+", shutil.which("true") or "", text), encoding="utf-8")

    said = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True, timeout=30
    )

    assert said.stdout + said.stderr == ""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_exposed_no_more_than_it_must_be() -> None:
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", threshold, str(UNIT)]
    scored = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)

    assert scored.returncode == 0, scored.stdout


def test_the_unit_waits_for_what_the_daemon_says_of_itself() -> None:
    keys = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))

    assert (keys["Type"], keys["NotifyAccess"], keys["WatchdogSignal"]) == ("notify", "main", "SIGTERM")
    # It asks for EXTENSION_SECONDS when it starts, and gives signs of life three times as often as it must.
    assert int(keys["TimeoutStartSec"]) >= EXTENSION_SECONDS
    assert int(keys["WatchdogSec"]) / 3 > LOOK_SECONDS


def test_the_unit_starts_nothing_again_that_ends_in_the_same_way_again() -> None:
    [prevented] = re.findall("^RestartPreventExitStatus=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8").partition("## When it does not run")[2]
    codes = {
        error.exit_code for error in vars(errors).values() if isinstance(error, type) and issubclass(error, AppError)
    }
    lasting = codes - {AppError.exit_code, IdentityError.exit_code}  # what may pass, and what `keys` alone ends with

    assert {int(code) for code in prevented.split()} == lasting
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == lasting


def test_the_unit_leaves_bubblewrap_what_it_needs() -> None:
    text = UNIT.read_text(encoding="utf-8")
    breaking = "ProtectKernelTunables|ProtectKernelLogs|ProcSubset|RestrictNamespaces|PrivateUsers|SystemCallFilter"

    assert re.findall(f"^(?:{breaking})=.*$", text, re.MULTILINE) == []
    assert "AF_NETLINK" in re.findall("^RestrictAddressFamilies=(.*)$", text, re.MULTILINE)[0].split()


def test_the_page_shows_the_profile_that_is_shipped() -> None:
    profile = (ROOT / "deploy/apparmor-bwrap").read_text(encoding="utf-8")
    page = (ROOT / "docs/how-to/isolation.md").read_text(encoding="utf-8")

    assert f"```text\n{re.sub('^#.*$', '', profile, flags=re.MULTILINE).strip()}\n```" in page


@pytest.mark.skipif(shutil.which("apparmor_parser") is None, reason="apparmor_parser is not installed")
def test_apparmor_understands_the_profile(tmp_path: Path) -> None:
    text = (ROOT / "deploy/apparmor-bwrap").read_text(encoding="utf-8")
    if not Path("/etc/apparmor.d/abi/4.0").exists():  # an older one knows neither this line nor that one
        text = re.sub(r"^(abi .*|  userns,)$", "", text, flags=re.MULTILINE)
    (tmp_path / "bwrap").write_text(text, encoding="utf-8")
    argv = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", str(tmp_path / "bwrap")]
    parsed = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)

    assert parsed.returncode == 0, parsed.stderr


def test_compose_brings_the_options_that_the_daemon_asks_for() -> None:
    service = COMPOSE["services"]["aiagentchat"]
    asked = OPTIONS["docker"].replace("--security-opt ", "").split()

    assert service["security_opt"] == ["no-new-privileges:true", *asked]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "user" not in service
    assert "privileged" not in service


def test_compose_has_what_the_image_expects() -> None:
    service = COMPOSE["services"]["aiagentchat"]
    mounted = {volume.split(":")[1] for volume in service["volumes"]}

    built = re.search(r"{IMAGE:-([^}]*)}", BUILD_IMAGE)[1]  # type: ignore[index]
    assert service["image"] == f"${{AIAGENTCHAT_IMAGE:-{built}}}"
    assert mounted >= set(re.findall(r'"(/[^"]*)"', re.search(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)[1]))  # type: ignore[index]
    assert "/config" in mounted
    assert {volume.split(":")[0] for volume in service["volumes"]} - {"./config"} <= set(COMPOSE["volumes"])
    assert service["env_file"][0]["path"] in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_what_shares_the_daemons_network_loses_it_at_no_restart() -> None:
    """The one that owns it does nothing that could end, and is found under the name that Grafana asks."""
    services = COMPOSE["services"]
    sharing = {name: each["network_mode"] for name, each in services.items() if "network_mode" in each}
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/aiagentchat.yaml").read_text("utf-8"))
    [asked] = [source["url"] for source in sources["datasources"] if source["type"] == "prometheus"]

    assert sharing == {"aiagentchat": "service:network", "prometheus": "service:network"}
    assert [*services["network"]["entrypoint"], *services["network"]["command"]][-2:] == ["sleep", "infinity"]
    assert "profiles" not in services["network"]
    assert asked == f"http://{services['network']['networks']['default']['aliases'][0]}:9090"


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (10, 0), (1, 1), (2, 2), (3, 3)])
def test_what_bootstrap_cannot_do_keeps_no_daemon_from_starting_and_what_fails_does(
    code: int, seen: int, tmp_path: Path
) -> None:
    service = COMPOSE["services"]["bootstrap"]
    program = tmp_path / "aiagentchat"
    program.write_text(f'#!/bin/sh\necho "$#: $*"\nexit {code}\n', encoding="utf-8")
    program.chmod(0o755)
    argv = [word.replace("$$", "$") for word in (*service["entrypoint"], *service["command"])]
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ, timeout=10)

    assert (
        COMPOSE["services"]["aiagentchat"]["depends_on"]["bootstrap"]["condition"] == "service_completed_successfully"
    )
    assert done.returncode == seen
    assert done.stdout == f"{len(service['command'])}: {' '.join(service['command'])}\n"


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_no_up_leaves_a_volume_without_a_name(name: str) -> None:
    """`down` keeps them. What is in memory there is root's, with the mode of the image: nothing is to be put there."""
    service = COMPOSE["services"][name]
    declared = set(re.findall(r'"(/[^"]*)"', re.search(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)[1]))  # type: ignore[index]
    places = {"prometheus": {"/prometheus"}, "alertmanager": {"/alertmanager"}}
    wanted = declared if "AIAGENTCHAT_IMAGE" in service["image"] else places.get(name, set())
    mounted = {volume.split(":")[1] for volume in service.get("volumes", [])}
    in_memory = {place.partition(":")[0] for place in service.get("tmpfs", [])}

    assert wanted <= mounted | in_memory
    assert not (wanted & in_memory) & {word.partition("=")[2] for word in service.get("command", [])}


def test_prometheus_does_not_start_without_its_token_and_its_settings_say_what_is_missing(tmp_path: Path) -> None:
    service = COMPOSE["services"]["prometheus-config"]
    for name in ("seq", "sleep"):  # it waits for five minutes
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    [script] = [word.replace("$$", "$") for word in service["command"]]
    script = script.replace("/data/", f"{tmp_path}/")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ALERTMANAGER": ""}
    ended = subprocess.run(
        [*service["entrypoint"], script], check=False, capture_output=True, text=True, env=environ, timeout=10
    )

    assert ended.returncode == 1
    assert ended.stderr.endswith("is not there: config.yaml needs gateway: {callers: {prometheus: {}}}\n")


def test_element_takes_a_port_that_an_ordinary_user_may_take() -> None:
    service = COMPOSE["services"]["element"]
    port = service["environment"]["ELEMENT_WEB_PORT"]

    assert int(port) >= 1024
    assert [each.rpartition(":")[2] for each in service["ports"]] == [port]


@pytest.mark.parametrize("target", ["", "alertmanager:9093"])
def test_prometheus_gets_its_files_and_the_alertmanager_that_is_named(target: str, tmp_path: Path) -> None:
    service = COMPOSE["services"]["prometheus-config"]
    token = tmp_path / "data/gateway/callers/prometheus.token"
    token.parent.mkdir(parents=True)
    token.write_text("gw_secret", encoding="utf-8")
    (tmp_path / "rooms").mkdir()
    [script] = [word.replace("$$", "$") for word in service["command"]]
    for inside, here in {
        "/from": ROOT / "deploy/prometheus",
        "/data": tmp_path / "data",
        "/rooms": tmp_path / "rooms",
    }.items():
        script = re.sub(rf"(?<![\w/]){inside}(?=/)", str(here), script)
    environ = {"PATH": "/usr/bin:/bin", "ALERTMANAGER": target}
    subprocess.run([*service["entrypoint"], script], check=True, env=environ, timeout=10)
    config = yaml.safe_load((tmp_path / "rooms/prometheus.yaml").read_text("utf-8"))
    [name] = config["alerting"]["alertmanagers"][0]["file_sd_configs"][0]["files"]

    assert {file.name for file in (tmp_path / "rooms").iterdir()} == {
        *("prometheus.yaml", "alerts.yaml", "aiagentchat.token", name)
    }
    assert yaml.safe_load((tmp_path / "rooms" / name).read_text("utf-8")) == [{"targets": [target] if target else []}]


def test_alerts_leave_for_nobody_until_somebody_is_named() -> None:
    """No address stands in what is shipped, and Grafana shows alerts without sending any."""
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/aiagentchat.yaml").read_text("utf-8"))
    [shown] = [source["jsonData"] for source in sources["datasources"] if source["type"] == "prometheus"]

    assert shown["manageAlerts"] is True
    assert COMPOSE["services"]["prometheus-config"]["environment"]["ALERTMANAGER"] == "${ALERTMANAGER:-}"
    assert COMPOSE["services"]["alertmanager"]["profiles"] == ["alerts"]
    assert not (ROOT / "deploy/prometheus/alertmanagers.yaml").exists()
    assert set(re.findall(r"@(\S+)", (ROOT / "deploy/prometheus/alertmanager.yaml").read_text("utf-8"))) == {
        "example.org"
    }


def test_logs_are_kept_as_long_as_numbers_and_then_deleted() -> None:
    """What Loki needs for that, by its reference; it was not there to be asked."""
    loki = yaml.safe_load((ROOT / "deploy/loki/loki.yaml").read_text("utf-8"))
    [schema] = loki["schema_config"]["configs"]
    [days] = [
        int(word.partition("=")[2].removesuffix("d"))
        for word in COMPOSE["services"]["prometheus"]["command"]
        if word.startswith("--storage.tsdb.retention.time=")
    ]

    assert loki["limits_config"]["retention_period"] == f"{24 * days}h"
    assert loki["compactor"]["retention_enabled"] is True
    assert loki["compactor"]["delete_request_store"] == schema["object_store"] == "filesystem"
    assert schema["index"]["period"] == "24h"  # the compactor takes no other
    assert "./deploy/loki/loki.yaml:/etc/loki/loki.yaml:ro" in COMPOSE["services"]["loki"]["volumes"]
    assert COMPOSE["services"]["loki"]["command"] == ["-config.file=/etc/loki/loki.yaml"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_no_service_gets_more_than_it_needs(name: str) -> None:
    service = COMPOSE["services"][name]
    ports = service.get("ports", [])

    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    if "aiagentchat" in service["image"]:
        assert (service["read_only"], service["cap_drop"], "user" in service) == (True, ["ALL"], False)
    else:
        assert re.fullmatch(r"[\w-]+/[\w-]+:v?\d+\.\d+\.\d+", service["image"])


def test_only_the_log_reader_gets_to_the_engine() -> None:
    mounting = [name for name, each in COMPOSE["services"].items() if "docker.sock" in str(each.get("volumes"))]

    assert mounting == ["alloy"]


def test_what_builds_the_package_is_pinned_as_for_development() -> None:
    build, development = pins(BUILD_REQUIREMENTS), pins(ROOT / "requirements-dev.txt")

    assert "hatchling" in {pin.partition("==")[0] for pin in build}
    assert all(hashes for hashes in build.values())
    assert build == {pin: development.get(pin) for pin in build}


def test_the_image_is_built_from_files_that_are_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
        if "--from=" not in line
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    ]

    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if f"!{source}" not in ignore] == []


def test_the_image_says_whether_the_daemon_lives_what_it_is_and_where_it_comes_from() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', DOCKERFILE))

    assert 'CMD ["aiagentchat", "healthcheck"]' in DOCKERFILE
    assert labels.keys() == {"title", "description", "licenses", "version", "revision", "created", "source"}
    for name in ("version", "revision", "created", "source"):
        assert labels[name] == f"${{{name.upper()}}}"
        assert f"{name.upper()}=" in BUILD_IMAGE


def test_the_image_runs_as_an_ordinary_user_behind_an_init() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", "aiagentchat"]' in DOCKERFILE


@pytest.mark.parametrize(
    ("variables", "code", "told"),
    [
        ({}, 0, ""),
        ({"CI_COMMIT_TAG": "v1"}, 0, ""),
        ({"PYTHON_IMAGE": "python:3.12-slim"}, 0, "python:3.12-slim is a tag"),
        (
            {"PYTHON_IMAGE": "python:3.12-slim"},
            0,
            "docker image inspect --format '{{index .RepoDigests 0}}' python:3.12-slim",
        ),
        ({"PYTHON_IMAGE": "python:3.12-slim", "CI_COMMIT_TAG": "v1"}, 2, "nothing was built"),
        ({"PYTHON_IMAGE": "python:3.12-slim", "CI_COMMIT_TAG": "v1", "IMAGE": "localhost/a-try"}, 0, "is a tag"),
        ({"PYTHON_IMAGE": f"python:3.12-slim@sha256:{'0' * 64}", "CI_COMMIT_TAG": "v1"}, 0, ""),
        ({"PYTHON_IMAGE": "localhost/made-here"}, 0, ""),
    ],
)
def test_an_image_upon_a_tag_is_warned_of_and_no_release(
    variables: dict[str, str], code: int, told: str, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n", encoding="utf-8")
    docker.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ENGINE": "docker", **variables}
    argv = [str(ROOT / "deploy/build-image.sh")]
    built = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ, timeout=10)

    assert built.returncode == code
    assert told in built.stderr
    assert (built.stderr == "") == (told == "")
    assert ("Built" in built.stdout) == (code == 0)


def test_what_the_image_is_built_upon_has_a_digest_and_is_the_same_in_ci() -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)

    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert re.findall(r"^ +PYTHON_IMAGE: (\S+)", (ROOT / ".gitlab-ci.yml").read_text("utf-8"), re.MULTILINE) == [base]


def test_everything_in_the_image_is_installed_by_its_hash() -> None:
    installs = re.findall(r"pip install ([^&;\n]*)", DOCKERFILE)

    assert installs
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []


def test_what_is_deployed_is_there() -> None:
    files = re.search(r"^files=\((.*)\)$", (ROOT / "deploy.sh").read_text(encoding="utf-8"), re.MULTILINE)

    assert files
    assert [name for name in files[1].split() if not (ROOT / name).exists()] == []
