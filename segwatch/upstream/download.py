"""A batch's files, brought to disk: in pieces, resumed, checked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segwatch.errors import SegwatchError
from segwatch.upstream.client import PlatformClient


class DownloadError(SegwatchError):
    """The files are not all there, and another try at once would not help; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a download came. bytes_all: None while a length is not known."""

    files: int = 0
    files_all: int = 0
    bytes: int = 0
    bytes_all: int | None = None
    resumed_bytes: int = 0


async def fetch(
    client: PlatformClient, batch_id: str, folder: Path, *, parallel: int = 4, force: bool = False,
    restart: bool = False, report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:  # fmt: skip
    """Bring all files of a batch to `folder`, and return what is there then; what was there already is not asked again.

    Raises UpstreamError, DownloadError, OSError.
    """
    raise NotImplementedError
