"""Stage 3: commands become turns."""
