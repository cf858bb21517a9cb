"""Builds the objects from the settings and hands them to the supervisor; nothing else knows everybody."""
