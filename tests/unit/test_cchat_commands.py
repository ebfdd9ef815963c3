"""`cchat …` as it is typed, with a gateway: what is printed, and how it ends."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aiagentchat.cli.cchat import app
from aiagentchat.cli.exchange.exits import Exit
from aiagentchat.cli.exchange.sentences import when
from rig.unprivileged import as_unprivileged, clean_env, own
from tests.fakes.gateway_server import ATTIC, NOW, PATIENCE, TOKEN, WORKSHOP, GatewayServer, at_port, at_socket

AT = when(NOW, 2 * NOW)
SAID = {
    "position": 7,
    "event_id": "$7",
    "room": "!den:hs",
    "sender": "@anna:hs",
    "sent_at": NOW,
    "kind": "text",
    "body": "two\nlines \x1b[31mred\u202e",
    "thread": None,
    "reply_to": None,
    "meta": {"version": 1, "id": "m1", "kind": "task", "to": "@agent:hs/workshop"},
    "by_agent": True,
    "edited_at": None,
}
TASK = {
    "id": "t1",
    "room": "!den:hs",
    "title": "Mend the tap.",
    "by": "@anna:hs",
    "to": "@agent:hs/workshop",
    "state": "working",
    "note": "Half of it.",
    "deadline": NOW,
}


@pytest.fixture
def server() -> GatewayServer:
    return GatewayServer()


@pytest.fixture
def environ(server: GatewayServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of somebody who runs the daemon of `tmp_path`."""
    (tmp_path / "config.yaml").write_text("data_dir: ./data\n")
    with at_socket(server, tmp_path / "data"):
        yield {"HOME": str(tmp_path), "AIAGENTCHAT_CONFIG": str(tmp_path / "config.yaml")}


def cchat(environ: dict[str, str], *arguments: str, stdin: str = "") -> Result:
    return CliRunner(env=environ).invoke(app, list(arguments), input=stdin)


def sent(server: GatewayServer) -> dict[str, Any]:
    """The body of the one thing that was sent."""
    (body,) = [body for method, _, _, body in server.asked if method == "POST"]
    return body


def test_a_message_is_sent_and_its_id_told(server: GatewayServer, environ: dict[str, str]) -> None:
    done = cchat(environ, "send", "den", "hello", "there", "--to", "@agent:hs/workshop", "--kind", "question")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "sent: m1\n", "")
    assert sent(server) == {"room": "den", "body": "hello there", "kind": "question", "to": "@agent:hs/workshop"}


@pytest.mark.parametrize("arguments", [["send", "den"], ["send", "den", "-"]])
def test_a_text_may_come_on_stdin(server: GatewayServer, environ: dict[str, str], arguments: list[str]) -> None:
    assert cchat(environ, *arguments, stdin="a\nb\n").exit_code == 0
    assert sent(server)["body"] == "a\nb"


def test_somebody_may_be_named_shortly(server: GatewayServer, environ: dict[str, str]) -> None:
    assert cchat(environ, "send", "den", "hello", "--to", "attic").exit_code == 0
    assert sent(server)["to"] == "@agent:hs/attic"


@pytest.mark.parametrize(("name", "exit_"), [("nobody", Exit.UNKNOWN), ("workshop", Exit.USAGE)])
def test_a_name_of_nobody_or_of_several_sends_nothing(
    server: GatewayServer, environ: dict[str, str], name: str, exit_: Exit
) -> None:
    server.instances.append({**WORKSHOP, "user": "@other:hs", "address": "@other:hs/workshop"})
    done = cchat(environ, "send", "den", "hello", "--to", name)

    assert done.exit_code == exit_
    assert server.messages == {}


def test_of_two_with_a_name_the_one_that_is_there_is_meant(server: GatewayServer, environ: dict[str, str]) -> None:
    server.instances.append({**ATTIC, "user": "@other:hs", "address": "@other:hs/attic", "alive": True})

    assert cchat(environ, "send", "den", "hello", "--to", "attic").exit_code == 0
    assert sent(server)["to"] == "@other:hs/attic"


