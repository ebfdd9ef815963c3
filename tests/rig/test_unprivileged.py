"""Programs that are started as an ordinary user have an ordinary user's powers."""

import json
import subprocess
from pathlib import Path

from rig.claude import cli_binary, cli_env
from rig.unprivileged import as_unprivileged, clean_env, own

_REPORT = """
import json, os, re
status = open("/proc/self/status").read()
print(json.dumps([re.findall(r"^(?:CapInh|CapEff):\\s+(\\w+)", status, re.M), os.getgroups(), dict(os.environ)]))
"""


def test_the_program_has_no_powers_and_sees_only_its_environment(workplace: Path) -> None:
    said = subprocess.run(
        [*as_unprivileged(), "/usr/bin/python3", "-c", _REPORT],
        check=True,
        capture_output=True,
        env=clean_env(GREETING="hello"),
        cwd=workplace,
        timeout=30,
    )
    (inherited, effective), groups, environment = json.loads(said.stdout)

    assert (int(inherited, 16), int(effective, 16), groups) == (0, 0, [])
    assert environment == {**clean_env(), "GREETING": "hello", **_by_python(environment)}


def test_it_may_write_where_it_owns_and_not_where_it_may_not(workplace: Path) -> None:
    (workplace / "inner").mkdir()
    (workplace / "inner" / "link").symlink_to("/etc/passwd")
    own(workplace)
    closed = workplace / "closed"
    closed.touch(mode=0o000)

    wrote = subprocess.run([*as_unprivileged(), "touch", str(workplace / "inner" / "made")], check=False, timeout=30)
    read = subprocess.run([*as_unprivileged(), "cat", str(closed)], check=False, capture_output=True, timeout=30)

    assert wrote.returncode == 0
    assert read.returncode != 0
    assert Path("/etc/passwd").stat().st_uid == 0


def test_the_cli_is_the_binary_of_the_wheel(workplace: Path) -> None:
    said = subprocess.run(
        [*as_unprivileged(), str(cli_binary()), "--version"],
        check=True,
        capture_output=True,
        env=cli_env(workplace, "http://127.0.0.1:9"),
        cwd=workplace,
        timeout=30,
    )

    assert said.stdout.split()[0] == b"2.1.329"


def _by_python(environment: dict[str, str]) -> dict[str, str]:
    """What the interpreter itself adds in the C locale."""
    return {name: value for name, value in environment.items() if name == "LC_CTYPE"}
