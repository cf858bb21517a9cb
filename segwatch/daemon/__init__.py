"""What runs: the workers between the platform, the store and the receivers."""
