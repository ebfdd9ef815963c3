"""The tokens that logins gave."""

from pathlib import Path

from aiagentchat.core.audit import AuditFilter, AuditKind, Deed
from aiagentchat.core.exchange import Scope
from aiagentchat.core.ids import CallerName
from aiagentchat.core.ports.gateway import GivenToken
from aiagentchat.store.ledger import Ledger
from tests.contract.store_fixtures import NOW, ROOM, OpenLedger


def given(digest: str, created_at: int = NOW, seconds: int = 60) -> GivenToken:
    return GivenToken(
        digest=digest,
        caller=CallerName("guest"),
        scopes={ROOM: frozenset({Scope.READ, Scope.SEND})},
        everywhere=frozenset({Scope.READ}),
        created_at=created_at,
        expires_at=created_at + seconds * 1000,
    )


async def test_a_token_is_known_in_later_lives_until_it_expires(backend: OpenLedger, tmp_path: Path) -> None:
    async with backend(tmp_path / "ledger.db") as ledger:
        await ledger.gateway_tokens.give(given("one"))
        await ledger.gateway_tokens.give(given("two", seconds=120))

    async with backend(tmp_path / "ledger.db") as ledger:
        assert await ledger.gateway_tokens.valid(NOW) == [given("one"), given("two", seconds=120)]
        assert await ledger.gateway_tokens.valid(NOW + 60_000) == [given("two", seconds=120)]


async def test_a_token_that_is_given_is_a_line_of_the_audit(ledger: Ledger) -> None:
    await ledger.gateway_tokens.give(given("secret"))

    [line] = await ledger.audit.lines(AuditFilter(), limit=10)
    assert line.deed == Deed(kind=AuditKind.KEYS, subject="guest", detail={"what": "token", "until": NOW + 60_000})
    assert line.at == NOW


async def test_what_has_expired_is_forgotten_when_another_is_given(ledger: Ledger) -> None:
    await ledger.gateway_tokens.give(given("one"))
    await ledger.gateway_tokens.give(given("two", created_at=NOW + 60_000))

    assert await ledger.gateway_tokens.valid(0) == [given("two", created_at=NOW + 60_000)]
