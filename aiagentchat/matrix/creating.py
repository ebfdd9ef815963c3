"""Makes a room at the homeserver."""

from aiagentchat.core.errors import Unreachable
from aiagentchat.core.ids import RoomId
from aiagentchat.core.rooms import RoomWish
from aiagentchat.matrix.client import Client

_PATH = "/_matrix/client/v3/createRoom"


async def create_room(client: Client, wish: RoomWish) -> RoomId:
    """The room, in which this account is alone until those who were invited come. Raises as `Outbound` does.

    It is made once for each call: a homeserver has no transactions here.
    """
    content = {
        "name": wish.name,
        "visibility": "public" if wish.is_public else "private",
        "preset": "public_chat" if wish.is_public else "private_chat",
        "invite": list(wish.invite),
        **({"topic": wish.topic} if wish.topic else {}),
    }
    answer = await client.ask("create room", "POST", _PATH, content)
    room = answer.content.get("room_id")
    if not isinstance(room, str):
        raise Unreachable("create room: the answer names no room")
    return RoomId(room)
