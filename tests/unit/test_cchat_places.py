"""Whom `cchat` asks: what was given, the environment, config.yaml, the login that was kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from aiagentchat.cli.exchange.exits import Exit, NotDone
from aiagentchat.cli.exchange.logins import Login, keep, load, login_file
from aiagentchat.cli.exchange.places import AtGateway, ByLogin, Way, find
from rig.unprivileged import as_unprivileged, clean_env, own

ANNA = Login(homeserver="http://127.0.0.1:8008", user_id="@anna:hs", device_id="D", access_token="syt_anna")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with settings, and a daemon that runs on them."""
    project = tmp_path / "project"
    gateway = project / "data" / "gateway"
    gateway.mkdir(parents=True)
    (project / "config.yaml").write_text("matrix:\n  user_id: '@agent:hs'\n")
    (gateway / "operator.sock").touch()
    token(gateway / "operator.token", "gw_operator")
    return project


def token(file: Path, value: str, mode: int = 0o600) -> Path:
    file.touch(mode=mode)
    file.chmod(mode)
    file.write_text(value)
    return file


def found(way: Way, home: Path, here: Path, **environ: str) -> AtGateway | ByLogin:
    return find(way, {"HOME": str(home), **environ}, here)


def test_the_daemon_of_the_settings_here_is_asked(home: Path, project: Path) -> None:
    way = found(Way(), home, project)

    assert isinstance(way, AtGateway)
    assert way.place.socket == project / "data/gateway/operator.sock"
    assert way.token == "gw_operator"
    assert way.otherwise is None


@pytest.mark.parametrize("how", ["option", "environment"])
def test_settings_elsewhere_may_be_named(home: Path, project: Path, how: str) -> None:
    file = str(project / "config.yaml")
    way = found(Way(config=file), home, home) if how == "option" else found(Way(), home, home, AIAGENTCHAT_CONFIG=file)

    assert isinstance(way, AtGateway)
    assert way.place.socket == project / "data/gateway/operator.sock"


@pytest.mark.parametrize("folder", ["~/there", "../home/there", "'{home}/there'"])
def test_the_data_dir_is_found_as_the_daemon_finds_it(home: Path, project: Path, folder: str) -> None:
    (project / "config.yaml").write_text(f"data_dir: {folder.format(home=home)}\n")
    (home / "there").mkdir()
    (project / "data" / "gateway").rename(home / "there" / "gateway")
    way = found(Way(), home, project)

    assert isinstance(way, AtGateway)
    assert way.place.socket == home / "there/gateway/operator.sock"


def test_a_gateway_that_is_given_wins(home: Path, project: Path, tmp_path: Path) -> None:
    file = token(tmp_path / "token", "gw_ci")
    given = found(Way(gateway="http://127.0.0.1:8870", token_file=str(file)), home, project)
    variables = {"AIAGENTCHAT_GATEWAY": "http://127.0.0.1:8871", "AIAGENTCHAT_GATEWAY_TOKEN_FILE": str(file)}
    from_environment = found(Way(), home, project, **variables)

    assert isinstance(given, AtGateway)
    assert isinstance(from_environment, AtGateway)
    assert (given.place.shown, given.token, given.otherwise) == ("http://127.0.0.1:8870", "gw_ci", None)
    assert (from_environment.place.shown, from_environment.token) == ("http://127.0.0.1:8871", "gw_ci")


def test_the_token_of_a_socket_lies_beside_it(home: Path, project: Path) -> None:
    way = found(Way(gateway=str(project / "data/gateway/operator.sock")), home, home)

    assert isinstance(way, AtGateway)
    assert way.token == "gw_operator"


def test_without_a_gateway_the_login_is_taken(home: Path) -> None:
    keep(login_file(str(home), None), ANNA)

    assert found(Way(), home, home) == ByLogin(login=ANNA)


def test_a_gateway_that_is_only_found_has_the_login_beside_it(home: Path, project: Path) -> None:
    keep(login_file(str(home), None), ANNA)
    way, asked_for = found(Way(), home, project), found(Way(config=str(project / "config.yaml")), home, home)

    assert isinstance(way, AtGateway)
    assert isinstance(asked_for, AtGateway)
    assert (way.otherwise, asked_for.otherwise) == (ANNA, None)


def test_a_login_by_its_name_is_one_without_a_gateway(home: Path, project: Path) -> None:
    keep(login_file(str(home), "second"), ANNA)

    assert found(Way(profile="second"), home, project) == ByLogin(login=ANNA)


