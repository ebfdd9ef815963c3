"""Commands that a project brings along (`.claude/commands/*.md`): how they are called, and what becomes of them. Pure.

They are expanded by the daemon, because the program would take anything else that begins with a slash for its own. What
stands before the text (the front matter) is ignored: it would say what may be done unasked, and the project's files are
the agent's to write. Nothing in the text is run or read in: `!` and `@` mean nothing.
"""

import re
import shlex

FOLDER = ".claude/commands"
SUFFIX = ".md"
MOST_BYTES = 32 * 1024
"""Of a file; one that has more is not used."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)

_CALLED = re.compile(rf"[/!]({NAME.pattern})(?:\s+|$)", re.ASCII)
_FENCE = "---"
_PLACE = re.compile(r"\$(ARGUMENTS|[1-9])")


def called(body: str) -> tuple[str, str] | None:
    """The name and what stands behind it, if `body` may call a command."""
    match = _CALLED.match(body)
    return (match[1], body[match.end() :].strip()) if match else None


def expanded(file: str, arguments: str) -> str:
    """The text that the agent reads: `$ARGUMENTS` is all that was typed, `$1` to `$9` are its words.

    Where the text has no place for them, they follow it.
    """
    text = _without_front_matter(file.removeprefix("\ufeff")).strip()
    words = _words(arguments)

    def filled(place: re.Match[str]) -> str:
        if place[1] == "ARGUMENTS":
            return arguments
        number = int(place[1])
        return words[number - 1] if number <= len(words) else ""

    if arguments and not _PLACE.search(text):
        return f"{text}\n\nArguments: {arguments}"
    return _PLACE.sub(filled, text)


def _without_front_matter(text: str) -> str:
    first, _, rest = text.partition("\n")
    if first.rstrip() != _FENCE:
        return text
    lines = rest.split("\n")
    for index, line in enumerate(lines):
        if line.rstrip() == _FENCE:
            return "\n".join(lines[index + 1 :])
    return text


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError:  # a quotation that does not end
        return arguments.split()
