"""What the secrets that we know look like."""

import re

_NOT_INSIDE_A_WORD = r"(?<![A-Za-z0-9])"
_SHAPES = tuple(
    (re.compile(_NOT_INSIDE_A_WORD + shape), variable)
    for shape, variable in (
        (r"sk-ant-oat[A-Za-z0-9_-]*", "CLAUDE_CODE_OAUTH_TOKEN"),
        (r"sk-ant-[A-Za-z0-9_-]{4,}", "ANTHROPIC_API_KEY"),
        (r"syt_[A-Za-z0-9_+/=-]{6,}", "MATRIX_ACCESS_TOKEN"),
        (r"m(?:at|ct|ar|cr)_[A-Za-z0-9]{16,}[A-Za-z0-9_]*", "MATRIX_ACCESS_TOKEN"),
    )
)


def shaped_like(text: str) -> str | None:
    """The variable that such a secret belongs in; None when the text holds nothing that looks like a secret."""
    return next((variable for shape, variable in _SHAPES if shape.search(text)), None)


def hide(text: str) -> str:
    """The text without anything that looks like a secret."""
    for shape, _ in _SHAPES:
        text = shape.sub("(hidden)", text)
    return text
