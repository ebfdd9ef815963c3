"""Values, states, errors and ports. No I/O, and no import of anything else of ours."""
