"""Faults that scripts inject: which request meets which, and what it does to the answer."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from aiohttp import web

from segwatch.emulator.bodies import raw_body
from segwatch.emulator.downloads import Download
from segwatch.emulator.envelopes import ServiceError, answer, refused_without_words
from segwatch.emulator.settings import Json

_GARBAGE = b"\x1f\x8b<html>\xff\xfe the gateway was restarted {{ not JSON"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close sends RST
_TRICKLE_INTERVAL_S = 0.05
_FLUSH_INTERVAL_S = 0.002

CUT = 0  # the code under which the ledger counts a connection that was reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a request. At most one of the fields besides `delay_s` is set."""

    delay_s: float = 0.0
    status: int | None = None
    body: object = None
    headers: dict[str, str] | None = None
    reset: bool = False
    accept_then_reset: bool = False
    truncate: int | None = None
    drop_after: int | None = None
    garbage: bool = False
    slow_bytes_per_s: float | None = None
    rewrite: Json | None = None


@dataclass(slots=True, kw_only=True)
class Rule:
    """A fault and the requests it is for. `left` and `until` (epoch seconds) end it; None means never."""

    id: str
    method: str | None
    path: str
    fault: Fault
    shown: Json
    probability: float
    left: int | None
    until: float | None
    uses: int = 0

    def fits(self, method: str, path: str, query: str) -> bool:
        if self.method not in (None, method):
            return False
        bare = path.rstrip("/") or "/"
        return any(fnmatchcase(text, self.path) for text in (path, bare, f"{path}?{query}", f"{bare}?{query}"))

    def document(self) -> Json:
        return {"id": self.id, "method": self.method, "path": self.path, "fault": self.shown} | {
            "probability": self.probability,
            "left": self.left,
            "until": self.until,
            "uses": self.uses,
        }


class Faults:
    """The rules in force, oldest first. now: epoch seconds."""

    def __init__(self, *, chance: Random, now: Callable[[], float]) -> None:
        self._chance = chance
        self._now = now
        self._rules: dict[str, Rule] = {}
        self._made = 0

    def add(
        self,
        fault: Fault,
        *,
        shown: Json,
        path: str,
        method: str | None = None,
        times: int | None = None,
        probability: float = 1.0,
        seconds: float | None = None,
    ) -> str:
        """Put a fault in force, and return its id. seconds: how long it lives, not divided by the speed."""
        self._made += 1
        rule_id = f"fault-{self._made}"
        self._rules[rule_id] = Rule(
            id=rule_id,
            method=method,
            path=path,
            fault=fault,
            shown=shown,
            probability=probability,
            left=times,
            until=None if seconds is None else self._now() + seconds,
        )
        return rule_id

    def remove(self, rule_id: str) -> bool:
        """Take a fault out of force; False if it is not (or no more) in force."""
        return self._rules.pop(rule_id, None) is not None

    def clear(self) -> int:
        """Take all faults out of force, and return how many there were."""
        count = len(self._rules)
        self._rules.clear()
        return count

    def documents(self) -> list[Json]:
        """Return the faults still in force."""
        self._forget_expired()
        return [rule.document() for rule in self._rules.values()]

    def claim(self, method: str, path: str, query: str) -> Fault | None:
        """Return the fault that this request meets, and use it up by one. The first match wins."""
        self._forget_expired()
        for rule in self._rules.values():
            if not rule.fits(method, path, query):
                continue
            if rule.probability < 1 and self._chance.random() >= rule.probability:
                continue
            rule.uses += 1
            if rule.left is not None:
                rule.left -= 1
                if rule.left <= 0:
                    del self._rules[rule.id]
            return rule.fault
        return None

    def _forget_expired(self) -> None:
        now = self._now()
        for rule in [rule for rule in self._rules.values() if rule.until is not None and rule.until <= now]:
            del self._rules[rule.id]