def test_every_option_of_a_message_arrives(server: GatewayServer, environ: dict[str, str]) -> None:
    options = ["--reply-to", "m0", "--task", "t1", "--thread", "$root", "--budget", "3", "--key", "mine"]
    done = cchat(environ, "send", "den", "x", *options, "--expires", "2026-11-25T14:00+00:00")

    assert done.exit_code == 0
    assert sent(server) == {
        "room": "den",
        "body": "x",
        "kind": "message",
        "in_reply_to": "m0",
        "task": "t1",
        "thread": "$root",
        "budget": 3,
        "expires_at": 1_795_615_200_000,
    }
    assert list(server.messages) == ["mine"]


def test_an_answer_is_printed(server: GatewayServer, environ: dict[str, str]) -> None:
    server.state, server.more = "answered", {"answer": "It is \x1b[2Jgreen."}
    done = cchat(environ, "ask", "den", "Is it green?", "--timeout", "5m")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "It is green.\n", "")
    assert sent(server)["to"] == "@agent:hs/workshop"
    assert (sent(server)["kind"], sent(server)["seconds"]) == ("question", 299)


@pytest.mark.parametrize(
    ("state", "more", "exit_", "sentence"),
    [
        ("refused", {"why": "Not now."}, Exit.REFUSED, "refused by @agent:hs/workshop: Not now."),
        ("expired", {}, Exit.EXPIRED, "it was not begun in time"),
    ],
)
def test_what_is_not_answered_has_its_exit_code(
    server: GatewayServer, environ: dict[str, str], state: str, more: dict[str, str], exit_: Exit, sentence: str
) -> None:
    server.state, server.more = state, more
    done = cchat(environ, "send", "den", "x", "--to", "workshop", "--wait")

    assert (done.exit_code, done.stdout) == (exit_, "")
    assert sentence in done.stderr


def test_no_answer_in_time_says_where_it_stands(server: GatewayServer, environ: dict[str, str]) -> None:
    server.state = "delivered"
    done = cchat(environ, "ask", "den", "x", "--timeout", "0")

    assert (done.exit_code, done.stdout) == (Exit.NO_ANSWER, "")
    assert "no answer within 0: delivered to @agent:hs/workshop" in done.stderr
    assert "(workshop is online)" in done.stderr
    assert "cchat status m1" in done.stderr


def test_who_does_not_wait_any_longer_is_told_how_to_go_on(server: GatewayServer, environ: dict[str, str]) -> None:
    server.answer_now = threading.Event()
    argv = [sys.executable, "-m", "aiagentchat.cli.cchat", "ask", "den", "Is it green?", "--key", "mine"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=clean_env(**environ)) as process:
        server.asked_to_wait.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        server.answer_now.set()

    assert process.returncode == Exit.INTERRUPTED
    assert "What was sent stands: the same command with --key mine says nothing twice, and waits again" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["send", "den"], "the text is empty"),
        (["send", "den", "  "], "the text is empty"),
        (["send", "den", "x" * 32_001], "longer than 32000 bytes"),
        (["send", "den", "x", "--expires", "soon"], "--expires soon: write a time"),
        (["ask", "den", "x", "--timeout", "long"], "--timeout long: write a time"),
        (["history", "x", "--since", "ever"], "--since ever: write a time"),
        (["history", "x", "--sender", "anna"], "--sender anna: write @user:server"),
    ],
)
def test_what_makes_no_sense_is_not_asked(
    server: GatewayServer, environ: dict[str, str], arguments: list[str], sentence: str
) -> None:
    done = cchat(environ, *arguments)

    assert done.exit_code == Exit.USAGE
    assert sentence in done.stderr
    assert server.asked == []


