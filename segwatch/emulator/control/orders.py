"""What scripts write to the control API, checked: every refusal says what to write instead."""

from dataclasses import dataclass
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.export_request import export_request
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.engine import Kind, Script, Step
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.faults import Fault
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.sandbox import SANDBOX_NAME
from segwatch.emulator.settings import Json
from segwatch.emulator.world import Outcome, Sandbox

LONGEST_S = 3650 * 86_400.0  # ten years
_JOBS_MAX = 100_000
_FASTEST_BYTES_PER_S = float(1 << 30)
_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
_FAULT_KINDS = (
    "status", "reset", "accept_then_reset", "truncate", "drop_after", "garbage", "slow_bytes_per_s", "rewrite",
)  # fmt: skip


class Order:
    """A JSON object with known names; anything else in it is refused."""

    def __init__(self, body: Any, *known: str, what: str) -> None:
        if not isinstance(body, dict):
            raise _refusal(f"{what} is not an object. Write {{...}} with {', '.join(known)}.")
        for name in body:
            if name not in known:
                raise _refusal(f"{what} has {name!r}. Known names: {', '.join(known)}.")
        self._body = body
        self._what = what

    def __contains__(self, name: str) -> bool:
        return self._body.get(name) is not None

    def value(self, name: str) -> Any:
        return self._body.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._body.get(name, default)
        if not isinstance(value, str) or not value:
            raise _refusal(f"{name} is {value!r}. Write a text that is not empty.")
        return value

    def sandbox(self) -> str:
        name = self.text("sandbox", seed.SANDBOX)
        if not SANDBOX_NAME.fullmatch(name):
            raise _refusal(f"sandbox is {name!r}. Write a name in lower case, such as prod.")
        return name

    def number(self, name: str, *, least: float = 0.0, most: float) -> float | None:
        value = self._body.get(name)
        if value is None:
            return None
        if (number := bounded(value, least=least, most=most)) is None:
            raise _refusal(f"{name} is {value!r}. Write a number, from {_short(least)} to {_short(most)}.")
        return number

    def whole(self, name: str, *, least: int = 0, most: int = _JOBS_MAX) -> int | None:
        value = self.number(name, least=least, most=most)
        if value is not None and value != int(value):
            raise _refusal(f"{name} is {value!r}. Write a whole number.")
        return None if value is None else int(value)

    def flag(self, name: str) -> bool:
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            raise _refusal(f"{name} is {value!r}. Write true or false.")
        return value

    def errors(self) -> list[Json] | None:
        value = self._body.get("errors")
        if value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            raise _refusal('errors is no list of objects. Write [{"code": "0090000009", "msg": "..."}].')
        return value


