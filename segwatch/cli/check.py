"""`segwatch check`: whether the settings can be used, and whether the platform takes them."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import Exit, fail, lines, show, show_json

if TYPE_CHECKING:
    from segwatch.config import Sandbox, Settings

_UNREACHABLE = "Check platform.base_url and platform.ims_url, and this machine's network, DNS and proxy."


async def check(
    *,
    online: Annotated[bool, Parameter(help="Also ask the platform, which needs the network.")] = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Validate the settings; with --online also get a token and read each sandbox.

    Exit code 2 when the settings are wrong, 1 when the platform refuses us, 3 when it cannot be reached.

    Example: `segwatch check --online --config config.toml`
    """
    # here, so that `segwatch --help` does not wait for them
    from segwatch.cli.session import config_path, found_settings
    from segwatch.config import ConfigError, unusable

    path = config_path(config)
    report: dict[str, Any] = {"file": str(path) if path else None, "valid": False, "problems": []}
    try:
        settings = found_settings(config)
        if lacking := unusable(settings, str(config or path or "the environment")):
            raise ConfigError(lacking)
    except ConfigError as error:
        if as_json:
            show_json(report | {"problems": error.problems})
        fail(Exit.USAGE, *error.problems)
    report |= {"valid": True} | {
        part: [one.name for one in named]
        for part, named in (
            ("sandboxes", settings.sandboxes),
            ("channels", settings.channels),
            ("templates", settings.templates),
            ("pipelines", settings.pipelines),
        )
    }
    code, rows = await _asked(settings) if online else (Exit.OK, [])
    if as_json:
        show_json(report | ({"online": rows} if online else {}))
    else:
        lines([f"{path or 'the environment'} is valid: {_counted(settings)}", *([""] if online else [])])
        if online:
            show(rows, as_json=False, empty="")
    if code is not Exit.OK:
        raise SystemExit(code)


def _counted(settings: "Settings") -> str:
    counted = (
        ("sandbox", "es", settings.sandboxes),
        ("channel", "s", settings.channels),
        ("route", "s", settings.routes),
        *((("template", "s", settings.templates),) if settings.templates else ()),  # most do without
        ("pipeline", "s", settings.pipelines),
    )
    return ", ".join(f"{len(some) or 'no'} {noun}{plural * (len(some) != 1)}" for noun, plural, some in counted)


async def _asked(settings: "Settings") -> tuple[Exit, list[dict[str, Any]]]:
    """Return what every sandbox answers to the list of each kind of job, and what that means for a script."""
    import asyncio

    from segwatch.app.clients import Clients
    from segwatch.daemon.clock import SystemClock
    from segwatch.kinds.base import JobKind, load_kinds
    from segwatch.upstream.errors import RateLimited, Unavailable, UpstreamError
    from segwatch.upstream.wire import open_session

    async def answer(clients: Clients, sandbox: "Sandbox", kind: JobKind) -> tuple[Exit, str, str]:
        try:
            await clients.of(sandbox)[0].call(kind.list_newest(limit=1))
        except (Unavailable, RateLimited) as error:
            if error.status is None:
                return Exit.UNREACHABLE, "unreachable", f"{error}. {_UNREACHABLE}"
            return Exit.UNREACHABLE, f"HTTP {error.status}", f"{error}. Try again in a minute."
        except UpstreamError as error:
            return Exit.FAILED, "refused" if error.status is None else f"refused, HTTP {error.status}", str(error)
        return Exit.OK, "ok", ""

    kinds = load_kinds()
    asked = [(sandbox, kind) for sandbox in settings.sandboxes for kind in kinds.values()]
    async with open_session() as session:
        clients = Clients(settings, session, now=SystemClock().now, monotonic=SystemClock().ran_s)
        answers = await asyncio.gather(*(answer(clients, sandbox, kind) for sandbox, kind in asked))
    rows = [
        {"sandbox": sandbox.name, "asked_for": kind.name, "result": result, "what_to_do": advice}
        for (sandbox, kind), (_, result, advice) in zip(asked, answers, strict=True)
    ]
    codes = {code for code, _, _ in answers}
    return next((code for code in (Exit.FAILED, Exit.UNREACHABLE) if code in codes), Exit.OK), rows
