"""The one audience that every sandbox has from outside: nobody here evaluates it. AEP contract 4.2, `segmentNs`."""

from datetime import datetime

import duckdb
from duckdb import DuckDBPyConnection

NAMESPACE = "AAM"
SEGMENT_ID = "24130077"
NAME = "Site visitors (Audience Manager)"

_MEMBERS = """
INSERT INTO membership
SELECT $sandbox, $namespace, $segment_id, _n,
  CASE WHEN u < 0.01 THEN 'realized' WHEN u < 0.09 THEN 'existing' ELSE 'exited' END,
  $now - to_seconds(86400 * 28 * u / 0.1)
FROM (SELECT _n, (hash(hash(_n, $namespace)) >> 11) / 9007199254740992.0 AS u FROM profile)
WHERE u < 0.1
"""


def supply(cursor: DuckDBPyConnection, sandbox: str, *, now: datetime) -> None:
    """Give the sandbox its external memberships, about a tenth of the profiles, unless it has them.

    Whoever reads memberships calls this first, outside a transaction of its own.
    """
    if cursor.execute("SELECT 1 FROM supplied WHERE sandbox = ?", [sandbox]).fetchone():
        return
    cursor.begin()
    try:
        cursor.execute("INSERT INTO supplied VALUES (?)", [sandbox])
        cursor.execute(_MEMBERS, {"sandbox": sandbox, "namespace": NAMESPACE, "segment_id": SEGMENT_ID, "now": now})
        cursor.commit()
    except (duckdb.ConstraintException, duckdb.TransactionException):
        cursor.rollback()  # somebody else does it at this moment, or has done it
