"""What the agent plans to do, as a task list that is shown again as it changes."""

from aiagentchat.core.agent_events import PlanChanged, PlanState
from aiagentchat.render.hygiene import one_line
from aiagentchat.render.words import plan_head, plan_more

MOST_STEPS = 20
"""So many steps are shown; of the rest it is said how many there are."""
_STEP_LIMIT = 100


def plan_list(plan: PlanChanged) -> str:
    """All of it; empty when there is nothing in it."""
    if not plan.steps:
        return ""
    lines = [_STEPS[step.state].format(_text(step.text)) for step in plan.steps[:MOST_STEPS]]
    left = len(plan.steps) - MOST_STEPS
    more = [plan_more(left)] if left > 0 else []
    return "\n".join([plan_head(*_count(plan)), *lines, *more])


def plan_line(plan: PlanChanged) -> str:
    """How far it has come, in one line."""
    doing = next((step.text for step in plan.steps if step.state is PlanState.DOING), "")
    return plan_head(*_count(plan), _text(doing) if doing else "")


def _count(plan: PlanChanged) -> tuple[int, int]:
    return sum(step.state is PlanState.DONE for step in plan.steps), len(plan.steps)


def _text(text: str) -> str:
    return one_line(text, _STEP_LIMIT) or "?"


_STEPS = {PlanState.TODO: "- [ ] {}", PlanState.DOING: "- [ ] {} ⏳", PlanState.DONE: "- [x] {}"}
