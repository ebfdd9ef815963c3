"""What the CLI says of the agent's plan → our events. Pure; nothing can make it raise.

It has two ways: `TodoWrite` says the whole list each time, the task tools one change at a time. The number of a new
task is in the result of `TaskCreate`, and `TaskUpdate` names no more than that number. Tasks of earlier turns are not
known before `TaskList` has told them: a change to one of those is shown as any other tool is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiagentchat.core.agent_events import AgentEvent, PlanChanged, PlanState, PlanStep, ToolUsed

_STATES = {"pending": PlanState.TODO, "in_progress": PlanState.DOING, "completed": PlanState.DONE}
_DELETED = "deleted"
_ASKING = frozenset({"TaskList", "TaskGet"})


class Plans:
    """The plan of one turn."""

    def __init__(self) -> None:
        self._tasks: dict[str, PlanStep] = {}
        self._uses: dict[str, Mapping[str, Any]] = {}
        """What was asked of the task tools, by the id of the use, until the result is there."""

    def used(self, use: str, tool: str, given: Mapping[str, Any]) -> list[AgentEvent]:
        """A tool is used; what of that concerns the plan is said as such."""
        match tool, given:
            case "TodoWrite", {"todos": list(todos)}:
                return [PlanChanged(tuple(step for todo in todos if (step := _step(todo, "content"))))]
            case "TaskCreate", {"subject": str()}:
                self._uses[use] = given
                return []
            case "TaskUpdate", {"taskId": str(task)} if task in self._tasks:
                return self._update(task, given)
            case _ if tool in _ASKING:
                self._uses[use] = given
                return []
            case _:
                return [ToolUsed(tool, given)]

    def result(self, use: str, result: object) -> list[AgentEvent]:
        """What came of the use of a tool."""
        asked = self._uses.pop(use, None)
        match result:
            case {"task": {"id": str(task)} as made} if asked is not None:
                step = _step({**asked, **made}, "subject")
                return self._put({task: step}) if step else []
            case {"tasks": list(tasks)} if asked is not None:
                known = {task["id"]: _step(task, "subject") for task in tasks if _has_id(task)}
                return self._put({task: step for task, step in known.items() if step})
            case _:
                return []

    def _update(self, task: str, given: Mapping[str, Any]) -> list[AgentEvent]:
        if given.get("status") == _DELETED:
            del self._tasks[task]
            return self._put({})
        step = self._tasks[task]
        subject = given.get("subject")
        return self._put(
            {
                task: replace(
                    step,
                    text=subject if isinstance(subject, str) else step.text,
                    state=_STATES.get(str(given.get("status")), step.state),
                )
            }
        )

    def _put(self, tasks: Mapping[str, PlanStep]) -> list[AgentEvent]:
        self._tasks.update(tasks)
        return [PlanChanged(tuple(self._tasks.values()))]


def _has_id(task: object) -> bool:
    return isinstance(task, dict) and isinstance(task.get("id"), str)


def _step(task: object, key: str) -> PlanStep | None:
    if not isinstance(task, dict) or not isinstance(task.get(key), str):
        return None
    return PlanStep(task[key], _STATES.get(str(task.get("status")), PlanState.TODO))
