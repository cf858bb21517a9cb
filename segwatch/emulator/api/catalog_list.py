"""Lists of the catalog: objects keyed by id, cut and filtered by query parameters. AEP contract 7."""

from collections.abc import Callable, Mapping
from itertools import islice

from aiohttp import web

from segwatch.emulator.api.paging import whole_number
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json

_LIMIT = 20
_LIMIT_MAX = 100
_SORTABLE = ("created", "updated", "name", "status")


def listed(request: web.Request, known: Mapping[str, Json], fits: Callable[[str, Json], bool]) -> dict[str, Json]:
    """Return the page that was asked for, of those that fit. Raises the 400 of a wrong parameter."""
    limit = whole_number(request, "limit", default=_LIMIT, least=1)
    if limit > _LIMIT_MAX:
        raise ServiceError(400, f"limit is {limit}: write {_LIMIT_MAX} or less")
    start = whole_number(request, "start", default=0)
    after = whole_number(request, "createdAfter", default=-1)
    before = whole_number(request, "createdBefore", default=10**18)
    rows = [
        (name, row) for name, row in known.items() if after < int(row.get("created", 0)) < before and fits(name, row)
    ]
    for attribute, downwards in reversed(_orders(request)):  # sorting is stable: the first attribute comes last
        rows.sort(key=lambda row: str(row[1].get(attribute, "")), reverse=downwards)
    wanted = words(request, "properties")
    return {
        name: {key: value for key, value in row.items() if not wanted or key in wanted}
        for name, row in islice(rows, start, start + limit)
    }


def words(request: web.Request, name: str) -> frozenset[str]:
    """Return what a parameter lists, separated by commas."""
    return frozenset(word.strip() for word in request.query.get(name, "").split(",") if word.strip())


def _orders(request: web.Request) -> list[tuple[str, bool]]:
    """Return the attributes to sort by and whether downwards, from `orderBy=desc:created`, which some call `sort`."""
    text = request.query.get("orderBy") or request.query.get("sort") or ""
    orders = []
    for part in filter(None, text.split(",")):
        first, _, second = part.strip().partition(":")
        # documents write desc:created, and other services of the same platform created:desc
        direction, attribute = (first, second) if second in _SORTABLE else (second or "asc", first)
        if direction not in ("asc", "desc") or attribute not in _SORTABLE:
            choices = ", ".join(_SORTABLE)
            raise ServiceError(400, f"orderBy is {text!r}: write desc: or asc:, then one of {choices}")
        orders.append((attribute, direction == "desc"))
    return orders
