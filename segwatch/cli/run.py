"""`segwatch run` and `segwatch check`."""

import asyncio
import os
import signal
from typing import Any

import structlog

from segwatch.app import Clients, Daemon
from segwatch.cli.output import ConfigFile, Exit, Json, fail, lines, show
from segwatch.cli.session import config_path, settings_of
from segwatch.config import Sandbox, Settings, load
from segwatch.daemon.clock import SystemClock
from segwatch.kinds.base import load_kinds
from segwatch.store.base import StoreError
from segwatch.telemetry import logs
from segwatch.upstream.errors import Unauthorized, UpstreamError
from segwatch.upstream.wire import open_session

log = structlog.get_logger()


async def run(*, config: ConfigFile = None) -> None:
    """Run the daemon until SIGTERM or SIGINT; SIGHUP reads the settings again.

    Example: `segwatch run --config /etc/segwatch/config.toml`.
    """
    settings = settings_of(config)
    logs.configure(level=settings.log.level, format_=settings.log.format)
    path = config_path(config)
    daemon = Daemon(settings, reread=lambda: load(path, os.environ))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = asyncio.ensure_future(daemon.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        await daemon.run(stop, listening=lambda url: None)
    except StoreError as error:
        fail(Exit.FAILED, str(error))
    except OSError as error:
        fail(
            Exit.USAGE,
            f"http.listen is {settings.http.listen}: {error.strerror or error}. Choose another address or port",
        )


async def check(*, online: bool = False, as_json: Json = False, config: ConfigFile = None) -> None:
    """Validate the settings; with --online also get a token and read each sandbox.

    Exit code 2 when the settings are wrong, 3 when the platform cannot be reached, 1 when it refuses us.
    Example: `segwatch check --online --config config.toml`.

    Parameters
    ----------
    online
        Also ask the platform: token, and the lists of every kind of job in every sandbox.
    """
    settings = settings_of(config)
    if not online:
        if as_json:
            show([], as_json=True, empty="")
        else:
            names = ", ".join(one.name for one in settings.sandboxes)
            counts = f"{len(settings.channels)} channels, {len(settings.routes)} routes"
            lines([f"settings are valid: {len(settings.sandboxes)} sandboxes ({names}), {counts}"])
        return
    results = [result for sandbox in settings.sandboxes for result in await _asked(settings, sandbox)]
    rows: list[dict[str, Any]] = [
        {"sandbox": name, "asked_for": what, "result": "ok" if error is None else type(error).__name__,
         "what_to_do": "" if error is None else str(error)}
        for name, what, error in results
    ]  # fmt: skip
    show(rows, as_json=as_json, empty="no sandboxes are configured")
    errors = [error for _, _, error in results if error is not None]
    if any(isinstance(error, Unauthorized) for error in errors):
        raise SystemExit(Exit.FAILED)
    if errors:
        raise SystemExit(Exit.UNREACHABLE)


async def _asked(settings: Settings, sandbox: Sandbox) -> list[tuple[str, str, UpstreamError | None]]:
    """Return what each kind of job's list answered."""
    results: list[tuple[str, str, UpstreamError | None]] = []
    async with open_session() as session:
        client, _, _ = Clients(settings, session, now=SystemClock().now).of(sandbox)
        for name, kind in load_kinds().by_name.items():
            try:
                await client.call(kind.list_newest(limit=1))
            except UpstreamError as error:
                results.append((sandbox.name, name, error))
            else:
                results.append((sandbox.name, name, None))
    return results
