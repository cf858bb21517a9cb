"""What the names of a query mean, and how large a query may be."""

from dataclasses import replace

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.tree import (
    ITEM,
    Call,
    Each,
    Expression,
    Field,
    Items,
    Name,
    Occurs,
    Profile,
    Query,
    Search,
    Source,
    Variable,
    parts,
)

# Queries of people stay below 20 and 500. DuckDB gives up 1,000 levels down, and one of ours may be several of its.
MAX_DEPTH = 50
MAX_NODES = 10_000
# A search within a search looks at every pair of items, one more within that at every three: work grows by powers.
MAX_SEARCHES = 4


def query(root: Expression, *, parameter: str | None = None) -> Query:
    """Return the query whose every name means something; `parameter` is what its writer calls the profile."""
    _measured(root)
    known: dict[str, Expression] = {} if parameter is None else {parameter: Profile(at=root.at)}
    return Query(root=_resolved(root, known))


def _measured(root: Expression) -> None:
    # By a list, not by recursion: this runs before anything that recurses.
    waiting, seen = [(root, 1, 0)], 0
    while waiting:
        node, depth, searches = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise PqlError(f"more than {MAX_DEPTH} expressions stand within each other. Write two segments.", node.at)
        if seen > MAX_NODES:
            raise PqlError(f"the query has more than {MAX_NODES} parts. Write two segments.", node.at)
        if searches > MAX_SEARCHES:
            raise PqlError(f"more than {MAX_SEARCHES} searches stand within each other. Write two segments.", node.at)
        match node:
            case Each(array=array, body=body):
                waiting += [(array, depth + 1, searches), (body, depth + 1, searches + 1)]
            case Search(sources=sources):
                for number, source in enumerate(sources):
                    waiting.append((source.array, depth + 1, searches + number))
                    if source.where is not None:
                        waiting.append((source.where, depth + 1, searches + number + 1))
            case _:
                waiting += [(part, depth + 1, searches) for part in parts(node)]


def _resolved(node: Expression, known: dict[str, Expression]) -> Expression:
    """Return the node without `Name`.

    A name is a variable if one is in sight; else a field of the item within `array[...]` and its like, which is their
    first parameter; else a field of the profile.
    """

    def inner(part: Expression) -> Expression:
        return _resolved(part, known)

    match node:
        case Name(name=name, at=at):
            if name in known:
                return replace(known[name], at=at)
            return Field(of=replace(known.get(ITEM, Profile(at=at)), at=at), name=name, at=at)
        case Variable(name=name, at=at):
            if name not in known:
                raise PqlError(f"no variable {name} is in sight. Declare it further left: {name} from xEvent.", at)
            return node
        case Field(of=of):
            return replace(node, of=inner(of))
        case Items(items=items):
            return replace(node, items=tuple(map(inner, items)))
        case Call(arguments=arguments):
            return replace(node, arguments=tuple(map(inner, arguments)))
        case Each(array=array, variable=variable, body=body):
            within = known | {variable: Variable(name=variable, at=node.at)}
            return replace(node, array=inner(array), body=_resolved(body, within))
        case Search(sources=sources):
            within, found = known, []
            for source in sources:
                found.append(_source(source, within))
                within = _with(source, within)
            return replace(node, sources=tuple(found))
        case Occurs(value=value, times=times):
            return replace(node, value=inner(value), times=tuple(map(inner, times)))
        case _:
            return node


def _source(source: Source, known: dict[str, Expression]) -> Source:
    array = _resolved(source.array, known)
    where = None if source.where is None else _resolved(source.where, _with(source, known))
    return replace(source, array=array, where=where)


def _with(source: Source, known: dict[str, Expression]) -> dict[str, Expression]:
    return known | {source.variable: Variable(name=source.variable, at=source.at)}
