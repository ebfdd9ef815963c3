"""Pure: text in, text out."""
