"""A client that is nothing but nio: it joins where it is invited, and reads. The floor of `bench/sealed.py`.

It takes one line on stdin, a JSON list of URL, user, device, token and the folder for its keys, and says one when it
has synced.
"""

import asyncio
import json
import sys

import nio
from nio.client.async_client import AsyncClient, AsyncClientConfig


async def main() -> None:
    """Until it is ended."""
    url, user, device, token, folder = json.loads(sys.stdin.readline())
    config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
    client = AsyncClient(url, user, device_id=device, store_path=folder, config=config)
    client.restore_login(user, device, token)

    async def invited(room: nio.MatrixRoom, _: nio.Event) -> None:
        await client.join(room.room_id)

    async def read(_: nio.MatrixRoom, event: nio.Event) -> None:
        assert event.source["content"]["body"]

    client.add_event_callback(invited, nio.InviteMemberEvent)  # type: ignore[arg-type]
    client.add_event_callback(read, nio.RoomMessageText)
    await client.sync(timeout=0, full_state=True)
    await client.keys_upload() if client.should_upload_keys else None
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await client.sync_forever(timeout=30_000)


if __name__ == "__main__":
    asyncio.run(main())
