"""Every error that this program raises on purpose.

AppError
├── ConfigError             the operator must edit a file; carries every problem at once
├── StoreError              the database cannot be used
│   ├── StoreFromFuture     it was written by a newer version
│   ├── StoreCorrupt        it is damaged, or no database at all
│   ├── StoreKeyError       what is sealed in it cannot be opened
│   └── DeviceKeysLost      the keys of our device are not here
├── AlreadyRunning          another daemon owns this data_dir
├── IdentityError           the account's keys are not here, or what was given does not open them
├── OwnedElsewhere          another daemon owns the account
├── IsolationRefused        runs cannot be kept apart as the operator wants it
├── NotOpened               what a room has put there is not what may be opened
├── ExchangeRefused         a caller of the gateway, or an agent, may not have what it asks for
├── MatrixError             the homeserver did not do what was asked
│   ├── LoginFailed             it does not know us (any more)
│   ├── RateLimited             later, and it says when
│   ├── Unreachable             no answer, or none that makes sense: try again
│   └── Refused                 it will never take this
└── AgentError
    ├── AgentUnavailable        it cannot be started: binary, version, key
    ├── AgentDied               it ended in the middle of a turn
    ├── SessionInUse            "already in use": the session exists, resume it
    └── SessionNotFound         "No conversation found": start a new one

`str(error)` is for the operator, `error.human` is what a room may read. The text of a foreign error is never in
`human`.
"""

from typing import ClassVar


class AppError(Exception):
    """Something went wrong on our side."""

    human: str = "Something went wrong on our side. The operator finds it in the log."
    exit_code: ClassVar[int] = 1


class ConfigError(AppError):
    """The settings are not usable. `problems` has one line each: file, line, key, value, fix."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreError(AppError):
    """The database cannot be used."""


class StoreFromFuture(StoreError):
    """The database was written by a newer version; nothing was touched."""

    exit_code = 5


class StoreCorrupt(StoreError):
    """The database is damaged, or no database at all. Its text says how to restore a backup."""

    exit_code = 6


class StoreKeyError(StoreError):
    """What is sealed in the database cannot be opened or sealed: the key is missing, or it is another one."""

    exit_code = 7


class DeviceKeysLost(StoreError):
    """The keys of our device are not here, or are not those that others know it by. Its text says what to do."""

    exit_code = 11


class AlreadyRunning(AppError):
    """Another daemon owns this data_dir."""

    exit_code = 4


class OwnedElsewhere(AppError):
    """Another daemon, with another data_dir, owns the account."""

    exit_code = 4


class IdentityError(AppError):
    """The keys that prove who the account is are not here, or what was given does not open them."""

    exit_code = 9


class IsolationRefused(AppError):
    """Runs cannot be kept apart as the operator wants it. Its text says what is missing."""

    exit_code = 8


class NotOpened(AppError):
    """What a room has put into its folders is not what may be opened, or lies where something was to be made.

    `why` is one word of `process.beneath.Why`.
    """

    def __init__(self, why: str, message: str) -> None:
        super().__init__(f"{message} ({why})")
        self.why = why


class ExchangeRefused(AppError):
    """A caller may not have what it asks for, or it makes no sense. `str(error)` is what the caller reads."""

    def __init__(self, code: str, text: str) -> None:
        """`code`: one of `core.exchange.CODES`."""
        super().__init__(text)
        self.code = code


class MatrixError(AppError):
    """The homeserver did not do what was asked."""


class LoginFailed(MatrixError):
    """The homeserver does not accept our credentials."""

    exit_code = 3


class RateLimited(MatrixError):
    """The homeserver asks us to wait `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(MatrixError):
    """No answer, or one that makes no sense. Trying again is right.

    `status` is that of the answer, 0 without one; `errcode` is empty when it is not the homeserver that speaks. Before
    `retry_after` seconds have passed it is of no use to try.
    """

    def __init__(self, message: str, *, status: int = 0, errcode: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.errcode = errcode
        self.retry_after = retry_after


class Refused(MatrixError):
    """The homeserver will not take this, however often it is asked.

    `status` and `errcode` are the homeserver's; `ours` means that it was not asked, because we do not want it to have
    this: no other wording helps.
    """

    def __init__(self, message: str, *, status: int = 0, errcode: str = "", ours: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.errcode = errcode
        self.ours = ours


class AgentError(AppError):
    """The agent failed."""

    human = "The agent failed. Nothing more was run; send the message again to retry."


class AgentUnavailable(AgentError):
    """The agent cannot be started. `human` says what is missing."""

    def __init__(self, message: str, *, human: str) -> None:
        super().__init__(message)
        self.human = human


class AgentDied(AgentError):
    """The agent's process ended in the middle of a turn."""

    human = (
        "The agent's process ended before it had answered. What it had done until then is done; "
        "send the message again to retry."
    )


class SessionInUse(AgentError):
    """The agent knows this session already."""


class SessionNotFound(AgentError):
    """The agent does not know this session."""


def human_message(error: BaseException) -> str:
    """What a room may read about `error`: never the text of a foreign error."""
    return error.human if isinstance(error, AppError) else AppError.human
