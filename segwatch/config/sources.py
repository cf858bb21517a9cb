"""Where settings come from: the TOML file, the environment, and the files that hold secrets."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from segwatch.config.layout import Loc, Spot, inner, is_list, secret_places
from segwatch.config.problems import ConfigError, Draft, dotted, env_name, shown
from segwatch.config.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from segwatch.errors import hint

_NOT_SETTINGS = frozenset({"SEGWATCH_CONFIG"})
# Kubernetes tells every pod of every service: one that is named segwatch, or segwatch-..., looks like a setting
_KUBERNETES = re.compile(
    r"SEGWATCH_([A-Z0-9]+_)*(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://")


def read_document(path: Path) -> dict[str, Any]:
    """Return the file's contents. Raises ConfigError when there is no such file, or it is not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file. Copy config.example.toml there, or name another file."]) from None
    except IsADirectoryError:
        raise ConfigError([f"{path}: is a directory. Name the file in it that holds the settings."]) from None
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be read: {exc.strerror}. Let the user of this process read it."]) from exc
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8. Save it as UTF-8."]) from None
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError([f"{path}: is not TOML: {exc}. Mend it there."]) from None


class _Environment(EnvSettingsSource):
    """Reads the variables that it is handed, not the process's own."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(Settings, case_sensitive=False)
        self.env_vars = {name.lower(): value for name, value in env.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return the JSON value; text that is no JSON as it is, for the models to refuse with all the rest."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def overlay_environment(draft: Draft, env: Mapping[str, str]) -> None:
    """Put the variables over the draft's values: tables are merged, lists and single values replaced."""
    ours = {name: value for name, value in env.items() if name.upper().startswith(ENV_PREFIX)}
    taken: dict[str, str] = {}
    for name, value in ours.items():
        if name.upper() in _NOT_SETTINGS or _is_kubernetes(name, value):
            continue
        loc: Loc = tuple(name[len(ENV_PREFIX) :].lower().split(ENV_DELIMITER))
        problem = _misnamed(name, loc)
        if problem:
            draft.problems.append(((), f"{name}: {problem}"))
        else:
            taken[name] = value
            draft.origins[loc] = name
            _forget_twin(draft.values, loc)
    draft.values = _merged(draft.values, _Environment(taken)())


def _forget_twin(values: Any, loc: Loc) -> None:
    """Remove KEY where KEY_file is set over it, and the reverse: the environment wins."""
    key = str(loc[-1])
    for part in loc[:-1]:
        values = inner(values, part)
    if isinstance(values, dict):
        values.pop(key.removesuffix("_file") if key.endswith("_file") else f"{key}_file", None)


def _is_kubernetes(name: str, value: str) -> bool:
    return _KUBERNETES.fullmatch(name) is not None or (
        name.endswith("_PORT") and _KUBERNETES_PORT.match(value) is not None
    )


def _misnamed(name: str, loc: Loc) -> str:
    """Return why the variable `name` sets nothing; empty if it does."""
    spot = Spot([Settings])
    for depth, part in enumerate(loc):
        if spot.field is not None and is_list(spot.field.annotation):
            return f"sets a part of a list. Write the whole list as JSON in {env_name(loc[:depth])}."
        below = spot.step(str(part))
        if below is None:
            # the prefix is alike in all names, and would make any two look alike
            likely = hint(
                name.upper().removeprefix(ENV_PREFIX), (each.removeprefix(ENV_PREFIX) for each in _env_names())
            )
            instead = likely.replace("mean ", f"mean {ENV_PREFIX}") or " segwatch config schema lists them all."
            return f"is not a setting.{instead}"
        spot = below
    return ""


def _env_names(spot: Spot | None = None, loc: Loc = ()) -> Iterator[str]:
    spot = spot or Spot([Settings])
    for key in spot.keys:
        below = spot.step(key)
        if below is None or below.field is None:
            continue
        if below.tables and not is_list(below.field.annotation):
            yield from _env_names(below, (*loc, key))
        else:
            yield env_name((*loc, key))


def _merged(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        both[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def read_secrets(draft: Draft, *, beside: Path, credentials: Path | None) -> None:
    """Fill in each secret that is given as a file, and note those that cannot be.

    beside: the folder that relative paths start from. credentials: systemd's $CREDENTIALS_DIRECTORY; a file there,
    named as the setting with the sandbox's or channel's name for its number, counts where the settings say nothing.
    """
    known: set[str] = set()
    offered = _offered(credentials)
    for loc, table, keys in secret_places(Spot([Settings]), draft.values):
        for key in keys:
            name = dotted(tuple(_named(draft.values, loc))) + f".{key}"
            known.add(name)
            if name in offered and key not in table and f"{key}_file" not in table:
                table[f"{key}_file"] = str(offered[name])
            _read_secret(draft, loc, table, key, beside)
    for name, path in offered.items():
        if name not in known and name.split(".")[0] in ("sandboxes", "channels", "http"):
            instead = hint(name, known) or " Name it as the setting, such as sandboxes.prod.client_secret."
            draft.problems.append(((), f"{path}: is no credential that the settings have a place for.{instead}"))


def _read_secret(draft: Draft, loc: Loc, table: dict[str, Any], key: str, beside: Path) -> None:
    file_key = f"{key}_file"
    named = table.get(file_key)
    if not isinstance(named, str):
        return  # not given, or not a path: the models say so
    place = (*loc, file_key)
    if key in table:
        draft.wrong((*loc, key), f" and {file_key} are both given. Write one of them.")
        del table[file_key]
        return
    path = beside / named
    table[file_key] = str(path)
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        draft.wrong(place, f" is {shown(path)}, which does not exist. Put the secret into that file.")
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        draft.wrong(place, f" is {shown(path)}, which cannot be read: {why}. Let the user of this process read it.")
    except ValueError:
        draft.wrong(place, f" is {shown(path)}, which is not text. Write the secret as UTF-8.")
    else:
        if secret:
            table[key] = secret
            draft.origins[(*loc, key)] = str(path)
        else:
            draft.wrong(place, f" is {shown(path)}, which is empty. Put the secret into that file.")


def _named(values: dict[str, Any], loc: Loc) -> Iterator[str]:
    """Yield the parts of `loc` with the names of list entries in place of their numbers."""
    at: Any = values
    for part in loc:
        at = at[part]
        yield str(at.get("name", part)) if isinstance(part, int) and isinstance(at, dict) else str(part)


def _offered(credentials: Path | None) -> dict[str, Path]:
    """Return the files in systemd's folder by name; it exists only for units that load credentials."""
    try:
        return {} if credentials is None else {entry.name: entry for entry in sorted(credentials.iterdir())}
    except OSError:
        return {}
