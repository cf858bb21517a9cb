"""The platform's data: the lake, opened at its first use, and the batches beside it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.lake.batch_folder import BatchFolder
from segwatch.emulator.settings import EmulatorSettings

if TYPE_CHECKING:
    from segwatch.emulator.lake.lake import Lake

_ENGINES = ("duckdb", "lark")


class DataError(ServiceError):
    """The profiles cannot be read, or their file cannot be opened."""


def missing_engine() -> str | None:
    """Return what is not installed of that which computing needs; None if all is there."""
    return next((name for name in _ENGINES if find_spec(name) is None), None)


class Data:
    """What the settings ask for, one for all sandboxes. now: epoch seconds. made: hears that the profiles are there.

    was_kept: whether a sandbox has the job of that id, of a history.
    """

    def __init__(
        self,
        settings: EmulatorSettings,
        *,
        now: Callable[[], float],
        made: Callable[[], None],
        was_kept: Callable[[str, str], bool],
    ) -> None:
        self._settings = settings
        self._now = now
        self._made = made
        self._was_kept = was_kept
        self.is_made = False
        self._opening: asyncio.Task[Lake] | None = None
        self._unready: Lake | None = None
        self.batches = BatchFolder(settings.data)

    def demand_engine(self) -> None:
        """Raise ServiceError where the engine is not installed."""
        if (missing := missing_engine()) is not None:
            raise ServiceError(503, f"The platform's data needs {missing}. Install segwatch[emulator].")

    async def lake(self) -> "Lake":
        """Return the lake; the first call opens it, and has its profiles created.

        Raises ServiceError where the engine is not installed, DataError when the profiles cannot be had.
        """
        self.demand_engine()
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened())
        # a caller that goes away must not take the opening with it: others wait for the same one
        return await asyncio.shield(self._opening)

    async def prepare(self) -> None:
        """Open the lake at once. Only one's own profiles are waited for: made-up ones cannot be wrong."""
        self.demand_engine()
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened())
        if self._settings.profiles is not None:
            await self.lake()

    async def clear(self) -> None:
        """Forget what was computed; the profiles stay."""
        if self._opening is not None or self._settings.data is not None:
            lake = await self.lake()
            from segwatch.emulator.lake import tables  # not before somebody needs the engine

            await lake.compute(tables.forget_runs)
        self.batches.clear()  # last: between this and what the caller forgets, nobody has a turn

    async def close(self) -> None:
        """Let go of it; what is being computed ends."""
        if self._opening is not None:
            opening, self._opening = self._opening, None
            if self._unready is not None:
                self._unready.halt()
            await asyncio.wait([opening])
            if opening.exception() is None:
                await asyncio.to_thread(opening.result().close)
        self.batches.close()

    async def _opened(self) -> "Lake":
        # here and not above: an emulator whose jobs only walk scripts starts at once, and without the engine
        from segwatch.emulator.lake.opening import opened

        now = datetime.fromtimestamp(self._now(), UTC)
        try:
            lake = await asyncio.to_thread(opened, self._settings, now=now, began=self._note, was_kept=self._was_kept)
        except ValueError as exc:
            raise DataError(500, str(exc)) from exc
        finally:
            self._unready = None
        self.is_made = True
        self._made()
        return lake

    def _note(self, lake: "Lake") -> None:
        self._unready = lake  # in the thread that opens it
