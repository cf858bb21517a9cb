"""Bodies of requests, read so that nothing in them is a danger to whoever works with it, or keeps it."""

import asyncio
import json
import math
import zlib
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from segwatch.emulator.envelopes import ServiceError

_DEEPEST = 100
_PACKED_S = 5.0  # aiohttp tells nobody of some bodies that cannot be unpacked: whoever reads them waits for ever
_TOO_DEEP = f"The body is nested too deeply: {_DEEPEST} levels are read"


async def raw_body(request: web.Request) -> bytes:
    """Return the body, unpacked; raises the 400 of the request's area where it is not packed as its header says."""
    try:
        async with asyncio.timeout(_PACKED_S if "Content-Encoding" in request.headers else None):
            return await request.read()
    except (HttpProcessingError, zlib.error, web.RequestPayloadError, TimeoutError) as exc:
        request.content.feed_eof()  # or the server reads the rest of it after the answer, and logs the failure again
        packed = request.headers.get("Content-Encoding", "")
        raise ServiceError(400, f"The body is not what its Content-Encoding {packed!r} says") from exc


async def json_body(request: web.Request) -> Any:
    """Return the body as JSON, whatever its declared type; raises the 400 of the request's area.

    Every text in it can be written as UTF-8, every number is finite, and nothing in it is nested deeper than code may
    follow.
    """
    raw = await raw_body(request)
    try:
        body = json.loads(raw, parse_float=_finite, parse_constant=_no_number)
        _demand_shallow(body)
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is JSON, and no text
    except UnicodeEncodeError as exc:
        raise ServiceError(400, "The body has a text with half of a surrogate pair: write both halves") from exc
    except ValueError as exc:
        raise ServiceError(400, f"The body is not JSON: {exc}") from exc
    except RecursionError as exc:
        raise ServiceError(400, _TOO_DEEP) from exc
    return body


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number there")


def _demand_shallow(body: Any) -> None:
    level = [body]
    for _ in range(_DEEPEST + 1):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise ServiceError(400, _TOO_DEEP)
