"""`segwatch config`: what the settings are, and what they may be."""

from cyclopts import App

from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import show_json
from segwatch.cli.session import settings_of
from segwatch.config import redacted, schema

app = App(name="config")


@app.command
async def show(*, as_json: Json = False, config: ConfigFile = None) -> None:
    """Print the effective settings: the file, the environment over it, the defaults under it; no secrets.

    Both ways it is JSON: laid out for people, and on one line with --json.

    Example: `segwatch config show --config config.toml`
    """
    show_json(redacted(settings_of(config)), indent=None if as_json else 2)


@app.command(name="schema")
async def schema_(*, as_json: Json = False, config: ConfigFile = None) -> None:
    """Print the JSON Schema of the settings file, for editors and for checks before a rollout.

    Laid out for people, or on one line with --json. It is the same for every settings file.

    Example: `segwatch config schema > segwatch.schema.json`
    """
    show_json(schema(), indent=None if as_json else 2)
