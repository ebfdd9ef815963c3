"""End-to-end encryption: who we are, whom we believe, and what was kept for us."""
