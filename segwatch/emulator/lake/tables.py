"""The tables of the lake, apart from `profile`, whose columns are those of the profiles that were generated or loaded.

Every `profile` row has three columns of ours beside its XDM fields: `_n` (BIGINT, from 0), `_xid` (VARCHAR, the id that
entities are looked up by) and `_ingested` (TIMESTAMPTZ). A row whose record fields are all NULL has events only.
"""

from duckdb import DuckDBPyConnection

# no other name that begins so is ours: a company's own XDM fields stand below one such as `_acme`
OWN_COLUMNS = frozenset({"_n", "_xid", "_ingested"})
# what rows and exports show under a name of ours, whatever a file has under it
PROMISED_COLUMNS = (*sorted(OWN_COLUMNS), "identityMap", "identities", "segmentMembership", "xEvent")
# what says when an event came in, the first that holds a time; failing all, when it happened
EVENT_INGESTED = ("_ingested", "ingestTimestamp", "ingestTime", "receivedTimestamp", "timestamp")

# Names in our SQL that stand beside a profile's columns begin so, and none of a file's fields may: where a table, or
# the item of a list, is called like a column, DuckDB takes it for that column.
RESERVED = "segwatch "


def reserved(name: str) -> str:
    """Return the name as SQL writes it where profiles are in sight."""
    return f'"{RESERVED}{name}"'


def is_event_time(path: tuple[str, ...]) -> bool:
    """Return whether a field of a JSON file is read as a time: of an event, a consent, or when a row was ingested."""
    match path:
        case ("_ingested" | "ingestTimestamp",):
            return True
        case ("xEvent", name):
            return name in EVENT_INGESTED
        case ("consents", *_, "time"):
            return True
        case _:
            return False


_TABLES = """
-- who a profile is: one row for each of its identities
CREATE TABLE IF NOT EXISTS identity (_n BIGINT, namespace VARCHAR, id VARCHAR);

-- who is, or was, in which segment of a sandbox, and since when
-- status: realized (entered in the last run), existing (was in it before that), exited
CREATE TABLE IF NOT EXISTS membership (
  sandbox VARCHAR, namespace VARCHAR, segment_id VARCHAR, _n BIGINT, status VARCHAR, since TIMESTAMPTZ
);

-- the runs whose result is in `membership`, with what they counted: a run is applied once, whatever crashes
CREATE TABLE IF NOT EXISTS run (run_id VARCHAR PRIMARY KEY, sandbox VARCHAR, counters VARCHAR);

-- profiles that a sandbox does not have any more
CREATE TABLE IF NOT EXISTS lost (sandbox VARCHAR, _n BIGINT);

-- sandboxes that have their external audience
CREATE TABLE IF NOT EXISTS supplied (sandbox VARCHAR PRIMARY KEY);
"""


def create(connection: DuckDBPyConnection) -> None:
    """Create what is missing."""
    connection.execute(_TABLES)


def forget_runs(cursor: DuckDBPyConnection) -> None:
    """Return every sandbox to its beginning: no memberships, no runs, nobody lost. The profiles stay."""
    cursor.begin()
    for table in ("membership", "run", "lost", "supplied"):
        cursor.execute(f"DELETE FROM {table}")
    cursor.commit()


def note_identities(cursor: DuckDBPyConnection) -> None:
    """Fill `identity` from the `identityMap` of every profile."""
    cursor.execute(
        """INSERT INTO identity
           SELECT DISTINCT _n, entry.key, unnest(list_transform(entry.value, lambda one: one.id))
           FROM (SELECT _n, unnest(map_entries(identityMap)) AS entry FROM profile)
           -- whoever looks an id up then reads a small part only
           ORDER BY 3, 1"""
    )
