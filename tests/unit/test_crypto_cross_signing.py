"""What is done about the account's identity; tests/contract/test_identity.py does it with a homeserver."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import UserId
from aiagentchat.core.parcels import Content
from aiagentchat.core.ports.ledger import Seeds
from aiagentchat.matrix.client import Answer
from aiagentchat.matrix.crypto import cross_signing
from aiagentchat.matrix.crypto.cross_signing import (
    Established,
    Plan,
    Standing,
    decide,
    establish,
    is_ours,
    published,
    what_to_do,
)
from aiagentchat.matrix.crypto.signatures import SigningKey
from tests.fakes.identities import MemoryIdentities
from tests.fakes.key_server import PASSWORD, KeyServer
from tests.fakes.log import FakeLog
from tests.unit.crypto_stage import ANNA, BERT, sign, some_device, some_seeds, uploaded

SEEDS, OTHERS = some_seeds(), some_seeds()
DEVICE = some_device("D1")
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    """What the operator reads."""
    made = FakeLog()
    monkeypatch.setattr(cross_signing, "log", made)
    return made


@pytest.fixture
def there() -> KeyServer:
    """A homeserver that has the keys of the device."""
    made = KeyServer(ANNA)
    made.devices["D1"] = uploaded(ANNA, DEVICE)
    return made


@pytest.fixture
def kept() -> MemoryIdentities:
    return MemoryIdentities()


async def answer(seeds: Seeds = SEEDS) -> dict[str, Any]:
    """Of a homeserver on which everything is as it should be."""
    there, kept = KeyServer(ANNA), MemoryIdentities()
    there.devices["D1"] = uploaded(ANNA, DEVICE)
    await kept.keep_seeds(ANNA, seeds)
    assert (await establish(there, kept, ANNA, DEVICE, None)).standing is Standing.SIGNED
    return there.query()


def _no_identity(found: dict[str, Any]) -> None:
    for usage in ("master", "self_signing", "user_signing"):
        found[f"{usage}_keys"] = {}


def _device_unsigned(found: dict[str, Any]) -> None:
    found["device_keys"][ANNA]["D1"] = uploaded(ANNA, DEVICE)


def _master_not_attested(found: dict[str, Any]) -> None:
    found["master_keys"][ANNA]["signatures"] = {}


def _no_signer(found: dict[str, Any]) -> None:
    found["self_signing_keys"] = {}


def _signer_not_of_the_master(found: dict[str, Any]) -> None:
    found["self_signing_keys"][ANNA]["signatures"] = {}


def _other_signer_of_our_master(found: dict[str, Any]) -> None:
    other = SigningKey.new()
    found["self_signing_keys"][ANNA] = {"user_id": ANNA, "usage": ["self_signing"], "keys": {other.id: other.public}}
    sign(found["self_signing_keys"][ANNA], ANNA, SigningKey(SEEDS.master))


def _other_identity(found: dict[str, Any]) -> None:
    for usage in ("master", "self_signing", "user_signing"):
        found[f"{usage}_keys"][ANNA] = published(ANNA, DEVICE, OTHERS)[f"{usage}_key"]


def _master_that_makes_no_sense(found: dict[str, Any]) -> None:
    found["master_keys"][ANNA] = {"user_id": ANNA, "usage": ["master"], "keys": {}}


def _no_device(found: dict[str, Any]) -> None:
    found["device_keys"] = {}


def _other_device(found: dict[str, Any]) -> None:
    found["device_keys"][ANNA]["D1"] = uploaded(ANNA, some_device("D1"))


def _device_with_more(found: dict[str, Any]) -> None:
    found["device_keys"][ANNA]["D1"]["dehydrated"] = True


def _nothing(_: dict[str, Any]) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "plan"),
    [
        (_nothing, Plan.NOTHING),
        (_no_identity, Plan.UPLOAD),
        (_device_unsigned, Plan.SIGN),
        (_master_not_attested, Plan.SIGN),
        (_no_signer, Plan.UPLOAD),
        (_signer_not_of_the_master, Plan.UPLOAD),
        (_other_signer_of_our_master, Plan.FOREIGN),
        (_other_identity, Plan.FOREIGN),
        (_master_that_makes_no_sense, Plan.FOREIGN),
        (_no_device, Plan.NO_DEVICE),
        (_other_device, Plan.NO_DEVICE),
        (_device_with_more, Plan.NO_DEVICE),
    ],
)
async def test_what_the_homeserver_has_says_what_is_done(change: Change, plan: Plan) -> None:
    found = await answer()
    change(found)

    assert decide(found, ANNA, DEVICE, SEEDS) is plan


@pytest.mark.parametrize(
    ("change", "plan"),
    [(_nothing, Plan.FOREIGN), (_no_identity, Plan.MAKE), (_no_signer, Plan.FOREIGN), (_no_device, Plan.NO_DEVICE)],
)
async def test_without_seeds_an_identity_is_made_only_where_there_is_none(change: Change, plan: Plan) -> None:
    found = await answer()
    change(found)

    assert decide(found, ANNA, DEVICE, None) is plan


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["device_keys", "master_keys", "self_signing_keys"]),
        _JSON | st.dictionaries(st.just(ANNA), _JSON | st.dictionaries(st.sampled_from(["D1", "keys"]), _JSON)),
    )
)
def test_any_answer_leads_to_nothing_without_our_device(found: dict[str, Any]) -> None:
    assert decide(found, ANNA, DEVICE, SEEDS) is Plan.NO_DEVICE
    assert not is_ours(found, ANNA, SEEDS)


@given(_JSON)
def test_an_identity_that_makes_no_sense_is_not_ours(master: object) -> None:
    found = {"device_keys": {ANNA: {"D1": uploaded(ANNA, DEVICE)}}, "master_keys": {ANNA: master}}

    assert decide(found, ANNA, DEVICE, SEEDS) is (Plan.FOREIGN if master else Plan.UPLOAD)


async def test_an_identity_is_ours_if_it_was_made_of_our_seeds() -> None:
    found = await answer()

    assert is_ours(found, ANNA, SEEDS)
    assert not is_ours(found, ANNA, OTHERS)
    assert not is_ours(found, BERT, SEEDS)
    assert not is_ours({}, ANNA, SEEDS)


class Watched(MemoryIdentities):
    """Knows what the homeserver had when the seeds were kept."""

    def __init__(self, there: KeyServer) -> None:
        super().__init__()
        self._there = there
        self.published_before: list[bool] = []

    async def keep_seeds(self, user: UserId, seeds: Seeds) -> None:
        self.published_before.append(bool(self._there.identity))
        await super().keep_seeds(user, seeds)


async def test_seeds_are_kept_before_anybody_hears_of_the_keys(there: KeyServer) -> None:
    kept = Watched(there)
    await establish(there, kept, ANNA, DEVICE, None)

    assert kept.published_before == [False]
    assert is_ours(there.query(), ANNA, kept.kept[ANNA])


class Cut(KeyServer):
    """The line is cut when the keys are to be published."""

    cut = True

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
        if self.cut and path.endswith("device_signing/upload"):
            raise Unreachable("cut")
        return await super().ask(what, method, path, content, or_nothing=or_nothing, or_stages=or_stages)


async def test_after_a_cut_the_same_keys_are_published(kept: MemoryIdentities) -> None:
    there = Cut(ANNA)
    there.devices["D1"] = uploaded(ANNA, DEVICE)
    with pytest.raises(Unreachable):
        await establish(there, kept, ANNA, DEVICE, None)
    made = kept.kept[ANNA]
    there.cut = False

    assert await establish(there, kept, ANNA, DEVICE, None) == Established(Standing.SIGNED)
    assert kept.kept[ANNA] == made


async def test_what_is_made_and_signed_is_said_once(there: KeyServer, kept: MemoryIdentities, log: FakeLog) -> None:
    await establish(there, kept, ANNA, DEVICE, None)

    assert log.lines == [("identity.made", {"user": ANNA}), ("identity.signed", {"user": ANNA, "device": "D1"})]


async def test_an_identity_whose_keys_are_not_here_is_said_with_the_way_to_get_them(
    there: KeyServer, kept: MemoryIdentities, log: FakeLog
) -> None:
    there.identity = {
        usage: published(ANNA, DEVICE, OTHERS)[f"{usage}_key"] for usage in ("master", "self_signing", "user_signing")
    }
    found = await establish(there, kept, ANNA, DEVICE, PASSWORD)

    assert found.standing is Standing.FOREIGN
    assert "aiagentchat keys restore" in found.fix
    assert "exclude insecure devices" in found.fix
    assert there.writes == []
    assert kept.kept == {}
    [said] = log.of("identity.unsigned")
    assert said == {"user": ANNA, "device": "D1", "standing": "foreign", "fix": found.fix}


async def test_keys_that_cannot_be_opened_are_not_replaced(there: KeyServer, kept: MemoryIdentities) -> None:
    await establish(there, kept, ANNA, DEVICE, None)
    before, there.writes = there.query(), []
    kept.lost_key = "the key /data/store.key is not there"
    found = await establish(there, kept, ANNA, some_device("D1"), None)
    there.devices["D2"] = uploaded(ANNA, second := some_device("D2"))
    other = await establish(there, kept, ANNA, second, None)

    assert found.standing is Standing.NO_DEVICE
    assert other.standing is Standing.FOREIGN
    assert "the key /data/store.key is not there" in other.fix
    assert there.writes == []
    assert there.query()["master_keys"] == before["master_keys"]


async def test_keys_that_cannot_be_opened_and_were_never_published_are_made_anew(
    there: KeyServer, kept: MemoryIdentities
) -> None:
    kept.kept[ANNA], kept.lost_key = OTHERS, "gone"

    assert (await establish(there, kept, ANNA, DEVICE, None)).standing is Standing.SIGNED
    assert kept.kept[ANNA] != OTHERS


@pytest.mark.parametrize("refusal", ["refuses_keys", "refuses_signatures", "forgets_signatures"])
async def test_a_homeserver_that_does_not_take_it_does_not_end_the_daemon(
    there: KeyServer, kept: MemoryIdentities, refusal: str
) -> None:
    setattr(there, refusal, True)

    assert (await establish(there, kept, ANNA, DEVICE, None)).standing is Standing.REFUSED


async def test_a_password_is_shown_only_to_a_homeserver_that_asks(there: KeyServer, kept: MemoryIdentities) -> None:
    there.asks_at_once = True
    found = await establish(there, kept, ANNA, DEVICE, PASSWORD)

    assert found.standing is Standing.SIGNED
    assert there.writes == ["identity", "identity", "upload"]


class Overtaken(KeyServer):
    """Somebody else makes an identity after we have looked."""

    async def ask(self, what: str, method: str, path: str, content: Content | None = None, **more: bool) -> Answer:
        if path.endswith("device_signing/upload") and not self.identity:
            keys = published(ANNA, DEVICE, OTHERS)
            self.identity = {usage: keys[f"{usage}_key"] for usage in ("master", "self_signing", "user_signing")}
        return await super().ask(what, method, path, content, **more)


async def test_an_identity_that_appears_meanwhile_is_not_replaced_either(kept: MemoryIdentities) -> None:
    there = Overtaken(ANNA)
    there.devices["D1"] = uploaded(ANNA, DEVICE)
    found = await establish(there, kept, ANNA, DEVICE, PASSWORD)

    assert found.standing is Standing.FOREIGN
    assert "aiagentchat keys restore" in found.fix
    assert is_ours(there.query(), ANNA, OTHERS)


@pytest.mark.parametrize(
    ("password", "stages", "params", "said"),
    [
        (None, [["m.login.password"]], {}, "set MATRIX_PASSWORD for one start"),
        ("wrong", [["m.login.password"]], {}, "MATRIX_PASSWORD is not it"),
        (PASSWORD, [["m.login.sso"], ["m.login.x", "m.login.y"]], {}, "wants m.login.sso, m.login.x, m.login.y before"),
        (PASSWORD, [["m.login.password", "m.login.terms"]], {}, "wants m.login.password, m.login.terms before"),
        (PASSWORD, [], {}, "wants something that it does not name"),
        (
            PASSWORD,
            [["org.matrix.cross_signing_reset"]],
            {"org.matrix.cross_signing_reset": {"url": "https://auth.example.org/reset"}},
            "allow the reset of its identity at https://auth.example.org/reset, and start again",
        ),
        (PASSWORD, [["org.matrix.cross_signing_reset"]], {}, "wants org.matrix.cross_signing_reset before"),
    ],
)
async def test_what_a_daemon_cannot_prove_the_operator_is_told(
    there: KeyServer,
    kept: MemoryIdentities,
    password: str | None,
    stages: list[list[str]],
    params: dict[str, Any],
    said: str,
) -> None:
    there.asks_at_once, there.stages, there.params = True, stages, params
    found = await establish(there, kept, ANNA, DEVICE, password)

    assert found.standing is Standing.REFUSED
    assert said in found.fix
    assert there.identity == {}


@pytest.mark.parametrize(
    "wanted",
    [{}, {"flows": 7}, {"flows": [7, {"stages": 7}, {"stages": [7, None]}], "params": 7}, {"flows": [{}]}],
)
def test_any_answer_is_turned_into_a_sentence(wanted: dict[str, Any]) -> None:
    assert "something that it does not name" in what_to_do(wanted)


def test_what_the_homeserver_says_is_cut() -> None:
    assert len(what_to_do({"flows": [{"stages": ["x" * 10_000]}]})) < 1_000


async def test_refused_signatures_are_counted(there: KeyServer, kept: MemoryIdentities) -> None:
    there.refuses_signatures = True
    found = await establish(there, kept, ANNA, DEVICE, None)

    assert "1 of them were not taken" in found.fix


class Broken(KeyServer):
    """Says that it cannot."""

    def query(self) -> dict[str, Any]:
        raise Unreachable("keys: 500 M_UNKNOWN", status=500, errcode="M_UNKNOWN")


async def test_a_homeserver_that_breaks_over_it_does_not_hold_up_the_daemon(kept: MemoryIdentities) -> None:
    assert (await establish(Broken(ANNA), kept, ANNA, DEVICE, None)).standing is Standing.REFUSED


async def test_only_what_is_missing_is_published(there: KeyServer, kept: MemoryIdentities) -> None:
    keys = published(ANNA, DEVICE, SEEDS)
    await kept.keep_seeds(ANNA, SEEDS)
    there.identity = {"master": keys["master_key"], "self_signing": {**keys["self_signing_key"], "signatures": {}}}
    found = await establish(there, kept, ANNA, DEVICE, PASSWORD)

    assert found.standing is Standing.SIGNED
    assert there.taken[0] == ["self_signing", "user_signing"]
