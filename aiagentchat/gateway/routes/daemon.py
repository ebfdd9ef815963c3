"""How the daemon is."""

from fastapi import APIRouter, Response

from aiagentchat.gateway.front import Asking, Front
from aiagentchat.gateway.metrics import CONTENT_TYPE, exposed
from aiagentchat.gateway.models import Health, Status, room_item

_NUMBERS = {"schema": {"type": "string"}, "example": "aiagentchat_parcels_waiting 0.0\n"}


def daemon(front: Front) -> APIRouter:
    """For whoever watches it."""
    router = APIRouter(tags=["daemon"])

    @router.get("/health")
    async def health() -> Health:
        """Whether the daemon works. Needs no token, and tells nothing else."""
        vitals = await front.vitals()
        return Health(
            status="healthy" if vitals.is_healthy else "degraded",
            homeserver_connected=vitals.is_connected,
            uptime_seconds=int(vitals.uptime),
        )

    @router.get("/status")
    async def status(caller: Asking) -> Status:
        """How the daemon is, and the rooms of the caller."""
        vitals = await front.vitals()
        return Status(
            version=vitals.version,
            user=vitals.user,
            instance=vitals.instance,
            caller=caller.name,
            status="healthy" if vitals.is_healthy else "degraded",
            homeserver_connected=vitals.is_connected,
            uptime_seconds=int(vitals.uptime),
            sync_age_seconds=None if vitals.sync_age is None else int(vitals.sync_age),
            parcels_waiting=vitals.waiting,
            rate_limited=vitals.limited,
            commands=dict(vitals.commands),
            messages=dict(vitals.messages),
            rooms=[room_item(view) for view in await front.exchange.rooms(caller)],
        )

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Numbers.", "content": {"text/plain": _NUMBERS}}},
    )
    async def metrics(caller: Asking) -> Response:  # noqa: ARG001 - a token is needed
        """The same in numbers, for Prometheus."""
        traffic = front.traffic
        text = exposed(await front.vitals(), traffic.answers, traffic.streams.total())
        return Response(text, media_type=CONTENT_TYPE)

    return router
