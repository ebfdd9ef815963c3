"""`aiagentchat why`: what became of one message."""
