"""Everything that is refused, as `application/problem+json` (RFC 9457). Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
_URN = "urn:aiagentchat:problem:"

STATUSES: Mapping[str, int] = {
    "unknown": 404,
    "not_allowed": 403,
    "invalid": 422,
    "conflict": 409,
    "full": 429,
    "halted": 423,
    "unavailable": 503,
    "unauthenticated": 401,
    "wrong_host": 421,
    "wrong_origin": 403,
    "wrong_peer": 403,
    "no_route": 404,
    "wrong_method": 405,
    "malformed": 400,
    "too_large": 413,
    "wrong_type": 415,
    "busy": 503,
    "too_slow": 504,
    "failed": 500,
}
"""What a program looks at, and the status that goes with it. The first seven are those of `core.exchange.CODES`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a request is refused."""

    code: str
    detail: str
    """A sentence for people."""

    @property
    def status(self) -> int:
        """Of the answer."""
        return STATUSES[self.code]

    @property
    def content(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "type": f"{_URN}{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }

    @property
    def body(self) -> bytes:
        """The bytes of the answer."""
        return json.dumps(self.content, ensure_ascii=False).encode("utf-8", "replace")


class Refusal(Exception):
    """Raised where a request cannot be served."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.trouble = Trouble(code, detail)
