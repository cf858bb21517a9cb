"""Answers and error envelopes, each in the shape of the service that would send it. AEP contract 1.3."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

import msgspec
from aiohttp import web

from segwatch.emulator.settings import Json

GATEWAY_MESSAGES = {
    "400003": "Missing header",
    "401013": "Oauth token is not valid",
    "403000": "Api Key is required",
    "403003": "Api Key is invalid",
    "403010": "Oauth token is missing.",
    "403027": "User region is missing",
    "429050": "Too many requests",
}


class Area(Enum):
    """The services behind the gateway, by the first part of a path."""

    IMS = "/ims"
    ENTITIES = "/data/core/ups/access/entities"
    UPS = "/data/core/ups"
    PLATFORM = "/data"  # catalog, and whatever else lives behind the gateway
    EVENTS = "/events"
    ORGANIZATIONS = "/organizations"  # the same journals, by their addresses without the prefix
    CONTROL = "/_emulator"
    NOWHERE = ""


def area_of(path: str) -> Area:
    """Return which service a path belongs to."""
    return next(area for area in Area if f"{path}/".startswith(f"{area.value}/"))


@dataclass(slots=True, eq=False)  # not frozen: Python itself sets __traceback__
class GatewayError(Exception):
    """Refused before any service saw it: envelope A, whose code begins with the HTTP status."""

    code: str


@dataclass(slots=True, eq=False)  # not frozen: Python itself sets __traceback__
class ServiceError(Exception):
    """Refused by a service: envelope B, C, D or G, by its area."""

    status: int
    message: str


@dataclass(slots=True, eq=False)  # not frozen: Python itself sets __traceback__
class ImsError(Exception):
    """A token was refused: envelope G. AEP contract 2.3."""

    error: str
    description: str


Refusal = GatewayError | ServiceError | ImsError


def answer(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def refused(refusal: Refusal, *, path: str, request_id: str) -> web.Response:
    """Return the envelope that the service at this path would answer with."""
    match refusal:
        case GatewayError(code=code):
            headers = {"Retry-After": "1"} if code.startswith("429") else None
            body = {"error_code": code, "message": GATEWAY_MESSAGES[code]}
            return answer(body, status=int(code[:3]), headers=headers)
        case ImsError(error=error, description=description):
            return answer({"error": error, "error_description": description}, status=400)
        case ServiceError(status=status, message=message):
            return answer(_service_body(status, message, path, request_id), status=status)


def refused_without_words(status: int, *, path: str, request_id: str) -> web.Response:
    """Return what a service answers with this status when nobody said more."""
    area = area_of(path)
    if area is not Area.IMS and status in (401, 429):
        return refused(GatewayError({401: "401013", 429: "429050"}[status]), path=path, request_id=request_id)
    response = refused(ServiceError(status, _title(status)), path=path, request_id=request_id)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = "1"
    return response


def ups_error_body(status: int, message: str, request_id: str) -> Json:
    """Return envelope C."""
    return {
        "requestId": request_id,
        "errors": {str(status): [{"code": status, "message": message}]},
        "type": f"https://ns.adobe.com/aep/errors/UPAPI-113740-{status}",
        "title": _title(status),
        "status": status,
    }


def _service_body(status: int, message: str, path: str, request_id: str) -> Json:
    match area_of(path):
        case Area.IMS:
            return {"error": _title(status).lower().replace(" ", "_"), "error_description": message}
        case Area.PLATFORM | Area.EVENTS | Area.ORGANIZATIONS:
            title = f"{_title(status).replace(' ', '')}Error"
            return {"type": "/placeholder/type/uri", "status": status, "title": title, "detail": message}
        case Area.ENTITIES:
            return {"message": message, "statusCode": str(status)}
        case Area.CONTROL:
            return {"error": message}
        case Area.UPS | Area.NOWHERE:
            return ups_error_body(status, message, request_id)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
