"""Secrets that were written into config.yaml: found, refused, and never printed."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from aiagentchat.config.document import Document
from aiagentchat.config.problems import Loc, Problems
from aiagentchat.config.validate import leave_out, remove
from aiagentchat.core.shapes import shaped_like

_KEY = re.compile(r"(?:^|_)(?:password|passwd|passphrase|token|secret|credentials?|api_?key|access_?key|auth_?key)$")
_BY_KEY = (
    ("oauth", "CLAUDE_CODE_OAUTH_TOKEN"),
    ("refresh", "MATRIX_REFRESH_TOKEN"),
    ("auth_token", "ANTHROPIC_AUTH_TOKEN"),
    ("key", "ANTHROPIC_API_KEY"),
    ("pass", "MATRIX_PASSWORD"),
)
_OTHERWISE = "MATRIX_ACCESS_TOKEN"


class _Leak(NamedTuple):
    loc: Loc
    variable: str
    in_key: bool = False


def refuse_secrets(document: Document, problems: Problems) -> None:
    """Report every secret in the file and take it out of the document, so that nothing later can show it."""
    reported = set()
    for loc, variable, in_key in list(_leaks(document.data, ())):
        line = document.line_of(loc)
        reported.add(line)
        if in_key:
            problems.add_line(line, _on_this_line(variable))
            remove(document.data, loc)
        else:
            problems.add(loc, _advice("a secret does not belong in this file", variable))
            leave_out(document.data, loc)
    for number, text in enumerate(document.text.splitlines(), start=1):
        hint = shaped_like(text)  # also in comments, and where the file is no YAML
        if hint and number not in reported:
            problems.add_line(number, _on_this_line(hint))


def _leaks(value: object, loc: Loc) -> Iterator[_Leak]:
    if isinstance(value, dict):
        for key, item in value.items():
            here = (*loc, key)
            if hint := shaped_like(key):
                yield _Leak(here, hint, in_key=True)
            elif _is_secret_key(key, item, loc):
                yield _Leak(here, _variable_for(key))
            else:
                yield from _leaks(item, here)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaks(item, (*loc, number))
    elif isinstance(value, str) and (hint := shaped_like(value)):
        yield _Leak(loc, hint)


def _is_secret_key(key: str, value: object, loc: Loc) -> bool:
    # The operator chooses the names in `env`, and a room may need a token of its own there.
    return loc[-1:] != ("env",) and not isinstance(value, dict) and bool(_KEY.search(_plain(key)))


def _variable_for(key: str) -> str:
    return next((variable for part, variable in _BY_KEY if part in _plain(key)), _OTHERWISE)


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")


def _on_this_line(variable: str) -> str:
    return _advice("there is a secret on this line, and it does not belong in this file", variable)


def _advice(what: str, variable: str) -> str:
    return (
        f"{what}; remove it and set the environment variable {variable}, or {variable}_FILE with the name of a file "
        "that holds it (if others could read this file, replace the secret too)"
    )
