"""Deploying over a real ssh: `make test-ship`."""
