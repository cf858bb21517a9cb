"""The list of queries: ordered by a time, cut by a time, filtered by conditions. AEP contract 10."""

import operator
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, urlencode

from aiohttp import web

from segwatch.emulator.api.paging import whole_number
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json

_LIMIT = 20
_LIMIT_MAX = 100
_ORDERS = ("created", "-created", "updated", "-updated")
_COMPARED = ("id", "state", "created", "updated", "client", "userId")
_CONDITION = re.compile(r"(\w+)(==|!=|>=|<=|>|<|~)(.*)")
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "~": lambda text, part: part in text,
}


def page(request: web.Request, queries: Iterable[Json], *, base: str) -> tuple[list[Json], Json]:
    """Return the queries of the page that was asked for, and what the answer says around them.

    No two queries have the same times, so that a page can begin at one. base: the address of the list.
    Raises the 400 of a wrong parameter.
    """
    order = request.query.get("orderby") or "-created"
    if order not in _ORDERS:
        raise ServiceError(400, f"orderby is {order!r}: write one of {', '.join(_ORDERS)}")
    attribute, downwards = order.removeprefix("-"), order.startswith("-")
    limit = min(_LIMIT_MAX, whole_number(request, "limit", default=_LIMIT, least=1))
    start = request.query.get("start", "")
    conditions = [_condition(text) for text in ",".join(request.query.getall("property", [])).split(",") if text]
    hides_deleted = request.query.get("excludeSoftDeleted", "").lower() != "false"
    rows = [
        one
        for one in sorted(queries, key=operator.itemgetter(attribute), reverse=downwards)
        if (not start or (one[attribute] <= start if downwards else one[attribute] >= start))
        and not (hides_deleted and one["_deleted"])
        and all(fits(one) for fits in conditions)
    ]
    shown, rest = rows[:limit], rows[limit:]
    cut: Json = {"orderby": order, "count": len(shown)}
    if shown:
        cut["start"] = shown[0][attribute]
    links: Json = {"next": {}, "prev": {}}
    if rest:
        cut["next"] = rest[0][attribute]
        kept = [(name, text) for name, text in request.query.items() if name in ("property", "excludeSoftDeleted")]
        query = [("orderby", order), ("limit", limit), *kept, ("start", cut["next"])]
        links["next"] = {"href": f"{base}?{urlencode(query, quote_via=quote, safe=':')}"}
    return shown, {"_page": cut, "_links": links, "version": 1}


def _condition(text: str) -> Callable[[Json], bool]:
    found = _CONDITION.fullmatch(text.strip())
    if found is None or found.group(1) not in (*_COMPARED, "sql"):
        raise ServiceError(
            400, f"property holds {text!r}: write such as state==SUCCESS, of {', '.join(_COMPARED)} or sql"
        )
    name, sign, wanted = found.groups()
    compare = _OPERATORS[sign]
    return lambda query: compare(query["request"]["sql"] if name == "sql" else query[name], wanted)
