"""What is wrong with the settings, said so that the reader can mend it: one line for each problem."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pydantic_core import ErrorDetails

from segwatch.config.layout import Loc, Spot, inner, is_secret, kinds_of, spot_of, words_of
from segwatch.config.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from segwatch.errors import BadValue, SegwatchError, hint

HIDDEN = "**********"
_LONGEST_SHOWN = 80
_MOST_LISTED = 10

_WANTED = {
    "string_type": "text. Write it in quotes",
    "path_type": "a path. Write it in quotes",
    "bool_type": "a truth value. Write true or false",
    "bool_parsing": "a truth value. Write true or false",
    "int_type": "a whole number. Write one, without quotes",
    "int_parsing": "a whole number. Write one, without quotes",
    "int_from_float": "a whole number. Write one, without quotes",
    "int_parsing_size": "a whole number. Write one, without quotes",
    "float_type": "a number. Write one, without quotes",
    "float_parsing": "a number. Write one, without quotes",
    "finite_number": "a finite number. Write one",
}
_TABLE_WANTED = ("model_type", "model_attributes_type", "dict_type")
_LIST_WANTED = ("tuple_type", "list_type")
_BOUNDS = {
    "greater_than": ("gt", "not above", "more than"),
    "greater_than_equal": ("ge", "below", "or more"),
    "less_than_equal": ("le", "above", "or less"),
}


class ConfigError(SegwatchError):
    """The settings cannot be used. `problems` has one line for each mistake, with what to write instead."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(slots=True)
class Draft:
    """Settings that are not believed yet.

    label: the file, as the user named it. origins: which places have their value from elsewhere, and from where.
    problems: what is already known to be wrong, and where.
    """

    label: str
    values: dict[str, Any]
    origins: dict[Loc, str] = field(default_factory=dict)
    problems: list[tuple[Loc, str]] = field(default_factory=list)

    def wrong(self, loc: Loc, tail: str) -> None:
        """Note a problem at `loc`. tail: how the sentence goes on behind the setting's name."""
        self.problems.append((loc, f"{self.origin(loc)}: {dotted(loc)}{tail}"))

    def origin(self, loc: Loc) -> str:
        """Return where the value at `loc` was written."""
        found = (self.origins[loc[:length]] for length in range(len(loc), 0, -1) if loc[:length] in self.origins)
        return next(found, self.label)

    def sorted_problems(self) -> list[str]:
        """Return one line for each problem: what belongs to no section first, then by section and list entry."""
        sections = list(Settings.model_fields)

        def rank(loc: Loc) -> tuple[int, int]:
            section = sections.index(str(loc[0])) if loc and loc[0] in sections else -1
            return section, loc[1] if len(loc) > 1 and isinstance(loc[1], int) else -1

        return [line for _, line in sorted(self.problems, key=lambda problem: rank(problem[0]))]


