"""Encrypted rooms, with the engine of Element Web at the other side: `make test-clients`."""
