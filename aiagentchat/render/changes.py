"""What a room reads about files that a turn changed. A diff is of the room's own making: nothing in it is hidden."""

from aiagentchat.core.changes import LastChange
from aiagentchat.render.fences import code_span, fenced
from aiagentchat.render.hygiene import one_line, visible
from aiagentchat.render.words import about, count

PREVIEW_BYTES = 6_000
"""So much of a diff is shown in the room; a longer one comes as a file, too."""
FILE_NAME = "changes.diff"
_QUOTE_LIMIT = 60
NOTHING_CHANGED = (
    "No turn here has changed a file since I look at that, so there is nothing to show. What is left out: what "
    "`.gitignore` names, folders of installed packages, and files over 2 MiB."
)
PATCH_FORGOTTEN = "Line by line it is not kept any more."
CUT = "The diff was longer than what I keep of one, so its end is missing."
IN_THE_FILE = "All of it is in the file below."


def change_text(change: LastChange, asked: str, now: int, *, whole: bool) -> str:
    """The answer to /diff. `asked` is what the turn was asked, empty if that is not kept; `whole`: no file follows."""
    changed = change.changed
    lines = f"+{changed.added} −{changed.removed}"
    of = f" for {code_span(one_line(visible(asked), _QUOTE_LIMIT))}" if asked.strip() else ""
    head = f"{count(changed.files, 'file')} changed ({lines}) by the turn{of}, {about((now - change.at) / 1000)} ago"
    if not changed.patch:
        return f"{head}. {PATCH_FORGOTTEN}"
    remarks = [*([] if whole else [IN_THE_FILE]), *([CUT] if changed.cut else [])]
    shown = changed.patch if whole else beginning(changed.patch)
    block = fenced(visible(shown.rstrip("\n")), "diff")
    return "\n\n".join([f"{head}:", block, *([" ".join(remarks)] if remarks else [])])


def is_short(patch: str) -> bool:
    """Whether it is shown whole in the room."""
    return len(visible(patch).encode("utf-8", "replace")) <= PREVIEW_BYTES


def beginning(patch: str) -> str:
    """Whole lines from the beginning of a long diff; a line that is too long by itself is cut."""
    taken: list[str] = []
    left = PREVIEW_BYTES
    for line in patch.split("\n"):
        left -= len(visible(line).encode("utf-8", "replace")) + 1
        if left < 0:
            break
        taken.append(line)
    return "\n".join(taken) or patch[: PREVIEW_BYTES // 8]
