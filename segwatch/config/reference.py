"""The reference page of the settings, written from their models."""

import json
from collections.abc import Iterator
from datetime import time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from segwatch.config.layout import is_list, is_secret, kinds_of, models_in, secrets_of, words_of
from segwatch.config.routes import OneOrMany
from segwatch.config.settings import Settings
from segwatch.config.values import Listen

_HEAD = """\
# Settings

<!-- Written from the models in segwatch/config by `reference()`. tests/unit/test_config_documents.py compares. -->

One TOML file, `--config FILE` or `SEGWATCH_CONFIG`, else `/etc/segwatch/config.toml`. `config.example.toml` shows every
setting with the reason to change it. A key that is not on this page is an error, and so is a variable `SEGWATCH_...`.

**Durations** are a whole number and a unit: `500ms`, `90s`, `15m`, `36h`, `7d`. They go from `1s` to `3650d`; only
`platform.timeout` and those of the channels may be shorter than a second.

**Environment.** `SEGWATCH_SECTION__KEY` sets one key and wins over the file: `SEGWATCH_POLLING__INTERVAL=5s`,
`SEGWATCH_POLLING__OVERDUE_AFTER__EXPORT_JOB=3h`. A section that is a list is replaced whole, by JSON:
`SEGWATCH_SANDBOXES='[{"name": "prod", ...}]'`. Variables that Kubernetes makes for a service called `segwatch`
(`SEGWATCH_SERVICE_HOST`, `SEGWATCH_PORT`, ...) are passed over.

**Secrets.** Each has a variant `KEY_file` that names a file with the secret in it; a line break at its end does not
count. Relative paths start from the folder of the settings file. Both given is an error. Under systemd, a credential
counts where neither is given; its name is the setting's, with the name of the sandbox or channel in place of a number:

```ini
LoadCredential=sandboxes.prod.client_secret:/etc/segwatch/client_secret
LoadCredential=channels.ops.url:/etc/segwatch/slack_url
```

**URLs** are `https://`; `http://` is for `127.0.0.0/8`, `::1` and `localhost`.
"""


def reference() -> str:
    """Return the reference page in Markdown: every setting with its type, its default and what it is for."""
    return "\n".join([_HEAD, *_section(Settings, "")])


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        tables = models_in(field.annotation)
        name = prefix + key
        for table in tables:
            many = is_list(field.annotation)
            kind = f' with `kind = "{kinds_of([table])[0]}"`' if len(tables) > 1 else ""
            yield f"## `{f'[[{name}]]' if many else f'[{name}]'}`{kind}\n\n{table.__doc__}\n"
            yield from _table(table)
        # tables of several kinds have what is below them in common: it is told once, behind them
        yield from dict.fromkeys(part for table in tables for part in _section(table, f"{name}."))


def _table(table: type[BaseModel]) -> Iterator[str]:
    rows = [
        f"| `{key}` | {_type(field)} | {_default(key, table)} | {field.description} |"
        for key, field in table.model_fields.items()
        if not models_in(field.annotation)
    ]
    if rows:
        yield "\n".join(["| Setting | Type | Default | Meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _type(field: FieldInfo) -> str:
    words = words_of(field.annotation)
    if any(get_origin(part) is dict for part in _parts(field.annotation)):
        return "table of text"
    named = {
        timedelta: "duration",
        Listen: "host:port",
        Path: "path",
        time: "time of day",
        bool: "true or false",
        int: "whole number",
    }
    leaves = set(_leaves(field.annotation))
    plain = next((text for type_, text in named.items() if type_ in leaves), "number" if float in leaves else "text")
    text = " ".join(f"`{word}`" for word in words) or ("secret" if is_secret(field.annotation) else plain)
    parts = list(_parts(field.annotation))
    if any(isinstance(mark, OneOrMany) for part in parts for mark in getattr(part, "__metadata__", ())):
        return f"{text}; one or a list"
    return f"list of {text}" if any(map(is_list, parts)) else text


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part)


def _leaves(annotation: Any) -> Iterator[type]:
    return (part for part in _parts(annotation) if isinstance(part, type) and not issubclass(part, Enum))


def _default(key: str, table: type[BaseModel]) -> str:
    field = table.model_fields[key]
    if field.is_required():
        return f"required, or `{key}_file`" if key in secrets_of(table) else "required"
    if field.default in (None, PydanticUndefined, ""):
        return ""
    return f"`{json.dumps(field.default)}`"
