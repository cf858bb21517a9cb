"""`segwatch config`: what the settings are, and what they may be."""

from cyclopts import App

from segwatch.cli.output import ConfigFile, show_json
from segwatch.cli.session import settings_of
from segwatch.config import redacted, schema

app = App(name="config", help="Show the settings in force, or their JSON Schema.")


@app.command
async def show(*, config: ConfigFile = None) -> None:
    """Print the effective settings as JSON: the file, the environment over it, the defaults under it; no secrets.

    Example: `segwatch config show --config config.toml`.
    """
    show_json(redacted(settings_of(config)))


@app.command(name="schema")
async def schema_() -> None:
    """Print the JSON Schema of the settings file, for editors and for checks before a rollout.

    Example: `segwatch config schema > segwatch.schema.json`.
    """
    show_json(schema())
