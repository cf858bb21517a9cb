"""SQL on datasets, run by the platform's Query Service (AEP contract 10). It counts rows, and never sends any."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from segwatch.kinds.base import Request
from segwatch.kinds.fields import instant, items, mapping, text
from segwatch.kinds.replies import item_path
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import NotSendable, RateLimited, Refused, Unavailable
from segwatch.upstream.paging import pages
from segwatch.upstream.records import checked_id, count_of, id_of, known_truth, record

_PATH = "/data/foundation/query/queries"
_ONE = f"{_PATH}/{{id}}"
_FAULTS_MOST = 5  # in a row, of answers that a look at a query may miss


class QueryState(StrEnum):
    """How far a query came."""

    SUBMITTED = "SUBMITTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    KILLED = "KILLED"
    TIMEOUT = "TIMEOUT"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def of(cls, word: str) -> "QueryState":
        """Return the state of that name; UNKNOWN, which is not final, for any other."""
        name = word.strip().upper()
        return cls(name) if name in cls.__members__ else cls.UNKNOWN

    @property
    def is_final(self) -> bool:
        """True when the query will never change again."""
        return self in (QueryState.SUCCESS, QueryState.FAILED, QueryState.KILLED, QueryState.TIMEOUT)


class QueryError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a query failed. type: `USER_ERROR` or `SYSTEM_ERROR`."""

    code: str = ""
    message: str = ""
    type: str = ""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One query. word: the platform's own for its state. row_count: None while it is not told."""

    id: str
    state: QueryState = QueryState.UNKNOWN
    word: str = ""
    sql: str = ""
    database: str = ""
    name: str = ""
    description: str = ""
    row_count: int | None = None
    errors: tuple[QueryError, ...] = ()
    is_ctas: bool | None = None
    is_insert: bool | None = None
    elapsed: timedelta | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    client: str = ""
    user_id: str = ""
    raw: dict[str, Any] = {}


def read(told: dict[str, Any]) -> Query:
    """Return what the record of a query tells. Raises UnreadableRow for one without an id."""
    asked = mapping(told.get("request"))
    word = text(told.get("state"))
    elapsed_ms = count_of(told.get("elapsedTime"))
    return Query(
        id=id_of(told),
        state=QueryState.of(word),
        word=word,
        sql=text(asked.get("sql")),
        database=text(asked.get("dbName")),
        name=text(asked.get("name")),
        description=text(asked.get("description")),
        row_count=count_of(told.get("rowCount")),
        errors=tuple(_error(mapping(one)) for one in items(told.get("errors"))),
        is_ctas=known_truth(told.get("isCTAS")),
        is_insert=known_truth(told.get("isInsertInto")),
        elapsed=None if elapsed_ms is None or elapsed_ms >= 10**14 else timedelta(milliseconds=elapsed_ms),
        created_at=instant(told.get("created")),
        updated_at=instant(told.get("updated")),
        client=text(told.get("client")),
        user_id=text(told.get("userId")),
        raw=told,
    )


def create_request(sql: str, *, database: str, name: str = "", description: str = "") -> Request:
    """Return the POST of a query. Raises NotSendable for SQL that is empty."""
    if not sql.strip():
        raise NotSendable("the SQL is empty")
    body = {"dbName": database, "sql": sql, "name": name, "description": description}
    return Request(method="POST", path=_PATH, endpoint=_PATH, body={key: value for key, value in body.items() if value})


async def create(
    client: PlatformClient, sql: str, *, database: str = "", name: str = "", description: str = ""
) -> Query:
    """Have a query run, and return it; it has hardly begun. Sends once. Raises UpstreamError.

    database: `<sandbox>:all` unless it says otherwise. With `Fate.LOST` it may run; `list_` tells.
    """
    database = database or f"{client.sandbox}:all"
    return await record(client, create_request(sql, database=database, name=name, description=description), read)


async def get(client: PlatformClient, id_: str) -> Query:
    """Return one query. Raises UpstreamError, NotFound among them."""
    return await record(client, Request(method="GET", path=_one(id_), endpoint=_ONE), read)


def list_(client: PlatformClient, *, limit: int = 100, most: int | None = None) -> AsyncIterator[Query]:
    """Yield queries, the newest first. limit: on a page. Raises UpstreamError."""
    params = (("orderby", "-created"), ("limit", str(limit)))
    request = Request(method="GET", path=_PATH, endpoint=_PATH, params=params)
    return pages(client, request, rows_at="queries", read=read, key=lambda one: one.id, most=most)


async def cancel(client: PlatformClient, id_: str) -> bool:
    """Ask for a query to be ended; False when it had ended already. Raises UpstreamError."""
    try:
        await client.call(Request(method="PATCH", path=_one(id_), endpoint=_ONE, body={"op": "cancel"}))
    except Refused as error:
        if error.status == 409:
            return False
        raise
    return True


async def wait(
    client: PlatformClient, id_: str, *, interval: timedelta = timedelta(seconds=2),
    heard: Callable[[Query], None] = lambda query: None, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Query:  # fmt: skip
    """Return a query when it has ended, however; `heard` gets what every look at it saw.

    A look that fails is repeated, as often as it may be bad luck. Raises UpstreamError.
    """
    faults = 0
    while True:
        pause = interval
        try:
            query = await get(client, id_)
        except (Unavailable, RateLimited) as error:
            faults += 1
            if faults >= _FAULTS_MOST:
                raise
            if isinstance(error, RateLimited) and error.retry_after:
                pause = max(pause, error.retry_after)
        else:
            faults = 0
            heard(query)
            if query.state.is_final:
                return query
        await sleep(pause.total_seconds())


def _one(id_: str) -> str:
    return item_path(_PATH, checked_id(id_, "A query"))


def _error(told: dict[str, Any]) -> QueryError:
    return QueryError(code=text(told.get("code")), message=text(told.get("message")), type=text(told.get("errorType")))
