"""The settings for others to see: with nothing secret in them, and as a JSON Schema."""

from typing import Any

from pydantic import BaseModel, SecretStr

from segwatch.config.layout import is_secret
from segwatch.config.problems import HIDDEN
from segwatch.config.settings import Settings

NOT_SET = "(not set)"


def redacted(settings: Settings) -> dict[str, Any]:
    """Return the settings in force as JSON values, as a user writes them. A secret shows only whether it is set."""
    return _hide(settings, settings.model_dump(mode="json"))


def _hide(model: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        if is_secret(field.annotation):
            dumped[key] = HIDDEN if isinstance(value, SecretStr) else NOT_SET
        elif isinstance(value, BaseModel):
            _hide(value, dumped[key])
        elif isinstance(value, tuple):
            for part, below in zip(value, dumped[key], strict=True):
                if isinstance(part, BaseModel):
                    _hide(part, below)
    return dumped


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the settings file, for editors and for checks in CI."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Settings.model_json_schema()
