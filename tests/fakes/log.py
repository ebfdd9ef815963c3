"""A log that is read by the test."""


class FakeLog:
    """Takes the calls of a structlog logger."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    warning = error = exception = info

    def of(self, event: str) -> list[dict[str, object]]:
        """The fields of every line about `event`."""
        return [fields for name, fields in self.lines if name == event]
