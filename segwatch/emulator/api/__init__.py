"""The platform's routes: what a request must hold, how things look on the wire."""