def dotted(loc: Loc) -> str:
    """Return a place as `channels[0].url`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{_clean(part)}"
    return text.removeprefix(".")


def known_or_hint(word: str, known: Sequence[str], what: str) -> str:
    """Return what could stand in place of `word`: all of it unless that is long, then the likeliest."""
    likely = hint(word, known)
    return likely if likely and len(known) > _MOST_LISTED else f" Known {what}: {', '.join(known)}.{likely}"


def shown(value: object) -> str:
    """Return `value` on one line, in quotes if it is text, without what a URL says of its user."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    text = re.sub(r"//.*@", f"//{HIDDEN}@", str(value))
    return '"' + _clean(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...") + '"'


def explain(draft: Draft, errors: Iterable[ErrorDetails]) -> None:
    """Note in `draft` what pydantic found. Its own texts are not used: they name Python, and may show a secret."""
    for error in errors:
        loc, value = _place(error["loc"], draft.values)
        spot = spot_of(Settings, loc, draft.values)
        if error["type"] == "extra_forbidden":
            _unknown_key(draft, loc)
        elif error["type"] == "missing":
            _missing(draft, loc)
        elif error["type"] == "union_tag_not_found":
            draft.wrong((*loc, "kind"), f" is missing. Known kinds: {', '.join(_kinds(spot))}.")
        elif error["type"] == "union_tag_invalid":
            word = str(inner(value, "kind"))
            draft.wrong((*loc, "kind"), f" is {shown(word)}.{known_or_hint(word, _kinds(spot), 'kinds')}")
        elif isinstance(value, dict) and isinstance(error.get("ctx", {}).get("error"), BadValue):
            # of a whole table, whose keys contradict each other; unless one of them is told of, which may be why
            if not any(place[: len(loc)] == loc for place, _ in draft.problems):
                draft.wrong(loc, str(error["ctx"]["error"]))
        else:
            tail = _shape(draft, loc, error["type"]) or _tail(error, value, spot)
            draft.wrong(loc, f" is {_seen(value, spot, error['type'])}{tail}")


def _missing(draft: Draft, loc: Loc) -> None:
    above, key = loc[:-1], str(loc[-1])
    spot = spot_of(Settings, above, draft.values)
    if spot is None or f"{key}_file" not in spot.keys:
        draft.wrong(loc, f" is missing. Write {key} = ...")
    elif (
        inner(reduce(inner, above, draft.values), f"{key}_file") is None
    ):  # else it has been told why that file is no good
        draft.wrong(above, f" has no {key}. Write {key}_file = ... or {key} = ...")


def _place(loc: Loc, values: dict[str, Any]) -> tuple[Loc, Any]:
    """Return the place as the user wrote it, and what stands there: pydantic also names the kind, and [0] of one."""
    at: Any = values
    place: list[str | int] = []
    for depth, part in enumerate(loc):
        if loc[0] == "channels" and depth == 2:
            continue
        if not isinstance(at, dict | list):
            break
        place.append(part)
        at = inner(at, part)
    return tuple(place), at


def drop_unknown_sections(draft: Draft) -> None:
    """Note and remove what is no section, so that it cannot be taken for an argument of the models' constructor."""
    for key in draft.values.keys() - Settings.model_fields.keys():
        _unknown_key(draft, (key,))
        del draft.values[key]


def _unknown_key(draft: Draft, loc: Loc) -> None:
    above = spot_of(Settings, loc[:-1], draft.values)
    known, key = ([] if above is None else above.keys), str(loc[-1])
    instead = hint(key, known) or f" Known here: {', '.join(known)}."
    draft.wrong(loc, f" is not a setting.{instead}")


def _kinds(spot: Spot | None) -> list[str]:
    return [] if spot is None else kinds_of(spot.tables)


def _seen(value: object, spot: Spot | None, type_: str) -> str:
    if spot is None or spot.field is None or is_secret(spot.field.annotation):
        return f'"{HIDDEN}"'
    if type_ in _TABLE_WANTED + _LIST_WANTED:
        # what stands in place of a table may be a table that was mistyped, secrets and all
        return {bool: "true or false", str: "text", dict: "a table", list: "a list"}.get(type(value), "a number")
    return shown(value)


def _shape(draft: Draft, loc: Loc, type_: str) -> str:
    """Return the tail for a value that should be a table or a list; empty for any other error."""
    table = type_ in _TABLE_WANTED
    if not table and type_ not in _LIST_WANTED:
        return ""
    spot = spot_of(Settings, loc, draft.values)
    if draft.origin(loc) == env_name(loc):
        write = "it as JSON" + (f", or set {env_name((*loc, spot.keys[0]))} and others" if table and spot else "")
    elif table:
        write = f"{{{'' if spot is None else spot.keys[0]} = ...}}" if isinstance(loc[-1], int) else f"[{dotted(loc)}]"
    else:
        write = f"[[{dotted(loc)}]]" if spot is not None and spot.tables else f'{loc[-1]} = ["..."]'
    return f", which is not a {'table' if table else 'list'}. Write {write}."


def _tail(error: Mapping[str, Any], value: object, spot: Spot | None) -> str:
    type_, about = error["type"], error.get("ctx", {})
    if isinstance(about.get("error"), BadValue):
        return str(about["error"])
    if type_ in ("enum", "literal_error") and spot is not None and spot.field is not None:
        return f".{known_or_hint(str(value), words_of(spot.field.annotation), 'values')}"
    if type_ in _WANTED:
        return f", which is not {_WANTED[type_]}."
    if type_ in _BOUNDS:
        name, wrong, right = _BOUNDS[type_]
        bound = f"{about[name]:g}"
        write = f"{right} {bound}" if name == "gt" else f"{bound} {right}"
        return f", which is {wrong} {bound}. Write {write}."
    if type_ == "too_short":
        return ", which is empty. Write at least one."
    return f", which cannot be read ({type_})."


def _clean(text: str) -> str:
    """Return `text` without line breaks and control characters."""
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def env_name(loc: Loc) -> str:
    """Return the environment variable that sets the place `loc`."""
    return ENV_PREFIX + ENV_DELIMITER.join(str(part) for part in loc).upper()
