"""Changes to a document: a JSON Merge Patch (RFC 7396) or a JSON Patch (RFC 6902), by the form of the body."""

from copy import deepcopy
from typing import Any

from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.faults import merge_patch
from segwatch.emulator.settings import Json


def patched(document: Json, body: Any) -> Json:
    """Return the document after the changes; raises the 400 that says which of them cannot be made."""
    if isinstance(body, dict):
        return dict(merge_patch(document, body))
    if not isinstance(body, list) or not body:
        raise ServiceError(400, 'Write an object with the fields to change, or [{"op": "replace", "path": ..., ...}]')
    changed = deepcopy(document)
    for operation in body:
        _apply(changed, operation)
    return changed


def _apply(document: Json, operation: Any) -> None:
    match operation:
        case {"op": "add" | "replace" as op, "path": str(path), "value": value} if path.startswith("/"):
            holder, name = _place(document, path)
            if op == "replace" and name not in holder:
                raise ServiceError(400, f"Nothing is at {path}, so it cannot be replaced: add it")
            holder[name] = value
        case {"op": "remove", "path": str(path)} if path.startswith("/"):
            holder, name = _place(document, path)
            if name not in holder:
                raise ServiceError(400, f"Nothing is at {path}, so it cannot be removed")
            del holder[name]
        case {"op": "test", "path": str(path), "value": value} if path.startswith("/"):
            holder, name = _place(document, path)
            if holder.get(name) != value:
                raise ServiceError(409, f"{path} is {holder.get(name)!r} and not {value!r}")
        case _:
            raise ServiceError(
                400, f"{operation!r} cannot be done: add, replace, remove or test, with a path like /name"
            )


def _place(document: Json, path: str) -> tuple[Json, str]:
    *outer, name = (part.replace("~1", "/").replace("~0", "~") for part in path.removeprefix("/").split("/"))
    holder: Any = document
    for part in outer:
        holder = holder.get(part) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        raise ServiceError(400, f"Nothing is at {path.rpartition('/')[0]}")
    return holder, name
