"""Whether the log is also sent to Loki, where, and as whom."""

import base64
import socket

from aiagentchat.app.live import Live
from aiagentchat.config.fields import is_loopback
from aiagentchat.config.secrets import Secrets
from aiagentchat.config.settings import Settings
from aiagentchat.core.errors import ConfigError
from aiagentchat.observability.push import LokiHandler, Target

SERVICE = "aiagentchat"


def loki_handler(live: Live) -> LokiHandler | None:
    """What sends the log to Loki, not started yet; None: nobody asks for it. Raises `ConfigError`."""
    target = target_of(live.settings, live.secrets)
    return None if target is None else LokiHandler(target, redacting=live.redactor)


def target_of(settings: Settings, secrets: Secrets) -> Target | None:
    """Where the log goes beside stdout. Raises `ConfigError`."""
    loki = settings.loki
    if loki.url is None:
        return None
    authorization = _authorization(settings, secrets)
    if authorization is not None and loki.url.startswith("http:") and not is_loopback(loki.url):
        raise ConfigError(
            [f"loki.url: {loki.url} would send its token or password in the clear; write https://…, or give it none"]
        )
    labels = {"service_name": SERVICE, "host": socket.gethostname(), **loki.labels}
    return Target(url=loki.url, labels=labels, authorization=authorization)


def _authorization(settings: Settings, secrets: Secrets) -> str | None:
    user = settings.loki.user
    if user is None:
        return None if secrets.loki_token is None else f"Bearer {secrets.loki_token.reveal()}"
    password = secrets.loki_password or secrets.loki_token
    if password is None:
        raise ConfigError(["loki.user: it has no password; set LOKI_PASSWORD or LOKI_PASSWORD_FILE"])
    return "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode("ascii")
