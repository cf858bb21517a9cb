"""A bar on stderr, for those who wait."""


class Bar:
    """What goes on, as a bar on a terminal; elsewhere one line for each change of its text.

    total: how much there is to do, None when nobody knows.
    """

    def __init__(self, title: str, *, total: float | None) -> None:
        raise NotImplementedError

    def update(self, done: float, text: str) -> None:
        """Show how far it came. done: of `total`."""
        raise NotImplementedError

    def close(self) -> None:
        """Take the bar away."""
        raise NotImplementedError
