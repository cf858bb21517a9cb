"""Whether this process has looked at the platform yet: what it knows from before may be over."""

from collections.abc import Iterable


class FirstLooks:
    """The streams that have not been read to their end since the start. A stream: a sandbox and a kind."""

    def __init__(self, streams: Iterable[tuple[str, str]]) -> None:
        self._left = set(streams)

    def took(self, sandbox: str, kind: str) -> None:
        """Note a complete sweep."""
        self._left.discard((sandbox, kind))

    def are_over(self) -> bool:
        """Return whether every stream was read."""
        return not self._left
