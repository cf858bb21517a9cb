"""What commands on the API begin with: the client of one sandbox, and what its errors mean to a script."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from segwatch.app.clients import Clients
from segwatch.cli.output import Exit, fail
from segwatch.cli.session import settings_of
from segwatch.cli.streams import say
from segwatch.config import Sandbox, Settings
from segwatch.cron import CronError
from segwatch.daemon.clock import SystemClock
from segwatch.upstream.budget import Share
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import NotSendable, RateLimited, Unavailable, UpstreamError
from segwatch.upstream.wire import open_session

InSandbox = Annotated[
    str, Parameter(name="--sandbox", help="The sandbox; needed only where the settings have several.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """One sandbox, ready to be called."""

    settings: Settings
    sandbox: Sandbox
    client: PlatformClient
    budget: Share


@asynccontextmanager
async def calling(config: str | None, sandbox: str = "") -> AsyncIterator[Calling]:
    """Yield the client of the sandbox that is meant; what cannot be sent or is not answered ends the command."""
    settings = settings_of(config)
    chosen = sandbox_of(settings, sandbox)
    try:
        async with open_session() as session:
            clock = SystemClock()
            client, budget, _ = Clients(settings, session, now=clock.now, monotonic=clock.ran_s).of(chosen)
            yield Calling(settings=settings, sandbox=chosen, client=client, budget=budget)
    except UpstreamError as error:
        fail(exit_of(error), told(error))
    except (NotSendable, CronError) as error:
        fail(Exit.USAGE, str(error))


def sandbox_of(settings: Settings, name: str) -> Sandbox:
    """Return the sandbox of this name; without a name the only one. Ends the command where that is not one."""
    known = ", ".join(one.name for one in settings.sandboxes)
    found = [one for one in settings.sandboxes if name in ("", one.name)]
    if not found:
        where = f"the settings have {known}" if known else "the settings have no [[sandboxes]]"
        fail(Exit.USAGE, f"--sandbox {name}: {where}" if name else f"{where}: add one")
    if len(found) > 1:
        fail(Exit.USAGE, f"--sandbox is needed, since the settings have several: {known}")
    return found[0]


def exit_of(error: UpstreamError) -> Exit:
    """Return the exit code: 3 when the platform cannot be reached or has no time for us, 1 when it refused."""
    return Exit.UNREACHABLE if isinstance(error, Unavailable | RateLimited) else Exit.FAILED


def told(error: UpstreamError) -> str:
    """Return the error's text with what to do about it."""
    if not isinstance(error, Unavailable | RateLimited):
        return str(error)
    if error.status is None:
        return f"{error}. Check platform.base_url and platform.ims_url, and this machine's network, DNS and proxy."
    return f"{error}. Try again in a minute."


def left_out(count: int) -> None:
    """Say on stderr that rows of a list are missing, since they could not be read."""
    rows = "row is" if count == 1 else "rows are"
    say(f"{count} {rows} left out: the platform sent something else than it documents")
