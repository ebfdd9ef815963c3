"""Tokens that logins gave: their digests, and what they are good for."""

import json

from aiagentchat.core.audit import AuditKind, AuditLine, Deed, Detail
from aiagentchat.core.exchange import Scope
from aiagentchat.core.ids import CallerName, RoomId
from aiagentchat.core.ports.gateway import GivenToken
from aiagentchat.store import audit
from aiagentchat.store.database import Database, Row, Transaction
from aiagentchat.store.queries import statements

_GATEWAY_TOKENS = statements("gateway_tokens")


class SqliteGatewayTokens:
    """`core.ports.gateway.GatewayTokens` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give(self, token: GivenToken) -> None:
        """Keep it, and forget those that have expired."""
        scopes = {"rooms": {room: sorted(some) for room, some in token.scopes.items()}, "all": sorted(token.everywhere)}

        async def body(transaction: Transaction) -> list[AuditLine]:
            await transaction.run(_GATEWAY_TOKENS["forget"], now=token.created_at)
            await transaction.run(
                _GATEWAY_TOKENS["give"],
                digest=token.digest,
                caller=token.caller,
                scopes=json.dumps(scopes),
                created_at=token.created_at,
                expires_at=token.expires_at,
            )
            detail: Detail = {"what": "token", "until": token.expires_at}
            return await audit.write(
                transaction, Deed(kind=AuditKind.KEYS, subject=token.caller, detail=detail), token.created_at
            )

        audit.tell(await self._database.transact(body))

    async def valid(self, now: int) -> list[GivenToken]:
        """Those that have not expired."""
        return [_token(row) for row in await self._database.run(_GATEWAY_TOKENS["valid"], now=now)]


def _token(row: Row) -> GivenToken:
    scopes = json.loads(row["scopes"])
    return GivenToken(
        digest=row["digest"],
        caller=CallerName(row["caller"]),
        scopes={RoomId(room): frozenset(map(Scope, some)) for room, some in scopes["rooms"].items()},
        everywhere=frozenset(map(Scope, scopes["all"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
