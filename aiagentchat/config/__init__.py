"""What config.yaml may say."""
