"""Scripts in prompts, and the sentences of the offline model."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig import offline
from rig.script import Asked, ScriptError, Step, asked, numbered, script, scripted


def _user(*content: str | dict[str, Any]) -> dict[str, Any]:
    blocks = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    return {"role": "user", "content": blocks}


def _body(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": list(messages)}


_ASSISTANT = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]}
_RESULT = _user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "out"}]})


def test_a_script_is_walked_down_one_request_at_a_time() -> None:
    prompt = _user(script("go", Step(tool="Bash", input={"command": "date"}), Step(text="done")))

    first = scripted(asked(_body(prompt)))
    second = scripted(asked(_body(prompt, _ASSISTANT, _RESULT)))
    third = scripted(asked(_body(prompt, _ASSISTANT, _RESULT, _ASSISTANT, _RESULT)))

    assert first == Step(tool="Bash", input={"command": "date"})
    assert second == Step(text="done")
    assert third == Step(text="(end of script)")


def test_only_the_newest_typed_message_counts() -> None:
    body = _body(_user(script("old", Step(text="old"))), _ASSISTANT, _user("new"), _user("<system-reminder>x"))

    assert asked(body) == Asked(text="new", place=2, answered=0, results=())
    assert scripted(asked(body)) is None


def test_a_message_sent_while_the_turn_runs_may_carry_a_script() -> None:
    late = {"role": "system", "content": f"The user sent a new message: {script('now', Step(text='heard'))}"}
    quiet = {"role": "system", "content": "It is Monday."}

    assert scripted(asked(_body(_user("go"), _ASSISTANT, _RESULT, late, quiet))) == Step(text="heard")


def test_a_script_inside_a_script_belongs_to_the_subagent() -> None:
    inner = script("inner", Step(text="from the subagent"))
    outer = script("outer", Step(tool="Agent", input={"prompt": inner}))

    step = scripted(asked(_body(_user(outer))))

    assert step
    assert step.input == {"prompt": inner}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('@@stub [{"txet": "hi"}] @@', id="a key that does not exist"),
        pytest.param('@@stub [{"text": "hi"', id="not JSON"),
        pytest.param('@@stub [{"hang": "sometimes"}] @@', id="a value that does not exist"),
    ],
)
def test_a_broken_script_is_an_error(text: str) -> None:
    with pytest.raises(ScriptError):
        scripted(asked(_body(_user(text))))


@given(st.text(max_size=50).filter(lambda text: "@@stub" not in text), st.text(min_size=1))
def test_what_is_written_is_read(prompt: str, text: str) -> None:
    assert scripted(asked(_body(_user(script(prompt, Step(text=text)))))) == Step(text=text)


@given(st.integers(min_value=1, max_value=10_000))
def test_numbered_text_has_its_size_and_its_lines_in_order(size: int) -> None:
    text = numbered(size)
    numbers = [int(line.split()[1]) for line in text.splitlines() if len(line) > 11]

    assert len(text) == size
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("sentence", "command"),
    [
        ("write hello.py", "printf '%s\\n' 'print(\"Hello from this room!\")' > hello.py"),
        ("please make a file note.txt saying it's late", "printf '%s\\n' 'it'\"'\"'s late' > note.txt"),
        ("create a file called a.md", "printf '%s\\n' 'Hello from this room!' > a.md"),
        ("run hello.py", "python3 ./hello.py"),
        ("list the files", "ls -la"),
    ],
)
def test_the_offline_model_uses_a_tool(sentence: str, command: str) -> None:
    step = offline.answer(asked(_body(_user(sentence))))

    assert step.input["command"] == command
    assert step.text.startswith(offline.LABEL)


@pytest.mark.parametrize(
    ("sentence", "part"),
    [("count to 12", "10, 11, 12."), ("show markdown", "| tool |"), ("good morning", "> good morning")],
)
def test_the_offline_model_talks(sentence: str, part: str) -> None:
    step = offline.answer(asked(_body(_user(sentence))))

    assert part in step.text
    assert step.text.startswith(offline.LABEL)


def test_the_offline_model_tells_what_came_of_the_tool() -> None:
    denied = _user({"type": "tool_result", "tool_use_id": "t", "content": "not allowed", "is_error": True})

    assert offline.answer(asked(_body(_user("list the files"), _ASSISTANT, _RESULT))).text == "Done:\n\n```\nout\n```"
    assert "not allowed" in offline.answer(asked(_body(_user("list the files"), _ASSISTANT, denied))).text