def cchat_of(environ: dict[str, str], *arguments: str | bytes, **more: Any) -> subprocess.CompletedProcess[str]:
    """As a shell starts it."""
    argv = [sys.executable, "-m", "aiagentchat.cli.cchat", *arguments]
    env, given = clean_env(**environ), {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(argv, check=False, text=True, env=env, timeout=30, **given)


@pytest.mark.parametrize(
    "arguments", [["send", "den", b"gr\xfcn"], ["send", b"\xfc", "x"], ["send", "den", "x", "--key", b"\xfc"]]
)
def test_an_argument_that_is_no_text_sends_nothing(
    server: GatewayServer, environ: dict[str, str], arguments: list[str | bytes]
) -> None:
    done = cchat_of(environ, *arguments)

    assert (done.returncode, done.stderr.count("\n")) == (Exit.USAGE, 1)
    assert "an argument is no text in UTF-8, so nothing was done" in done.stderr
    assert server.asked == []


def test_what_cannot_be_written_is_said(server: GatewayServer, environ: dict[str, str]) -> None:
    server.said = [SAID]
    for arguments in (["read", "den"], ["read", "den", "--json"], ["who"], ["status"]):
        with Path("/dev/full").open("w") as full:
            done = cchat_of(environ, *arguments, stdout=full)

        assert done.returncode == Exit.FAILED
        assert done.stderr == "cchat: what there was to say cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "exit_", "sentence"),
    [
        (["read", "den"], Exit.UNKNOWN, "there is no such room"),
        (["send", "den", " "], Exit.USAGE, "there is nothing to say: the text is empty; nothing was sent"),
        (["history", "x", "--since", "ever"], Exit.USAGE, "--since ever: write a time such as 2h or 7d, or a moment"),
    ],
)
def test_what_has_failed_is_said_also_where_no_document_of_it_can_be_written(
    server: GatewayServer, environ: dict[str, str], arguments: list[str], exit_: Exit, sentence: str
) -> None:
    server.problems = [(404, "unknown", "there is no such room")]
    with Path("/dev/full").open("w") as full:
        done = cchat_of(environ, *arguments, "--json", stdout=full)

    unwritten, failed = done.stderr.splitlines()
    assert done.returncode == exit_
    assert failed.startswith(f"cchat: {sentence}")
    assert unwritten == "cchat: what there was to say cannot be written: No space left on device"


def test_what_has_failed_is_no_second_failure_where_nobody_reads(environ: dict[str, str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = cchat_of(environ, "send", "den", " ", "--json", stdout=theirs)
    os.close(theirs)

    assert done.returncode == Exit.USAGE
    assert done.stderr == "cchat: there is nothing to say: the text is empty; nothing was sent\n"


def test_streams_that_are_not_there_are_no_fault(environ: dict[str, str]) -> None:
    program = f"exec {sys.executable} -m aiagentchat.cli.cchat"
    shell = ["sh", "-c", f"({program} send den <&-); echo $?; ({program} who >&-); echo $?"]
    done = subprocess.run(shell, check=False, capture_output=True, text=True, env=clean_env(**environ), timeout=30)

    assert done.stdout == "2\n0\n"
    assert done.stderr == "cchat: there is nothing to say: the text is empty; nothing was sent\n"


def test_what_a_language_has_no_letter_for_is_spelled_out(server: GatewayServer, environ: dict[str, str]) -> None:
    server.said = [{**SAID, "body": "fine 🎉"}]
    done = cchat_of({**environ, "PYTHONIOENCODING": "latin-1"}, "read", "den")

    assert done.returncode == 0
    assert "fine \\U0001f389" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        (["read", "den", "-n", "900"], "900 is not in the range"),
        (["send"], "Missing argument 'ROOM'"),
        (["sned", "den", "x"], "No such command 'sned'"),
        (["who", "--jsno"], "No such option: --jsno"),
    ],
)
def test_json_has_also_what_is_wrong_with_the_options(
    environ: dict[str, str], arguments: list[str], detail: str
) -> None:
    done = cchat_of(environ, *arguments, "--json")
    error = json.loads(done.stdout)["error"]

    assert (done.returncode, error["exit"], error["cause"]) == (2, 2, "usage")
    assert detail in error["detail"]
    assert detail in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"), [(["who"], 0), (["who", "--help"], 0), (["tasks", "update", "t9", "done"], Exit.UNKNOWN)]
)
def test_who_wants_json_has_the_same_exit_code(environ: dict[str, str], arguments: list[str], code: int) -> None:
    assert cchat_of(environ, *arguments, "--json").returncode == code


