"""The API that we watch: one client per sandbox, its token, its call budget, and what may go wrong."""
