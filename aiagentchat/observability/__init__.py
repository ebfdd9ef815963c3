"""Logs: one JSON object per line."""
