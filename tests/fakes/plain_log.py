"""How a test logs that has not configured it."""

import structlog


def plain_log() -> None:
    """Nearly as structlog does by itself; without the value of every variable of a traceback, which takes seconds."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S"),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
