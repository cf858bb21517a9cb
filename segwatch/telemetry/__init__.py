"""What we say about ourselves: metrics, logs, health."""
