"""What one setting demands of another. Checked on the values as written, so that every mistake is told at once."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import ValidationError

from segwatch.config.layout import Loc, inner
from segwatch.config.pipelines import PipelineSection
from segwatch.config.problems import Draft, known_or_hint, shown
from segwatch.config.routes import RouteSection
from segwatch.config.values import parse_duration, parse_time_of_day
from segwatch.deliveries.routing import Route
from segwatch.deliveries.scope import scope_of
from segwatch.errors import BadValue
from segwatch.kinds.base import load_kinds
from segwatch.notifiers.base import is_worded, load_notifiers

_T = TypeVar("_T")


def check_relations(draft: Draft) -> None:
    """Note in `draft` every contradiction. Values of a wrong type are passed over: the models tell of these."""
    sandboxes, channels = list(_tables(draft, "sandboxes")), list(_tables(draft, "channels"))
    if draft.values.get("sandboxes", []) == []:
        draft.wrong(("sandboxes",), " is missing. Write [[sandboxes]] and the name of at least one sandbox.")
    _check_names(draft, "sandboxes", sandboxes)
    _check_names(draft, "channels", channels)
    for index, sandbox in sandboxes:
        _check_credential(draft, index, sandbox)
    routes = _routes(draft)
    for index, channel in channels:
        _check_digest(draft, index, channel, _names(sandboxes), routes)
    for index, route in _tables(draft, "routes"):
        _check_route(draft, index, route, _names(channels))
        _check_names_matched(draft, ("routes", index), route)
    for index, link in _tables(draft, "links"):
        _check_names_matched(draft, ("links", index), link)
    templates = list(_tables(draft, "templates"))
    _check_names(draft, "templates", templates)
    for index, template in templates:
        _check_told(draft, ("templates", index), template, _names(channels))
        _check_wording(draft, ("templates", index), template, [table for _, table in channels])
        _check_names_matched(draft, ("templates", index), template)
    pipelines = list(_tables(draft, "pipelines"))
    _check_names(draft, "pipelines", pipelines)
    for index, pipeline in pipelines:
        _check_pipeline(draft, index, pipeline, _names(sandboxes))
        _check_told(draft, ("pipelines", index), pipeline, _names(channels))


def _tables(draft: Draft, section: str) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = draft.values.get(section)
    if isinstance(entries, list):
        yield from ((index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict))


def _names(tables: list[tuple[int, dict[str, Any]]]) -> list[str]:
    return list(dict.fromkeys(table["name"] for _, table in tables if isinstance(table.get("name"), str)))


def _check_names(draft: Draft, section: str, tables: list[tuple[int, dict[str, Any]]]) -> None:
    first: dict[str, int] = {}
    for index, table in tables:
        name = table.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            tail = f" is {shown(name)}, which {section}[{first[name]}] has already. Write another name."
            draft.wrong((section, index, "name"), tail)


def _is_given(table: dict[str, Any], key: str) -> bool:
    return key in table or f"{key}_file" in table


def _check_credential(draft: Draft, index: int, sandbox: dict[str, Any]) -> None:
    given = [key for key in ("client_secret", "access_token") if _is_given(sandbox, key)]
    if not given:
        draft.wrong(
            ("sandboxes", index), " has no credential. Write client_secret_file = ... or access_token_file = ..."
        )
    elif len(given) == 2:
        draft.wrong(("sandboxes", index), " has both client_secret and access_token. Write one of them.")


def _check_route(draft: Draft, index: int, route: dict[str, Any], channels: list[str]) -> None:
    _check_told(draft, ("routes", index), route, channels)
    quiet = route.get("quiet_hours")
    begin, end = (inner(quiet, key) for key in ("from", "to"))
    if (at := _read(parse_time_of_day, end)) is not None and at == _read(parse_time_of_day, begin):
        tail = f" is {shown(end)}, as `from` is, so they would never end. Write another time."
        draft.wrong(("routes", index, "quiet_hours", "to"), tail)


def _check_digest(
    draft: Draft, index: int, channel: dict[str, Any], sandboxes: list[str], routes: list[Route] | None
) -> None:
    digest, kind = channel.get("digest"), channel.get("kind")
    if not isinstance(digest, dict):
        return
    if (kind_of := load_notifiers().get(str(kind))) is not None and kind_of.stateful:
        tail = f", but {kind} keeps incidents, and a digest is none. Take it out, or give it to a chat or a mailbox."
        draft.wrong(("channels", index, "digest"), f" is set{tail}")
        return
    about = digest.get("sandboxes")
    told = sandboxes if routes is None else _sandboxes_told(draft, channel.get("name"), sandboxes, routes)
    for at, name in enumerate(about if isinstance(about, list) else []):
        place: Loc = ("channels", index, "digest", "sandboxes", at)
        if isinstance(name, str) and sandboxes and name not in sandboxes:
            draft.wrong(place, f" is {shown(name)}.{known_or_hint(name, sandboxes, 'sandboxes')}")
        elif isinstance(name, str) and sandboxes and name not in told:
            instead = f"Write {' or '.join(map(shown, told))}, or add a route." if told else "Add a route."
            draft.wrong(place, f" is {shown(name)}, of which no route tells this channel. {instead}")


def _routes(draft: Draft) -> list[Route] | None:
    """Return the routes; None while one of them cannot be read, of which the models tell."""
    try:
        return [RouteSection.model_validate(route).route for _, route in _tables(draft, "routes")]
    except ValidationError:
        return None


def _sandboxes_told(draft: Draft, channel: object, sandboxes: list[str], routes: list[Route]) -> tuple[str, ...]:
    """Return the sandboxes of which the channel's digest can tell."""
    pipelines = [
        (str(table.get("sandbox", sandbox)), name)
        for sandbox in sandboxes[:1]  # that of a pipeline which names none
        for _, table in _tables(draft, "pipelines")
        if isinstance(name := table.get("name"), str)
    ]
    return scope_of(str(channel), routes, watched=sandboxes, kinds=tuple(load_kinds()), pipelines=pipelines).sandboxes


