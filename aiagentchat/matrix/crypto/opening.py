"""An encrypted event → what it says, with every reason not to believe it. Decides; changes nothing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import vodozemac

from aiagentchat.core.ids import RoomId
from aiagentchat.core.seals import BROKEN, LATER_KEY, NO_KEY, UNKNOWN_DEVICE, Forged, Shut
from aiagentchat.matrix.crypto.olm import BACKUP, MEGOLM, CarefulOlm

ENCRYPTED = "m.room.encrypted"
TYPES = ("m.room.message", "m.reaction")
"""What may be said encrypted. Whatever changes the room must be seen by its servers, which ask whether the sender may:
from inside of an encrypted event it would be believed unasked."""

Source: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plain:
    """What was said, as if it had been said in the clear."""

    source: Source
    session: str
    index: int
    """Its place in the session: no two events have the same."""
    is_proven: bool
    """Whether the key came from the device that made it. Out of a backup, a homeserver may have written it."""


def session_of(source: Source) -> str:
    """The session whose key the event needs; empty if it does not say."""
    match source:
        case {"content": {"session_id": str(session)}}:
            return session
        case _:
            return ""


def unseal(
    olm: CarefulOlm, room: RoomId, source: Source, said_as: Callable[[str, int], str | None]
) -> Plain | Shut | Forged:
    """What `source`, an event of the type ENCRYPTED, says. `said_as` tells which event was at a place before."""
    match source:
        case {
            "event_id": str(event),
            "sender": str(sender),
            "content": {"algorithm": str(algorithm), "ciphertext": str(ciphertext), "session_id": str(name)},
        } if algorithm == MEGOLM:
            pass
        case _:
            return Shut(BROKEN)
    session = olm.session_of(room, name)
    if session is None:
        return Shut(NO_KEY)
    try:
        is_earlier = vodozemac.MegolmMessage.from_base64(ciphertext).message_index() < session.first_known_index
        if is_earlier:
            return Shut(LATER_KEY)
        text, index = session.decrypt(ciphertext)
        inner = json.loads(text)
    except (ValueError, RecursionError):  # all that vodozemac raises are among these
        return Shut(BROKEN)
    if (wrong := _not_theirs(olm, session, sender)) is not None:
        return wrong
    if said_as(name, index) not in (None, event):
        return Forged("it was said before, as another event")
    match inner:
        case {"type": str(type_), "content": {**content}, "room_id": str(where)} if where == room:
            is_proven = BACKUP not in session.forwarding_chain
            return Plain(_plain(source, type_, content), name, index, is_proven)
        case _:
            return Forged("it was said in another room, or has no shape")


def _not_theirs(olm: CarefulOlm, session: Any, sender: str) -> Shut | Forged | None:  # noqa: ANN401 - nio's
    """None if the device that made the session is the sender's."""
    ours = olm.account.identity_keys
    if session.sender_key == ours["curve25519"]:
        is_ours = sender == olm.user_id and session.ed25519 == ours["ed25519"]
        return None if is_ours else Forged("our own device has not said this")
    both = (session.sender_key, session.ed25519)
    theirs = olm.device_store[sender].values() if sender in olm.device_store.users else ()
    if any((device.curve25519, device.ed25519) == both for device in theirs):
        return None
    # By both keys: anybody may publish somebody else's first one, but only its owner can sign with the second one.
    if any((device.curve25519, device.ed25519) == both for device in list(olm.device_store)):
        return Forged("it was said by somebody else's device")
    return Shut(UNKNOWN_DEVICE)


def _plain(source: Source, type_: str, content: Mapping[Any, Any]) -> Source:
    """As if it had been said in the clear. What it speaks of may stand outside, for the homeserver to see."""
    relation = source["content"].get("m.relates_to")
    if "m.relates_to" not in content and relation is not None:
        content = {**content, "m.relates_to": relation}
    kept = {key: source[key] for key in ("event_id", "sender", "origin_server_ts") if key in source}
    return {**kept, "type": type_, "content": content}
