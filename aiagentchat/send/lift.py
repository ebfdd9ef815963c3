"""What the operator can do about the homeserver's limit. For the log and for the doctor, never for a room. Pure."""

from aiagentchat.core.ids import UserId


def lift_limit(user: UserId) -> str:
    """How to have no limit for this account."""
    return (
        f"as an admin of the homeserver: POST /_synapse/admin/v1/users/{user}/override_ratelimit with "
        '{"messages_per_second": 0, "burst_count": 0}; docs/how-to/rate-limits.md'
    )
