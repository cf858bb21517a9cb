"""`segwatch run`: the daemon."""

from segwatch.cli.options import ConfigFile
from segwatch.cli.output import Exit, fail


async def run(*, config: ConfigFile = None) -> None:
    """Run the daemon until SIGTERM or SIGINT; SIGHUP reads the settings again.

    Example: `segwatch run --config /etc/segwatch/config.toml`
    """
    # here, so that `segwatch --help` does not wait for them
    import asyncio
    import os
    import signal

    from segwatch.app.daemon import Daemon
    from segwatch.cli import lifeline, signals
    from segwatch.cli.session import found_settings, settings_of
    from segwatch.store.base import StoreError
    from segwatch.telemetry import logs

    settings = settings_of(config)
    logs.configure(level=settings.log.level, format_=settings.log.format)
    daemon = Daemon(settings, reread=lambda: found_settings(config))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = asyncio.ensure_future(daemon.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    signals.on_told(stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    signals.hup_is_handled()
    lifeline.watch()
    try:
        await daemon.run(stop)
    except StoreError as error:
        fail(Exit.FAILED, str(error))
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno else error
        # not the settings' fault: it may pass, and a service manager may try again
        fail(Exit.FAILED, f"http.listen is {settings.http.listen}: {cause}. Choose another address or port")
