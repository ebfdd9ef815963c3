"""Logs: one JSON object per line, on stdout and, if somebody asks for it, straight to Loki."""
