"""The first config.yaml: the commented example, with the operator's answers in it. Pure, but for `check`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiagentchat.bootstrap.api import CLIENT, Api, path
from aiagentchat.bootstrap.site import DEVICE
from aiagentchat.bootstrap.wanted import server_of
from aiagentchat.config.edit import add_room, example, put
from aiagentchat.config.fields import is_name
from aiagentchat.config.rooms import derived_name
from aiagentchat.config.secrets import Secret
from aiagentchat.core.errors import ConfigError, LoginFailed, MatrixError, Refused
from aiagentchat.core.ids import UserId

FIRST_ROOM = "first"
KEYS = """\
The model is paid for with one of these:
  a key          from https://console.anthropic.com, "API keys": each use is
                 billed. It begins with sk-ant-api.
  a setup token  of your Claude subscription: run `claude setup-token` on a
                 machine with a browser, and copy what it prints. It begins
                 with sk-ant-oat.
What you give is written into a file that only you can read, and never into
config.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What differs from the example."""

    homeserver: str
    user_id: str
    users: tuple[str, ...]
    admins: tuple[str, ...] = ()
    rooms: tuple[str, ...] = (FIRST_ROOM,)
    """Names, for rooms that `bootstrap` makes; ids or aliases of others, with `name=` before them if they like."""
    registry: str = ""
    allow_http: bool = False
    data_dir: str = ""
    workspaces: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    is_well: bool
    said: str


@dataclass(slots=True)
class Looked:
    """What was found."""

    findings: list[Finding] = field(default_factory=list)
    needs_bootstrap: bool = False
    """Whether an account or a room is missing that it makes."""

    def well(self, said: str) -> None:
        """Note it."""
        self.findings.append(Finding(is_well=True, said=said))

    def wrong(self, said: str) -> None:
        """Note it."""
        self.findings.append(Finding(is_well=False, said=said))


def settings_text(answers: Answers) -> str:
    """The whole file. Raises ConfigError for rooms that are none."""
    text = put(example(), ("matrix", "homeserver"), answers.homeserver)
    text = put(text, ("matrix", "user_id"), answers.user_id)
    text = put(text, ("defaults", "users"), answers.users)
    text = put(text, ("defaults", "admins"), answers.admins)
    if answers.allow_http:
        text = put(text, ("matrix", "allow_http"), True)
    for key in ("data_dir", "workspaces"):
        if value := getattr(answers, key):
            text = put(text, (key,), value)
    if answers.registry:
        text = put(text, ("registry", "room"), answers.registry)
    entries = room_entries(answers)
    if not entries:
        raise ConfigError(["--room: there is to be one at least"])
    for key, value in entries[0].items():
        text = put(text, ("rooms", 0, key), value)
    for entry in entries[1:]:
        text = add_room(text, entry)
    return text


def room_entries(answers: Answers) -> list[dict[str, str]]:
    """How the rooms stand in the file."""
    return [_entry(room, server_of(UserId(answers.user_id))) for room in answers.rooms]


def _entry(room: str, server: str) -> dict[str, str]:
    if is_name(room):
        return {"id": f"#{room}:{server}", "name": room}
    name, equals, ref = room.partition("=")
    if not equals or not is_name(name):
        name, ref = "", room
    return {"id": ref, "name": name or derived_name(ref)}


async def check(api: Api, answers: Answers, password: Secret | None, token: Secret | None) -> Looked:
    """Ask the homeserver whatever can be asked before the daemon is there. Never raises."""
    looked = Looked()
    try:
        await api.ask("GET", "/_matrix/client/versions")
    except MatrixError as error:
        looked.wrong(str(error))
        return looked
    looked.well(f"{answers.homeserver} answers")
    try:
        await _login(api, UserId(answers.user_id), password, token, looked)
        for entry in room_entries(answers):
            await _room(api, entry, looked)
    except MatrixError as error:
        looked.wrong(str(error))
    return looked


async def _login(api: Api, user: UserId, password: Secret | None, token: Secret | None, looked: Looked) -> None:
    if token is not None:
        try:
            who: Mapping[str, object] = await api.ask("GET", f"{CLIENT}/account/whoami", token=token)
        except LoginFailed:
            looked.wrong("MATRIX_ACCESS_TOKEN is not accepted")
            return
        if who.get("user_id") == user:
            looked.well(f"{user} is logged in by its access token")
        else:
            looked.wrong(f"MATRIX_ACCESS_TOKEN is that of {who.get('user_id')}, not of {user}")
    elif password is None:
        looked.needs_bootstrap = True
        looked.well(f"no password for {user} yet: aiagentchat bootstrap makes the account")
    else:
        await _try_password(api, user, password, looked)


async def _try_password(api: Api, user: UserId, password: Secret, looked: Looked) -> None:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password.reveal(),
        "device_id": DEVICE,
    }
    try:
        answer = await api.ask("POST", f"{CLIENT}/login", body)
    except Refused as error:
        looked.needs_bootstrap = True
        looked.wrong(
            f"{user} is not logged in with this password ({error}); if there is no such account yet, "
            "aiagentchat bootstrap makes it"
        )
        return
    await api.ask("POST", f"{CLIENT}/logout", {}, token=Secret(str(answer["access_token"])))
    looked.well(f"{user} can log in")


async def _room(api: Api, entry: Mapping[str, str], looked: Looked) -> None:
    ref = entry["id"]
    if not ref.startswith("#"):
        looked.well(f"room {entry['name']}: invite the account, unless it is in it")
    elif await api.find(f"{CLIENT}/directory/room{path(ref)}") is None:
        looked.needs_bootstrap = True
        looked.well(f"room {entry['name']}: there is no {ref} yet: aiagentchat bootstrap makes it")
    else:
        looked.well(f"room {entry['name']}: there is {ref}")
