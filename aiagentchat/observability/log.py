"""One JSON object per line on stdout. Ids and numbers are fields; what people and agents say is not logged, but where
their room's settings say so (`core/log_content.py`).

Whatever is logged, by us or by a library, passes the redactor last: its fields, however deep, and its traceback.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, Literal

import structlog

from aiagentchat.core.log_content import Said
from aiagentchat.core.redact import Redacting, redacted, shapes_only

Format = Literal["json", "console"]

# Libraries that put content into their messages: nio quotes events that it cannot parse, aiosqlite its parameters.
_PINNED = {"nio": logging.CRITICAL, "aiosqlite": logging.INFO, "aiohttp": logging.WARNING, "asyncio": logging.WARNING}


def set_up(
    format_: Format, level: str = "INFO", *, redacting: Redacting = shapes_only, also: logging.Handler | None = None
) -> None:
    """Configure structlog, and the standard logging of libraries to take the same way.

    `redacting` is asked for each line, so that a secret which becomes known is hidden from then on. `also` gets each
    line as JSON, too.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = []
    for handler, form in ((_Handler(sys.stdout), format_), (also, "json")):
        if handler is not None:
            handler.setFormatter(_formatter(form, shared, redacting))
            root.addHandler(handler)
    root.setLevel(level)
    for name, least in _PINNED.items():
        logging.getLogger(name).setLevel(least)


def _formatter(format_: str, shared: list[structlog.typing.Processor], redacting: Redacting) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Before the redactor; and a renderer's own tracebacks would show the values of variables: what people
            # wrote, and secrets.
            structlog.processors.format_exc_info,
            _redact_with(redacting),
            structlog.processors.JSONRenderer(ensure_ascii=False)
            if format_ == "json"
            else structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
    )


class _Handler(logging.StreamHandler[Any]):
    """Says of a line that cannot be written only who wrote it: the standard way prints its values to stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as logging calls it
        """Called within the handler of what went wrong."""
        problem = type(sys.exc_info()[1]).__name__
        with suppress(OSError, ValueError):
            sys.stderr.write(f"aiagentchat: a log line of {record.name} cannot be written: {problem}\n")


def _redact_with(redacting: Redacting) -> structlog.typing.Processor:
    def redact(_: Any, __: str, event: structlog.typing.EventDict) -> dict[str, Any]:  # noqa: ANN401 - any logger
        redactor = redacting()
        shown = {key: value.shown(redactor) if isinstance(value, Said) else value for key, value in event.items()}
        return {
            key: redacted(_plain(value), redactor)
            for key, value in shown.items()
            if not (value is None and isinstance(event[key], Said))
        }

    return redact


def _plain(value: object) -> object:
    """As it will be written: what is no JSON by what it prints as, so that nothing hides in an object."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return repr(value)


def silence() -> None:
    """Log nothing: for a command that says all it has to say itself."""
    structlog.configure(
        processors=[],
        logger_factory=structlog.ReturnLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )
    logging.getLogger().handlers = [logging.NullHandler()]
