"""What follows when a run was lost before it took its prompt."""

import pytest

from aiagentchat.core.errors import AgentDied, AgentError, AgentUnavailable, SessionInUse, SessionNotFound
from aiagentchat.execute.mending import Mending, Remedy

IN_USE, NOT_FOUND, DIED = SessionInUse("x"), SessionNotFound("x"), AgentDied("x")


@pytest.mark.parametrize(
    ("losses", "remedies"),
    [
        pytest.param([(IN_USE, False)], [Remedy.RESUME], id="the agent has the session"),
        pytest.param([(NOT_FOUND, True)], [Remedy.REPLACE], id="the agent has lost the session"),
        pytest.param([(DIED, True)], [Remedy.AGAIN], id="a session may fail to be taken up once"),
        pytest.param([(DIED, True)] * 2, [Remedy.AGAIN, Remedy.SET_ASIDE], id="twice, and it is set aside"),
        pytest.param([(DIED, True)] * 3, [Remedy.AGAIN, Remedy.SET_ASIDE, None], id="which is done once"),
        pytest.param([(DIED, False)], [None], id="a new session that dies is not tried again"),
        pytest.param([(IN_USE, False)] * 2, [Remedy.RESUME, None], id="each disagreement is mended once"),
        pytest.param([(NOT_FOUND, True)] * 2, [Remedy.REPLACE, None], id="either way"),
        pytest.param([(IN_USE, False), (NOT_FOUND, True)], [Remedy.RESUME, Remedy.REPLACE], id="but both are"),
        pytest.param([(AgentUnavailable("x", human="x"), True)], [None], id="what cannot start is not tried again"),
    ],
)
def test_what_was_lost_is_mended(losses: list[tuple[AgentError, bool]], remedies: list[Remedy | None]) -> None:
    mending = Mending()

    assert [mending.after(lost, resume=resume) for lost, resume in losses] == remedies
