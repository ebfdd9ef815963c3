"""The part of a homeserver that keeps keys; tests/contract/test_identity.py holds it to a real one."""

import copy
from typing import Any
from urllib.parse import unquote

from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.parcels import Content
from aiagentchat.matrix.client import Answer

PASSWORD = "correct horse"
USAGES = ("master", "self_signing", "user_signing")


class KeyServer:
    """Knows one account. What it is asked comes from `ask`, as from `matrix.client.Client`."""

    def __init__(self, me: UserId) -> None:
        self.me = me
        self.devices: dict[str, dict[str, Any]] = {}
        self.identity: dict[str, dict[str, Any]] = {}
        """By usage."""
        self.stages: list[list[str]] = [["m.login.password"]]
        """What it asks for before other keys take the place of those that are there."""
        self.params: dict[str, Any] = {}
        self.asks_at_once = False
        """Also before the first keys."""
        self.forgets_signatures = False
        self.refuses_signatures = False
        self.refuses_keys = False
        self.backup: dict[str, Any] = {}
        self.rooms: dict[str, Any] = {}
        """What the backup holds."""
        self.taken: list[list[str]] = []
        """The usages of the keys that were published, upload by upload."""
        self.writes: list[str] = []
        """The last part of the path of everything that was to change something."""

    def query(self) -> dict[str, Any]:
        """What it shows to everybody."""
        shown: dict[str, Any] = {"device_keys": {self.me: self.devices}, "failures": {}}
        for usage in USAGES:
            shown[f"{usage}_keys"] = {self.me: self.identity[usage]} if usage in self.identity else {}
        return copy.deepcopy(shown)

    async def ask(
        self,
        what: str,  # noqa: ARG002
        method: str,
        path: str,
        content: Content | None = None,
        *,
        or_nothing: bool = False,
        or_stages: bool = False,
    ) -> Answer:
        """One request."""
        place = path.removeprefix("/_matrix/client/v3/").partition("?")[0]
        if place == "keys/query":
            return Answer(self.query(), {})
        if method == "GET" and place.startswith("room_keys/"):
            return self._kept_rooms(place, or_nothing=or_nothing)
        self.writes.append(place.rpartition("/")[2])
        body = copy.deepcopy(dict(content or {}))
        if place == "keys/device_signing/upload":
            self.writes[-1] = "identity"
            return self._take_identity(body, or_stages=or_stages)
        assert place == "keys/signatures/upload"
        return self._take_signatures(body)

    def _take_identity(self, body: dict[str, Any], *, or_stages: bool) -> Answer:
        if self.refuses_keys:
            raise Refused("identity: 400 M_INVALID_SIGNATURE", status=400, errcode="M_INVALID_SIGNATURE")
        proof = body.pop("auth", None)
        given = {usage: body[f"{usage}_key"] for usage in USAGES if f"{usage}_key" in body}
        is_known = [key == self.identity.get(usage) for usage, key in given.items()]
        wants_more = self.asks_at_once or (bool(self.identity) and not all(is_known))
        if wants_more and (proof is None or proof["type"] != "m.login.password" or proof["password"] != PASSWORD):
            assert or_stages
            flows = [{"stages": stages} for stages in self.stages]
            failed = {} if proof is None else {"errcode": "M_FORBIDDEN", "error": "Invalid password"}
            return Answer({"session": "s1", "flows": flows, "params": self.params, **failed}, {}, wants_more=True)
        if self.identity and any(is_known) and not all(is_known):
            raise Unreachable("identity: 500 M_UNKNOWN", status=500, errcode="M_UNKNOWN")  # as Synapse
        self.taken.append(list(given))
        self.identity |= given
        return Answer({}, {})

    def _take_signatures(self, body: dict[str, Any]) -> Answer:
        if self.refuses_signatures:
            return Answer({"failures": {self.me: {"D1": {"errcode": "M_INVALID_SIGNATURE"}}}}, {})
        if self.forgets_signatures:
            return Answer({"failures": {}}, {})
        for id_, signed in body[self.me].items():
            master = self.identity.get("master", {})
            target = master if f"ed25519:{id_}" in master.get("keys", {}) else self.devices[id_]
            mine = target.setdefault("signatures", {}).setdefault(self.me, {})
            mine |= signed["signatures"][self.me]
        return Answer({"failures": {}}, {})

    def _kept_rooms(self, place: str, *, or_nothing: bool) -> Answer:
        _, what, *names = map(unquote, place.split("/"))
        if what == "version" and self.backup:
            return Answer(self.backup, {})
        if what == "keys" and not names:
            return Answer({"rooms": self.rooms}, {})
        if what == "keys":
            room, session = names
            found = self.rooms.get(room, {}).get("sessions", {}).get(session)
            if found is not None:
                return Answer(found, {})
        assert or_nothing
        return Answer({}, {})
