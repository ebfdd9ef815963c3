"""Every sentence that a room reads about files."""

from aiagentchat.render.words import quoted


def not_taken(name: str, caption: str) -> str:
    """What stands in the place of a file that was to be sent; `caption` is how its text begins, and may be empty."""
    said = f"{caption}\n\n" if caption else ""
    return (
        f"{said}⚠️ The file {quoted(name)} could not be delivered: the homeserver does not take it. It may be too "
        "large for it, or this account may not upload. The operator finds the reason in the log."
    )
