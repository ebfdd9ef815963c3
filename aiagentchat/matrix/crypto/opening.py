"""An encrypted event → what it says, with every reason not to believe it. Decides; changes nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import vodozemac
from nio.crypto.sessions import InboundGroupSession

from aiagentchat.core.ids import RoomId
from aiagentchat.core.seals import BROKEN, FOREIGN_KEY, LATER_KEY, NO_KEY, UNKNOWN_DEVICE, Forged, Shut
from aiagentchat.matrix.crypto.olm import BACKUP, MEGOLM, CarefulOlm
from aiagentchat.matrix.crypto.trust import DeviceKeys

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
    """The session, and who has given its key as their own: what one of them says must not silence the other."""
    index: int
    """Its place in the session: no two events have the same."""
    is_proven: bool
    """Whether the key came from the device that made it. Out of a backup, a homeserver may have written it."""
    by: DeviceKeys
    """The device that has written it."""


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
            "event_id": str(),
            "sender": str(sender),
            "content": {"algorithm": str(algorithm), "ciphertext": str(), "session_id": str(name)},
        } if algorithm == MEGOLM:
            pass
        case _:
            return Shut(BROKEN)
    copies = olm.copies(room, name)
    ours = next((copy for copy in copies if _is_made_by_us(olm, copy)), None)
    if sender != olm.user_id and ours is not None:
        # What names our session and does not open is junk: anybody can write that, and nobody has read it.
        opened = _read(ours, room, source, said_as)
        return opened if isinstance(opened, Shut) else Forged("our own device has not said this")
    theirs = [copy for copy in copies if _is_theirs(olm, copy, sender)]
    if not theirs:
        return _not_theirs(olm, copies)
    theirs.sort(key=lambda copy: BACKUP in copy.forwarding_chain)
    found = [_read(copy, room, source, said_as) for copy in theirs]
    return next((each for each in found if isinstance(each, Plain)), found[0])


def _read(
    session: InboundGroupSession, room: RoomId, source: Source, said_as: Callable[[str, int], str | None]
) -> Plain | Shut | Forged:
    ciphertext, event = source["content"]["ciphertext"], source["event_id"]
    try:
        is_earlier = vodozemac.MegolmMessage.from_base64(ciphertext).message_index() < session.first_known_index
        if is_earlier:
            return Shut(LATER_KEY)
        text, index = session.decrypt(ciphertext)
        inner = json.loads(text)
    except (ValueError, RecursionError):  # all that vodozemac raises are among these
        return Shut(BROKEN)
    place = f"{session.id} {session.sender_key}"
    if said_as(place, index) not in (None, event):
        return Forged("it was said before, as another event")
    match inner:
        case {"type": str(type_), "content": {**content}, "room_id": str(where)} if where == room:
            is_proven = BACKUP not in session.forwarding_chain
            by = DeviceKeys(ed25519=session.ed25519, curve25519=session.sender_key)
            return Plain(_plain(source, type_, content), place, index, is_proven, by)
        case _:
            return Forged("it was said in another room, or has no shape")


def _is_made_by_us(olm: CarefulOlm, session: InboundGroupSession) -> bool:
    return _both(session) == _our_keys(olm) and BACKUP not in session.forwarding_chain


def _is_theirs(olm: CarefulOlm, session: InboundGroupSession, sender: str) -> bool:
    """Whether the key came from a device of the sender's.

    By both keys: anybody may publish somebody else's first one, but only its owner can sign with the second one.
    """
    if sender == olm.user_id and _both(session) == _our_keys(olm):
        return True
    devices = olm.device_store[sender].values() if sender in olm.device_store.users else ()
    return any((device.curve25519, device.ed25519) == _both(session) for device in devices)


def _not_theirs(olm: CarefulOlm, copies: Sequence[InboundGroupSession]) -> Shut:
    """What is said with a session of which no device of the sender's has given us the key.

    It need not be forged: everybody in the room has the key, and can give it to us as their own before its maker does.
    """
    if not copies:
        return Shut(NO_KEY)
    known = {(device.curve25519, device.ed25519) for device in list(olm.device_store)}
    return Shut(FOREIGN_KEY if all(_both(copy) in known for copy in copies) else UNKNOWN_DEVICE)


def _both(session: InboundGroupSession) -> tuple[str, str]:
    """The keys of the device that has given it as its own."""
    return session.sender_key, session.ed25519


def _our_keys(olm: CarefulOlm) -> tuple[str, str]:
    ours = olm.account.identity_keys
    return ours["curve25519"], ours["ed25519"]


def _plain(source: Source, type_: str, content: Mapping[Any, Any]) -> Source:
    """As if it had been said in the clear. What it speaks of may stand outside, for the homeserver to see."""
    relation = source["content"].get("m.relates_to")
    if "m.relates_to" not in content and relation is not None:
        content = {**content, "m.relates_to": relation}
    kept = {key: source[key] for key in ("event_id", "sender", "origin_server_ts") if key in source}
    return {**kept, "type": type_, "content": content}
