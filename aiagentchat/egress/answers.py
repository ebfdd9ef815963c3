"""What a run is told when it does not get what it asked for. Pure.

Programs read this, and may show it to the agent: sentences, as in a room, in the shape that the one who asked
understands. To the room itself speaks whoever is told by `on_blocked`.
"""

import json
from dataclasses import dataclass

from aiagentchat.core.isolation import Network
from aiagentchat.core.redact import shapes_only
from aiagentchat.egress.rules import Target

MOST_SHOWN = 120
"""Characters of something foreign that are repeated; a name may be longer."""

OK = 200
ACCEPTED = 202
UNAUTHORIZED = 401
PROXY_AUTHENTICATION = 407
BAD_GATEWAY = 502
GATEWAY_TIMEOUT = 504

_DEFAULT_TYPE = "invalid_request_error"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    413: "request_too_large",
    502: "api_error",
    503: "overloaded_error",
    504: "api_error",
}
_HEADERS = {PROXY_AUTHENTICATION: ((b"Proxy-Authenticate", b'Basic realm="aiagentchat"'),)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that comes from here, and from nowhere behind us."""

    status: int
    sentence: str
    blocked: Target | None = None
    """The host that is not reached, if that is why."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Beside those that describe the body."""
        return _HEADERS.get(self.status, ())

    def for_model(self) -> tuple[bytes, bytes]:
        """Content type and body, as the Messages API puts its errors."""
        error = {"type": _TYPES.get(self.status, _DEFAULT_TYPE), "message": self.sentence}
        return b"application/json", json.dumps({"type": "error", "error": error}).encode()

    def for_host(self) -> tuple[bytes, bytes]:
        """Content type and body, for any other program."""
        return b"text/plain; charset=utf-8", f"{self.sentence}\n".encode()


def shown(target: Target) -> str:
    """The host and its port, fit to be repeated: one short line, without what looks like a secret."""
    text = shapes_only()(str(target))
    return text if len(text) <= MOST_SHOWN else f"…{text[-MOST_SHOWN + 1 :]}"


WRONG_TOKEN = Refusal(
    status=UNAUTHORIZED,
    sentence="This is not the token of this run. The program has to use the one it was started with.",
)
NO_KEY = Refusal(
    status=UNAUTHORIZED,
    sentence="The daemon has no key for the model any more. Who runs aiagentchat can give it one, and reload.",
)
NO_PROXY_TOKEN = Refusal(
    status=PROXY_AUTHENTICATION,
    sentence="The way out of this run asks for the run's token. Use the address in HTTPS_PROXY as it is.",
)
NOT_THIS = Refusal(
    status=403, sentence="Only the Messages API is reached here: POST /v1/messages and /v1/messages/count_tokens."
)
ONLY_POST = Refusal(status=405, sentence="Only POST is understood here.")
NO_ROOM = Refusal(status=404, sentence="This run has no tools of a room.")
NO_HOST = Refusal(
    status=400, sentence="This is not the name or the address of a host with its port, or not in its usual spelling."
)
USE_CONNECT = Refusal(status=400, sentence="Only http:// addresses are asked for in this way. For https, use CONNECT.")
NO_BODY_HERE = Refusal(status=400, sentence="A request to CONNECT has no body.")
TOO_OLD = Refusal(status=505, sentence="HTTP/1.1 is needed here.")
TOO_SLOW = Refusal(status=408, sentence="The request did not come to its end in time.")
TOO_MANY = Refusal(status=503, sentence="This run has too many connections open. Close some, and try again.")
MODEL_UNREACHABLE = Refusal(
    status=BAD_GATEWAY, sentence="The model's API could not be reached, or broke off. Nothing was answered; try again."
)
MODEL_SILENT = Refusal(
    status=GATEWAY_TIMEOUT, sentence="The model's API did not answer in time. Nothing was answered; try again."
)


def broken_request(status: int) -> Refusal:
    """For what is no HTTP, or more of it than we read."""
    return Refusal(status=status, sentence="This is not a request that can be understood here.")


def too_large(most: int) -> Refusal:
    """For a body over the limit."""
    return Refusal(status=413, sentence=f"The request is larger than {most // 2**20} MiB, and was not passed on.")


def blocked(target: Target, network: Network) -> Refusal:
    """For a host that the room's settings do not reach."""
    first = "set network: allowlist and " if network is Network.API else ""
    return Refusal(
        status=403,
        sentence=f"{shown(target)} is not reached from this room. Who runs aiagentchat can {first}add it to "
        "network_hosts of the room in config.yaml.",
        blocked=target,
    )


def inside(target: Target) -> Refusal:
    """For a host that leads to this machine or its networks."""
    return Refusal(
        status=403,
        sentence=f"{shown(target)} leads to an address that is not public, which is not reached from this room. Who "
        "runs aiagentchat can add this very host to network_hosts of the room in config.yaml.",
        blocked=target,
    )


def host_unknown(target: Target) -> Refusal:
    """For a name that leads nowhere."""
    return Refusal(status=BAD_GATEWAY, sentence=f"No address was found for {shown(target)}.")


def host_unreachable(target: Target) -> Refusal:
    """For a host that does not take the connection, or breaks it off before it has answered."""
    return Refusal(status=BAD_GATEWAY, sentence=f"{shown(target)} could not be reached.")


def host_silent(target: Target) -> Refusal:
    """For a host that is not found or does not answer in time."""
    return Refusal(status=GATEWAY_TIMEOUT, sentence=f"{shown(target)} did not answer in time.")
