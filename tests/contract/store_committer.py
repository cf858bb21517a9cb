"""A process that commits without end and says what was acknowledged, to be killed: python store_committer.py FILE"""

import asyncio
import os
import sys
from pathlib import Path

from store_builders import job, told

from segwatch.store.sqlite import SqliteStore


async def work(store: SqliteStore, name: str) -> None:
    state = job(f"{name}-{os.getpid()}")
    while True:
        state, change = told(state, minute=state.sequence, to=["ops"])
        await store.commit([change])
        print(state.key.id, state.sequence, flush=True)


async def main() -> None:
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    async with asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(work(store, f"worker{n}"))


asyncio.run(main())
