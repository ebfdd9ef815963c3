"""What is typed in a shell."""
