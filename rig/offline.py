"""The offline model of the demo: answers a few plain sentences, says what it is, and uses tools for real. Pure."""

import re
import shlex
from collections.abc import Callable, Sequence

from rig.script import Asked, Step, ToolResult

LABEL = "*(offline model: no API key was set)*"

_MOST_COUNTED = 200
_SILENCE = "(Bash completed with no output)"
"""The CLI's words for a command that printed nothing."""
_NAME = r"(?P<name>[\w-][\w.-]*\.\w{1,5})\b"

HELP = """I only understand a few sentences. Try:

- `write hello.py` or `make a file note.txt saying good morning`
- `run hello.py`
- `list the files`
- `count to 20`
- `show markdown`"""

MARKDOWN = """# A heading

Text may be **bold**, *slanted*, ~~struck~~ or `code`, and [link](https://matrix.org) somewhere.

1. First
2. Second
   - with a detail

| tool | asks first |
|---|---|
| `ls` | no |
| `rm` | yes |

> A quotation.

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"
```

That was all."""


def answer(what: Asked) -> Step:
    """What the offline model does next."""
    if what.results:
        return _text(_closing(what.results))
    for pattern, act in _SENTENCES:
        if found := re.search(pattern, what.text, re.IGNORECASE | re.DOTALL):
            return act(found)
    quoted = "\n".join(f"> {line}" for line in what.text[:500].splitlines())
    return _text(f"{LABEL}\n\nYou said:\n\n{quoted}\n\n{HELP}")


def _make(found: re.Match[str]) -> Step:
    name = found["name"]
    content = found["content"] or (
        'print("Hello from this room!")' if name.endswith(".py") else "Hello from this room!"
    )
    return _bash(f"I will write `{name}`.", f"printf '%s\\n' {shlex.quote(content)} > {name}", f"Write {name}")


def _run(found: re.Match[str]) -> Step:
    name = found["name"]
    return _bash(f"I will run `{name}`.", f"python3 ./{name}", f"Run {name}")


def _list(_: re.Match[str]) -> Step:
    return _bash("Let me look.", "ls -la", "List the files of this room")


def _count(found: re.Match[str]) -> Step:
    numbers = range(1, min(int(found["last"]), _MOST_COUNTED) + 1)
    return Step(text=f"{LABEL}\n\n{', '.join(map(str, numbers))}.", chunk=4, delay=0.25)


def _show_markdown(_: re.Match[str]) -> Step:
    return _text(f"{LABEL}\n\n{MARKDOWN}")


_SENTENCES: Sequence[tuple[str, Callable[[re.Match[str]], Step]]] = (
    (rf"\b(?:make|create|write|add)\b.*?{_NAME}(?:.*?\b(?:saying|containing|with)\s+(?P<content>.+))?", _make),
    (rf"\b(?:run|execute|start)\b.*?{_NAME}", _run),
    (r"\bfiles\b|^\s*ls\b", _list),
    (r"\bcount\b.*?\bto\s+(?P<last>\d{1,4})", _count),
    (r"\bmarkdown\b", _show_markdown),
)


def _text(text: str) -> Step:
    """A text at the pace of somebody who types very fast, so that one sees it stream."""
    return Step(text=text, chunk=12, delay=0.02)


def _bash(text: str, command: str, description: str) -> Step:
    return Step(text=f"{LABEL}\n\n{text}", tool="Bash", input={"command": command, "description": description})


def _closing(results: Sequence[ToolResult]) -> str:
    last = results[-1]
    shown = "" if last.text == _SILENCE else last.text.strip()[:2000]
    if last.is_error:
        return f"That was not done:\n\n```\n{shown}\n```"
    return f"Done:\n\n```\n{shown}\n```" if shown else "Done."
