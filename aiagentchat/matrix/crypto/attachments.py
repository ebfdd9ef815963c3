"""Files for encrypted rooms."""

import asyncio
from typing import Any

from nio.crypto.attachments import encrypt_attachment


async def encrypted(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """`data` as it is uploaded, and the `EncryptedFile` that opens it, which still needs its `url`."""
    sealed, keys = await asyncio.to_thread(encrypt_attachment, data)
    return sealed, keys
