"""The CLI's to-do lists become plans."""

import pytest

from aiagentchat.agents.claude_code.plans import Plans
from aiagentchat.core.agent_events import PlanChanged, PlanState, PlanStep, ToolUsed


def todo(content: object, status: object) -> dict[str, object]:
    return {"content": content, "status": status, "activeForm": "…"}


def create(plans: Plans, number: str, subject: str, status: str = "pending") -> None:
    plans.used(f"use{number}", "TaskCreate", {"subject": subject, "description": "…"})
    plans.result(f"use{number}", {"task": {"id": number, "subject": subject, "status": status}})


def test_a_todo_list_is_the_plan() -> None:
    todos = [todo("a", "completed"), todo("b", "in_progress"), todo("c", "pending"), todo("d", "?")]

    assert Plans().used("u", "TodoWrite", {"todos": todos}) == [
        PlanChanged(
            (
                PlanStep("a", PlanState.DONE),
                PlanStep("b", PlanState.DOING),
                PlanStep("c", PlanState.TODO),
                PlanStep("d", PlanState.TODO),
            )
        )
    ]


def test_what_is_no_step_is_left_out() -> None:
    assert Plans().used("u", "TodoWrite", {"todos": ["a", None, {}, todo(5, "pending"), todo("b", [])]}) == [
        PlanChanged((PlanStep("b", PlanState.TODO),))
    ]


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("Bash", {"command": "ls"}),
        ("TodoWrite", {"todos": "a"}),
        ("TaskCreate", {"title": "a"}),
        ("TaskUpdate", {"taskId": "7", "status": "completed"}),
    ],
)
def test_any_other_use_is_that_of_a_tool(tool: str, given: dict[str, object]) -> None:
    assert Plans().used("u", tool, given) == [ToolUsed(tool, given)]


def test_tasks_are_made_changed_and_deleted() -> None:
    plans = Plans()
    create(plans, "1", "Boil")
    create(plans, "2", "Drink")

    assert plans.used("u3", "TaskUpdate", {"taskId": "1", "status": "completed", "subject": "Boil water"}) == [
        PlanChanged((PlanStep("Boil water", PlanState.DONE), PlanStep("Drink", PlanState.TODO)))
    ]
    assert plans.used("u4", "TaskUpdate", {"taskId": "1", "status": "deleted"}) == [
        PlanChanged((PlanStep("Drink", PlanState.TODO),))
    ]
    assert plans.used("u5", "TaskUpdate", {"taskId": "2", "owner": "me"}) == [
        PlanChanged((PlanStep("Drink", PlanState.TODO),))
    ]


def test_tasks_of_earlier_turns_are_known_once_they_were_listed() -> None:
    plans = Plans()
    assert plans.used("u1", "TaskList", {}) == []
    listed = {"tasks": [{"id": "1", "subject": "Boil", "status": "completed"}, {"id": 2}, {"id": "3"}, "x"]}

    assert plans.result("u1", listed) == [PlanChanged((PlanStep("Boil", PlanState.DONE),))]
    assert plans.used("u2", "TaskUpdate", {"taskId": "1", "status": "pending"}) == [
        PlanChanged((PlanStep("Boil", PlanState.TODO),))
    ]


@pytest.mark.parametrize("result", [None, "Error", {"task": 5}, {"task": {"id": 5}}, {"tasks": None}, {"other": 1}])
def test_a_result_of_another_kind_changes_nothing(result: object) -> None:
    plans = Plans()
    plans.used("u1", "TaskCreate", {"subject": "Boil"})

    assert plans.result("u1", result) == []
    assert plans.result("u1", {"task": {"id": "1", "subject": "Boil"}}) == []


def test_the_result_of_another_tool_is_none_of_its_business() -> None:
    assert Plans().result("u1", {"task": {"id": "1", "subject": "Boil"}, "tasks": [{"id": "1"}]}) == []


def test_a_task_without_a_subject_in_its_result_has_that_of_its_making() -> None:
    plans = Plans()
    plans.used("u1", "TaskCreate", {"subject": "Boil"})

    assert plans.result("u1", {"task": {"id": "1"}}) == [PlanChanged((PlanStep("Boil", PlanState.TODO),))]
    plans.used("u2", "TaskCreate", {"subject": "Drink"})
    assert plans.result("u2", {"task": {"id": "2", "subject": None}}) == []
