"""The one line of the demo about what the agent is kept in."""

from collections.abc import Sequence

import pytest

from aiagentchat.process.sandbox.ladder import INSTALL
from rig.demo_isolation import isolation_line

NOT_INSTALLED = "bubblewrap is not installed"


def log(isolation: str, why: str = "", fix: Sequence[str] = (), *, abi: int = 7) -> list[dict[str, object]]:
    """What a daemon logs that has chosen `isolation`, `strict` being impossible because of `why`."""
    chosen: dict[str, object] = {"event": "isolation.chosen", "isolation": isolation, "landlock_abi": abi}
    strict: dict[str, object] = {"event": "isolation.not_possible", "isolation": "strict", "why": why, "fix": list(fix)}
    users: dict[str, object] = {"event": "isolation.not_possible", "isolation": "users", "why": "not root", "fix": []}
    return [{"event": "daemon.starting"}, chosen, *([strict, users] if why else []), {"event": "daemon.ready"}]


@pytest.mark.parametrize(
    ("events", "line"),
    [
        pytest.param(
            log("strict"),
            "Isolation: strict (bubblewrap). What the agent runs sees only this room and the machine's programs.",
            id="strict needs no more words",
        ),
        pytest.param(
            log("none", NOT_INSTALLED, INSTALL),
            "Isolation: none. What the agent runs can do whatever you can on this machine. Only for yourself. "
            "For strict: apt-get install bubblewrap (Fedora: dnf install bubblewrap)",
            id="none says what to install",
        ),
        pytest.param(
            log("landlock", "bwrap: setting up uid map: Permission denied", ["allow it:", "  cp a b && c"]),
            "Isolation: landlock. What the agent runs here cannot read other rooms, but can change modes and times of "
            "files whose path it knows. For strict: allow it: cp a b && c "
            "(bwrap: setting up uid map: Permission denied)",
            id="landlock says what it does not stop, and why it is not strict",
        ),
        pytest.param(
            log("users", "no answer in 10 s"),
            "Isolation: users. What the agent runs is a user of its own; it sees this room and the machine's programs. "
            "Strict does not work here: no answer in 10 s",
            id="a reason without a remedy",
        ),
        pytest.param(
            [{"event": "isolation.chosen", "isolation": "users", "landlock_abi": 2}],
            "Isolation: users. The kernel here is old, and what the agent runs can reach any host in spite of "
            "`network`.",
            id="users on an old kernel",
        ),
    ],
)
def test_the_mode_what_it_does_not_stop_and_how_to_get_strict_are_one_line(
    events: list[dict[str, object]], line: str
) -> None:
    assert isolation_line(events) == line
