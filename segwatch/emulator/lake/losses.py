"""Profiles that a sandbox loses, as if a source had stopped to deliver them, and gets back."""

from duckdb import DuckDBPyConnection

_MEMBERS = "SELECT _n FROM membership WHERE sandbox = $sandbox AND segment_id = $segment_id AND status <> 'exited'"
_LOSE = """
INSERT INTO lost
SELECT $sandbox, _n FROM ({people})
WHERE (hash(hash(_n, 'lost')) >> 11) / 9007199254740992.0 < $share
  AND _n NOT IN (SELECT _n FROM lost WHERE sandbox = $sandbox)
"""


def lose(cursor: DuckDBPyConnection, *, sandbox: str, segment_id: str | None, share: float) -> int:
    """Take away a share (0 to 1) of a segment's members, or of all profiles, and return how many.

    Always the same ones: a second loss of the same share finds nobody left, and one of a larger share only those whom
    it has beyond. Members are those whom the last evaluation found. The next evaluation notices.
    """
    given = {"sandbox": sandbox, "share": share}
    if segment_id is None:
        people = "SELECT _n FROM profile"
    else:
        people = _MEMBERS
        given["segment_id"] = segment_id
    (lost,) = cursor.execute(_LOSE.format(people=people), given).fetchone() or (0,)
    return int(lost)


def restore(cursor: DuckDBPyConnection, sandbox: str) -> int:
    """Give back everybody that the sandbox lost, and return how many."""
    (found,) = cursor.execute("DELETE FROM lost WHERE sandbox = ?", [sandbox]).fetchone() or (0,)
    return int(found)
