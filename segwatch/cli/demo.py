"""`segwatch demo`: the main job, on this machine, in a minute."""

from typing import Annotated

from cyclopts import Parameter

from segwatch.cli.options import Json, Port
from segwatch.cli.output import Exit, fail
from segwatch.cli.signals import raised

_LEAST_S = 1.0


async def demo(
    *,
    duration: Annotated[str, Parameter(name="--for", help="How long the story takes, from 1s.")] = "60s",
    port: Port = 0,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Show it all on this machine: jobs watched, a chat told, failed exports resubmitted.

    It needs no account: it starts a local platform, the daemon and a chat receiver, prints what the receiver gets, and
    ends with a summary that the platform and the receiver counted, not the daemon about itself. Everything lives in a
    temporary folder and ends with the command. With --json, the summary is the only output.

    Example: `segwatch demo --for 45s`

    Parameters
    ----------
    port
        Where the daemon serves its metrics on 127.0.0.1; 0 takes a free port.
    seed
        The same seed tells the same story.
    """
    # here, so that `segwatch --help` does not wait for them
    with raised():  # nor whoever regrets
        from segwatch.cli.session import a_while
        from segwatch.cli.stage import perform

    length = a_while(duration, "--for")
    if length is None or length.total_seconds() < _LEAST_S:
        fail(Exit.USAGE, f'--for is "{duration}", and the story needs at least {_LEAST_S:.0f}s')
    await perform(length.total_seconds(), port=port, seed=seed, as_json=as_json)
