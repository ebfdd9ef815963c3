"""Scripts for the model: what it answers, written into the prompt itself. Pure.

    please do it @@stub [{"tool": "Bash", "input": {"command": "date"}}, {"text": "done"}] @@

Step *k* answers the *k*-th request after that message, so a tool loop walks down the list; past its end the model says
"(end of script)". The script travels with the conversation: parallel tests share a model and never meet, and a
message that is asked again gets the same answer. `script("please do it", Step(...), Step(...))` writes such a prompt.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

FOREVER = 2**31
_BY_THE_CLI = (
    "<system-reminder>",
    "Output token limit hit.",
    "[Request interrupted by user",
    "[Your previous response had no visible output.",
)
"""What the CLI itself says in the user's name."""
_BY_THE_DAEMON = ("The program that runs you was restarted", "The usage limit that cut you off is lifted")
"""What the daemon says in the user's name: the script of the message before goes on, if the agent still has it."""
_BY_OTHERS = (*_BY_THE_CLI, *_BY_THE_DAEMON)
_MARK = re.compile(r"@@stub\s*(?=\[)")


class ScriptError(ValueError):
    """The script in a prompt is not one. The model answers it with HTTP 400, so that the test sees it."""


class ToolUse(BaseModel):
    """One use of a tool by the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    input: Mapping[str, Any] = {}


class Step(BaseModel):
    """The answer to one request. What is not set does not happen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: float = 0
    """Seconds of silence before anything else."""

    thinking: str = ""
    text: str = ""
    big: int = 0
    """Instead of `text`: that many bytes of numbered lines (`numbered`)."""
    chunk: int = 0
    """Characters in a piece of the text; 0 means pieces of 2000."""
    delay: float = 0
    """Seconds after each piece."""

    tool: str = ""
    input: Mapping[str, Any] = {}
    tools: tuple[ToolUse, ...] = ()
    """Several in one message."""

    error: int = 0
    """Answer with this HTTP status instead."""
    type: str = ""
    """The error's type; by default the one that belongs to the status."""
    message: str = ""
    headers: Mapping[str, str] = {}
    times: int = FOREVER
    """How often, before `then` (or this step without its error) is the answer."""
    then: "Step | None" = None

    hang: Literal["", "headers", "start", "mid"] = ""
    """Fall silent: before the headers, after the message began, or in the middle of the text."""
    drop: Literal["", "start", "mid"] = ""
    """Cut the connection there (of a streamed answer: the CLI's last resort, a plain request, succeeds)."""
    sse_error: str = ""
    """An error of that type inside a stream that began well."""

    stop_reason: str = ""
    usage: Mapping[str, int] = {}

    @property
    def words(self) -> str:
        """The text that it says."""
        return numbered(self.big) if self.big else self.text

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tools that it uses."""
        return (*((ToolUse(tool=self.tool, input=self.input),) if self.tool else ()), *self.tools)


_STEPS = TypeAdapter(list[Step])


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came of a use of a tool."""

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks: the newest message that a person typed, and what happened since."""

    text: str
    place: int
    """Where it stands in the conversation."""
    answered: int
    """Messages of the model since."""
    results: tuple[ToolResult, ...]
    """Results of tools since."""


def script(prompt: str, *steps: Step) -> str:
    """A prompt that carries its answer."""
    listed = [step.model_dump(exclude_defaults=True) for step in steps]
    return f"{prompt} @@stub {json.dumps(listed, ensure_ascii=False)} @@"


def numbered(size: int) -> str:
    """A text of exactly `size` characters in numbered lines and paragraphs: what is missing or moved can be seen."""
    lines = (f"line {number:06d} {'x' * 87}{'' if number % 20 else chr(10)}" for number in range(1, size // 100 + 2))
    return "\n".join(lines)[: max(size - 1, 0)] + "."


def asked(body: Mapping[str, Any]) -> Asked:
    """What the request with this body asks."""
    messages = body.get("messages", [])
    others: tuple[str, ...] = _BY_THE_CLI
    if any(_is_typed(message["role"], text, _BY_OTHERS) for message in messages for text in _texts(message)):
        others = _BY_OTHERS
    for place in range(len(messages) - 1, -1, -1):
        typed = [text for text in _texts(messages[place]) if _is_typed(messages[place]["role"], text, others)]
        if typed:
            since = messages[place + 1 :]
            return Asked(
                text="\n".join(typed),
                place=place,
                answered=sum(message["role"] == "assistant" for message in since),
                results=tuple(_results(since)),
            )
    return Asked(text="", place=0, answered=0, results=())


def scripted(what: Asked) -> Step | None:
    """The answer that the prompt itself gives, None when it carries no script. Raises ScriptError."""
    scripts = list(_scripts(what.text))
    if not scripts:
        return None
    steps = scripts[-1]
    return steps[what.answered] if what.answered < len(steps) else Step(text="(end of script)")


def _scripts(text: str) -> Iterator[list[Step]]:
    """Every script in the text, apart from those inside another script (the prompt of a subagent)."""
    end = 0
    while mark := _MARK.search(text, end):
        try:
            steps, end = json.JSONDecoder().raw_decode(text, mark.end())
            yield _STEPS.validate_python(steps)
        except (ValueError, ValidationError) as error:
            raise ScriptError(f"this script cannot be read: {error}") from error


def _is_typed(role: str, text: str, others: tuple[str, ...]) -> bool:
    if role == "system":  # a message that was sent while the turn ran arrives like this
        return text.startswith("The user sent a new message")
    return role == "user" and bool(text.strip()) and not text.lstrip().startswith(others)


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message["content"]
    if isinstance(content, str):
        yield content
    else:
        yield from (block["text"] for block in content if block.get("type") == "text")


def _results(messages: list[Mapping[str, Any]]) -> Iterator[ToolResult]:
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block.get("type") == "tool_result":
                content = block.get("content") or ""
                text = content if isinstance(content, str) else "\n".join(_texts(block))
                yield ToolResult(text=text, is_error=bool(block.get("is_error")))
