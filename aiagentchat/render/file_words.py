"""Every sentence about files: those that a room reads, and those for the agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from aiagentchat.core.files import MOST_FILES
from aiagentchat.render.fences import code_span, fenced
from aiagentchat.render.hygiene import one_line, visible
from aiagentchat.render.words import count, quoted

_KIB, _MIB = 1024, 2**20


def size(count_of_bytes: int) -> str:
    """How large something is."""
    if count_of_bytes < _KIB:
        return f"{count_of_bytes} B"
    if count_of_bytes < _MIB:
        return f"{count_of_bytes / _KIB:.0f} KB"
    return f"{count_of_bytes / _MIB:.1f} MB"


# ── files that come in ────────────────────────────────────────────────────────────────────────────────────────────


def waits(name: str) -> str:
    """A file came without a word."""
    return f"Got {quoted(name)}. Say what to do with it: it goes along with your next message here."


def too_many_wait(most: int) -> str:
    """One person has sent many files and said nothing."""
    return f"{most} of your files wait already, so this one was not kept. Say what to do with them first."


def too_large(name: str, said: int, most: int) -> str:
    """A file that says itself that it is over the limit (MiB)."""
    return (
        f"{quoted(name)} has {size(said)}, and I take files of up to {most} MB, so it was not fetched and nothing was "
        "run. Send a smaller one, or ask the operator to raise `max_file`."
    )


def not_encrypted(name: str) -> str:
    """In an encrypted room."""
    return (
        f"{quoted(name)} came unencrypted into this encrypted room: the homeserver could have changed it, so it was "
        "not fetched and nothing was run. Send it again with a client that encrypts files."
    )


class NotFetched(Enum):
    """Why a file could not be had."""

    GONE = auto()
    TOO_LARGE = auto()
    SPOILED = auto()
    UNREACHABLE = auto()
    NOT_WRITTEN = auto()


_WHY = {
    NotFetched.GONE: "the homeserver does not have it (any more)",
    NotFetched.TOO_LARGE: "it is larger than its sender's client said, and over the limit",
    NotFetched.SPOILED: "what the homeserver has is not what was encrypted, so somebody has changed it",
    NotFetched.UNREACHABLE: "the homeserver did not give it out in time",
    NotFetched.NOT_WRITTEN: "it could not be written into `inbox/` of the workspace",
}


def not_fetched(name: str, why: NotFetched) -> str:
    """The turn of a message with a file ends before it begins."""
    return (
        f"{quoted(name)} could not be fetched: {_WHY[why]}. Nothing was run. `/retry` tries again, or send the file "
        "once more."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A file that goes along with a prompt, as the agent is told of it."""

    path: str
    mime: str
    size: int
    seen: bool = False
    """Whether the model sees it beside the text."""
    text: str | None = None
    """What is in it, where the prompt says that."""
    cut: bool = False
    """Whether that is only its beginning."""


def with_files(text: str, came: Sequence[Shown], named: Sequence[Shown]) -> str:
    """A prompt with the files that came along with it, and those that it names with an @. For the agent."""
    parts = [text]
    if came:
        lines = "\n".join(f"- {_line(each)}" for each in came)
        parts.append(f"(Files that came with this message, in your working directory:\n{lines})")
    parts += [_named(each) for each in named]
    return "\n\n".join(part for part in parts if part)


def _line(file: Shown) -> str:
    return f"{file.path} ({file.mime}, {size(file.size)}{'; you see it above' if file.seen else ''})"


def _named(file: Shown) -> str:
    if file.text is None:
        return f"(File of the message: {_line(file)})"
    cut = f", its first {size(len(file.text.encode('utf-8', 'replace')))}; read the file for the rest"
    return f"(File of the message: {_line(file)}{cut if file.cut else ''})\n{fenced(file.text)}"


# ── files that go out ─────────────────────────────────────────────────────────────────────────────────────────────


def not_taken(name: str, caption: str) -> str:
    """What stands in the place of a file that was to be sent; `caption` is how its text begins, and may be empty."""
    said = f"{caption}\n\n" if caption else ""
    return (
        f"{said}⚠️ The file {quoted(name)} could not be delivered: the homeserver does not take it. It may be too "
        "large for it, or this account may not upload. The operator finds the reason in the log."
    )


ABOUT_TOOL = (
    "Send a file of your working directory into the chat room, where people can see and download it. Use it when "
    "somebody asks for a file, or when a picture or document shows a result better than text. Only for files that are "
    f"in the working directory; at most {MOST_FILES} in one turn."
)
"""For the agent."""
ABOUT_PATH = "Path of the file, relative to the working directory."
ABOUT_CAPTION = "One short sentence that is shown with the file; may be left out."

SENT = "The file is on its way into the room."
NO_TURN = "No turn runs, so nothing was sent."
ONE_BY_ONE = "Not sent: send files one after the other."
NO_PATH = "Say which file: `path` is missing."


def too_many_sent(most: int) -> str:
    """For the agent."""
    return f"Not sent: {most} files were sent in this turn already. Put the rest into one archive, in the next turn."


def too_large_to_send(most: int) -> str:
    """For the agent, or the room; `most` is in MiB."""
    return f"Not sent: the file is larger than {most} MB. Make it smaller, or cut it into parts."


TOO_MUCH_WAITS = (
    "Not sent: files of this room wait already because the homeserver cannot be reached, and there is no room for more."
)

_WHY_NOT_OPENED = {
    "missing": "there is no such file",
    "outside": "it is outside of the working directory",
    "link": "it is a symbolic link, or behind one",
    "linked": "it has a second name (a hard link)",
    "kind": "it is not a regular file",
    "mount": "it is on another mount",
    "name": "that is no path of a file",
}
"""By the words of `process.beneath.Why`."""


def not_opened(path: str, why: str) -> str:
    """A file of the workspace that is not sent."""
    return f"{quoted(path)} was not sent: {_WHY_NOT_OPENED.get(why, 'it could not be read')}."


# ── /files and /get ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file of the workspace."""

    path: str
    size: int
    age: float
    """Seconds since it was changed."""


def listing(folder: str, files: Sequence[Listed], more: int, *, whole: bool) -> str:
    """The answer to /files: the newest first. `more` are not shown; without `whole` not everything was looked at."""
    where = f"in {quoted(folder)}" if folder else "in the workspace"
    if not files:
        return f"There are no files {where}."
    lines = [f"- {_path(each.path)} · {size(each.size)} · {_age(each.age)}" for each in files]
    if more:
        lines.append(f"- … and {count(more, 'more file')}")
    rest = "" if whole else "\n\nThere are more than I look through; name a folder: `/files src`."
    return "\n".join([f"The newest files {where}:", "", *lines]) + rest + "\n\n`/get path` sends one."


def _path(path: str) -> str:
    return code_span(one_line(visible(path), 300))


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def no_folder(path: str, why: str) -> str:
    """The folder of /files is none."""
    return f"{quoted(path)} cannot be listed: {_WHY_NOT_OPENED.get(why, 'it could not be read')}. `/files` lists all."


GET_WHAT = "Say which file: `/get report.pdf`. `/files` lists what there is."
