"""A batch of the local platform and a client that downloads it, for the tests beside this file."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from emulator_fixtures import Platform, emulating
from raw_platform import QUICK, client_of, oauth

from segwatch.backoff import Backoff
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.download import Manner
from segwatch.upstream.wire import open_session

CONTENT = "/data/foundation/export/files/*?path=*"
FILES, FILE_BYTES = 5, 300_000
HASTY = Manner(
    piece_bytes=100_000,
    timeouts=QUICK,
    backoff=Backoff(first=timedelta(milliseconds=1), cap=timedelta(milliseconds=5)),
)


@dataclass(frozen=True)
class Shop:
    """One emulator with one batch; a client of it, what it told of its calls, and the batch's files on its disk."""

    platform: Platform
    client: PlatformClient
    calls: list
    batch: str
    origin: Path

    async def fault(self, fault, *, path=CONTENT, **rest):
        await self.platform.control("faults", {"path": path, "fault": fault, **rest})

    async def downloads(self):
        """Return how often a part's content was asked for."""
        return sum(one.endpoint.endswith("/files/{id}") and one.code in ("200", "206") for one in self.calls)


@asynccontextmanager
async def shop(tmp_path, *, files=FILES, size=FILE_BYTES, quirks=(), **settings):
    data = tmp_path / "platform"
    async with emulating(data=data, **settings) as platform, open_session() as session:
        batch = (await platform.control("batches", {"files": files, "bytes": size}))["batch_id"]
        if quirks:
            await platform.control("quirks", dict.fromkeys(quirks, True))
        calls = []
        async with client_of(platform.base_url, tokens=oauth(session, platform.base_url), calls=calls) as client:
            yield Shop(platform, client, calls, batch, data / "batches" / batch)


def files_in(folder):
    """Return the content of every file below a folder but its own bookkeeping, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".segwatch-")
    }


def originals(one):
    return {name: content for name, content in files_in(one.origin).items() if name.endswith(".parquet")}
