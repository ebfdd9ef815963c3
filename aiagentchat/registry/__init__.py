"""Who is there: entries in the state of a room, and the signs of life that keep ours."""
