"""What is said of a field that is not there: what was probably meant, and what there is."""

from collections.abc import Iterator

from segwatch.emulator.pql.errors import near
from segwatch.emulator.pql.shape import Kind, Type

_LISTED_MOST = 20  # made-up profiles stay below, at every level; only a file of one's own can have more
_PROPOSED_MOST = 3
_DEPTH_MOST = 6


def fields_instead(name: str, holder: Type) -> str:
    """Return the sentences that propose fields of an object where `name` is none; a blank stands before each.

    Fields of the same name further down count as meant if none at this level is near. All fields are listed where
    they are 20 or fewer.
    """
    known = sorted(holder.fields)
    meant = near(name, known, most=_PROPOSED_MOST)
    meant = meant or sorted(_further_down(name, holder), key=lambda path: path.count("."))[:_PROPOSED_MOST]
    proposal = f" Did you mean {', or '.join(meant)}?" if meant else ""
    if not known:
        return " Leave it out: it has no fields."
    if len(known) > _LISTED_MOST:
        return f"{proposal} Write one of the {len(known)} fields that are here in the file of --profiles."
    return f"{proposal} Write one of {', '.join(known)}."


def _further_down(name: str, holder: Type, depth: int = 1) -> Iterator[str]:
    """Yield the paths to fields of that name, through objects only: nothing else can be read by a path."""
    for outer, kind in holder.fields.items():
        if kind.kind is not Kind.OBJECT:
            continue
        if name in kind.fields:
            yield f"{outer}.{name}"
        if depth < _DEPTH_MOST:
            yield from (f"{outer}.{path}" for path in _further_down(name, kind, depth + 1))
