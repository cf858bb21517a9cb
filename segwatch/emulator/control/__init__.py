"""What scripts and scenarios do to the platform: orders, faults, quirks, and the ledger that they read."""
