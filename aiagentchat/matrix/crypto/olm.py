"""nio's Olm machine, careful where it is not: with what other devices send, and with what comes again."""

from typing import Any

import vodozemac
from nio.crypto.olm_machine import Olm
from nio.crypto.sessions import InboundGroupSession

from aiagentchat.matrix.crypto.keystore import KeyStore

MEGOLM = "m.megolm.v1.aes-sha2"
MOST_OF_A_DEVICE = 5000
"""Sessions of one device that are kept; of another one nobody can take any away. A session is a hundred messages, or a
week, in one room: these are far more than are in use."""
BACKUP = "backup"
"""What stands in the chain of a key that came out of a backup: nothing proves who has put it there."""


class CarefulOlm(Olm):
    """Our device's keys and sessions."""

    def __init__(self, user_id: str, device_id: str, store: KeyStore) -> None:
        super().__init__(user_id, device_id, store)
        self._keys_store = store
        self._just_uploaded = False
        """Whether no sync has been heard since our keys were uploaded."""

    def start_over(self) -> None:
        """Know what the store knows, and nothing that came after it."""
        account = self.store.load_account()
        if account is not None:
            self.account = account
        self.outbound_group_sessions.clear()
        self.tracked_users.clear()
        self.load()

    def create_group_session(
        self, sender_key: str, sender_fp_key: str, room_id: str, session_id: str, session_key: str
    ) -> None:
        """Keep a key that was given; but one that opens more than what is given now is not replaced."""
        known = self.inbound_group_store.get(room_id, sender_key, session_id)
        if known is not None and BACKUP in known.forwarding_chain:
            self.forget_session(known)
        elif known is not None:
            try:
                given = vodozemac.InboundGroupSession(vodozemac.SessionKey(session_key))
            except ValueError:
                return
            if known.first_known_index <= given.first_known_index:
                return
        super().create_group_session(sender_key, sender_fp_key, room_id, session_id, session_key)
        for room, name in self._keys_store.sessions_beyond(sender_key, MOST_OF_A_DEVICE, besides=BACKUP):
            session = self.inbound_group_store.get(room, sender_key, name)
            if session is not None:  # an older program, run in between, has written a second row for it
                self.forget_session(session, with_said=True)

    def import_session(self, room: str, session: str, sender_key: str, ed25519: str, exported: str) -> bool:
        """Keep a key out of a backup, if there is none of that maker's; whether it was kept. In a step of the store."""
        try:
            made = InboundGroupSession.import_session(exported, ed25519, sender_key, room, [BACKUP])
        except ValueError:
            return False
        if made.id != session or self.inbound_group_store.get(room, sender_key, session) is not None:
            return False
        self.inbound_group_store.add(made)
        self.save_inbound_group_session(made)
        return True

    def forget_session(self, session: InboundGroupSession, *, with_said: bool = False) -> None:
        """Also what was said with it, which cannot be said once more: nothing opens it. In a step of the store."""
        del self.inbound_group_store[session.room_id][session.sender_key][session.id]
        self._keys_store.forget_session(session)
        if with_said:
            self._keys_store.forget_said(session)

    def forget_requests(self, most: int) -> None:
        """Remember of the last `most` keys only that they were asked for: anybody in a room can make up sessions.

        In a step of the store.
        """
        for session in list(self.outgoing_key_requests)[:-most]:
            self._keys_store.remove_outgoing_key_request(self.outgoing_key_requests.pop(session))

    def _should_accept_forward(self, sender: str, sender_key: str, event: Any) -> bool:  # noqa: ANN401, ARG002 - nio's
        """Only from the device that made the session, and only what we have asked for."""
        content = event.source.get("content", {})
        asked = self.outgoing_key_requests.get(event.session_id)
        return (
            asked is not None
            and (event.algorithm, event.room_id) == (MEGOLM, asked.room_id)
            and content.get("sender_key") == sender_key
        )

    def copies(self, room: str, session: str) -> list[InboundGroupSession]:
        """The key of a session of a room, from everybody who has given it as their own.

        What an event says of its maker is not asked, and the key alone does not tell either: who has it can give it.
        """
        return [sessions[session] for sessions in self.inbound_group_store[room].values() if session in sessions]

    def keys_to_upload(self) -> dict[str, Any]:
        """What others need to write to us. Keys that were made and not uploaded go before new ones are made."""
        account, content = self.account, dict[str, Any]()
        if not account.shared:
            content["device_keys"] = self._signed(
                {
                    "algorithms": ["m.olm.v1.curve25519-aes-sha2", MEGOLM],
                    "device_id": self.device_id,
                    "user_id": self.user_id,
                    "keys": {f"{kind}:{self.device_id}": key for kind, key in account.identity_keys.items()},
                }
            )
        missing = account.max_one_time_keys - (self.uploaded_key_count or 0) - len(self._unpublished())
        if missing > 0:
            account.generate_one_time_keys(missing)
        content["one_time_keys"] = {
            f"signed_curve25519:{name}": self._signed({"key": key}) for name, key in self._unpublished().items()
        }
        return content

    def uploaded(self, count: int) -> None:
        """It was. `count` one-time keys are there now."""
        self.account.shared = True
        self.uploaded_key_count = count
        self._just_uploaded = True
        self.mark_keys_as_published()
        self.save_account()

    def counted(self, count: int | None) -> None:
        """A sync says that `count` one-time keys are there; None if it makes no sense.

        The first one after an upload may have been asked for before it, and so not know of it: it is not believed.
        """
        if not self._just_uploaded:
            self.uploaded_key_count = count
        self._just_uploaded = False

    def is_sound(self, user: str, device: str, payload: object) -> bool:
        """Whether `payload` are the keys of that device, signed by itself. Safe with any JSON."""
        match payload:
            case {"user_id": str(owner), "device_id": str(name), "keys": {**keys}, **rest} if (owner, name) == (
                user,
                device,
            ):
                signer, secret = str(keys.get(f"ed25519:{device}")), str(keys.get(f"curve25519:{device}"))
            case _:
                return False
        try:
            vodozemac.Curve25519PublicKey.from_base64(secret)
            whole = {**rest, "user_id": owner, "device_id": name, "keys": keys}
            return bool(self.verify_json(whole, signer, user, device))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return False

    def _unpublished(self) -> dict[str, str]:
        keys: dict[str, str] = self.account.one_time_keys["curve25519"]
        return keys

    def _signed(self, value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": self.sign_json(value)}}}
