"""The account's identity (cross-signing): made once, kept, and this device signed with it.

Clients that exclude insecure devices neither read nor write to one that its owner has not signed. So the first start
makes the three keys, keeps their seeds before anybody else hears of them, and signs its device; every later start
signs the device it has if it is not signed. An identity that is not ours is never replaced: people who have verified
the account would be alarmed, and whoever made it may still use it. Then the daemon goes on unsigned, and says what to
do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import structlog
from nio.crypto.olm_machine import Olm

from aiagentchat.core.errors import Refused, StoreKeyError, Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.ledger import Identities, Seeds
from aiagentchat.matrix.client import Answer
from aiagentchat.matrix.crypto.signatures import SigningKey, canonical, is_signed
from aiagentchat.matrix.crypto.trust import DeviceKeys, cross_signing_key, device_keys, signed_keys
from aiagentchat.matrix.reading import listed, mapped

QUERY = "/_matrix/client/v3/keys/query"
UPLOAD = "/_matrix/client/v3/keys/device_signing/upload"
SIGN = "/_matrix/client/v3/keys/signatures/upload"
PASSWORD = "m.login.password"  # noqa: S105 - the name of a way to prove who one is
RESETS = ("org.matrix.cross_signing_reset", "m.oauth")
"""Ways that only a person in a browser can go; they come with an address."""

ROUNDS = 3
"""Upload, sign, and look whether it is so."""
_MOST_OF_A_NAME = 200

UNSIGNED = (
    "Until this device is signed, people whose clients exclude insecure devices (Element does) are not understood, "
    "and do not see what is said here."
)
"""What it means that the device is not signed."""
RESTORE = f"Give it the account's recovery key: aiagentchat keys restore. {UNSIGNED}"

log = structlog.get_logger(__name__)


class Asks(Protocol):
    """What of `matrix.client.Client` is needed here."""

    async def ask(
        self,
        what: str,
        method: str,
        path: str,
        content: Content | None = None,
        *,
        or_nothing: bool = False,
        or_stages: bool = False,
    ) -> Answer:
        """Ask the homeserver. Raises as `Outbound` does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """This device, as its own keys know it; what the homeserver says about it is compared with them."""

    id: str
    keys: DeviceKeys
    sign: Callable[[str], str]
    """The device's signature of a text, in Base64."""


def device_of(olm: Olm) -> Device:
    """The device whose keys nio holds."""
    public = olm.account.identity_keys
    keys = DeviceKeys(ed25519=public["ed25519"], curve25519=public["curve25519"])
    return Device(id=str(olm.device_id), keys=keys, sign=olm.account.sign)


class Standing(StrEnum):
    """How the device stands to the account's identity."""

    SIGNED = "signed"
    """The identity is ours, and the device is signed with it."""
    FOREIGN = "foreign"
    """There is an identity, and its keys are not here."""
    REFUSED = "refused"
    """The homeserver did not take what we have."""
    NO_DEVICE = "no_device"
    """The homeserver does not have the keys of this device, or has others."""


class Established(NamedTuple):
    """What came of it, and what the operator can do about it."""

    standing: Standing
    fix: str = ""


class Plan(StrEnum):
    """What follows from what the homeserver has."""

    MAKE = "make"
    UPLOAD = "upload"
    SIGN = "sign"
    NOTHING = "nothing"
    FOREIGN = "foreign"
    NO_DEVICE = "no_device"


def decide(query: Content, me: UserId, device: Device, seeds: Seeds | None) -> Plan:
    """What is to be done after this answer to `/keys/query`. Pure."""
    if _as_published(query, me, device) is None:
        return Plan.NO_DEVICE
    if not mapped(query.get("master_keys")).get(me):
        return Plan.MAKE if seeds is None else Plan.UPLOAD
    if seeds is None or not _is_master_of(query, me, seeds):
        return Plan.FOREIGN
    signer = _signer(query, me)
    if signer is None:
        return Plan.UPLOAD
    if signer != SigningKey(seeds.self_signing).public:
        return Plan.FOREIGN  # somebody with our master key has made another one
    is_attested = is_signed(_master(query, me), me, f"ed25519:{device.id}", device.keys.ed25519)
    return Plan.NOTHING if is_attested and (me, device.id) in signed_keys(query) else Plan.SIGN


