"""Stage 1: from the homeserver into the inbox."""
