"""Silences over HTTP: `/api/v1/silences`."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Protocol

import msgspec
from aiohttp import web

from segwatch.alerts.matching import Matcher, parse, routable
from segwatch.alerts.silences import BadSilence, Silence, SilenceState, begun
from segwatch.errors import BadValue, SegwatchError
from segwatch.store.base import StoreError

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Silences(Protocol):
    """Who keeps the silences. Every call may raise StoreError."""

    async def all(self) -> list[Silence]:
        """Return every silence, oldest first."""

    async def add(self, silence: Silence) -> Silence:
        """Keep a new silence. Raises SegwatchError for one that would end at once."""

    async def expire(self, id_: str) -> Silence | None:
        """End a silence now, if it has not ended, and return it; None when there is no such one."""


class _Wanted(msgspec.Struct, forbid_unknown_fields=True, rename={"for_": "for"}):
    """The body of a POST."""

    matchers: list[str]
    for_: str | None = None
    ends_at: _Time | None = None
    starts_at: _Time | None = None
    until_resolved: bool = False
    owner: str = ""
    reason: str = ""


class SilenceApi:
    """The handlers. silences: whoever keeps them now. span: reads a duration, such as `2h`, or raises BadValue."""

    def __init__(
        self, silences: Callable[[], Silences], now: Callable[[], datetime], span: Callable[[object], timedelta]
    ) -> None:
        self._silences = silences
        self._now = now
        self._span = span

    def routes(self) -> list[web.RouteDef]:
        """Return what the server routes here; who may call is its business."""
        return [
            web.get("/api/v1/silences", self._list),
            web.post("/api/v1/silences", self._add),
            web.get("/api/v1/silences/{id}", self._show),
            web.delete("/api/v1/silences/{id}", self._expire),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        """Answer those that are in force or will be; `?state=` names others, and `all` all."""
        known = [one.value for one in SilenceState]
        states = request.query.getall("state", [SilenceState.ACTIVE.value, SilenceState.PENDING.value])
        if wrong := [state for state in states if state not in (*known, "all")]:
            return _problem(400, f'state is "{wrong[0]}". Known states: {", ".join([*known, "all"])}.')
        now = self._now()
        try:
            silences = await self._silences().all()
        except StoreError as error:
            return _problem(503, str(error))
        wanted = [one for one in silences if "all" in states or one.state(now).value in states]
        return web.json_response([one.payload(now) for one in wanted])

    async def _show(self, request: web.Request) -> web.Response:
        try:
            silences = await self._silences().all()
        except StoreError as error:
            return _problem(503, str(error))
        found = next((one for one in silences if one.id == request.match_info["id"]), None)
        return self._answer(found, request)

    async def _add(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":  # which no form of a foreign page can send unasked
            return _problem(415, "send JSON, with Content-Type: application/json")
        try:
            silence = self._begun(msgspec.json.decode(await request.read(), type=_Wanted))
        except (msgspec.DecodeError, UnicodeError, BadSilence, BadValue) as error:
            return _problem(400, str(error))
        try:
            await self._silences().add(silence)
        except StoreError as error:
            return _problem(503, str(error))
        except SegwatchError as error:
            return _problem(409, str(error))
        headers = {"Location": f"/api/v1/silences/{silence.id}"}
        return web.json_response(silence.payload(self._now()), status=201, headers=headers)

    async def _expire(self, request: web.Request) -> web.Response:
        try:
            return self._answer(await self._silences().expire(request.match_info["id"]), request)
        except StoreError as error:
            return _problem(503, str(error))

    def _begun(self, wanted: _Wanted) -> Silence:
        """Return the silence that is asked for. Raises BadSilence, BadValue."""
        matchers = tuple(matcher for text in wanted.matchers for matcher in _read(text))
        try:
            lasts = None if wanted.for_ is None else self._span(wanted.for_)
        except BadValue as error:
            raise BadValue(f'for is "{wanted.for_}"{error}') from None
        return begun(
            secrets.token_hex(4), matchers, self._now(), starts_at=wanted.starts_at, ends_at=wanted.ends_at,
            lasts=lasts, until_resolved=wanted.until_resolved, owner=wanted.owner, reason=wanted.reason,
        )  # fmt: skip

    def _answer(self, silence: Silence | None, request: web.Request) -> web.Response:
        if silence is None:
            return _problem(404, f"no silence has the id {request.match_info['id']}")
        return web.json_response(silence.payload(self._now()))


def _read(text: str) -> tuple[Matcher, ...]:
    try:
        return routable(parse(text))
    except BadValue as error:
        raise BadValue(f'matcher is "{text}"{error}') from None


def _problem(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
