"""Segment definitions: what an audience is (AEP contract 6)."""

from collections.abc import Callable, Iterable

from segwatch.upstream.client import PlatformClient


class Names:
    """The names of segments, kept for a while (AEP contract 6.3)."""

    def __init__(self, client: PlatformClient, *, monotonic: Callable[[], float], keep_s: float = 600.0) -> None:
        self._client = client
        self._monotonic = monotonic
        self._keep_s = keep_s

    async def of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return a name for each id: "all segments" for `*`, the id itself where there is none. Raises UpstreamError.

        All that are missing are asked for with one call.
        """
        raise NotImplementedError
