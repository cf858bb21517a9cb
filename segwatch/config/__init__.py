"""The settings: their types, defaults, sources and errors."""

from segwatch.config.display import redacted, schema
from segwatch.config.loading import find, load
from segwatch.config.problems import ConfigError
from segwatch.config.reference import reference
from segwatch.config.sections import Sandbox
from segwatch.config.settings import Settings
from segwatch.config.this_machine import unusable
from segwatch.config.values import Listen, format_duration, parse_duration

__all__ = [
    "ConfigError",
    "Listen",
    "Sandbox",
    "Settings",
    "find",
    "format_duration",
    "load",
    "parse_duration",
    "redacted",
    "reference",
    "schema",
    "unusable",
]
