"""What programs on this machine speak with: HTTP, and the Model Context Protocol."""
