"""A stand-in for the Claude Code CLI that speaks its stream-json, for what the real one cannot be made to do.

It follows the script in the prompt, written as for the model (`rig.script`), with steps of its own beside `text`,
`chunk`, `delay`, `tool`, `input` and `hang`:

    {"numbered": 300, "name": "a1"}   the text is so many numbered words (`numbered_words`)
    {"gate": "/a/file"}          nothing more until that file is there
    {"whole": true}              the text comes only whole, not in pieces
    {"tail": "…"}                the whole text goes on like this after what was streamed
    {"raw": "…"} {"hex": "…"}    a line of its own, as it is
    {"line": 50000000}           a tool result of so many bytes, in one line; it may be more than there is memory
    {"flood": 1000}              so many lines of a kind that means nothing
    {"ignore": ["interrupt", "end_session", "SIGINT"]}    from here on
    {"deaf": true}               from here on stdin is not read
    {"hold": true}               a daemonised child holds stdout open
    {"stderr": "…"}              a line on stderr
    {"request": "elicitation"}   ask the host something that it may not know, and say what it answers
    {"die": "now" | "mid-line"}  end without a result
    {"unfit": true}              from here on the conversation cannot be taken up again: a process that resumes it dies
    {"limit": 1795640400}        the usage limit is reached until then, and ends the turn
    {"status": 529}              end with a result that says so
    {"result": 50000000}         end with a result of so many bytes

Standard library only; `install` writes a starter for it, because the driver starts a file and gives it no PYTHONPATH.
With a run log it writes one line, on the disk before anything follows from it, when a turn begins and when it ends.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = "2.1.329"
_MARK = re.compile(r"@@stub\s*(?=\[)")
UNFIT = "unfit"
"""What the conversation's file is marked with."""
_NEVER_ASKED = ("echo ", "sleep ", "cat ")
RUN_LOG = "FAKE_CLI_RUN_LOG"
"""The variable that names the run log; the starter sets it."""
_ROOM, _OF_ITS_ROOM = "AIAGENTCHAT_ROOM", "mcp__room__"
"""The variable that leads to the tools of the room, and how their names begin."""
WORDS_IN_A_PARAGRAPH = 20