async def establish(asks: Asks, kept: Identities, me: UserId, device: Device, password: str | None) -> Established:
    """Have this device signed by the account's identity, which is made if there is none.

    The keys of the device must have been uploaded. Raises as `Outbound` does, and StoreError; then it can be tried
    again. What the homeserver will not take is no error but `Standing.REFUSED`.
    """
    try:
        found = await _establish(asks, kept, me, device, password)
    except (Refused, Unreachable) as error:
        if not error.errcode and isinstance(error, Unreachable):
            raise  # nobody was there; where the homeserver itself says that it cannot, the rest of us goes on
        found = Established(Standing.REFUSED, f"The homeserver did not take the keys ({error}). {UNSIGNED}")
    if found.standing is Standing.SIGNED:
        log.info("identity.signed", user=me, device=device.id)
    else:
        log.error("identity.unsigned", user=me, device=device.id, standing=str(found.standing), fix=found.fix)
    return found


async def _establish(asks: Asks, kept: Identities, me: UserId, device: Device, password: str | None) -> Established:
    seeds, trouble = await _known(kept, me)
    for _ in range(ROUNDS):
        query = await keys_of(asks, me)
        plan = decide(query, me, device, seeds)
        if plan is Plan.MAKE:
            seeds = Seeds(
                master=SigningKey.new().seed, self_signing=SigningKey.new().seed, user_signing=SigningKey.new().seed
            )
            await kept.keep_seeds(me, seeds)  # first: what is published and not kept is lost for ever
            log.info("identity.made", user=me)
        match plan, seeds:
            case Plan.NOTHING, _:
                return Established(Standing.SIGNED)
            case Plan.NO_DEVICE, _:
                fix = "The homeserver does not have the keys of this device, or has others. Start again."
                return Established(Standing.NO_DEVICE, f"{fix} {UNSIGNED}")
            case Plan.MAKE | Plan.UPLOAD, Seeds():
                keys = _missing(query, me, published(me, device, seeds))
                answer = await asks.ask("identity", "POST", UPLOAD, keys, or_stages=True)
                # Some homeservers want a proof for any key; others only before one that is there is replaced, and then
                # somebody has made an identity since we looked.
                if not answer.wants_more or await _is_past(asks, me, device, seeds):
                    continue
                obstacle = await _prove(asks, answer.content, keys, me, password)
                if obstacle is not None:
                    return Established(Standing.REFUSED, f"{obstacle} {UNSIGNED}")
            case Plan.SIGN, Seeds():
                await _sign(asks, query, me, device, seeds)
            case _:
                return Established(Standing.FOREIGN, _foreign(trouble))
    return Established(Standing.REFUSED, f"The homeserver took the signatures and does not show them. {UNSIGNED}")


async def keys_of(asks: Asks, me: UserId) -> Content:
    """What the homeserver shows of our own keys: all devices, and the identity."""
    answer = await asks.ask("keys", "POST", QUERY, {"device_keys": {me: []}})
    return answer.content


def is_ours(query: Content, me: UserId, seeds: Seeds) -> bool:
    """Whether the identity that the homeserver shows was made of these seeds."""
    signer = _signer(query, me)
    return _is_master_of(query, me, seeds) and signer in (None, SigningKey(seeds.self_signing).public)


def published(me: UserId, device: Device, seeds: Seeds) -> dict[str, dict[str, Any]]:
    """The three public keys as they are uploaded: two signed by the master key, that one by the device."""
    master = SigningKey(seeds.master)
    made = {
        f"{usage}_key": _key(me, usage, SigningKey(seed))
        for usage, seed in (
            ("master", seeds.master),
            ("self_signing", seeds.self_signing),
            ("user_signing", seeds.user_signing),
        )
    }
    for name in ("self_signing_key", "user_signing_key"):
        made[name]["signatures"] = {me: {master.id: master.sign(made[name])}}
    attested = device.sign(canonical(made["master_key"]))
    made["master_key"]["signatures"] = {me: {f"ed25519:{device.id}": attested}}
    return made


def _missing(query: Content, me: UserId, keys: Mapping[str, dict[str, Any]]) -> Content:
    """Of the keys those that are not shown yet: Synapse answers HTTP 500 to a known one beside one that it has not."""
    shown = {usage: cross_signing_key(query, me, usage) for usage in ("master", "self_signing", "user_signing")}
    has = {f"{usage}_key": {key.id: key.public} for usage, key in shown.items() if key is not None}
    missing = {name: key for name, key in keys.items() if has.get(name) != key["keys"]}
    if shown["self_signing"] is not None and _signer(query, me) is None:
        missing["self_signing_key"] = keys["self_signing_key"]  # there, and not signed
    return missing


def _key(me: UserId, usage: str, key: SigningKey) -> dict[str, Any]:
    return {"user_id": me, "usage": [usage], "keys": {key.id: key.public}}


