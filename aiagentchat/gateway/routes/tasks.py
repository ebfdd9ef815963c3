"""Tasks."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from aiagentchat.core.ids import TaskId
from aiagentchat.gateway.front import Asking, Front, Key, room_of, whom
from aiagentchat.gateway.models import MessageName, NewTask, RoomWanted, Tasks, TaskStep, TaskView, task_view


def tasks(front: Front) -> APIRouter:
    """Work that agents are given."""
    router, exchange = APIRouter(tags=["tasks"]), front.exchange

    @router.get("/tasks")
    async def listed(
        caller: Asking,
        room: Annotated[RoomWanted | None, Query()] = None,
        everything: Annotated[bool, Query(alias="all", description="Also those that are over.")] = False,
    ) -> Tasks:
        """Tasks, the newest first: those that are open, or all of them."""
        wanted = None if room is None else await room_of(front, caller, room)
        return Tasks(tasks=[task_view(task) for task in await exchange.tasks(caller, wanted, everything=everything)])

    @router.post("/tasks", status_code=202)
    async def assign(caller: Asking, body: NewTask, key: Key = None) -> TaskView:
        """Give somebody a task. It is in the ledger, and will be in the room, when this answers."""
        speaker = front.sessions.speaking(caller, body.instance)
        room = await room_of(front, speaker, body.room)
        made = await exchange.assign_task(speaker, room, whom(body.to), body.text, deadline=body.deadline, key=key)
        return task_view(made)

    @router.patch("/tasks/{task}")
    async def update(caller: Asking, task: Annotated[MessageName, Path()], body: TaskStep) -> TaskView:
        """Say what has become of a task that the caller has given, or works on."""
        speaker = front.sessions.speaking(caller, body.instance)
        room = await room_of(front, speaker, body.room)
        return task_view(await exchange.update_task(speaker, room, TaskId(task), body.as_step, body.note))

    return router
