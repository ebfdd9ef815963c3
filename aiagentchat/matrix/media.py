"""What the homeserver's media repository takes."""

from aiagentchat.core.errors import Refused
from aiagentchat.matrix.client import Client

TOO_LARGE = "M_TOO_LARGE"

_CONFIG = "/_matrix/client/v1/media/config"
_SIZE = "m.upload.size"


class UploadLimit:
    """How large an upload may be. A homeserver cuts the connection over one that is larger, so we look first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: int | None = None

    async def require(self, size: int) -> None:
        """Raises Refused for more than the homeserver takes, and as `Outbound` does when it cannot be asked."""
        if self._known is not None and size <= self._known:
            return
        said = (await self._client.ask("media config", "GET", _CONFIG, or_nothing=True)).content.get(_SIZE)
        if not isinstance(said, int):
            return  # it says nothing, so it is tried
        self._known = said
        if size > said:
            raise Refused(f"upload: {size} bytes, and the homeserver takes {said}", status=413, errcode=TOO_LARGE)
