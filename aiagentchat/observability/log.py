"""One JSON object per line on stdout. Ids and numbers are fields; what people and agents say is not logged."""

import logging
import sys
from typing import Literal

import structlog

Format = Literal["json", "console"]

# Libraries that put content into their messages: nio quotes events that it cannot parse, aiosqlite its parameters.
_PINNED = {"nio": logging.CRITICAL, "aiosqlite": logging.INFO, "aiohttp": logging.WARNING, "asyncio": logging.WARNING}


def set_up(format_: Format, level: str = "INFO") -> None:
    """Configure structlog, and the standard logging of libraries to take the same way."""
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
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if format_ == "json"
        # Its own tracebacks show the values of variables: what people wrote, and secrets.
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, least in _PINNED.items():
        logging.getLogger(name).setLevel(least)


def silence() -> None:
    """Log nothing: for a command that says all it has to say itself."""
    structlog.configure(
        processors=[],
        logger_factory=structlog.ReturnLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        cache_logger_on_first_use=False,
    )
    logging.getLogger().handlers = [logging.NullHandler()]
