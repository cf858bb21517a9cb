"""A platform whose datasets hold batches, without jobs that would take their time to write them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import lake_population as people
import pytest
from emulator_fixtures import DATASET, ORG, Platform, emulating

from segwatch.emulator import server
from segwatch.emulator.lake import batches, exports
from segwatch.emulator.lake.model import Extract, SegmentFilter, WrittenBatch
from segwatch.emulator.world import World

CATALOG = "/data/foundation/catalog"
ACCESS = "/data/foundation/export"
QUERIES = "/data/foundation/query/queries"
BATCH = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER_BATCH = "1f1e2d3c4b5a69788796a5b4c3d2e1f0"
MEMBERS = SegmentFilter(segment_id="s1", namespace="ups", statuses=frozenset({"realized"}))
AT_MS = 1_765_001_000_000


@dataclass
class Exported:
    """A platform, and the world inside it."""

    platform: Platform
    world: World

    def export(
        self, batch_id: str = BATCH, *, dataset_id: str = DATASET, at_ms: int = AT_MS, lake: Any = None, **changes: Any
    ) -> WrittenBatch:
        """Write a batch as a job would, and note it in the catalog."""
        order = Extract(sandbox="prod", batch_id=batch_id, **({"segments": (MEMBERS,), "fields": None} | changes))
        self.begin(order, dataset_id=dataset_id, at_ms=at_ms)
        with (lake or people.shared_lake()).cursor() as cursor:
            written = exports.write(cursor, self.world.batch_folder.path, order)
        box = self.world.sandbox("prod")
        batches.succeed(box.batches, box.datasets, written, at_ms=at_ms + 200_000)
        return written

    def begin(self, order: Extract, *, dataset_id: str = DATASET, at_ms: int = AT_MS) -> None:
        box = self.world.sandbox("prod")
        batches.begin(box.batches, box.datasets, [order], dataset_id=dataset_id, org=ORG, at_ms=at_ms)

    def fail(self, batch_id: str = BATCH, *, records: int = 3) -> None:
        box = self.world.sandbox("prod")
        self.begin(Extract(sandbox="prod", batch_id=batch_id, segments=None, fields=None), at_ms=AT_MS + 2)
        errors = [{"code": "0090000009", "msg": "Error writing profiles", "callStack": ""}]
        folder = self.world.batch_folder.path
        batches.fail(box.batches, box.datasets, batch_id, errors, folder=folder, at_ms=AT_MS + 1000, records=records)


@asynccontextmanager
async def exporting(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Exported]:
    worlds: list[World] = []

    class KeptWorld(World):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            worlds.append(self)

    monkeypatch.setattr(server, "World", KeptWorld)
    async with emulating(**settings) as platform:
        yield Exported(platform, worlds[0])
