"""Claude Code, driven over stream-json on stdin and stdout."""
