"""What the homeserver keeps for the account itself; nio has no words for it."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from aiagentchat.core.ids import UserId
from aiagentchat.core.parcels import Content
from aiagentchat.matrix.client import Client


class MatrixAccountData:
    """The AccountData port."""

    def __init__(self, client: Client, me: UserId) -> None:
        self._client = client
        self._me = me

    async def read(self, type_: str) -> tuple[Content, int | None]:
        """The content, empty if there is none, and the homeserver's clock."""
        answer = await self._client.ask("owner", "GET", self._path(type_), or_nothing=True)
        return answer.content, server_now(answer.headers)

    async def write(self, type_: str, content: Content) -> None:
        """Put `content` in the place of what was there."""
        await self._client.ask("owner", "PUT", self._path(type_), content)

    def _path(self, type_: str) -> str:
        return f"/_matrix/client/v3/user/{quote(self._me, safe='')}/account_data/{quote(type_, safe='')}"


def server_now(headers: Mapping[str, str]) -> int | None:
    """The clock of whoever answered, in milliseconds, to the second; None when the answer does not say."""
    try:
        said = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    # Every time in HTTP is GMT; the parser knows letters too, where it may be nowhere's.
    return int(said.replace(tzinfo=said.tzinfo or UTC).timestamp()) * 1000
