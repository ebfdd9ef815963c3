"""Why a chat cannot go on. Each ends with an exit code of its own."""

from aiagentchat.core.errors import AppError, Unreachable


class NotReachable(Unreachable):
    """The homeserver does not answer."""

    exit_code = 4


class NotInRoom(AppError):
    """We left the room, or were put out of it."""


class Encrypted(AppError):
    """The room is encrypted, and this client has no keys."""

    exit_code = 5


class NoAnswer(AppError):
    """Nobody took the message, or nobody finished with it in time."""

    exit_code = 6
