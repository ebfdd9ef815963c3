"""`aiagentchat logs`: the daemon's log for people."""