def _check_names_matched(draft: Draft, above: Loc, table: dict[str, Any]) -> None:
    """Note a sandbox, channel or pipeline that a route, a link or a template waits for in vain."""
    for key, section in (("sandbox", "sandboxes"), ("channel", "channels"), ("pipeline", "pipelines")):
        known, wanted = _names(list(_tables(draft, section))), inner(table.get("match"), key)
        for at, name in enumerate(wanted if isinstance(wanted, list) else [wanted]):
            if isinstance(name, str) and known and name not in known:
                place = (*above, "match", key, *((at,) if isinstance(wanted, list) else ()))
                draft.wrong(place, f" is {shown(name)}.{known_or_hint(name, known, section)}")


def _check_told(draft: Draft, place: Loc, table: dict[str, Any], channels: list[str]) -> None:
    told = table.get("channels") if isinstance(draft.values.get("channels", []), list) else None
    for at, name in enumerate(told if isinstance(told, list) else []):
        if isinstance(name, str) and name not in channels:
            tail = f" is {shown(name)}.{known_or_hint(name, channels, 'channels')}" if channels else _no_channel(name)
            draft.wrong((*place, "channels", at), tail)


def _check_wording(draft: Draft, place: Loc, template: dict[str, Any], channels: list[dict[str, Any]]) -> None:
    """Note a channel that says nothing in words, so that a template waits for it in vain."""
    kinds = load_notifiers()
    wordless = {one.get("name"): one["kind"] for one in channels if not is_worded(kinds.get(str(one.get("kind"))))}
    told = template.get("channels")
    for at, name in enumerate(told if isinstance(told, list) else []):
        if isinstance(name, str) and name in wordless:
            tail = f" is {shown(name)}, a {wordless[name]}, which sends the event itself and no words. Leave it out."
            draft.wrong((*place, "channels", at), tail)


def _check_pipeline(draft: Draft, index: int, pipeline: dict[str, Any], sandboxes: list[str]) -> None:
    place: Loc = ("pipelines", index)
    after = pipeline.get("after", "manual")
    sandbox = pipeline.get("sandbox")
    if isinstance(sandbox, str) and sandboxes and sandbox not in sandboxes:
        draft.wrong((*place, "sandbox"), f" is {shown(sandbox)}.{known_or_hint(sandbox, sandboxes, 'sandboxes')}")
    elif sandbox is None and len(sandboxes) > 1:
        draft.wrong(place, f" has no sandbox, and there are several. Write sandbox = {shown(sandboxes[0])} or another.")
    if pipeline.get("schedule") and after != "schedule":
        draft.wrong((*place, "schedule"), f' counts only with after = "schedule", not {shown(after)}. Write that.')
    if after == "manual" and pipeline.get("segments", []) == []:
        draft.wrong(place, ' has no segments to evaluate. Write segments = ["..."], or after = "schedule".')
    if pipeline.get("dataset", "") == "" and pipeline.get("adopt_export") != "any":
        draft.wrong(place, ' has no dataset to export to. Write dataset = "...", or adopt_export = "any".')
    command = pipeline.get("command")
    if isinstance(command, list) and command and isinstance(command[0], str) and not command[0].startswith("/"):
        tail = f" is {shown(command[0])}, which is no absolute path. Write such as /usr/local/bin/load."
        draft.wrong((*place, "command", 0), tail)
    _check_spans(draft, index, pipeline)


def _check_spans(draft: Draft, index: int, pipeline: dict[str, Any]) -> None:
    """Note what is waited for longer than its step may take."""
    written = {name: _or_default(pipeline, name) for name in ("adopt_within", "command_timeout", "step_deadline")}
    adopts, command, deadline = (_read(parse_duration, value) for value in written.values())
    if deadline is None:
        return
    ends = f"and step_deadline ends the step after {shown(written['step_deadline'])}"
    if adopts is not None and adopts >= deadline and pipeline.get("adopt_export") != "never":
        tail = f" is {shown(written['adopt_within'])}, {ends}. Write less, or a longer step_deadline."
        draft.wrong(("pipelines", index, "adopt_within"), tail)
    if pipeline.get("command") and command is not None and command > deadline:
        tail = f" is {shown(written['command_timeout'])}, {ends}. Write that or less, or a longer step_deadline."
        draft.wrong(("pipelines", index, "command_timeout"), tail)


def _or_default(pipeline: dict[str, Any], name: str) -> Any:
    return pipeline.get(name, PipelineSection.model_fields[name].default)


def _read(parse: Callable[[object], _T], written: object) -> _T | None:
    try:
        return parse(written)
    except BadValue:  # the model tells of it
        return None


def _no_channel(name: str) -> str:
    return f" is {shown(name)}, but there are no channels. Write [[channels]] and name = {shown(name)}."