@pytest.mark.parametrize(
    ("way", "exit_", "sentence"),
    [
        (Way(), Exit.NO_WAY, "there is no gateway and no login"),
        (Way(direct=True), Exit.NO_WAY, "there is no login; make one with cchat login"),
        (Way(profile="second"), Exit.NO_WAY, "make one with cchat login --as second"),
        (Way(profile="../x"), Exit.USAGE, "a name has a-z"),
        (Way(direct=True, gateway="/sock"), Exit.USAGE, "--gateway does not go with"),
        (Way(gateway="http://127.0.0.1:1"), Exit.USAGE, "--gateway needs a token"),
        (Way(gateway="nonsense"), Exit.USAGE, "write for example http://127.0.0.1:8870"),
        (Way(gateway="/nowhere/operator.sock"), Exit.UNREACHABLE, "there is no such socket, so nothing was sent"),
        (Way(config="/nowhere/config.yaml"), Exit.USAGE, "the file cannot be read"),
    ],
)
def test_what_leads_nowhere_is_explained(home: Path, way: Way, exit_: Exit, sentence: str) -> None:
    with pytest.raises(NotDone) as raised:
        found(way, home, home)

    assert raised.value.exit is exit_
    assert sentence in str(raised.value)


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_what_is_the_daemons_is_for_whoever_runs_it_and_others_are_told_so(
    project: Path, crossroads: Path, mode: int
) -> None:
    closed = crossroads / "data"
    (project / "data").rename(closed)
    (config := crossroads / "config.yaml").write_text("data_dir: ./data\n")
    config.chmod(mode)
    closed.chmod(0o000)
    env = clean_env(HOME="/nowhere")
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat.cli.cchat", "status"]
    for way in (["--config", str(config)], ["--gateway", str(closed / "gateway/operator.sock")], []):
        done = subprocess.run([*argv, *way], check=False, capture_output=True, text=True, env=env, cwd=crossroads)

        assert done.returncode == Exit.NOT_ALLOWED
        assert "only the user that runs the daemon may open" in done.stderr
        assert done.stderr.count("\n") == 1
    closed.chmod(0o700)


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_who_has_a_login_needs_no_daemon_that_is_somebody_elses(crossroads: Path, mode: int) -> None:
    keep(file := login_file(str(crossroads), None), ANNA)
    (crossroads / "config.yaml").write_text("data_dir: ./data\n")
    (crossroads / "config.yaml").chmod(mode)
    (crossroads / "data").mkdir(mode=0o000)
    own(file.parent.parent)
    program = "import sys; from pathlib import Path; from aiagentchat.cli.exchange.places import Way, find; "
    program += f"print(find(Way(), {{'HOME': '{crossroads}'}}, Path('{crossroads}')).login.user_id)"
    argv = [*as_unprivileged(), sys.executable, "-c", program]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=clean_env(), cwd=crossroads)
    (crossroads / "data").chmod(0o700)

    assert done.stdout == "@anna:hs\n"


def test_a_daemon_that_does_not_run_is_named(home: Path, project: Path) -> None:
    (project / "data/gateway/operator.sock").unlink()
    for way in (Way(), Way(config=str(project / "config.yaml"))):
        with pytest.raises(NotDone, match="does not run, or has no gateway") as raised:
            found(way, home, project)

        assert raised.value.exit is Exit.UNREACHABLE


def test_a_token_that_others_can_read_is_refused(home: Path, project: Path) -> None:
    (project / "data/gateway/operator.token").chmod(0o644)

    with pytest.raises(NotDone, match="other users can read"):
        found(Way(), home, project)


@pytest.mark.parametrize("text", ["", "two\nlines"])
def test_a_token_is_one_line(home: Path, project: Path, text: str) -> None:
    (project / "data/gateway/operator.token").write_text(text)

    with pytest.raises(NotDone):
        found(Way(), home, project)


def test_settings_that_are_no_yaml_are_left_to_their_checker(home: Path, project: Path) -> None:
    (project / "config.yaml").write_text("a: [")

    with pytest.raises(NotDone, match="aiagentchat check says where"):
        found(Way(), home, project)


def test_settings_of_another_program_are_in_nobodys_way_who_has_a_login(home: Path, project: Path) -> None:
    keep(login_file(str(home), None), ANNA)
    (project / "config.yaml").write_text("theme: {{ .Values.theme }}: [")

    assert found(Way(), home, project) == ByLogin(login=ANNA)
    with pytest.raises(NotDone, match="aiagentchat check says where"):
        found(Way(config=str(project / "config.yaml")), home, project)


def test_a_login_is_kept_for_its_owner_alone(home: Path) -> None:
    file = login_file(str(home), None)
    keep(file, ANNA)
    keep(file, ANNA)

    assert file == home / ".config/cchat/login.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert load(file) == ANNA
    assert list(file.parent.iterdir()) == [file]
    assert "syt_anna" not in repr(ANNA)


def test_a_login_that_others_can_read_or_that_is_none_is_refused(home: Path) -> None:
    file = login_file(str(home), None)
    keep(file, ANNA)
    file.write_text("{}")
    with pytest.raises(NotDone, match="this is not a login"):
        load(file)
    file.chmod(0o640)
    with pytest.raises(NotDone, match="other users can read"):
        load(file)
