"""Query parameters of lists, and the links to the next page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar
from urllib.parse import quote, urlencode

from aiohttp import web

from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json

_UPS_BASE = "/data/core/ups"
_FURTHEST = 10**18  # no list is so long; islice takes little more

Row = TypeVar("Row")


def whole_number(request: web.Request, name: str, *, default: int, least: int = 0) -> int:
    """Return a numeric parameter; an empty one counts as absent. Raises the 400 of the request's area.

    What is beyond 10**18 comes as that: it is as far beyond the end of everything.
    """
    text = request.query.get(name, "")
    if not text:
        return default
    number = (int(text) if len(text) <= 18 else _FURTHEST) if text.isdecimal() else -1
    if number < least:
        raise ServiceError(400, f"{name} is {text!r}: write a whole number, {least} or more")
    return number


def order(request: web.Request, *, default: str, known: Iterable[str]) -> tuple[str, bool]:
    """Return the attribute to sort by and whether downwards, from `sort=attribute:asc|desc`."""
    attribute, _, direction = (request.query.get("sort") or default).partition(":")
    if attribute not in known or direction not in ("asc", "desc", ""):
        choices = ", ".join(sorted(known))
        raise ServiceError(400, f"sort is {request.query['sort']!r}: write one of {choices}, then :asc or :desc")
    return attribute, direction == "desc"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsPage:
    """A cut through a list whose pages are numbered from 0. AEP contract 3.7."""

    start: int
    limit: int
    quirks: frozenset[Quirk]

    @classmethod
    def asked(cls, request: web.Request, quirks: set[Quirk]) -> "UpsPage":
        return cls(
            start=whole_number(request, "start", default=0),
            limit=min(100, whole_number(request, "limit", default=100, least=1)),
            quirks=frozenset(quirks),
        )

    @property
    def _first(self) -> int:
        return min(_FURTHEST, self.start if Quirk.ITEM_OFFSET_START in self.quirks else self.start * self.limit)

    def cut(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows of this page."""
        repeated = 1 if Quirk.SHIFTING_ROWS in self.quirks and self._first > 0 else 0
        return list(islice(rows, self._first - repeated, self._first + self.limit))

    def document(self, request: web.Request, path: str, children: list[Json], total: int) -> Json:
        """Return the answer around the rows, with the links that lead on."""
        page: Json = {"totalCount": total, "pageSize": len(children)}
        link: Json = {}
        if self._first + self.limit < total:
            following = self.start + (self.limit if Quirk.ITEM_OFFSET_START in self.quirks else 1)
            page["next"] = str(following)
            link = {"href": self._href(request, path, following, total)}
        document: Json = {"_page": page, "children": children}
        if Quirk.NO_LINKS not in self.quirks:
            document["_links"] = {"next": link}
        return document

    def _href(self, request: web.Request, path: str, following: int, total: int) -> str:
        kept = [(name, value) for name, value in request.query.items() if name in ("status", "sort", "property")]
        query = urlencode(
            [("start", following), ("limit", self.limit), *kept, ("totalCount", total)],
            quote_via=quote,
            safe=":",
        )
        return f"{link_base(request, self.quirks)}{path}?{query}"


def link_base(request: web.Request, quirks: frozenset[Quirk]) -> str:
    """Return what a UPS link begins with: "@", nothing, or the whole address. AEP contract 13.9."""
    if Quirk.ABSOLUTE_LINKS in quirks:
        return f"{request.url.origin()}{_UPS_BASE}"
    return "" if Quirk.UPS_RELATIVE_LINKS in quirks else "@"


def matches(row: Mapping[str, object], condition: str) -> bool:
    """Whether a row meets `path==value` or `array~key==value`; a value is written as in JSON. AEP contract 3.7."""
    path, _, wanted = condition.partition("==")
    outer, tilde, inner = path.partition("~")
    found: object = row
    for name in outer.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not tilde:
        return _is(found, wanted)
    return isinstance(found, list) and any(isinstance(item, Mapping) and _is(item.get(inner), wanted) for item in found)


def _is(found: object, wanted: str) -> bool:
    """Whether a value is the one that was written; nothing is what is missing, or no single value."""
    match found:
        case bool():
            return wanted == ("true" if found else "false")
        case str() | int() | float():
            return str(found) == wanted
        case _:
            return False
