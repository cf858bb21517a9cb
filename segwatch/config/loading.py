"""From files and environment to settings."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from segwatch.config.problems import ConfigError, Draft, drop_unknown_sections, explain
from segwatch.config.relations import check_relations
from segwatch.config.settings import Settings
from segwatch.config.sources import overlay_environment, read_document, read_secrets

SYSTEM_FILE = Path("/etc/segwatch/config.toml")


def find(path: Path | None, env: Mapping[str, str], *, system: Path = SYSTEM_FILE) -> Path | None:
    """Return the settings file: `path` (`--config`), else SEGWATCH_CONFIG, else `system` if it exists, else None.

    The working directory is not searched: whoever may write there would choose where a daemon sends its secrets.
    """
    if path is not None:
        return path
    if env.get("SEGWATCH_CONFIG"):
        return Path(env["SEGWATCH_CONFIG"])
    return system if system.exists() else None


def load(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Return the settings of the file `path`, if any, with those of the environment `env` over it.

    Reads the file and the files that it names, and changes nothing. Raises ConfigError with every problem found.
    """
    draft = Draft(label=str(path or "environment"), values={} if path is None else read_document(path))
    overlay_environment(draft, env)
    directory = env.get("CREDENTIALS_DIRECTORY")
    beside = Path() if path is None else path.parent
    read_secrets(draft, beside=beside, credentials=Path(directory) if directory else None)
    check_relations(draft)
    drop_unknown_sections(draft)
    try:
        settings = Settings(**draft.values)
    except ValidationError as exc:
        explain(draft, exc.errors(include_url=False))
    else:
        if not draft.problems:
            return settings
    if path is None and not draft.values:
        # all that is missing is missing for this one reason
        raise ConfigError(
            ["environment: names no settings file. Give --config FILE, or set SEGWATCH_CONFIG."]
        ) from None
    raise ConfigError(draft.sorted_problems()) from None  # pydantic's error holds the values, secrets included