def bounded(value: object, *, least: float = 0.0, most: float) -> float | None:
    """Return what was written as a number; None if it is none, or not within the bounds.

    Every number of an order comes through here. JSON and TOML know whole numbers that no double can hold, TOML also
    infinity and NaN: of these, whoever waits, counts or keeps would fail later, and for ever.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        return None
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJobs:
    """`POST /_emulator/jobs`. script None: the natural path."""

    kind: Kind
    script: Script | None
    count: int
    sandbox: str
    body: Any
    errors: list[Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFault:
    """`POST /_emulator/faults`."""

    fault: Fault
    shown: Json
    method: str | None
    path: str
    times: int | None
    probability: float
    seconds: float | None


def kind_of(word: object) -> Kind:
    """Return the kind of that name."""
    try:
        return Kind(str(word))
    except ValueError:
        raise _refusal(f"kind is {word!r}. Known kinds: {', '.join(sorted(Kind))}.") from None


def new_jobs(body: Any) -> NewJobs:
    order = Order(body, "kind", "script", "count", "sandbox", "body", "errors", what="The body")
    count = order.whole("count", least=1)
    return NewJobs(
        kind=kind_of(order.value("kind")),
        script=_script(order.value("script")) if "script" in order else None,
        count=1 if count is None else count,
        sandbox=order.sandbox(),
        body=order.value("body"),
        errors=order.errors(),
    )


def job_request(new: NewJobs, sandbox: Sandbox) -> Json:
    """Return what the new jobs ask for: what is missing in their body is filled in with something valid.

    Ids of datasets and segments need not exist: real ones may have been deleted since the job was submitted.
    """
    body = new.body
    match new.kind:
        case Kind.SEGMENT_JOB:
            if body is None or isinstance(body, dict):
                usual = {
                    "schema": {"name": seed.PROFILE_SCHEMA},
                    "segments": [{"segmentId": next(iter(sandbox.definitions))}],
                }
                body = usual | (body or {})
            return segment_request(body, sandbox, known_only=False)
        case Kind.EXPORT_JOB:
            if body is None or isinstance(body, dict):
                usual = {
                    "filter": {"segments": [{"segmentId": next(iter(sandbox.definitions)), "status": ["realized"]}]},
                    "mergePolicy": {"id": seed.MERGE_POLICY_ID, "version": 1},
                    "schema": {"name": seed.PROFILE_SCHEMA},
                    "destination": {"datasetId": next(iter(sandbox.datasets)), "segmentPerBatch": False},
                }
                body = usual | (body or {})
            return export_request(body, sandbox, known_only=False)


def new_status(body: Any) -> tuple[str, list[Json] | None]:
    """Return the status and errors of `POST /_emulator/jobs/{kind}/{id}/status`."""
    order = Order(body, "status", "errors", what="The body")
    return order.text("status"), order.errors()


def new_outcomes(body: Any) -> tuple[Kind, list[Outcome]]:
    order = Order(body, "kind", "next", "errors", what="The body")
    words = order.value("next")
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise _refusal(f'next is {words!r}. Write a list of statuses, such as ["FAILED", "SUCCEEDED"].')
    errors = order.errors()
    outcomes = [Outcome(status=word, errors=errors if word == "FAILED" else None) for word in words]
    return kind_of(order.value("kind")), outcomes


def new_fault(body: Any) -> NewFault:
    order = Order(body, "method", "path", "fault", "times", "probability", "seconds", what="The body")
    probability = order.number("probability", most=1.0)
    return NewFault(
        fault=_fault(order.value("fault")),
        shown=order.value("fault"),
        method=_method(order.text("method", "*")),
        path=order.text("path", "*"),
        times=order.whole("times", least=1),
        probability=1.0 if probability is None else probability,
        seconds=order.number("seconds", most=LONGEST_S),
    )


def new_quirks(body: Any) -> dict[Quirk, bool]:
    order = Order(body, *sorted(Quirk), what="The body")
    return {quirk: order.flag(quirk.value) for quirk in Quirk if quirk.value in order}


def _script(value: Any) -> Script:
    if not isinstance(value, list) or not value:
        raise _refusal('script is no list of steps. Write [["QUEUED", 1.0], ["SUCCEEDED", 0]].')
    return tuple(_step(entry) for entry in value)


def _step(entry: Any) -> Step:
    match entry:
        case [str(status), written] if status and (seconds := bounded(written, most=LONGEST_S)) is not None:
            return Step(status=status, seconds=float(seconds))
        case _:
            limit = f"seconds from 0 to {_short(LONGEST_S)}; the last step stays for ever"
            raise _refusal(f'script has the step {entry!r}. Write ["STATUS", seconds], {limit}.')


def _fault(value: Any) -> Fault:
    order = Order(value, *_FAULT_KINDS, "delay_s", "body", "headers", what="fault")
    chosen = [name for name in _FAULT_KINDS if name in order]
    if len(chosen) > 1 or not (chosen or "delay_s" in order):
        raise _refusal(f"fault has {chosen or 'nothing'}. Write one of {', '.join(_FAULT_KINDS)}, or delay_s.")
    if ("body" in order or "headers" in order) and chosen != ["status"]:
        raise _refusal("fault has a body or headers without a status. Write the status beside them.")
    headers = order.value("headers")
    if headers is not None and not isinstance(headers, dict):
        raise _refusal(f'headers is {headers!r}. Write {{"Retry-After": "7"}}.')
    rewrite = order.value("rewrite")
    if rewrite is not None and not isinstance(rewrite, dict):
        raise _refusal(f"rewrite is {rewrite!r}. Write a JSON merge patch: an object.")
    return Fault(
        delay_s=order.number("delay_s", most=LONGEST_S) or 0.0,
        status=order.whole("status", least=200, most=599),
        body=order.value("body"),
        headers=None if headers is None else {str(name): str(text) for name, text in headers.items()},
        reset=order.flag("reset"),
        accept_then_reset=order.flag("accept_then_reset"),
        truncate=order.whole("truncate", most=1 << 30),
        drop_after=order.whole("drop_after", most=1 << 30),
        garbage=order.flag("garbage"),
        slow_bytes_per_s=order.number("slow_bytes_per_s", least=0.001, most=_FASTEST_BYTES_PER_S),
        rewrite=rewrite,
    )


def _method(word: str) -> str | None:
    if word == "*":
        return None
    if word.upper() not in _METHODS:
        raise _refusal(f"method is {word!r}. Write one of {', '.join(_METHODS)}, or leave it out for all of them.")
    return word.upper()


def _short(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else f"{limit:g}"


def _refusal(message: str) -> ServiceError:
    return ServiceError(400, message)
