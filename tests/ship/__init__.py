"""What ships, as it ships: `make test-ship`."""
