"""How the daemon is."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from aiagentchat.gateway.front import Asking, Front
from aiagentchat.gateway.metrics import CONTENT_TYPE, of_traffic
from aiagentchat.gateway.models import Health, Ready, Status, room_item
from aiagentchat.gateway.problems import Refusal
from aiagentchat.gateway.vitals import Vitals

_NUMBERS = {"schema": {"type": "string"}, "example": "aiagentchat_parcels_waiting 0.0\n"}


async def _with_agents(front: Front) -> Vitals:
    return replace(await front.vitals(), agents=await front.agents())


def daemon(front: Front) -> APIRouter:
    """For whoever watches it."""
    router = APIRouter(tags=["daemon"])

    @router.get("/health", response_model_exclude_none=True)
    async def health(request: Request) -> Health:
        """Whether the daemon lives. Needs no token; without one it tells nothing else."""
        vitals, is_known = await front.vitals(), request.state.caller is not None
        return Health(
            status="healthy" if vitals.is_healthy else "degraded",
            homeserver_connected=vitals.is_connected if is_known else None,
            uptime_seconds=int(vitals.uptime) if is_known else None,
        )

    @router.get("/ready")
    async def ready(request: Request) -> Ready:
        """Whether a message that comes now would be answered, else 503. Needs no token; without one it does not tell
        what is missing."""
        vitals = await _with_agents(front)
        if not vitals.is_ready:
            why = "" if request.state.caller is None else f": {'; '.join(vitals.missing)}"
            raise Refusal("unavailable", f"The daemon is not ready{why}.")
        return Ready(ready=True)

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
        levels = await front.levels(await _with_agents(front))
        return Response(front.meters.exposed({**levels, **of_traffic(front.traffic)}), media_type=CONTENT_TYPE)

    return router
