"""Operating-system processes, whoever runs in them."""
