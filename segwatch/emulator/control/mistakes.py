"""Every mistake of one order, though whoever reads an order says the first one only."""

from collections.abc import Callable, Iterator
from typing import Any

from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json

_TOLD_MOST = 20


def mistakes(fields: Json, read: Callable[[Json], Any], sound: Json) -> list[str]:
    """Return what is wrong with the fields: one sentence for each field, and for each item of a list.

    read: takes fields, and raises ServiceError for what is wrong first. sound: fields that it takes.
    What is wrong is put right, by what is sound or by leaving it out, and the rest is read again.
    """
    told: list[str] = []
    wrong = _first(fields, read)
    while wrong is not None and len(told) < _TOLD_MOST:
        told.append(wrong)
        mended = ((one, _first(one, read)) for one in _mended(fields, sound))
        fields, wrong = next(((one, left) for one, left in mended if left != wrong), (fields, None))
    return told


def _first(fields: Json, read: Callable[[Json], Any]) -> str | None:
    try:
        read(fields)
    except ServiceError as error:
        return error.message
    return None


def _mended(fields: Json, sound: Json) -> Iterator[Json]:
    """Yield the fields with one thing in them put right, the smallest things first."""
    for name, value in fields.items():
        if isinstance(value, list) and len(value) > 1:
            for place in range(len(value)):
                yield fields | {name: value[:place] + value[place + 1 :]}
    for name in fields:
        rest = {other: value for other, value in fields.items() if other != name}
        yield rest | ({name: sound[name]} if name in sound else {})
    for name in sound:
        if name not in fields:
            yield fields | {name: sound[name]}