async def strike(
    fault: Fault,
    request: web.Request,
    serve: Callable[[], Awaitable[web.Response]],
    *,
    request_id: str,
) -> web.Response | None:
    """Return what a request gets that met a fault; None if its connection was reset.

    serve: lets the request take effect. `status` and `reset` strike before that, all others after.
    """
    with suppress(ServiceError):  # what cannot be read meets the fault all the same
        await raw_body(request)  # a client that leaves during the delay has still sent its request
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.reset:
        _reset(request)
        return None
    if fault.status is not None:
        return _status_answer(fault.status, fault, request.path, request_id)
    response = await serve()
    if fault.accept_then_reset:
        _reset(request)
        return None
    if fault.drop_after is not None:
        return await _dropped(response, fault.drop_after, request)
    if isinstance(response, Download):
        return await _marred_download(fault, response)
    return _marred(fault, response)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the document after the patch, as RFC 7396 says."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:  # the client was faster
        return
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _status_answer(status: int, fault: Fault, path: str, request_id: str) -> web.Response:
    if fault.body is None:
        response = refused_without_words(status, path=path, request_id=request_id)
    elif isinstance(fault.body, str):
        response = web.Response(status=status, text=fault.body, content_type=_type_of(fault.body))
    else:
        response = answer(fault.body, status=status)
    if fault.headers is not None:
        if fault.body is None:
            response.headers.pop("Retry-After", None)  # whoever gives headers gives all of them
        response.headers.update(fault.headers)
    return response


def _type_of(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return "text/html" if text.lstrip().startswith("<") else "text/plain"
    return "application/json"


def _marred(fault: Fault, response: web.Response) -> web.Response:
    body = response.body if isinstance(response.body, bytes) else b""
    if fault.garbage:
        return web.Response(body=_GARBAGE, content_type="application/json")
    if fault.truncate is not None:
        return _with_body(response, body[: fault.truncate])
    if fault.rewrite is not None and body:
        patched = answer(merge_patch(json.loads(body), fault.rewrite))
        return _with_body(response, patched.body)
    if fault.slow_bytes_per_s is not None and body:
        headers = dict(response.headers) | {"Content-Length": str(len(body))}
        return web.Response(status=response.status, headers=headers, body=_trickle(body, fault.slow_bytes_per_s))
    return response


async def _marred_download(fault: Fault, response: Download) -> web.Response:
    """Return a file's answer, marred; it is not JSON that could be rewritten."""
    if fault.garbage:
        return web.Response(body=_GARBAGE, content_type="application/octet-stream")
    if fault.truncate is not None:
        return _with_body(response, await response.beginning(fault.truncate))
    if fault.slow_bytes_per_s is not None:
        response.slow_down(fault.slow_bytes_per_s)
    return response


async def _dropped(response: web.Response, after_bytes: int, request: web.Request) -> web.Response:
    """Return an answer that announces its whole length, and whose connection breaks before that was sent."""
    if isinstance(response, Download):
        response.break_off(after_bytes, lambda: _sent_and_reset(request))
        return response
    body = response.body if isinstance(response.body, bytes) else b""

    async def beginning() -> AsyncIterator[bytes]:
        yield body[:after_bytes]
        await _sent_and_reset(request)

    headers = dict(response.headers) | {"Content-Length": str(len(body))}
    return web.Response(status=response.status, headers=headers, body=beginning())


async def _sent_and_reset(request: web.Request) -> None:
    """Reset the connection once what was written has left; a reset throws away what has not."""
    transport = request.transport
    # asyncio tells nobody that a buffer is empty but the one who fills it
    while transport is not None and not transport.is_closing() and transport.get_write_buffer_size():  # noqa: ASYNC110
        await asyncio.sleep(_FLUSH_INTERVAL_S)
    _reset(request)


def _with_body(response: web.Response, body: Any) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
    return web.Response(status=response.status, headers=headers, body=body)


async def _trickle(body: bytes, bytes_per_s: float) -> AsyncIterator[bytes]:
    size = max(1, int(bytes_per_s * _TRICKLE_INTERVAL_S))
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(size / bytes_per_s)
