"""What callers ask for outside of the rooms: messages, their states, history, instances, tasks."""
