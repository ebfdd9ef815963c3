"""The recovery key, and what it opens: beside examples of other programs and beside another library."""

import base64
import hashlib
from typing import Any

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import HMAC, SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.Util import Counter
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.errors import IdentityError, Unreachable
from aiagentchat.matrix.crypto.signatures import encode
from aiagentchat.matrix.crypto.ssss import (
    ALGORITHM,
    BACKUP,
    DEFAULT_KEY,
    MASTER,
    MOST_ITERATIONS,
    Description,
    Passphrase,
    SecretStorage,
    described,
    fits,
    from_passphrase,
    from_recovery_key,
    recovery_key,
    seal,
    unlock,
    unseal,
)
from tests.fakes.account_data import FakeAccountData

# Made by other clients: a recovery key and the check of its storage, and the same with a passphrase.
WRITTEN = "EsTj 3yST y93F SLpB jJsz eAXc 2XzA ygD3 w69H fGaN TKBj jXEd"
WRITTENS_CHECK = {
    "algorithm": ALGORITHM,
    "iv": "xv5b6/p3ExEw++wTyfSHEg==",
    "mac": "ujBBbXahnTAMkmPUX2/0+VTfUh63pGyVRuBcDMgmJC8=",
}
PASSPHRASE = "It's a secret to everybody"
PASSPHRASES_CHECK = {
    "algorithm": ALGORITHM,
    "iv": "gH2iNpiETFhApvW6/FFEJQ",
    "mac": "9Lw12m5SKDipNghdQXKjgpfdj1/K7HFI2brO+UWAGoM",
    "passphrase": {"algorithm": "m.pbkdf2", "salt": "IuLnH7S85YtZmkkBJKwNUKxWF42g9O1H", "iterations": 10},
}
KEY = bytes(range(32))
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
keys = st.binary(min_size=32, max_size=32)


def test_the_recovery_key_of_another_client_opens_its_storage() -> None:
    key = unlock(WRITTEN, described("id", WRITTENS_CHECK))

    assert recovery_key(key) == WRITTEN


def test_the_passphrase_of_another_client_opens_its_storage() -> None:
    description = described("id", PASSPHRASES_CHECK)

    assert fits(unlock(f"{PASSPHRASE}\n", description), description)


def test_a_key_is_made_of_a_passphrase_as_the_specification_says() -> None:
    made = from_passphrase("words", Passphrase(salt="salt", iterations=3))

    assert made == hashlib.pbkdf2_hmac("sha512", b"words", b"salt", 3, 32)


@given(keys)
def test_a_recovery_key_is_read_back_whatever_blanks_are_in_it(key: bytes) -> None:
    text = recovery_key(key)

    assert text.startswith("Es")
    assert {len(group) for group in text.split()} == {4}
    assert from_recovery_key(text) == from_recovery_key(text.replace(" ", "")) == key
    assert from_recovery_key(f"\n {text.replace(' ', chr(9))}\r\n") == key


@given(keys, st.integers(0, 47), st.sampled_from(BASE58))
def test_a_wrong_letter_is_noticed_or_the_key_is_another_one(key: bytes, place: int, letter: str) -> None:
    text = recovery_key(key).replace(" ", "")
    changed = text[:place] + letter + text[place + 1 :]

    assert changed == text or from_recovery_key(changed) != key


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert from_recovery_key(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "E",
        WRITTEN[:-1],
        f"{WRITTEN}1",
        WRITTEN.replace("E", "0", 1),
        WRITTEN.lower(),
        WRITTEN[::-1],
        "z" * 60,
        "z" * 100_000,
    ],
)
def test_what_is_no_recovery_key_is_said_to_be_none(text: str) -> None:
    with pytest.raises(IdentityError, match="no recovery key"):
        unlock(text, described("id", WRITTENS_CHECK))


def test_another_recovery_key_is_said_to_be_another_one() -> None:
    with pytest.raises(IdentityError, match="not that of the account's present"):
        unlock(recovery_key(KEY), described("id", WRITTENS_CHECK))


@pytest.mark.parametrize("text", ["It's a secret to nobody", recovery_key(KEY), ""])
def test_a_wrong_passphrase_is_said_to_be_wrong(text: str) -> None:
    with pytest.raises(IdentityError, match="neither"):
        unlock(text, described("id", PASSPHRASES_CHECK))


def test_a_recovery_key_is_taken_also_where_there_is_a_passphrase() -> None:
    made = from_passphrase(PASSPHRASE, Passphrase(salt=PASSPHRASES_CHECK["passphrase"]["salt"], iterations=10))  # type: ignore[index]

    assert unlock(recovery_key(made), described("id", PASSPHRASES_CHECK)) == made


def test_a_key_without_a_check_is_taken_at_its_word() -> None:
    assert unlock(WRITTEN, described("id", {"algorithm": ALGORITHM})) == from_recovery_key(WRITTEN)


