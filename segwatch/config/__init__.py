"""The settings: their types, defaults, sources and errors."""

from segwatch.config.channels import ChannelSection, Match, Route
from segwatch.config.display import redacted, schema
from segwatch.config.loading import find, load
from segwatch.config.problems import ConfigError
from segwatch.config.reference import reference
from segwatch.config.sections import Daemon, Http, Log, Platform, Polling, Retry, RetryRule, Sandbox, Store
from segwatch.config.settings import Settings
from segwatch.config.values import Listen, format_duration, parse_duration

__all__ = [
    "ChannelSection",
    "ConfigError",
    "Daemon",
    "Http",
    "Listen",
    "Log",
    "Match",
    "Platform",
    "Polling",
    "Retry",
    "RetryRule",
    "Route",
    "Sandbox",
    "Settings",
    "Store",
    "find",
    "format_duration",
    "load",
    "parse_duration",
    "redacted",
    "reference",
    "schema",
]
