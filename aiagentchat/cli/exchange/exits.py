"""How `cchat` ends, and why: one number for each cause. docs/reference/cchat.md lists them."""

from collections.abc import Mapping
from enum import IntEnum

from aiagentchat.core.errors import AppError


class Exit(IntEnum):
    """What a script can tell apart."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    LOGIN = 3
    UNREACHABLE = 4
    ENCRYPTED = 5
    NO_ANSWER = 6
    UNKNOWN = 7
    NOT_ALLOWED = 8
    CONFLICT = 9
    FULL = 10
    HALTED = 11
    UNAVAILABLE = 12
    REFUSED = 13
    EXPIRED = 14
    NO_WAY = 15
    UNCERTAIN = 16
    INTERRUPTED = 130


BY_CODE: Mapping[str, Exit] = {
    "unknown": Exit.UNKNOWN,
    "not_allowed": Exit.NOT_ALLOWED,
    "invalid": Exit.USAGE,
    "conflict": Exit.CONFLICT,
    "full": Exit.FULL,
    "halted": Exit.HALTED,
    "unavailable": Exit.UNAVAILABLE,
    "wrong_peer": Exit.NOT_ALLOWED,
    "malformed": Exit.USAGE,
    "too_large": Exit.USAGE,
}
"""Of what the gateway refuses: its `code`, which is one of `core.exchange.CODES`, or about the request itself."""


class NotDone(AppError):
    """`cchat` could not do what was asked; its text says why, and what to do."""

    def __init__(self, text: str, exit_: Exit) -> None:
        super().__init__(text)
        self.exit = exit_
