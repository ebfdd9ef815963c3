"""A device is its owner's when the owner's keys have signed it, whatever a homeserver answers."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.ids import UserId
from aiagentchat.matrix.crypto.cross_signing import Device, published
from aiagentchat.matrix.crypto.signatures import SigningKey, canonical
from aiagentchat.matrix.crypto.trust import cross_signing_key, signed_devices, signed_keys
from tests.unit.crypto_stage import ANNA, BERT, sign, some_device, some_seeds, uploaded

SEEDS = some_seeds()
BERTS = some_seeds()
MASTER, SIGNER = SigningKey(SEEDS.master), SigningKey(SEEDS.self_signing)
PHONE, LAPTOP, DESK = some_device("PHONE"), some_device("LAPTOP"), some_device("DESK")
Answer = dict[str, Any]


def answer() -> Answer:
    """Anna has signed her phone and not her laptop; Bert his desk."""
    found: Answer = {"device_keys": {}, "master_keys": {}, "self_signing_keys": {}, "user_signing_keys": {}}
    for user, seeds, first, devices in ((ANNA, SEEDS, PHONE, (PHONE, LAPTOP)), (BERT, BERTS, DESK, (DESK,))):
        keys = published(user, first, seeds)
        for usage in ("master", "self_signing", "user_signing"):
            found[f"{usage}_keys"][user] = keys[f"{usage}_key"]
        found["device_keys"][user] = {device.id: uploaded(user, device) for device in devices}
        sign(found["device_keys"][user][first.id], user, SigningKey(seeds.self_signing))
    return found


def signer_of(found: Answer, user: UserId = ANNA) -> Answer:
    key: Answer = found["self_signing_keys"][user]
    return key


def phone(found: Answer) -> Answer:
    device: Answer = found["device_keys"][ANNA]["PHONE"]
    return device


def resigned(found: Answer, key: SigningKey = SIGNER, user: UserId = ANNA) -> None:
    """The phone, as it now is, with the signature of `key` alone beside its own."""
    del phone(found)["signatures"]
    phone(found)["signatures"] = {ANNA: {"ed25519:PHONE": PHONE.sign(canonical(phone(found)))}}
    sign(phone(found), user, key)


def test_the_devices_that_their_owners_signed_are_found_with_their_keys() -> None:
    found = signed_keys(answer())

    assert found == {(ANNA, "PHONE"): PHONE.keys, (BERT, "DESK"): DESK.keys}
    assert signed_devices(answer()) == frozenset({(ANNA, "PHONE"), (BERT, "DESK")})


def test_what_is_unsigned_may_change() -> None:
    found = answer()
    phone(found)["unsigned"] = {"device_display_name": "my phone"}

    assert (ANNA, "PHONE") in signed_devices(found)


def _other_user(found: Answer) -> None:
    phone(found)["user_id"] = BERT
    resigned(found)


def _other_device_id(found: Answer) -> None:
    phone(found)["device_id"] = "LAPTOP"
    resigned(found)


def _under_another_id(found: Answer) -> None:
    found["device_keys"][ANNA] = {"WATCH": phone(found)}


def _other_keys(found: Answer) -> None:
    phone(found)["keys"]["curve25519:PHONE"] = LAPTOP.keys.curve25519


def _not_its_own_signature(found: Answer) -> None:
    del phone(found)["signatures"][ANNA]["ed25519:PHONE"]


def _no_keys(found: Answer) -> None:
    del phone(found)["keys"]["curve25519:PHONE"]
    resigned(found)


def _signed_by_the_master_key(found: Answer) -> None:
    resigned(found, MASTER)


def _signed_by_the_user_signing_key(found: Answer) -> None:
    resigned(found, SigningKey(SEEDS.user_signing))


def _signed_by_bert(found: Answer) -> None:
    resigned(found, SigningKey(BERTS.self_signing), BERT)


def _berts_signature_under_annas_name(found: Answer) -> None:
    resigned(found, SigningKey(BERTS.self_signing))


def _another_signature_under_the_right_key(found: Answer) -> None:
    resigned(found)
    phone(found)["signatures"][ANNA][SIGNER.id] = MASTER.sign(phone(found))


def _signer_of_bert(found: Answer) -> None:
    found["self_signing_keys"][ANNA] = copy.deepcopy(signer_of(found, BERT))
    resigned(found, SigningKey(BERTS.self_signing))


def _unsigned_signer(found: Answer) -> None:
    stranger = SigningKey.new()
    found["self_signing_keys"][ANNA] = {
        "user_id": ANNA,
        "usage": ["self_signing"],
        "keys": {stranger.id: stranger.public},
    }
    sign(found["self_signing_keys"][ANNA], ANNA, stranger)
    resigned(found, stranger)


def _signer_signed_by_bert(found: Answer) -> None:
    signer_of(found)["signatures"] = {}
    sign(signer_of(found), BERT, SigningKey(BERTS.master))


def _signer_without_usage(found: Answer) -> None:
    del signer_of(found)["usage"]
    signer_of(found)["signatures"] = {}
    sign(signer_of(found), ANNA, MASTER)


def _signer_for_another_usage(found: Answer) -> None:
    found["self_signing_keys"][ANNA] = found["user_signing_keys"][ANNA]
    resigned(found, SigningKey(SEEDS.user_signing))


def _signer_of_two_keys(found: Answer) -> None:
    other = SigningKey.new()
    signer_of(found)["keys"][other.id] = other.public
    signer_of(found)["signatures"] = {}
    sign(signer_of(found), ANNA, MASTER)


def _signer_under_another_key_id(found: Answer) -> None:
    signer_of(found)["keys"] = {"ed25519:something": SIGNER.public}
    signer_of(found)["signatures"] = {}
    sign(signer_of(found), ANNA, MASTER)


def _master_without_usage(found: Answer) -> None:
    found["master_keys"][ANNA]["usage"] = []


def _master_of_bert(found: Answer) -> None:
    found["master_keys"][ANNA] = found["master_keys"][BERT]


def _no_master(found: Answer) -> None:
    del found["master_keys"]


def _no_signer(found: Answer) -> None:
    found["self_signing_keys"] = {}


def _nonsense(found: Answer) -> None:
    found["device_keys"][ANNA] = {"PHONE": 7, "LAPTOP": None, "": []}


@pytest.mark.parametrize(
    "change",
    [
        _other_user,
        _other_device_id,
        _under_another_id,
        _other_keys,
        _not_its_own_signature,
        _no_keys,
        _signed_by_the_master_key,
        _signed_by_the_user_signing_key,
        _signed_by_bert,
        _berts_signature_under_annas_name,
        _another_signature_under_the_right_key,
        _signer_of_bert,
        _unsigned_signer,
        _signer_signed_by_bert,
        _signer_without_usage,
        _signer_for_another_usage,
        _signer_of_two_keys,
        _signer_under_another_key_id,
        _master_without_usage,
        _master_of_bert,
        _no_master,
        _no_signer,
        _nonsense,
    ],
)
def test_a_homeserver_that_lies_makes_no_device_annas(change: Callable[[Answer], None]) -> None:
    found = answer()
    change(found)

    assert [device for user, device in signed_devices(found) if user == ANNA] == []


def test_a_device_that_the_homeserver_has_added_is_not_annas() -> None:
    found, added = answer(), some_device("ADDED")
    found["device_keys"][ANNA]["ADDED"] = uploaded(ANNA, added)
    found["device_keys"][ANNA]["ADDED"]["signatures"][ANNA][SIGNER.id] = phone(found)["signatures"][ANNA][SIGNER.id]

    assert signed_devices(found) == signed_devices(answer())


def test_a_device_of_the_same_name_with_other_keys_is_not_the_one_that_was_signed() -> None:
    other: Device = some_device("PHONE")
    found = answer()
    found["device_keys"][ANNA]["PHONE"] = uploaded(ANNA, other)
    found["device_keys"][ANNA]["PHONE"]["signatures"][ANNA][SIGNER.id] = phone(answer())["signatures"][ANNA][SIGNER.id]

    assert (ANNA, "PHONE") not in signed_keys(found)


def test_the_three_keys_of_a_user_are_read() -> None:
    shown = [cross_signing_key(answer(), ANNA, usage) for usage in ("master", "self_signing", "user_signing")]

    assert [key.public for key in shown if key] == [
        SigningKey(seed).public for seed in (SEEDS.master, SEEDS.self_signing, SEEDS.user_signing)
    ]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["device_keys", "master_keys", "self_signing_keys"]), _JSON))
def test_any_json_is_an_answer_that_proves_nothing(found: Answer) -> None:
    assert signed_devices(found) == frozenset()


@given(st.data())
def test_any_json_in_a_place_breaks_nothing(data: st.DataObject) -> None:
    found = answer()
    place: Any = found[data.draw(st.sampled_from(["device_keys", "master_keys", "self_signing_keys"]))][ANNA]
    for _ in range(data.draw(st.integers(0, 2))):
        inner = [value for value in place.values() if isinstance(value, dict) and value]
        if not inner:
            break
        place = inner[data.draw(st.integers(0, len(inner) - 1))]
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(_JSON)

    assert (BERT, "DESK") in signed_devices(found)
