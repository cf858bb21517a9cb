"""Who drives a run: a daemon, another command, this one, or nobody; and the wait for its end, whoever it is."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Self

from segwatch.cli import signals
from segwatch.cli.output import Exit, fail
from segwatch.cli.patience import Patience
from segwatch.cli.progress import tell
from segwatch.cli.runs import Follower
from segwatch.cli.session import made
from segwatch.config import Settings, format_duration
from segwatch.deliveries.model import Stage
from segwatch.pipelines.model import Run
from segwatch.store.base import Store, StoreHeld
from segwatch.store.factory import holder_of, store_of
from segwatch.store.holder import Holder

_LOOK_S = 2.0  # how soon a holder that is gone is noticed
_RESTART_S = 10.0  # how long a daemon that has ended may take to come back, before a command takes its place


class Hold:
    """The open store, and who has it. Opened and closed around what is done with it.

    holder: who drives the runs in it; None: we do, or nobody. is_ours: nobody else may drive them.
    """

    def __init__(self, settings: Settings, pipeline: str) -> None:
        self._url = settings.store.url
        self._what = f"pipeline run {pipeline}"
        self._ended_s: float | None = None  # since when a daemon's place has been seen to be free
        self.holder: Holder | None = None
        self.is_ours = True
        self.store = store_of(self._url, holder=self._what)

    async def __aenter__(self) -> Self:
        try:
            await self.store.open()
        except StoreHeld as held:
            self.holder, self.is_ours = held.holder, False
            self.store = await made(self._url)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.store.close()

    @property
    def is_daemons(self) -> bool:
        """True while a daemon has the store."""
        return self.holder is not None and self.holder.is_daemon

    def drives(self, run: Run) -> bool:
        """True when somebody else goes on with this run."""
        return self.is_daemons or (self.holder is not None and self.holder.what == f"pipeline run {run.pipeline}")

    def look(self) -> bool:
        """Look who has the store now; True when it is free, and whoever had it has had time to come back."""
        before, self.holder = self.holder, holder_of(self._url)
        if self.holder is not None:
            self._ended_s = None
            return False
        if before is not None and before.is_daemon:
            self._ended_s = time.monotonic()
        return self._ended_s is None or time.monotonic() - self._ended_s >= _RESTART_S

    async def take(self) -> bool:
        """Have the store to ourselves from now on; False when somebody was quicker."""
        await self.store.close()
        self.store = store_of(self._url, holder=self._what)
        try:
            await self.store.open()
        except StoreHeld as held:
            self.holder, self._ended_s = held.holder, None
            self.store = await made(self._url)
            return False
        self.is_ours = True
        return True

    def who(self, run: Run) -> str:
        """Return who drives the run, in words."""
        if self.is_daemons:
            return "the daemon drives it"
        return f"{self.holder}, drives it" if self.drives(run) else f"nobody does while {self.holder}, has the store"

    async def goes_on(self, run: Run) -> str:
        """Return who goes on with a run that we leave, in words."""
        if not self.is_ours:
            self.look()
        if self.is_daemons:
            return "the daemon goes on with it"
        if self.drives(run):
            return f"{self.holder}, goes on with it"
        nobody = "" if self.is_ours else "nobody drives it now: "
        return f"{nobody}`segwatch run` goes on with it, or the same command"


async def followed(settings: Settings, hold: Hold, run: Run, *, patience: Patience) -> Run:
    """Return the run when it has ended; ends the command when that takes too long.

    It is driven here, unless somebody else has the store; when that one is gone, it is driven here from then on.
    """
    try:
        async with patience.limit() as limit:
            if not hold.is_ours:
                tell(f"following run {run.id}: {hold.who(run)}")
                if ended := await _beside(hold, run):
                    return ended
                run = await hold.store.run(run.id) or run
            return await _driven(settings, hold.store, run, limit)
    except TimeoutError:
        if patience.given is None:
            raise
        goes_on = await hold.goes_on(run)
        fail(Exit.FAILED, f"run {run.id} has not ended within {format_duration(patience.given)}; {goes_on}")
    except asyncio.CancelledError:
        tell(f"run {run.id} has not ended; {await hold.goes_on(run)}")
        raise


async def _beside(hold: Hold, run: Run) -> Run | None:
    """Return the run when it has ended; None when whoever had the store is gone, and it is ours."""
    while True:
        if ended := await _ended_beside(hold, run):
            return ended
        if await hold.take():
            tell(f"whoever had the store is gone: going on with run {run.id} here")
            return None


async def _ended_beside(hold: Hold, run: Run) -> Run | None:
    """Return the run when it has ended; None when the store is free."""
    ended = asyncio.create_task(Follower(hold.store, run).ended(), name=f"follow:{run.id}")
    try:
        while not (await asyncio.wait([ended], timeout=_LOOK_S))[0]:
            beside_daemon = hold.is_daemons
            if hold.look():
                return None
            if beside_daemon and hold.holder is None:
                tell(f"the daemon has ended; unless it is back within {_RESTART_S:g} s, run {run.id} goes on here")
        return ended.result()
    finally:
        ended.cancel()
        await asyncio.wait([ended])


async def _driven(settings: Settings, store: Store, run: Run, limit: asyncio.Timeout) -> Run:
    """Drive the run to its end, and return it. limit: the wait for the run; that for its channels does not count."""
    # here, so that nobody else waits for what a daemon needs
    from segwatch.app.alone import Alone
    from segwatch.telemetry import logs

    logs.configure(level="error", format_=settings.log.format)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_tell_pending, store, run)
        alone = Alone(settings, store, run)
        stack.enter_context(signals.not_at_once_while(alone.has_command))
        await stack.enter_async_context(alone)
        ended = await Follower(store, run).ended()
        limit.reschedule(None)
        await alone.told()
        return ended


async def _tell_pending(store: Store, run: Run) -> None:
    """Say what of the run its channels have not taken."""
    pending = await store.deliveries(stages=(Stage.PENDING,))
    channels = [one.channel for one in pending if one.event.stream == run.stream]
    if channels:
        what = "1 notification" if len(channels) == 1 else f"{len(channels)} notifications"
        tell(
            f"{what} of run {run.id} not taken yet by {', '.join(sorted(set(channels)))}:"
            " `segwatch run` sends what is pending, `segwatch notify list` counts it"
        )