async def _known(kept: Identities, me: UserId) -> tuple[Seeds | None, str]:
    """The seeds, and why there are none that could be there."""
    try:
        return await kept.seeds(me), ""
    except StoreKeyError as error:
        return None, str(error)


def _foreign(trouble: str) -> str:
    if trouble:
        return f"The keys of the account's identity cannot be opened: {trouble}. Put the store key back, or: {RESTORE}"
    return f"The account has an identity whose keys are not here. It was not replaced. {RESTORE}"


async def _is_past(asks: Asks, me: UserId, device: Device, seeds: Seeds) -> bool:
    """Whether there is nothing to publish any more."""
    return decide(await keys_of(asks, me), me, device, seeds) is not Plan.UPLOAD


async def _prove(asks: Asks, wanted: Content, keys: Content, me: UserId, password: str | None) -> str | None:
    """Publish the keys with the proof that is wanted. Returns what the operator must do if we cannot give that."""
    if not _takes_password(wanted) or password is None:
        return what_to_do(wanted)
    who = {"type": "m.id.user", "user": me}
    session = {"session": wanted["session"]} if "session" in wanted else {}
    proof = {"type": PASSWORD, "identifier": who, "password": password, **session}
    answer = await asks.ask("identity", "POST", UPLOAD, {**keys, "auth": proof}, or_stages=True)
    if not answer.wants_more:
        return None
    return "The homeserver wants the account's password for its keys, and MATRIX_PASSWORD is not it. Correct it."


def _ways(wanted: Content) -> list[list[str]]:
    flows = [listed(mapped(flow).get("stages")) for flow in listed(wanted.get("flows"))]
    return [[stage[:_MOST_OF_A_NAME] for stage in flow if isinstance(stage, str)] for flow in flows]


def _takes_password(wanted: Content) -> bool:
    return [PASSWORD] in _ways(wanted)


def what_to_do(wanted: Content) -> str:
    """How the operator gets the keys published, by the ways that the homeserver offers. Pure."""
    if _takes_password(wanted):
        return (
            "The homeserver wants the account's password before it takes its keys: set MATRIX_PASSWORD for one start."
        )
    stages = [stage for way in _ways(wanted) for stage in way]
    for stage in RESETS:
        url = mapped(mapped(wanted.get("params")).get(stage)).get("url")
        if stage in stages and isinstance(url, str):
            return (
                "The homeserver wants a person to allow it first: log in as the account in a browser, allow the reset "
                f"of its identity at {url[:_MOST_OF_A_NAME]}, and start again within ten minutes."
            )
    named = ", ".join(dict.fromkeys(stages)) or "something that it does not name"
    return (
        f"The homeserver wants {named} before it takes the account's keys, and a daemon cannot give that: set up "
        "encryption with that account once in a client such as Element, and give its recovery key to: aiagentchat keys "
        "restore."
    )


async def _sign(asks: Asks, query: Content, me: UserId, device: Device, seeds: Seeds) -> None:
    """Sign what the homeserver shows: the device with our key, the master key with the device."""
    shown = _as_published(query, me, device)
    assert shown is not None  # decided before
    signer = SigningKey(seeds.self_signing)
    master = SigningKey(seeds.master)
    signed = _bare(shown) | {"signatures": {me: {signer.id: signer.sign(shown)}}}
    ours = _key(me, "master", master)
    attested = ours | {"signatures": {me: {f"ed25519:{device.id}": device.sign(canonical(ours))}}}
    answer = await asks.ask("identity", "POST", SIGN, {me: {device.id: signed, master.public: attested}})
    if failures := mapped(answer.content.get("failures")):
        raise Refused(f"signatures: {len(failures)} of them were not taken")


def _bare(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name not in ("signatures", "unsigned")}


def _as_published(query: Content, me: UserId, device: Device) -> Mapping[str, Any] | None:
    """The device as the homeserver shows it, if that is what the device itself has signed; we sign nothing else."""
    shown = mapped(mapped(query.get("device_keys")).get(me)).get(device.id)
    return mapped(shown) if device_keys(shown, me, device.id) == device.keys else None


def _master(query: Content, me: UserId) -> Mapping[str, Any]:
    return mapped(mapped(query.get("master_keys")).get(me))


def _is_master_of(query: Content, me: UserId, seeds: Seeds) -> bool:
    shown = cross_signing_key(query, me, "master")
    return shown is not None and shown.public == SigningKey(seeds.master).public


def _signer(query: Content, me: UserId) -> str | None:
    """The self-signing key, if the master key has signed it."""
    master, signer = cross_signing_key(query, me, "master"), cross_signing_key(query, me, "self_signing")
    if master is None or signer is None or not is_signed(signer.value, me, master.id, master.public):
        return None
    return signer.public
