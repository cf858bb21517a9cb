"""Our promise to tell somebody: who is told, what is said, and what becomes of an attempt. Pure."""