@pytest.mark.parametrize("name", ["", "../who", "$event", "two words"])
def test_what_no_message_can_be_called_is_not_asked_for(
    server: GatewayServer, environ: dict[str, str], name: str
) -> None:
    done = cchat(environ, "status", name)

    assert done.exit_code == Exit.USAGE
    assert "is no id of a message; cchat send tells it" in done.stderr
    assert server.asked == []


def test_messages_are_read_as_a_terminal_may_have_them(server: GatewayServer, environ: dict[str, str]) -> None:
    server.said, server.before = [SAID], 7
    done = cchat(environ, "read", "den", "-n", "5")

    assert done.stdout == f"{AT}  @anna:hs (task to @agent:hs/workshop): two\n    lines red\\u202e\n"
    assert done.stderr == "cchat: there is more; the page before this one: --before 7\n"
    assert server.asked[0][2] == {"room": ["den"], "limit": ["5"]}


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("$Zk3_a:hs", "the page before this one: --before '$Zk3_a:hs'"),
        ("t1-2_3", "the page before this one: --before t1-2_3"),
        ("$\x1b[2J\u202e'; rm -rf ~", "what stands before it has a name that no terminal may have; --json tells it"),
    ],
)
def test_a_shell_can_be_given_the_place_that_is_told(
    server: GatewayServer, environ: dict[str, str], place: str, line: str
) -> None:
    server.said, server.before = [SAID], place
    done = cchat(environ, "read", "den")

    assert done.stderr == f"cchat: there is more; {line}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "", "x"],
        ["ask", " ", "x"],
        ["read", ""],
        ["read", "den", "--before", ""],
        ["history", "x", "--room", ""],
        ["history", "x", "--before", " "],
        ["watch", ""],
        ["tasks", "--room", ""],
        ["tasks", "assign", "", "workshop", "x"],
        ["tasks", "update", "t1", "done", "--room", ""],
    ],
)
def test_what_is_given_empty_is_not_taken_for_left_out(
    server: GatewayServer, environ: dict[str, str], arguments: list[str]
) -> None:
    done = cchat(environ, *arguments)

    assert done.exit_code == Exit.USAGE
    assert "it is empty, so nothing was done" in done.stderr
    assert server.asked == []


def test_a_search_names_the_rooms(server: GatewayServer, environ: dict[str, str]) -> None:
    server.said = [SAID]
    done = cchat(environ, "history", "two", "lines", "--sender", "@anna:hs", "--kind", "task", "--since", "1d")

    assert "(den, task to" in done.stdout
    assert {**server.asked[0][2], "since": []} == {
        "words": ["two lines"],
        "sender": ["@anna:hs"],
        "kind": ["task"],
        "since": [],
        "limit": ["50"],
    }


def test_nothing_found_is_no_failure(environ: dict[str, str]) -> None:
    done = cchat(environ, "history", "two")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "cchat: nothing was found\n")


def test_who_lists_those_that_are_there(environ: dict[str, str]) -> None:
    some, everybody = cchat(environ, "who").stdout, cchat(environ, "who", "--all").stdout

    assert re.search(r"workshop +@agent:hs +daemon +online .* box +den +python", some)
    assert "attic" not in some
    assert re.search(r"attic .* offline ", everybody)
    assert re.search(r"workshop .* now ", some)
    assert re.search(rf"attic .* {AT} ", everybody)


def test_a_row_is_a_line_where_no_terminal_limits_it(server: GatewayServer, environ: dict[str, str]) -> None:
    server.instances = [{**WORKSHOP, "rooms": [f"!{n:040}:hs" for n in range(6)], "skills": ["x" * 60, "y" * 60]}]

    shown = cchat({**environ, "COLUMNS": "40"}, "who").stdout

    assert shown.count("\n") == 2
    assert " \n" not in shown


