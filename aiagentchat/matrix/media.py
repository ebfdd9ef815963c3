"""The homeserver's media repository: what it takes, and what others have put there."""

import asyncio
import binascii
import re
from typing import Any
from urllib.parse import quote

import nio
from nio.crypto.attachments import decrypt_attachment
from nio.exceptions import EncryptionError

from aiagentchat.core.errors import Refused, Unreachable
from aiagentchat.core.files import FileKeys, MediaFile
from aiagentchat.core.ports.matrix import SPOILED, TOO_LARGE
from aiagentchat.matrix.client import Client
from aiagentchat.matrix.errors import TRANSPORT, error

DOWNLOAD_SECONDS = 120.0
"""How long a download may take."""
CHUNK_BYTES = 65_536

_CONFIG = "/_matrix/client/v1/media/config"
_DOWNLOAD = "/_matrix/client/v1/media/download"
_SIZE = "m.upload.size"
_ADDRESS = re.compile(r"mxc://([^/?#\s]{1,255})/([A-Za-z0-9_=-]{1,255})")
_OK = 200


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


class MatrixMedia:
    """The Media port."""

    def __init__(self, client: Client) -> None:
        self._account = client

    async def download(self, file: MediaFile, *, most: int) -> bytes:
        """What is in the file, opened if it is encrypted."""
        address = _ADDRESS.fullmatch(file.url)
        if address is None:
            raise Refused("download: not the address of a file", ours=True)
        server, media = (quote(part, safe="") for part in address.groups())
        try:
            data = await asyncio.wait_for(self._get(f"{_DOWNLOAD}/{server}/{media}", most), DOWNLOAD_SECONDS)
        except TRANSPORT as problem:
            raise Unreachable(f"download: {type(problem).__name__}") from problem
        return data if file.keys is None else await asyncio.to_thread(_opened, data, file.keys)

    async def _get(self, path: str, most: int) -> bytes:
        client = self._account.nio
        headers = {"Authorization": f"Bearer {client.access_token}"}
        answer = await client.send("GET", path, None, headers, timeout=DOWNLOAD_SECONDS)
        async with answer:
            if answer.status != _OK:
                refused: Any = nio.ErrorResponse.from_dict(await client.parse_body(answer))
                refused.transport_response = answer
                raise error("download", refused)
            parts: list[bytes] = []
            size = 0
            # What is said of its size is not believed: the connection is left when there is more.
            async for part in answer.content.iter_chunked(CHUNK_BYTES):
                size += len(part)
                if size > most:
                    answer.close()
                    raise Refused(f"download: more than {most} bytes", errcode=TOO_LARGE, ours=True)
                parts.append(part)
            return b"".join(parts)


def _opened(data: bytes, keys: FileKeys) -> bytes:
    """What its sender has encrypted, to the letter. Refused if it is not that any more."""
    try:
        opened: bytes = decrypt_attachment(data, keys.key, keys.sha256, keys.iv)
    except (EncryptionError, binascii.Error, ValueError, OverflowError) as problem:
        raise Refused("download: it is not what its sender has encrypted", errcode=SPOILED, ours=True) from problem
    return opened
