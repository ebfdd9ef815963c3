"""The wiring, and nothing else."""
