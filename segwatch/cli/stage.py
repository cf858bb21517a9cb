"""The demo as it runs: three processes, a story, what the receiver hears of it, and a summary."""

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from segwatch.app.knowledge import knowledge_of, knowledge_without_names
from segwatch.cli import signals, stage_settings
from segwatch.cli.output import Exit, fail, heading, line, lines, show_json, show_one, style_of
from segwatch.cli.processes import Process, started
from segwatch.cli.story import PROFILES, Tell, lived, speed_for, told
from segwatch.cli.tally import Tally, chains, tally
from segwatch.config import load
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.message import message_of
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.store.base import StoreError
from segwatch.store.factory import store_of

_SETTLE_S = 20.0  # how long the last jobs and notifications may take beyond the time asked for
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStage:
    """The three processes, ready, and a session to ask them."""

    platform: Process
    receiver: Process
    daemon: Process
    settings: Path
    session: aiohttp.ClientSession

    @property
    def cast(self) -> tuple[Process, ...]:
        """The processes that must run to the end."""
        return (self.platform, self.receiver, self.daemon)

    async def received(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Return the events that the chat receiver got, without the first `after`."""
        async with self.session.get(f"{self.receiver.url}/received", params={"after": str(after)}) as reply:
            events: list[dict[str, Any]] = (await reply.json())["events"]
            return events

    async def knowledge(self) -> Knowledge:
        """Return what the daemon knows beside events by now."""
        settings = load(self.settings, {})
        store = store_of(settings.store.url, exclusive=False, readonly=True)
        try:
            await store.open()
            return await knowledge_of(settings, store)
        except StoreError:  # it is busy, or not there yet
            return knowledge_without_names(settings)
        finally:
            await store.close()

    async def tally(self) -> Tally:
        """Return what it adds up to so far."""
        return await tally(self.session, self.platform.url, self.receiver.url, self.daemon.url)


class Ticker:
    """Prints what the receiver gets, as it gets it, and what the platform does by itself."""

    def __init__(self, stage: DemoStage, *, quiet: bool) -> None:
        self._stage = stage
        self._quiet = quiet
        self._shown = 0

    def tell(self, at: datetime, what: str) -> None:
        """Print what the platform does."""
        if not self._quiet:
            line(f"{at:%H:%M:%S}", f"platform: {what}", style="cyan")

    async def follow(self) -> None:
        """Print for ever."""
        while True:
            await self.catch_up()
            await asyncio.sleep(_LOOK_S)

    async def catch_up(self) -> None:
        """Print what is new."""
        received = await self._stage.received(after=self._shown)
        knowledge = await self._stage.knowledge() if received and not self._quiet else NOTHING
        for event in map(event_of, received):
            self._shown += 1
            if not self._quiet:
                line(f"{event.at:%H:%M:%S}", message_of(event, knowledge).line, style=_style(event))


async def perform(length_s: float, *, port: int, seed: int, as_json: bool) -> None:
    """Play the story to its end, or until somebody interrupts it, and print the summary.

    Interrupted before the stage stands, it ends as any command does: there is nothing to sum up.
    """
    stop = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="segwatch-demo-") as folder:
        async with _staged(Path(folder), port, seed, length_s) as stage:
            signals.on_told(stop.set)
            if not as_json:
                _announce(stage)
            ticker = Ticker(stage, quiet=as_json)
            try:
                await _first_of(
                    _played(length_s, stage, stop, ticker.tell),
                    ticker.follow(),
                    *(one.child.wait() for one in stage.cast),
                )
                _blame(stage)
                await ticker.catch_up()
                summary, told = await stage.tally(), await stage.received()
            except aiohttp.ClientError as error:
                _blame(stage)
                fail(Exit.FAILED, f"the demo's processes do not answer: {error}")
    _finish(summary, told, as_json=as_json, interrupted=stop.is_set())


def event_of(payload: dict[str, Any]) -> Event:
    """Return the event that a webhook's body tells of."""
    data = payload["data"]
    known = {name: data[name] for name in ("sandbox", "kind", "job_id", "status", "previous", "reason", "late")}
    return Event(
        type=EventType(payload["type"]), stream="", sequence=data["sequence"], severity=Severity(data["severity"]),
        at=datetime.fromisoformat(payload["timestamp"]), details=data, **known,
    )  # fmt: skip


@asynccontextmanager
async def _staged(folder: Path, port: int, seed: int, length_s: float) -> AsyncIterator[DemoStage]:
    """Start the three processes, and end them in the order in which a host would be drained."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        speed = f"{speed_for(length_s):.3f}"
        emulate = ["segwatch", "emulate", "--port", "0", "--seed", str(seed), "--speed", speed, "--json"]
        emulate += ["--size", str(PROFILES)]
        platform = await stack.enter_async_context(started("local platform", emulate, folder))
        history = asyncio.create_task(lived(session, platform.url))
        stack.push_async_callback(_given_up, history)
        receiver = await stack.enter_async_context(started("receiver", ["segwatch.cli.receiver"], folder))
        try:
            await history  # before the daemon begins: what had ended by then is known to it, and told to nobody
        except (aiohttp.ClientError, TimeoutError) as error:
            fail(Exit.FAILED, f"the demo's local platform could not evaluate the days before: {error}")
        settings = stage_settings.written(folder, platform.url, receiver.url, port=port, length_s=length_s)
        run = ["segwatch", "run", "--config", str(settings)]
        daemon = await stack.enter_async_context(started("daemon", run, folder, url_in_log=True))
        yield DemoStage(platform=platform, receiver=receiver, daemon=daemon, settings=settings, session=session)


async def _given_up(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def program() -> str:
    """Return what to type for this very program: what lies in a folder of its own is not found by its name."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m segwatch"
    found = shutil.which(path.name)
    if found and Path(found).absolute() == path.absolute():
        return path.name
    full, here = os.path.abspath(path), os.path.relpath(path)
    return shlex.quote(full if here.startswith(os.pardir) else here)


def _announce(stage: DemoStage) -> None:
    show_one(
        {
            "local platform": f"{stage.platform.url}/_emulator/state",
            "daemon": f"{stage.daemon.url}/metrics",
            "look around": f"{program()} jobs list --config {shlex.quote(str(stage.settings))}",
        },
        as_json=False,
    )
    lines([""])


async def _played(length_s: float, stage: DemoStage, stop: asyncio.Event, tell: Tell) -> None:
    """Let the story be played, then wait until all jobs have ended and all was told; both for a bounded time."""
    async with asyncio.timeout(length_s + _SETTLE_S):
        # the last step starts a job that needs the rest of the time
        await _first_of(
            asyncio.gather(told(stage.session, stage.platform.url, tell), asyncio.sleep(length_s)), stop.wait()
        )
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while asyncio.get_running_loop().time() < deadline:
        if stop.is_set() or (await stage.tally()).complete:
            return
        await asyncio.sleep(2 * _LOOK_S)


async def _first_of(*awaited: Awaitable[object]) -> None:
    """Wait until one of them ends, end the others, and raise what any of them raised."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


def _blame(stage: DemoStage) -> None:
    """End the demo when one of its processes ended before its time, with the end of that one's log."""
    for process in stage.cast:
        if process.has_ended:
            fail(Exit.FAILED, f"the demo's {process.name} ended before its time; its log ends:", process.last_words())


def _style(event: Event) -> str:
    return "green" if event.type is EventType.RECOVERED else style_of(event.severity)


def _finish(summary: Tally, told: list[dict[str, Any]], *, as_json: bool, interrupted: bool) -> None:
    if as_json:
        show_json(summary.counts)
    else:
        heading("What became of the exports that failed")
        lines(chains(told) or ["none has failed yet"])
        heading("Summary, as the local platform and the receiver counted it")
        show_one(summary.counts, as_json=False)
    if summary.problems and not interrupted:
        fail(Exit.FAILED, *summary.problems)
