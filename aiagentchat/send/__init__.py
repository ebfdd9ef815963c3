"""Stage 4: from the outbox into the rooms."""
