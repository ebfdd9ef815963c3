"""`cchat` as a caller: asks the daemon at its gateway, or the homeserver itself where there is none."""
