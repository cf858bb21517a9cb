"""The one audience that every sandbox has from outside: nobody here evaluates it. AEP contract 4.2, `segmentNs`."""

from contextlib import suppress
from datetime import datetime

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import population
from segwatch.emulator.lake.model import EXTERNAL_NAMESPACE, EXTERNAL_SEGMENT_ID

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
    # refused if somebody else does it at this moment, or has done it meanwhile
    with suppress(duckdb.ConstraintException, duckdb.TransactionException):
        cursor.begin()
        try:
            cursor.execute("INSERT INTO supplied VALUES (?)", [sandbox])
            audience = {"namespace": EXTERNAL_NAMESPACE, "segment_id": EXTERNAL_SEGMENT_ID}
            cursor.execute(_MEMBERS, audience | {"sandbox": sandbox, "now": population.anchor(now)})
        except BaseException:
            cursor.rollback()
            raise
        cursor.commit()
