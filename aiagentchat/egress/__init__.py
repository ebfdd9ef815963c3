"""The way out of a run: a unix socket, behind which the model's key is added and every other host is checked."""
