"""One file per job kind: what to ask the platform, and how to read its answer. Pure."""
