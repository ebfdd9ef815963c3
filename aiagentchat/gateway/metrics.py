"""What the gateway adds to `/metrics`. The list is in `observability/metrics.py`, and in docs/reference/metrics.md."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from aiagentchat.gateway.door import Traffic
from aiagentchat.observability import exposition  # noqa: F401 - loaded here, in the thread that loads the gateway
from aiagentchat.observability.metrics import Levels

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def of_traffic(traffic: Traffic) -> Levels:
    """What goes on at the doors."""
    return {
        "gateway_streams": traffic.streams.total() + traffic.sessions.total(),
        "gateway_answers_total": {(str(status),): count for status, count in traffic.answers.items()},
    }
