"""What `aiagentchat doctor` looks at and tries: checks of the set-up, and attacks on the isolation."""
