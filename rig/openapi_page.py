"""Writes docs/reference/openapi.json: what the gateway answers at /openapi.json.

    python -m rig.openapi_page        # after a route or a shape was changed

`tests/docs` compares the two.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiagentchat.app.clock import SystemClock
from aiagentchat.gateway.app import create_app, described
from aiagentchat.gateway.front import Front

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.json"


@dataclass(frozen=True)
class _Nothing:
    """Stands behind routes that nobody asks."""

    exchange: None = None
    put_file: None = None
    clock: SystemClock = field(default_factory=SystemClock)


def description() -> dict[str, Any]:
    """The description."""
    return described(create_app(cast(Front, _Nothing())))


def written() -> str:
    """As it stands in the file: in one order, so that a change shows as what it is."""
    return json.dumps(description(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