@pytest.mark.parametrize(
    "content",
    [
        {"algorithm": ALGORITHM, "iv": "AAAA", "mac": WRITTENS_CHECK["mac"]},
        {"algorithm": ALGORITHM, "iv": WRITTENS_CHECK["iv"], "mac": "!"},
        {"algorithm": ALGORITHM, "iv": 7, "mac": 8},
    ],
)
def test_a_check_that_makes_no_sense_is_said(content: dict[str, Any]) -> None:
    with pytest.raises(IdentityError, match="damaged"):
        described("id", content)


@pytest.mark.parametrize("content", [{}, {"algorithm": "m.secret_storage.v2"}, {"algorithm": 7}])
def test_an_unknown_kind_of_storage_is_said(content: dict[str, Any]) -> None:
    with pytest.raises(IdentityError, match="does not know"):
        described("id", content)


@pytest.mark.parametrize(
    "passphrase",
    [
        None,
        7,
        {},
        {"algorithm": "m.scrypt", "salt": "s", "iterations": 5},
        {"algorithm": "m.pbkdf2", "salt": "s", "iterations": 0},
        {"algorithm": "m.pbkdf2", "salt": "s", "iterations": MOST_ITERATIONS + 1},
        {"algorithm": "m.pbkdf2", "salt": "s", "iterations": 5, "bits": 128},
        {"algorithm": "m.pbkdf2", "salt": 5, "iterations": 5},
    ],
)
def test_a_passphrase_that_cannot_be_used_is_none(passphrase: object) -> None:
    assert described("id", {"algorithm": ALGORITHM, "passphrase": passphrase}).passphrase is None


@given(keys, st.text(max_size=40), st.binary(max_size=100))
def test_what_was_sealed_is_opened_under_its_name_with_its_key_only(key: bytes, name: str, secret: bytes) -> None:
    sealed = seal(key, name, secret)

    assert unseal(key, name, sealed) == secret
    for other_key, other_name in ((bytes(32), name), (key, f"{name}.")):
        if (other_key, other_name) != (key, name):
            with pytest.raises(IdentityError):
                unseal(other_key, other_name, sealed)


def test_it_is_sealed_as_another_library_does_it() -> None:
    sealed = seal(KEY, "m.cross_signing.master", b"a secret")
    both = HKDF(KEY, 64, bytes(32), SHA256, 1, b"m.cross_signing.master")
    assert isinstance(both, bytes)
    aes, mac = both[:32], both[32:]
    iv = int.from_bytes(base64.b64decode(f"{sealed['iv']}=="), "big")
    ciphertext = AES.new(aes, AES.MODE_CTR, counter=Counter.new(128, initial_value=iv)).encrypt(b"a secret")

    assert iv & (1 << 63) == 0
    assert sealed["ciphertext"] == encode(ciphertext)
    assert sealed["mac"] == encode(HMAC.new(mac, ciphertext, SHA256).digest())


@pytest.mark.parametrize("change", [{"mac": encode(bytes(32))}, {"iv": None}, {"ciphertext": "!"}, {"mac": "AAAA"}])
def test_what_was_changed_is_not_opened(change: dict[str, Any]) -> None:
    with pytest.raises(IdentityError):
        unseal(KEY, "a", {**seal(KEY, "a", b"x"), **change})


async def test_what_begins_to_be_kept_is_not_asked_for_before_it_is_in_use() -> None:
    data = FakeAccountData()
    storage = SecretStorage(data)
    assert await storage.description() is None
    id_ = await storage.begin(KEY, {MASTER: bytes(32)})
    assert await storage.description() is None

    await storage.use(id_)
    description = await storage.description()
    assert description is not None
    assert unlock(recovery_key(KEY), description) == KEY
    assert await storage.read(MASTER, KEY, description) == bytes(32)
    assert await storage.read(BACKUP, KEY, description) is None


async def test_a_second_storage_leaves_what_the_first_one_opens() -> None:
    data = FakeAccountData()
    storage = SecretStorage(data)
    await storage.use(await storage.begin(KEY, {MASTER: bytes(32)}))
    first = await storage.description()
    await storage.use(await storage.begin(bytes(32), {MASTER: KEY}))
    second = await storage.description()

    assert first is not None
    assert second is not None
    assert await storage.read(MASTER, KEY, first) == bytes(32)
    assert await storage.read(MASTER, bytes(32), second) == KEY


@pytest.mark.parametrize("secret", [b"short", b"\xff\xfe", encode(bytes(31)).encode()])
async def test_what_is_no_key_is_said(secret: bytes) -> None:
    data = FakeAccountData()
    await data.write(MASTER, {"encrypted": {"id": seal(KEY, MASTER, secret)}})

    with pytest.raises(IdentityError, match="no key"):
        await SecretStorage(data).read(MASTER, KEY, Description(id="id"))


@pytest.mark.parametrize("content", [{}, {"key": ""}, {"key": 7}, {"key": "gone"}])
async def test_a_default_key_that_is_none_is_no_storage(content: dict[str, Any]) -> None:
    data = FakeAccountData()
    await data.write(DEFAULT_KEY, content)

    assert await SecretStorage(data).description() is None


async def test_a_homeserver_that_is_down_is_unreachable() -> None:
    data = FakeAccountData()
    data.fail(Unreachable("nobody answers"))

    with pytest.raises(Unreachable):
        await SecretStorage(data).description()
