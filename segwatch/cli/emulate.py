"""`segwatch emulate`: a local platform."""

from typing import Annotated, Literal

from cyclopts import Parameter, validators

from segwatch.cli.options import Json, Port
from segwatch.cli.output import Exit, fail, lines, show_json


async def emulate(
    *,
    port: Port = 8787,
    speed: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 1.0,
    seed: int = 0,
    dialect: Literal["current", "seed"] = "current",
    client_id: str | None = None,
    client_secret: str | None = None,
    as_json: Json = False,
) -> None:
    """Serve a stand-in for the Adobe API on loopback, with faults to inject.

    It needs no account, keeps everything in memory, and serves until it is interrupted.

    Example: `segwatch emulate --port 8787 --speed 60`, then `curl http://127.0.0.1:8787/_emulator/state`

    Parameters
    ----------
    port
        Where to listen on 127.0.0.1; 0 takes a free port.
    speed
        Divides every duration of a job: 60 makes an hour a minute.
    seed
        The same seed and the same requests give the same ids and outcomes.
    dialect
        `current` answers like today's documents, `seed` like the older tutorials.
    client_id
        The only client id that gets a token; any does without it.
    client_secret
        The only client secret that gets a token; any does without it.
    """
    # here, so that `segwatch --help` does not wait for them
    import asyncio
    import signal

    from segwatch.cli import lifeline
    from segwatch.emulator.server import EmulatorSettings, running

    settings = EmulatorSettings(
        seed=seed, speed=speed, dialect=dialect, client_id=client_id, client_secret=client_secret
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    lifeline.watch()
    try:
        async with running(settings, port=port) as url:
            if as_json:
                show_json({"url": url})
            else:
                lines([f"local platform at {url}", f"control API at {url}/_emulator/state", "Ctrl-C ends it"])
            await stop.wait()
    except OSError as error:
        fail(
            Exit.USAGE, f"cannot listen on 127.0.0.1:{port}: {error.strerror}. Choose another with --port, or --port 0"
        )
