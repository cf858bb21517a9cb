"""The shape of the settings, read off their models: what may stand where, and what of it is secret."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

Loc = tuple[str | int, ...]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the tables that a value of this type can be, or can be a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def is_list(annotation: Any) -> bool:
    """True for a list, whatever it is a list of."""
    return get_origin(annotation) is tuple


def is_free(annotation: Any) -> bool:
    """True for a table whose keys are the user's own."""
    return get_origin(annotation) is dict or any(is_free(part) for part in get_args(annotation))


def is_secret(annotation: Any) -> bool:
    """True when a value of this type must not be shown."""
    return annotation is SecretStr or any(is_secret(part) for part in get_args(annotation))


def words_of(annotation: Any) -> list[str]:
    """Return the words of a closed set; empty where any value may stand."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    return [word for part in get_args(annotation) for word in words_of(part)]


def kinds_of(models: Sequence[type[BaseModel]]) -> list[str]:
    """Return the words that tell these tables apart in their `kind`."""
    return [word for model in models for word in words_of(model.model_fields["kind"].annotation)]


def secrets_of(model: type[BaseModel]) -> list[str]:
    """Return the keys of this table that can also be given as `KEY_file`."""
    return [key for key in model.model_fields if f"{key}_file" in model.model_fields]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the settings. tables: what its value can be if it is a table or a list of them."""

    tables: list[type[BaseModel]]
    field: FieldInfo | None = None

    @property
    def keys(self) -> list[str]:
        """The keys that are known here, each once."""
        return list(dict.fromkeys(key for table in self.tables for key in table.model_fields))

    def step(self, key: str) -> "Spot | None":
        """Return the place of `key` below this one; None for a key that is not known here."""
        field = next((table.model_fields[key] for table in self.tables if key in table.model_fields), None)
        if field is None and self.field is not None and is_free(self.field.annotation):
            return Spot([], self.field)
        return None if field is None else Spot(models_in(field.annotation), field)

    def narrowed(self, value: Any) -> "Spot":
        """Return this place with only the table that the `kind` of `value` chooses, where there are several."""
        kind = value.get("kind") if isinstance(value, dict) else None
        chosen = [table for table in self.tables if len(self.tables) > 1 and kind in kinds_of([table])]
        return Spot(chosen or self.tables, self.field)


def spot_of(root: type[BaseModel], loc: Loc, values: Any) -> Spot | None:
    """Return the place that `loc` names in `values`; None where nothing is known there."""
    spot = Spot([root])
    for part in loc:
        values = inner(values, part)
        if isinstance(part, int):
            spot = spot.narrowed(values)
            continue
        below = spot.step(part)
        if below is None:
            return None
        spot = below
    return spot


def inner(values: Any, part: str | int) -> Any:
    """Return what lies at `part` in a table or list; None where there is nothing."""
    if isinstance(values, dict):
        return values.get(part)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return values[part]
    return None


def secret_places(spot: Spot, values: Any, loc: Loc = ()) -> Iterator[tuple[Loc, dict[str, Any], list[str]]]:
    """Yield every table in `values` that has keys with a `_file` variant: its place, the table, the keys.

    spot: the place of `values`. A table of a kind that is not known is left out: nobody can say what its keys are.
    """
    if isinstance(values, list):
        for index, value in enumerate(values):
            yield from secret_places(spot.narrowed(value), value, (*loc, index))
    elif isinstance(values, dict):
        keys = secrets_of(spot.tables[0]) if len(spot.tables) == 1 else []
        if keys:
            yield loc, values, keys
        for key, value in values.items():
            below = spot.step(key)
            if below is not None and below.tables:
                yield from secret_places(below, value, (*loc, key))
