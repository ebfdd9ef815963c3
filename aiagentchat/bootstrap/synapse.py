"""The settings of a Synapse for a household of agents: closed to other servers, and to who has no account. Pure.

Secrets are files beside homeserver.yaml, so that they are made once and the settings can be written anew.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import yaml

SETTINGS = "homeserver.yaml"
SHARED_SECRET = "registration_shared_secret"  # noqa: S105 - a name
"""The file by which accounts are made: `aiagentchat bootstrap --shared-secret-file` takes it."""
SECRETS = (SHARED_SECRET, "macaroon_secret_key", "form_secret")
SIGNING_KEY = "signing.key"
KEPT = frozenset({*SECRETS, SIGNING_KEY})
"""Files that are never written again: sessions, links and the rooms' history hang on them."""
SECRET_BYTES = 32
PORT = 8008

_SEED_BYTES = 32
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synapse:
    """What differs from one homeserver to the next."""

    server_name: str
    """The part of its users' ids after the colon. It can never be changed."""
    folder: str
    """Where its files lie, as Synapse sees them: a whole path."""
    public_url: str = ""
    """How clients reach it. Empty: on `port` of this machine."""
    bind: str = _LOOPBACK
    port: int = PORT
    federation: bool = False
    """Whether other homeservers may talk to it."""


def files(synapse: Synapse, random: Callable[[int], bytes]) -> Mapping[str, str]:
    """Every file by its name, and its text. `random` gives so many bytes that nobody can guess."""
    secrets = {name: base64.urlsafe_b64encode(random(SECRET_BYTES)).decode().rstrip("=") for name in SECRETS}
    seed = base64.b64encode(random(_SEED_BYTES)).decode().rstrip("=")
    return {SETTINGS: settings(synapse), "log.yaml": _LOG, SIGNING_KEY: f"ed25519 a_made {seed}\n", **secrets}


def settings(synapse: Synapse) -> str:
    """Its homeserver.yaml."""
    url = synapse.public_url or f"http://{_LOOPBACK}:{synapse.port}"
    names = "client, federation" if synapse.federation else "client"
    values = {
        "server_name": synapse.server_name,
        "url": f"{url.rstrip('/')}/",
        "bind": synapse.bind,
        **{
            name: f"{synapse.folder}/{name}" for name in (*KEPT, "log.yaml", "homeserver.db", "media", "homeserver.pid")
        },
    }
    shown = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    shown |= {"port": str(synapse.port), "names": names}
    text = f"{_HEAD}{_OPEN if synapse.federation else _CLOSED}{_REST}"
    return re.sub(r"<([\w.]+)>", lambda found: shown[found[1]], text)


def name_in(text: str) -> str:
    """The server's name in settings that lie there already; empty if it cannot be found."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return ""
    return str(found.get("server_name", "")) if isinstance(found, dict) else ""


_HEAD = """\
# The settings of Synapse, written by `aiagentchat bootstrap synapse-config`. They are yours to change; Synapse's
# documentation has every key. The files beside this one are secrets: keep them, and keep them to yourself.

# The part after the colon in @you:server. It can never be changed.
server_name: <server_name>
# How clients reach it.
public_baseurl: <url>
listeners:
  - type: http
    port: <port>
    bind_addresses: [<bind>]
    # A proxy in front of it brings TLS, and says who is asking.
    x_forwarded: true
    tls: false
    resources:
      - names: [<names>]
        compress: false

"""

_CLOSED = """\
# Alone in the world: no other homeserver is asked, answered or believed.
federation_domain_whitelist: []
trusted_key_servers: []
allow_public_rooms_over_federation: false
allow_public_rooms_without_auth: false
"""

_OPEN = """\
# Other homeservers may talk to this one. They need to find it: see "delegation" in Synapse's documentation.
trusted_key_servers:
  - server_name: matrix.org
suppress_key_server_warning: true
allow_public_rooms_over_federation: false
allow_public_rooms_without_auth: false
"""

_REST = """
# Nobody can make an account but who holds the secret: aiagentchat bootstrap --shared-secret-file.
enable_registration: false
registration_shared_secret_path: <registration_shared_secret>
allow_guest_access: false

# SQLite is good for a household. For more, PostgreSQL: see Synapse's documentation before there is much in it.
database:
  name: sqlite3
  args:
    database: <homeserver.db>
media_store_path: <media>
max_upload_size: 100M
pid_file: <homeserver.pid>
log_config: <log.yaml>
signing_key_path: <signing.key>
macaroon_secret_key_path: <macaroon_secret_key>
form_secret_path: <form_secret>
report_stats: false

# Previews of links would have this machine fetch whatever somebody types.
url_preview_enabled: false
# The homeserver says by itself that a daemon has gone, and staying adds no events to the registry room.
max_event_delay_duration: 24h

# Synapse's own limits are for strangers. The bot's account has none once `aiagentchat bootstrap` has lifted it.
rc_message: {per_second: 10, burst_count: 100}
rc_room_creation: {per_second: 1, burst_count: 50}
rc_joins: {local: {per_second: 5, burst_count: 50}}
rc_invites:
  per_room: {per_second: 2, burst_count: 50}
  per_user: {per_second: 1, burst_count: 50}
  per_issuer: {per_second: 2, burst_count: 50}
rc_delayed_event_mgmt: {per_second: 10, burst_count: 50}
# Logins stay slow for who guesses, and fast enough for who sets things up.
rc_login:
  address: {per_second: 0.2, burst_count: 30}
  account: {per_second: 0.2, burst_count: 30}
  failed_attempts: {per_second: 0.05, burst_count: 5}
"""

_LOG = """\
version: 1
formatters:
  line: {format: "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}
handlers:
  console: {class: logging.StreamHandler, formatter: line}
loggers:
  # What people write would be in it.
  synapse.storage.SQL: {level: WARNING}
root: {level: WARNING, handlers: [console]}
disable_existing_loggers: false
"""
