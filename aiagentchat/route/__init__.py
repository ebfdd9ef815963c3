"""Stage 2: what an event means, and what follows from it."""
