"""The bot commands: one file each, answered by the daemon and never by the agent."""
