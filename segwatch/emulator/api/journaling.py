"""The journal that others pull events from. AEP contract 11.5."""

import re
from datetime import timedelta
from itertools import islice

from aiohttp import web
from multidict import CIMultiDict

from segwatch.emulator.api.front import CALLER
from segwatch.emulator.api.paging import whole_number
from segwatch.emulator.envelopes import ServiceError, answer
from segwatch.emulator.journal import Entry
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_LIMIT_USUAL = 100
_LIMIT_MOST = 2_000  # some 600 bytes each: an answer stays below 1.5 MB
_RETRY_AFTER_S = "10"
_POSITION = re.compile(r"camel:0:(\d{1,15})")
_DURATION = re.compile(r"-P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?")


class Journaling:
    """GET of the events after a position; the answer's links lead on. Every registration has the same."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        journals = ("/events/organizations/{registration:.+}", "/organizations/{registration:.+}")
        return [web.get(path, self._read, allow_head=False) for path in journals]

    async def _read(self, request: web.Request) -> web.Response:
        journal = self._world.journal
        limit = min(_LIMIT_MOST, whole_number(request, "limit", default=_LIMIT_USUAL, least=1))
        after = self._start(request)
        if after < journal.forgotten:
            return web.Response(status=410, text="The position is too old: events are kept for seven days.")
        entries = list(islice(journal.after(after, request[CALLER].org), limit))
        if not entries:
            return self._nothing(request, after)
        last = _position(entries[-1].number)
        body = {"events": [_row(entry) for entry in entries], "_page": {"last": last, "count": len(entries)}}
        return answer(body, headers={"Link": _link(request, last, limit, "next")})

    def _start(self, request: web.Request) -> int:
        """Return the number of the event after which the answer begins."""
        journal, asked = self._world.journal, request.query
        if since := asked.get("since"):
            if (found := _POSITION.fullmatch(since)) is None:
                raise ServiceError(400, f"since is {since!r}: write a position that an answer named")
            return int(found[1])
        if asked.get("latest") == "true":
            return journal.written
        if seek := asked.get("seek"):
            return journal.since(self._world.now() - _duration(seek).total_seconds())
        return journal.forgotten

    def _nothing(self, request: web.Request, after: int) -> web.Response:
        headers = CIMultiDict[str]({"retry-after": _RETRY_AFTER_S})
        for relation in ("next", "validate"):
            headers.add("Link", _link(request, _position(after), None, relation))
        return web.Response(status=204, headers=headers)


def _row(entry: Entry) -> Json:
    return {"position": _position(entry.number), "event": entry.document()}


def _position(number: int) -> str:
    return f"camel:0:{number}"


def _link(request: web.Request, position: str, limit: int | None, relation: str) -> str:
    """Return a link header; links have the prefix that the journal's own address may lack."""
    path = f"/events/organizations/{request.match_info['registration'].rstrip('/')}"
    count = "" if limit is None or "limit" not in request.query else f"&limit={limit}"
    validate = "/validate" if relation == "validate" else ""
    return f'<{path}{validate}?since={position}{count}>; rel="{relation}"'


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ServiceError(400, f"seek is {text!r}: write an ISO 8601 duration back from now, such as -PT2H")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
