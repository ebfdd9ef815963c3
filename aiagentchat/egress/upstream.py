"""The model's API, with the key that no run ever holds."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import structlog
from yarl import URL

from aiagentchat.config.secrets import Secret
from aiagentchat.egress import answers
from aiagentchat.egress.client import Body, Client, RefusedError
from aiagentchat.egress.decide import Asked
from aiagentchat.egress.headers import from_model, to_model, values

BASE_URL = "https://api.anthropic.com"

_FILLED_IN = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What the client of the upstream would add; it is left as the run sent it, or did not."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the model is asked, and as whom: with exactly one credential."""

    base_url: str = BASE_URL
    """May have a path, to which that of the request is added."""
    api_key: Secret | None = None
    bearer: Secret | None = None
    """A token for `Authorization`: of a gateway, or of a subscription."""
    passthrough: bool = False
    """The run holds the bearer itself (`subscription_in_room`), and may show it instead of its own token."""

    def __post_init__(self) -> None:
        if (self.api_key is None) == (self.bearer is None):
            raise ValueError("an upstream has either an api_key or a bearer")
        if self.passthrough and self.bearer is None:
            raise ValueError("only a bearer can be passed through")
        parts = urlsplit(self.base_url)
        is_clean = not (parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_clean:
            raise ValueError("base_url is not the address of an API")

    @property
    def shown_by_run(self) -> str | None:
        """What opens the way to the model beside the token of the run."""
        return self.bearer.reveal() if self.passthrough and self.bearer is not None else None

    def url(self, target: str) -> URL:
        """Where a request goes, letter by letter."""
        return URL(f"{self.base_url.rstrip('/')}{target}", encoded=True)

    def credential(self) -> tuple[str, str]:
        """The header that proves who we are."""
        if self.api_key is not None:
            return "x-api-key", self.api_key.reveal()
        assert self.bearer is not None
        return "authorization", f"Bearer {self.bearer.reveal()}"


def session(connect_seconds: float) -> aiohttp.ClientSession:
    """The connections of one gate to its upstream. How long an answer may take, the gate decides."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=_FILLED_IN,
    )


async def ask_model(
    client: Client, asked: Asked, target: str, *, upstream: Upstream, http: aiohttp.ClientSession, most: int
) -> None:
    """Pass a request on as ours, and the answer back, each as it comes. `RefusedError` if there is none."""
    lengths = values(asked.headers, b"content-length")
    if lengths and int(lengths[0]) > most:
        raise RefusedError(answers.too_large(most))
    # Where the answer comes first, nobody wants the rest, and the connection is not used again: aiohttp sees to that.
    body = client.body(most)
    headers = [*to_model(asked.headers), upstream.credential()]
    try:
        async with http.post(upstream.url(target), headers=headers, data=body, allow_redirects=False) as answer:
            await client.begin(answer.status, from_model(answer.raw_headers))
            async for part in answer.content.iter_any():
                await client.send(part)
            await client.finish()
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        raise RefusedError(_why(error, body)) from None


def _why(error: Exception, body: Body) -> answers.Refusal:
    if body.refusal is not None:
        return body.refusal
    refusal = answers.MODEL_SILENT if isinstance(error, TimeoutError) else answers.MODEL_UNREACHABLE
    log.warning("egress.upstream_failed", error=type(error).__name__, status=refusal.status)
    return refusal
