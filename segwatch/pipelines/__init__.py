"""Evaluate, export, check: whole runs, as steps that survive a crash."""