def at_a_terminal(environ: dict[str, str], columns: int, *arguments: str) -> list[str]:
    """The lines that a terminal of that width is given."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    argv = [sys.executable, "-m", "aiagentchat.cli.cchat", *arguments]
    env = clean_env(**environ, TERM="xterm", NO_COLOR="1")
    subprocess.run(argv, check=True, stdin=theirs, stdout=theirs, stderr=theirs, env=env, timeout=30)
    os.close(theirs)
    with open(ours, "rb", closefd=True) as file:  # noqa: PTH123 - no file, but the end of a terminal
        shown = file.read1(65_536).decode()
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]


def test_a_folder_that_is_gone_has_no_settings(tmp_path: Path) -> None:
    (gone := tmp_path / "gone").mkdir()
    program = f"{sys.executable} -c 'from aiagentchat.cli.cchat import main; main()'"
    shell = ["sh", "-c", f"cd {gone} && rmdir {gone} && {program} who; echo $?; {program} mcp; echo $?"]
    done = subprocess.run(shell, check=False, text=True, capture_output=True, env=clean_env(HOME=str(tmp_path)))

    assert done.stdout == f"{Exit.NO_WAY:d}\n{Exit.USAGE:d}\n"
    of_who, of_mcp = done.stderr.splitlines()
    assert of_who.startswith("cchat: there is no gateway and no login")
    assert of_mcp.startswith("cchat: the folder that this was started in cannot be used: No such file or directory")


@pytest.mark.parametrize("arguments", ["who", "mcp"])
def test_a_folder_that_is_closed_has_no_settings_for_us(crossroads: Path, arguments: str) -> None:
    program = f"exec {sys.executable} -c 'from aiagentchat.cli.cchat import main; main()' {arguments}"
    shell = ["sh", "-c", f"mkdir closed && cd closed && chmod 000 . && {program}"]
    argv, env = [*as_unprivileged(), *shell], clean_env(HOME=str(own(crossroads)))
    done = subprocess.run(argv, check=False, text=True, capture_output=True, env=env, cwd=crossroads)

    assert (done.returncode, done.stderr.count("\n")) == (Exit.NO_WAY, 1)
    assert done.stderr.startswith("cchat: there is no gateway and no login")


@pytest.mark.parametrize(
    "arguments", [["who"], ["mcp"], ["chat"], ["login", "--homeserver", "http://127.0.0.1:1", "--user", "anna"]]
)
def test_a_home_of_somebody_else_is_said(crossroads: Path, arguments: list[str]) -> None:
    (closed := crossroads / "home").mkdir(mode=0o000)
    argv = [*as_unprivileged(), sys.executable, "-m", "aiagentchat.cli.cchat", *arguments]
    env = clean_env(HOME=str(closed))
    given: dict[str, Any] = {"text": True, "capture_output": True, "input": "secret", "cwd": crossroads}
    done = subprocess.run(argv, check=False, env=env, **given)

    assert done.returncode == Exit.USAGE
    assert done.stderr == (
        f"cchat: {closed}/.config/cchat/login.json: whether there is a login cannot be seen: Permission denied; "
        "is HOME yours?\n"
    )


@pytest.mark.parametrize("arguments", [["login"], ["chat", "--as", "second"]])
def test_who_answers_no_question_of_a_login_has_interrupted_it(tmp_path: Path, arguments: list[str]) -> None:
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "aiagentchat.cli.cchat", *arguments]
    env = clean_env(HOME=str(tmp_path))
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=env) as process:
        os.write(ours, b"\x04")
        _, said = process.communicate(timeout=PATIENCE)
    os.close(theirs)
    os.close(ours)

    assert process.returncode == Exit.INTERRUPTED
    assert b"Aborted" not in said


def test_a_row_stands_alone_where_a_terminal_is_too_narrow(server: GatewayServer, environ: dict[str, str]) -> None:
    server.instances = [WORKSHOP, {**ATTIC, "user": "@somebody-else:example.org", "skills": []}]
    wide, narrow = (at_a_terminal(environ, columns, "who", "--all") for columns in (120, 40))

    assert len(wide) == 3
    assert narrow[:3] == ["workshop", "  account  @agent:hs", "  kind     daemon"]
    assert narrow[8:10] == ["attic", "  account  @somebody-else:example.org"]
    assert [line for line in narrow if "skills" in line] == ["  skills   python"]


def test_that_nobody_says_what_rooms_are_called_is_no_failure(server: GatewayServer, environ: dict[str, str]) -> None:
    server.problems_of["/rooms/list"] = [(503, "unavailable", "Not now.")]
    done = cchat(environ, "who")

    assert done.exit_code == 0
    assert "!den:hs" in done.stdout


def test_a_question_that_was_taken_is_not_asked_again_because_nobody_says_who_is_there(
    server: GatewayServer, environ: dict[str, str]
) -> None:
    server.problems_of["/who"] = [(503, "unavailable", "Not now.")]
    done = cchat(environ, "ask", "den", "Is it dry?", "--to", "@agent:hs/attic", "--timeout", "0s")

    assert done.exit_code == Exit.NO_ANSWER
    assert "nobody could say whether @agent:hs/attic is there" in done.stderr
    assert len(server.messages) == 1


def test_the_daemon_says_how_it_is(environ: dict[str, str]) -> None:
    done = cchat(environ, "status")

    assert (
        "@agent:hs/workshop is healthy, connected, up for 2 h 1 min (aiagentchat 0.1.0). You are operator."
        in done.stdout
    )
    assert "Commands and parcels: 1 queued, 2 waiting to be sent." in done.stdout
    assert re.search(r"den +!den:hs +read", done.stdout)


def test_a_message_that_does_not_arrive_says_why(environ: dict[str, str]) -> None:
    done = cchat(environ, "status", "m1")

    assert done.stdout == (f"m1: sent at {AT}, not delivered: attic is offline since {AT}\n")


def test_the_id_of_a_task_is_told_of_like_that_of_a_message(server: GatewayServer, environ: dict[str, str]) -> None:
    server.tasks = [{**TASK, "id": "t0123456789ab", "to": "@agent:hs/attic", "state": "assigned", "thread": "$e"}]
    done, none = (cchat(environ, "status", name) for name in ("t0123456789ab", "t0123456789ac"))

    assert done.stdout == (
        f"t0123456789ab: given to @agent:hs/attic at ?, nothing was heard of it yet: attic is offline since {AT}\n"
    )
    assert (none.exit_code, none.stderr) == (
        Exit.UNKNOWN,
        "cchat: there is no task t0123456789ac; cchat tasks --all lists them\n",
    )


def test_tasks_are_listed_given_and_moved_on(server: GatewayServer, environ: dict[str, str]) -> None:
    server.tasks = [TASK]
    listed = cchat(environ, "tasks", "--room", "den", "--all")
    everywhere = cchat(environ, "tasks")
    given = cchat(environ, "tasks", "assign", "den", "workshop", "Mend the tap.", "--deadline", "2h")
    moved = cchat(environ, "tasks", "update", "t1", "done", "--note", "It is dry.")

    assert re.search(r"t1 +working +Mend the tap\. +@anna:hs +@agent:hs/workshop .* Half of it\.", listed.stdout)
    assert re.search(r"t1 +den +working", everywhere.stdout)
    assert server.asked[0][2] == {"room": ["den"], "all": ["true"]}
    assert given.stdout == "assigned: t1\n"
    assert sent(server)["text"] == "Mend the tap."
    assert moved.stdout == "done: t1\n"
    assert server.asked[-1] == ("PATCH", "/tasks/t1", {}, {"room": "!den:hs", "step": "done", "note": "It is dry."})


def test_a_task_that_is_not_there_is_not_moved(environ: dict[str, str]) -> None:
    done = cchat(environ, "tasks", "update", "t9", "done")

    assert done.exit_code == Exit.UNKNOWN


def test_what_happens_is_watched(server: GatewayServer, environ: dict[str, str]) -> None:
    server.streams = [f"id: 7\nevent: message\ndata: {json.dumps(SAID)}\n\n"]
    done = cchat(environ, "watch", "den", "--after", "6")

    assert done.stdout.startswith(f"{AT}  @anna:hs (task")
    assert done.exit_code == Exit.NOT_ALLOWED  # the second stream is refused, which ends it


def test_what_rooms_are_called_is_asked_once_there_is_something_to_show(
    server: GatewayServer, environ: dict[str, str]
) -> None:
    assert cchat(environ, "watch").exit_code == Exit.NOT_ALLOWED
    assert [path for _, path, _, _ in server.asked] == ["/events"]
    server.streams = [f"id: {n}\nevent: message\ndata: {json.dumps({**SAID, 'event_id': f'${n}'})}\n\n" for n in (7, 8)]

    shown = cchat(environ, "watch").stdout

    assert shown.count("(den, task to") == 2
    assert [path for _, path, _, _ in server.asked].count("/rooms/list") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "den", "x"],
        ["ask", "den", "x", "--timeout", "0"],
        ["read", "den"],
        ["who"],
        ["status"],
        ["status", "m1"],
        ["status", "t0123456789ab"],
        ["tasks"],
        ["tasks", "assign", "den", "workshop", "x"],
        ["history", "x"],
    ],
)
def test_json_is_one_document_and_nothing_else(
    server: GatewayServer, environ: dict[str, str], arguments: list[str]
) -> None:
    server.said, server.tasks = [SAID], [TASK, {**TASK, "id": "t0123456789ab"}]
    done = cchat(environ, *arguments, "--json")

    assert isinstance(json.loads(done.stdout), dict)
    assert done.stdout.count("\n") == 1


def test_json_of_what_is_watched_is_one_object_per_line(server: GatewayServer, environ: dict[str, str]) -> None:
    server.streams = [f"id: {n}\nevent: message\ndata: {json.dumps(SAID)}\n\n" for n in (7, 8)]
    lines = cchat(environ, "watch", "--json", "--after", "6").stdout.splitlines()

    assert [json.loads(line).get("id") for line in lines] == ["7", "8", None]


def test_json_has_the_cause_of_a_failure(server: GatewayServer, environ: dict[str, str]) -> None:
    server.problems = [(423, "halted", "Agents are halted there.")]
    done = cchat(environ, "send", "den", "x", "--json")

    assert done.exit_code == Exit.HALTED
    assert json.loads(done.stdout) == {"error": {"exit": 11, "cause": "halted", "detail": "Agents are halted there."}}
    assert done.stderr == "cchat: Agents are halted there.\n"


def test_help_and_sending_load_nothing_that_they_do_not_need(server: GatewayServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    heavy = {"aiohttp", "asyncio", "fastapi", "nio", "pydantic", "rich", "structlog", "yaml"}
    with at_port(server) as url:
        env = clean_env(AIAGENTCHAT_GATEWAY=url, AIAGENTCHAT_GATEWAY_TOKEN_FILE=str(token), HOME=str(tmp_path))
        for arguments, ours in ((["--help"], 3), (["send", "den", "x"], 30), (["status", "m1"], 30)):
            modules = loaded(env, *arguments)

            assert modules & heavy == set()
            assert len([module for module in modules if module.startswith("aiagentchat")]) <= ours


def loaded(env: dict[str, str], *arguments: str) -> set[str]:
    """The modules that a command of cchat loads."""
    argv = [sys.executable, "-X", "importtime", "-m", "aiagentchat.cli.cchat", *arguments]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    return set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    ("typed", "place", "offered"), [("cchat wa", 1, ["watch"]), ("cchat send den --kind q", 4, ["question"])]
)
def test_a_shell_completes_commands_and_what_can_be_chosen(typed: str, place: int, offered: list[str]) -> None:
    program = "from aiagentchat.cli.cchat import app; app(prog_name='cchat')"
    env = clean_env(_CCHAT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(place))
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=env)

    assert done.stdout.split() == offered
