"""Fields of the user's own may have any name: none is taken for a name within the SQL of the lake, or hides one."""

import json
from datetime import UTC, datetime

import duckdb
import pyarrow.parquet as pq
import pytest

from segwatch.emulator.lake import entities, evaluation, exports, own_profiles, queries, tables
from segwatch.emulator.lake.model import Evaluation, EventList, Extract, SegmentFilter

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"
# names that the lake's queries use, of tables, items of lists and columns, and names of SQL
WORDS = """
p who is_in chosen flagged former profile identity membership lost run supplied incoming keyed answer shown entity event
e e0 v1 v2 n t s0 s1 d r one ids entry item k v u is_lost at_ms part first last number ingested known sandbox
namespace segment_id status since id now at select from struct_extract list_transform
"""
NAMES = WORDS.split()
# an object under each, of the fields that the queries read
PARTS = {
    "_n": 99,
    "_xid": "X",
    "_ingested": "no time",
    "identityMap": "theirs",
    "identities": "theirs",
    "segmentMembership": "theirs",
    "xEvent": "theirs",
    "timestamp": "theirs",
    "_id": "theirs",
    "id": "theirs",
    "key": "theirs",
    "value": "theirs",
    "note": "theirs",
    "list": [{"note": "theirs"}],
}


def profile(name):
    return {
        "identityMap": {"email": [{"id": f"{name}@example.org", "primary": True}]},
        "note": name,
        "list": [{"note": name}],
        "xEvent": [{"_id": f"{name}-1", "timestamp": "2026-11-20T10:00:00Z", "note": name, "list": [{"note": name}]}],
    } | dict.fromkeys(NAMES, PARTS)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "own.ndjson"
    path.write_text("".join(f"{json.dumps(profile(name))}\n" for name in ("anna", "bram")))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables.create(connection)
        own_profiles.load(connection, path, now=NOW)
        yield connection


def evaluated(lake, run_id, query):
    order = Evaluation(
        run_id=run_id,
        sandbox="prod",
        definitions={SEGMENT: {"type": "PQL", "format": "pql/text", "value": query}},
        now=NOW,
    )
    return evaluation.evaluate(lake, order).segments[SEGMENT].members


def exported(lake, folder, batch_id, **order):
    wanted = {"segments": None, "fields": None} | order
    batch = exports.write(lake, folder, Extract(sandbox="prod", batch_id=batch_id, **wanted))
    parts = [folder / batch_id / part.name for part in batch.parts]
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


@pytest.mark.parametrize(
    "query",
    [
        'note = "anna" and xEvent[note = "anna"].count() = 1',
        'xEvent.head().note = "anna" and (select X from list where X.note = "anna")',
        'exists v1 from xEvent, v2 from v1.list where v2.note = "anna" and v1.note = "anna" and $1.v1.note = "theirs"',
        'p.note = "theirs" and $1.p.note = "theirs" and note = "anna" and xEvent.max(timestamp) < now',
        'list.map(note).includes("anna") and note != "bram"',
    ],
)
def test_segments_see_the_profile(lake, query):
    assert evaluated(lake, query, query) == 1


def test_exports_show_the_profile(lake, tmp_path):
    evaluated(lake, "export", 'note = "anna"')
    members = (SegmentFilter(segment_id=SEGMENT, namespace="ups", statuses=frozenset({"realized", "existing"})),)
    events = EventList(fields=("note", "list.note"), ingested_after=datetime(2026, 11, 1, tzinfo=UTC))
    (whole,) = exported(lake, tmp_path, "a1", segments=members, events=events)
    assert dict(whole["identityMap"]) == {"email": [{"id": "anna@example.org", "primary": True}]}
    assert whole["xEvent"] == [{"note": "anna", "list": [{"note": "anna"}]}]
    assert dict(dict(whole["segmentMembership"])["ups"])[SEGMENT]["status"] == "realized"
    assert {name for name in NAMES if whole[name] == PARTS} == set(NAMES)
    fields = ("identities.id", "list.note", "p.note", "who.identities", "e0.list.note")
    (some,) = exported(lake, tmp_path, "a2", segments=members, fields=fields)
    assert some["identities"] == [{"id": "anna@example.org"}]
    assert some["list"] == [{"note": "anna"}]
    assert (some["p"], some["who"]) == ({"note": "theirs"}, {"identities": "theirs"})
    assert some["e0"] == {"list": [{"note": "theirs"}]}
    assert len(exported(lake, tmp_path, "a3", ingested_after=datetime(2026, 11, 1, tzinfo=UTC))) == 2


def test_a_lookup_shows_the_profile_and_its_events(lake):
    wanted = entities.Wanted(id="anna@example.org", namespace="email")
    (found,) = entities.find(lake, [wanted], sandbox="prod")
    assert (found.number, found.fields["note"], found.identities) == (0, "anna", 1)
    assert {name for name in NAMES if found.fields[name] == PARTS} == set(NAMES)
    (event,) = entities.events(lake, found, start_ms=0, until_ms=None, newest_first=True)
    assert (event.id, event.fields["note"]) == ("anna-1", "anna")


@pytest.mark.parametrize("name", [*NAMES, "segwatch p"])
def test_columns_of_an_answer_may_have_any_name(name):
    session = queries.Session({})
    assert session.run(f'SELECT 1 AS "{name}", 2 AS other').rows == [{name: 1, "other": 2}]
    session.close()


def test_a_column_of_ours_is_ours_whatever_a_file_has_under_its_name(tmp_path):
    path = tmp_path / "own.ndjson"
    path.write_text(json.dumps(profile("anna") | {"identities": "theirs", "segmentMembership": "x", "_n": 7}))
    with duckdb.connect() as connection:
        tables.create(connection)
        own_profiles.load(connection, path, now=NOW)
        (row,) = exported(connection, tmp_path, "a1", fields=("identities", "note"))
    assert row["identities"] == [{"id": "anna@example.org", "namespace": {"code": "email"}}]
