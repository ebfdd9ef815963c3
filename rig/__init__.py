"""What the tests, the benchmark and the demo share: a real homeserver, an offline model, the CLI binary."""
