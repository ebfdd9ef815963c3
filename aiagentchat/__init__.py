"""aiagentchat puts Claude Code into Matrix rooms."""

__version__ = "0.1.0"
