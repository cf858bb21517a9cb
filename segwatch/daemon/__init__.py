"""What runs: the supervisor and its workers."""
