"""What happens over there: jobs, what polls saw of them, and what follows from it. Pure."""