def install(folder: Path, *, version: str = VERSION, run_log: Path | None = None) -> Path:
    """Make `folder`/cli/claude start a copy of this file with this Python; it says that it is `version`.

    A run may read the folder of a script that it starts, and a Python under /usr.
    """
    starter = folder / "cli" / "claude"
    starter.parent.mkdir(exist_ok=True)
    program = starter.with_name("fake_cli.py")
    shutil.copyfile(__file__, program)
    words = [os.path.realpath(sys.executable), "-ISE", str(program), version]
    log = f"{RUN_LOG}={shlex.quote(str(run_log))} " if run_log else ""
    starter.write_text(f'#!/bin/sh\n{log}exec {shlex.join(words)} "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    return starter


def numbered_words(name: str, count: int) -> str:
    """`name-0001 name-0002 …` in paragraphs: what is missing, doubled or out of order in it can be named."""
    words = [f"{name}-{number:04}" for number in range(1, count + 1)]
    starts = range(0, count, WORDS_IN_A_PARAGRAPH)
    return "\n\n".join(" ".join(words[start : start + WORDS_IN_A_PARAGRAPH]) for start in starts)


def steps_in(prompt: str) -> list[dict[str, Any]]:
    """The script that the prompt carries; without one a prompt is repeated."""
    mark = _MARK.search(prompt)
    if mark is None:
        return [{"text": prompt}]
    steps: list[dict[str, Any]] = json.JSONDecoder().raw_decode(prompt, mark.end())[0]
    return steps


def pieces(text: str, size: int) -> Iterator[str]:
    """The text in pieces."""
    return (text[start : start + size] for start in range(0, len(text), size))


class _Stopped(Exception):
    """The turn was interrupted."""


class FakeCli:
    def __init__(self, session: str, file: Path) -> None:
        self._session = session
        self._file = file
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._deaf = threading.Event()
        self.ignored: set[str] = set()
        self._answers: dict[str, dict[str, Any]] = {}
        self._answered = threading.Condition()
        self._queue = threading.Condition()
        self._prompts: list[dict[str, Any]] = []
        self._busy = False
        self.exit_code = 0

    # --- lines

    def write(self, raw: bytes) -> None:
        with self._lock:
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()

    def say(self, **line: object) -> None:
        line.setdefault("session_id", self._session)
        self.write(json.dumps(line).encode() + b"\n")

    def _stream(self, kind: str, **event: object) -> None:
        self.say(type="stream_event", event={"type": kind, **event}, parent_tool_use_id=None)

    def _state(self, state: str) -> None:
        self.say(type="system", subtype="session_state_changed", state=state)

    # --- stdin

    def read(self) -> None:
        """Until stdin ends."""
        for raw in sys.stdin.buffer:
            self._hear(json.loads(raw))  # a line that is not JSON kills the real one, too
            if self._deaf.is_set():
                threading.Event().wait()

    def _hear(self, line: dict[str, Any]) -> None:
        match line:
            case {"type": "user"}:
                with self._queue:
                    self._prompts.append(line)
                    self._queue.notify_all()
            case {"type": "control_response", "response": response}:
                with self._answered:
                    self._answers[response["request_id"]] = response
                    self._answered.notify_all()
            case {"type": "control_request", "request_id": request, "request": {"subtype": kind}}:
                self._order(kind, request)

    def _order(self, kind: str, request: str) -> None:
        if kind in self.ignored:
            return
        self.say(type="control_response", response={"subtype": "success", "request_id": request, "response": {}})
        if kind == "interrupt":
            self._interrupt()
        if kind == "end_session":
            os._exit(self.exit_code)

    def _interrupt(self) -> None:
        with self._queue:
            while self._prompts:
                self.say(type="command_lifecycle", command_uuid=self._prompts.pop()["uuid"], state="cancelled")
            if self._busy:
                self._stop.set()
        with self._answered:
            self._answered.notify_all()

    # --- turns

    def work(self) -> None:
        """Answer one prompt after the other."""
        while True:
            with self._queue:
                self._queue.wait_for(lambda: bool(self._prompts))
                line = self._prompts.pop(0)
                self._busy = True
            self._turn(line)

    def _turn(self, line: dict[str, Any]) -> None:
        text = line["message"]["content"]
        command = line.get("uuid")
        _note("begun", command, prompt=text)
        read = [command]
        self._state("running")
        self.say(type="command_lifecycle", command_uuid=command, state="started")
        self.say(type="system", subtype="init", cwd=str(Path.cwd()), model="fake")
        self._keep(text)
        result: dict[str, Any] = {"subtype": "success", "is_error": False, "terminal_reason": "completed", "result": ""}
        try:
            steps = steps_in(text)
            while steps:
                step = steps.pop(0)
                result |= self._step(step)
                if step.get("tool"):
                    steps = self._fold(read) or steps
        except _Stopped:
            result |= {"subtype": "error_during_execution", "is_error": True, "terminal_reason": "aborted_tools"}
        with self._queue:
            self._busy = False
            self._stop.clear()
        self.exit_code = int(result["is_error"])
        _note("ended", command, reason=result["terminal_reason"])
        usage = {"input_tokens": 10, "output_tokens": 5}
        self.say(type="result", usage=usage, duration_ms=1, user_message_uuids=read, **result)
        for each in read:
            self.say(type="command_lifecycle", command_uuid=each, state="completed")
        self._state("idle")

    def _keep(self, text: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(text) + "\n")

    def _fold(self, read: list[str | None]) -> list[dict[str, Any]]:
        """Read what was sent while a tool ran; its steps, which take the place of those that are left."""
        with self._queue:
            sent, self._prompts = self._prompts, []
        steps: list[dict[str, Any]] = []
        for line in sent:
            text, command = line["message"]["content"], line.get("uuid")
            _note("folded", command, prompt=text)
            self.say(type="command_lifecycle", command_uuid=command, state="started")
            self._keep(text)
            read.append(command)
            steps = steps_in(text)
        return steps

    def _step(self, step: dict[str, Any]) -> dict[str, Any]:
        self.ignored |= set(step.get("ignore", ()))
        self._misbehave(step)
        if step.get("hang"):
            self._wait_for_stop()
        if "gate" in step:
            self._wait_for_file(Path(step["gate"]))
        text = numbered_words(step["name"], step["numbered"]) if "numbered" in step else step.get("text", "")
        if text:
            self._text(text, step)
        if step.get("tool"):
            self._tool(step["tool"], step.get("input", {}))
        if "request" in step:
            self._text(json.dumps(self._ask({"subtype": step["request"]})), {})
        if "limit" in step:
            info = {"status": "rejected", "resetsAt": step["limit"], "rateLimitType": "five_hour"}
            self.say(type="rate_limit_event", rate_limit_info=info)
            refused = {"api_error_status": 429, "api_error": "usage_limit_reached"}
            return {"is_error": True, "terminal_reason": "api_error", **refused}
        if "status" in step:
            return {"is_error": True, "terminal_reason": "api_error", "api_error_status": step["status"]}
        return {"result": "r" * step["result"] if "result" in step else text}

    def _misbehave(self, step: dict[str, Any]) -> None:
        if step.get("deaf"):
            self._deaf.set()
        if "raw" in step:
            self.write(step["raw"].encode("utf-8", "surrogatepass") + b"\n")
        if "hex" in step:
            self.write(bytes.fromhex(step["hex"]) + b"\n")
        if step.get("unfit"):
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(UNFIT) + "\n")
        if "line" in step:
            self._long_line(step["line"])
        if "stderr" in step:
            print(step["stderr"], file=sys.stderr, flush=True)
        for _ in range(step.get("flood", 0)):
            self.say(type="system", subtype="status", status="requesting")
        if step.get("hold"):
            _hold_stdout()
        if step.get("die") == "mid-line":
            self.write(b'{"type":"result","is_error":fal')
        if step.get("die"):
            os._exit(3)

    def _long_line(self, size: int) -> None:
        """Piece by piece: it may be longer than there is memory."""
        line = {"type": "user", "session_id": self._session, "message": {"role": "user", "content": "@"}}
        head, tail = json.dumps(line).split("@")
        piece = b"x" * 2**20
        with self._lock:
            sys.stdout.buffer.write(head.encode())
            for at in range(0, size, len(piece)):
                sys.stdout.buffer.write(piece[: size - at])
            sys.stdout.buffer.write(tail.encode() + b"\n")
            sys.stdout.buffer.flush()

    def _wait_for_stop(self) -> None:
        self._stop.wait()
        raise _Stopped

    def _wait_for_file(self, gate: Path) -> None:
        while not gate.exists():
            self._pause(0.02)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _text(self, text: str, step: dict[str, Any]) -> None:
        whole = text + step.get("tail", "")
        if not step.get("whole"):
            self._stream("message_start", message={})
            for piece in pieces(text, step.get("chunk") or 2000):
                if self._stop.is_set():
                    raise _Stopped
                self._stream("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
                if step.get("delay"):
                    self._pause(step["delay"])
        self._assistant({"type": "text", "text": whole})
        if not step.get("whole"):
            self._stream("message_stop")

    def _assistant(self, block: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": [block]}
        self.say(type="assistant", message=message, parent_tool_use_id=None)

    def _tool(self, tool: str, used: dict[str, Any]) -> None:
        self._assistant({"type": "tool_use", "id": "toolu_1", "name": tool, "input": used})
        if tool.startswith(_OF_ITS_ROOM) and _ROOM in os.environ:
            self._use_of_room(tool.removeprefix(_OF_ITS_ROOM), used)
            return
        command = str(used.get("command", ""))
        if not command.startswith(_NEVER_ASKED):
            answer = self._ask({"subtype": "can_use_tool", "tool_name": tool, "input": used})
            if answer.get("response", {}).get("behavior") != "allow":
                return
        if tool == "Bash":
            self._run(command)

    def _use_of_room(self, tool: str, used: dict[str, Any]) -> None:
        """Ask the server behind the way out; whoever stops the turn does not wait for what it answers."""
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": used}}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ[_ROOM + '_TOKEN']}"}
        request = urllib.request.Request(os.environ[_ROOM], json.dumps(call).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        answered = threading.Event()

        def ask() -> None:
            try:
                with opener.open(request) as answer:
                    answer.read()
            except OSError:
                pass
            answered.set()

        threading.Thread(target=ask, daemon=True).start()
        while not answered.is_set():
            self._pause(0.02)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        number = str(uuid.uuid4())
        self.say(type="control_request", request_id=number, request=request)
        with self._answered:
            self._answered.wait_for(lambda: number in self._answers or self._stop.is_set())
            answer = self._answers.pop(number, None)
        if answer is None:
            self.say(type="control_cancel_request", request_id=number)
            raise _Stopped
        return answer

    def _run(self, command: str) -> None:
        # A session of its own, as the real one gives to each command.
        shell = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while shell.poll() is None:
            if self._stop.wait(0.02):
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
                raise _Stopped


def _hold_stdout() -> None:
    subprocess.run(["/bin/sh", "-c", "setsid sleep 601 &"], check=True, stdin=subprocess.DEVNULL)


def _note(what: str, command: object, **more: object) -> None:
    """A line in the run log, if there is one: whole, and on the disk when this returns."""
    if RUN_LOG not in os.environ:
        return
    line = {"what": what, "command": command, "pid": os.getpid(), "at": time.time(), **more}
    log = os.open(os.environ[RUN_LOG], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(log, json.dumps(line).encode() + b"\n")
        os.fsync(log)
    finally:
        os.close(log)


def _value(argv: list[str], flag: str) -> str | None:
    for index, word in enumerate(argv):
        if word == flag:
            return argv[index + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def main() -> None:
    """The part of the real command line that matters."""
    version, argv = sys.argv[1], sys.argv[2:]
    if "--version" in argv:
        print(f"{version} (Claude Code)")
        return
    fresh, known = _value(argv, "--session-id"), _value(argv, "--resume")
    session = fresh or known or str(uuid.uuid4())
    file = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", "fake", f"{session}.jsonl")
    if fresh and file.exists():
        print(f"Error: Session ID {session} is already in use.", file=sys.stderr)
        sys.exit(1)
    cli = FakeCli(session, file)
    if known and not file.exists():
        lost = f"No conversation found with session ID: {session}"
        cli.say(type="result", subtype="error_during_execution", is_error=True, errors=[lost])
        print(lost, file=sys.stderr)
        sys.exit(1)
    if known and json.dumps(UNFIT) in file.read_text(encoding="utf-8").splitlines():
        sys.stdin.buffer.readline()
        sys.exit(3)
    signal.signal(signal.SIGINT, lambda *_: None if "SIGINT" in cli.ignored else os._exit(0))
    threading.Thread(target=cli.work, daemon=True).start()
    cli.read()
    sys.exit(cli.exit_code)


if __name__ == "__main__":
    main()
