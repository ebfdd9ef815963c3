"""What may change while the daemon runs, and what needs a restart."""

from aiagentchat.config.problems import show
from aiagentchat.config.schema import Matrix, Section
from aiagentchat.config.settings import Settings

_WHOLE_PATH = 4096
_FIXED = ("isolation", "isolation_minimum", "room_uids", "gateway", "registry", "loki")
"""What is found out at the start."""


def compare(old: Settings, new: Settings) -> list[str]:
    """One sentence for each change that needs a restart. Empty: `new` can be applied."""
    changes = [(f"matrix.{key}", getattr(old.matrix, key), getattr(new.matrix, key)) for key in Matrix.model_fields]
    changes += [(key, _plain(getattr(old, key)), _plain(getattr(new, key))) for key in _FIXED]
    changes.append(("data_dir", str(old.data_dir), str(new.data_dir)))
    return [
        f"{key}: the change from {show(before, _WHOLE_PATH)} to {show(after, _WHOLE_PATH)} needs a restart"
        for key, before, after in changes
        if before != after
    ]


def _plain(value: object) -> object:
    """As config.yaml has it."""
    return value.model_dump(mode="json") if isinstance(value, Section) else value
