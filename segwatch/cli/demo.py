"""`segwatch demo`: a local platform, the daemon and a chat receiver, each in its own process, and a short story."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
from cyclopts import Parameter

from segwatch.cli.output import Exit, Json, console, fail, show_json
from segwatch.cli.processes import Process, settings_file, started
from segwatch.cli.session import a_while
from segwatch.cli.story import Story, speed_for
from segwatch.cli.tally import Tally, tally

_LEAST_S = 15.0
_SETTLE_S = 20.0  # how long the last jobs and notifications may take beyond the time asked for


async def demo(
    *,
    duration: Annotated[str, Parameter(name="--for", help="How long the story takes, from 15s.")] = "60s",
    port: Annotated[int, Parameter(help="Where the daemon serves its metrics; 0 takes a free port.")] = 0,
    seed: Annotated[int, Parameter(help="The same seed tells the same story.")] = 0,
    as_json: Json = False,
) -> None:
    """Run the main job on a local platform: watch jobs, tell a chat, resubmit failed exports. No account is needed.

    Everything lives in a temporary folder and ends with the command. With --json the last line is a summary that
    the local platform and the receiver counted, not the daemon about itself.
    Example: `segwatch demo --for 45s`.
    """
    length = a_while(duration)
    if length is None or length.total_seconds() < _LEAST_S:
        fail(Exit.USAGE, f"--for {duration}: the story needs at least {_LEAST_S:.0f}s")
    speed = speed_for(length.total_seconds())
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    with tempfile.TemporaryDirectory(prefix="segwatch-demo-") as folder:
        async with _cast(Path(folder), port, seed, speed) as (platform, daemon, receiver, session):
            _say(as_json, f"local platform  {platform.url}/_emulator/state")
            _say(as_json, f"daemon          {daemon.url}/metrics")
            _say(as_json, f"settings, store {folder}\n")
            screen = asyncio.create_task(_stream(session, receiver.url, as_json=as_json))
            try:
                story = Story(session, platform.url, length.total_seconds(), speed, seed)
                await _until(stop, story.play())
                summary = await _settled(session, platform.url, receiver.url, daemon.url, stop)
            finally:
                screen.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await screen
    _finish(summary, as_json=as_json, interrupted=stop.is_set())


@asynccontextmanager
async def _cast(
    folder: Path, port: int, seed: int, speed: float
) -> AsyncIterator[tuple[Process, Process, Process, aiohttp.ClientSession]]:
    """Start the three processes, and end them in the order in which a host would be drained."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        module = [sys.executable, "-m"]
        emulate = [*module, "segwatch", "emulate", "--port", "0", "--seed", str(seed), "--json"]
        emulate += ["--speed", f"{speed:.1f}"]
        platform = await stack.enter_async_context(started("platform", emulate, folder))
        receive = [*module, "segwatch.cli.receiver"]
        receiver = await stack.enter_async_context(started("receiver", receive, folder))
        settings = settings_file(folder, platform.url, receiver.url, port)
        run = [*module, "segwatch", "run", "--config", str(settings)]
        daemon = await stack.enter_async_context(started("daemon", run, folder, url_in_log=True))
        yield platform, daemon, receiver, session


async def _stream(session: aiohttp.ClientSession, receiver: str, *, as_json: bool) -> None:
    """Print what the chat receiver gets, as it gets it."""
    seen = 0
    while True:
        async with session.get(f"{receiver}/received", params={"after": str(seen)}) as reply:
            events = (await reply.json())["events"]
        for event in events:
            seen += 1
            if not as_json:
                console().print(_line(event), highlight=False)
        await asyncio.sleep(0.25)


def _line(event: dict[str, Any]) -> str:
    data = event["data"]
    style = {"critical": "bold red", "warning": "yellow"}.get(
        data["severity"], "green" if "recovered" in event["type"] else ""
    )
    what = f"{event['type']:<24}"
    text = f"{event['timestamp'][11:19]}  {what} {data['kind']} {data['job_id']}"
    tail = "  ".join(
        part for part in (data.get("reason", ""), data.get("new_job_id") and f"-> job {data['new_job_id']}") if part
    )
    line = f"{text}  {tail}".rstrip()
    return f"[{style}]{line}[/]" if style else line


async def _until(stop: asyncio.Event, story: Any) -> None:
    """Play the story to its end, or until somebody interrupts it."""
    playing, stopping = asyncio.create_task(story), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
    finally:
        for task in (playing, stopping):
            task.cancel()
        await asyncio.gather(playing, stopping, return_exceptions=True)


async def _settled(
    session: aiohttp.ClientSession, platform: str, receiver: str, daemon: str, stop: asyncio.Event
) -> Tally:
    """Wait until all jobs have ended and all was told, for a bounded time, and count."""
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while True:
        summary = await tally(session, platform, receiver, daemon)
        if summary.complete or stop.is_set() or asyncio.get_running_loop().time() > deadline:
            return summary
        await asyncio.sleep(0.5)


def _finish(summary: Tally, *, as_json: bool, interrupted: bool) -> None:
    if as_json:
        show_json(summary.counts)
    else:
        out = console()
        out.print()
        for name, value in summary.counts.items():
            out.print(f"{name.replace('_', ' '):<24} {value}", highlight=False)
    if interrupted:
        return
    if summary.problems:
        fail(Exit.FAILED, *summary.problems)


def _say(as_json: bool, text: str) -> None:
    if not as_json:
        console().print(text, highlight=False)
