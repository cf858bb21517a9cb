"""`segwatch emulate`: a local platform."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators

from segwatch.cli.options import Json, Port
from segwatch.cli.output import Exit, fail, lines, show_json
from segwatch.emulator.settings import SPEED_MOST


async def emulate(
    *,
    port: Port = 8787,
    speed: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=SPEED_MOST))] = 1.0,
    seed: int | None = None,
    dialect: Literal["current", "seed"] = "current",
    client_id: str | None = None,
    client_secret: str | None = None,
    size: Annotated[int, Parameter(validator=validators.Number(gte=1))] | None = None,
    profiles: Path | None = None,
    data: Path | None = None,
    scenario: str | None = None,
    evaluations_per_day: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 2,
    as_json: Json = False,
) -> None:
    """Serve a stand-in for the Adobe API on loopback, with faults to inject.

    It needs no account, evaluates segments over made-up profiles, writes exports, and serves until it is interrupted.

    Example: `segwatch emulate --port 8787 --speed 60`, then `curl http://127.0.0.1:8787/_emulator/state`

    Example: `segwatch emulate --data ./platform --scenario night --speed 60`

    Parameters
    ----------
    port
        Where to listen on 127.0.0.1; 0 takes a free port.
    speed
        Divides every duration of a job: 60 makes an hour a minute. A million at most.
    seed
        The same seed and requests give the same ids and outcomes, and on one day the same profiles; 0 without it.
    dialect
        `current` answers like today's documents, `seed` like the older tutorials.
    client_id
        The only client id that gets a token; any does without it.
    client_secret
        The only client secret that gets a token; any does without it.
    size
        How many profiles are made up; 10000 without it. Not beside --profiles.
    profiles
        A file of your own profiles (.parquet, .ndjson, .jsonl or .json) instead of made-up ones.
    data
        A directory that keeps everything, also over a crash; without it all is in memory and goes with the command.
        One that has its profiles keeps them: their seed, size and profiles need not be given again.
    scenario
        A file of what happens by itself, and when; or `night`, which comes along.
    evaluations_per_day
        How many evaluations may be asked for in a sandbox on one emulated day.
    """
    # here, so that `segwatch --help` does not wait for them
    import asyncio

    from segwatch.cli import lifeline, signals
    from segwatch.emulator.control.scenario import ScenarioError, load
    from segwatch.emulator.control.standing import sandbox_in
    from segwatch.emulator.data import missing_engine
    from segwatch.emulator.server import ArchiveError, DataError, EmulatorSettings, running

    if size is not None and profiles is not None:
        fail(Exit.USAGE, "--size is how many profiles are made up, and --profiles names your own: write one of them")
    if (missing := missing_engine()) is not None and (size or profiles or data or scenario):
        fail(
            Exit.USAGE,
            f"--size, --profiles, --data and --scenario need {missing}, which is not installed:"
            " install segwatch[emulator]",
        )
    try:
        story = None if scenario is None else load(scenario, sandbox_in(data))
    except ScenarioError as error:
        fail(Exit.USAGE, *error.problems)
    wanted = {"seed": seed, "size": size, "profiles": profiles}
    demanded: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    settings = EmulatorSettings(
        speed=speed, dialect=dialect, client_id=client_id, client_secret=client_secret,
        data=data, evaluations_per_day=evaluations_per_day, demanded=frozenset(demanded), **demanded,
    )  # fmt: skip
    stop = asyncio.Event()
    signals.on_told(stop.set)
    lifeline.watch()
    try:
        # whoever asks for data has it made at the start, and not with the first job
        prepared = bool(size or profiles or data or scenario)
        async with running(settings, port=port, scenario=story, prepared=prepared) as url:
            if as_json:
                show_json({"url": url})
            else:
                lines([f"local platform at {url}", f"control API at {url}/_emulator/state", "Ctrl-C ends it"])
            await stop.wait()
    except ArchiveError as error:
        fail(Exit.USAGE, f"--data: {error}")
    except DataError as error:
        fail(Exit.USAGE, f"--profiles: {error.message}")
    except OSError as error:
        fail(
            Exit.USAGE, f"cannot listen on 127.0.0.1:{port}: {error.strerror}. Choose another with --port, or --port 0"
        )
