"""Profiles of the user's own: every form that is understood, and what is said about those that are not."""

import json
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segwatch.emulator.lake import own_profiles, tables

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
ANNA = {"email": [{"id": "anna@example.org", "primary": True}]}
BRAM = {"email": [{"id": "bram@example.org"}], "crmid": [{"id": 7}, {"id": "8"}]}


@pytest.fixture
def cursor():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables.create(connection)
        yield connection


def a_file(tmp_path, *rows, name="profiles.ndjson"):
    path = tmp_path / name
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def identities(cursor):
    return cursor.execute("SELECT _n, namespace, id FROM identity ORDER BY ALL").fetchall()


def refusal(cursor, path):
    with pytest.raises(ValueError, match=path.name) as caught:
        own_profiles.load(cursor, path, now=NOW)
    assert cursor.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'profile'").fetchone() is None
    return str(caught.value)


def test_rows_keep_their_fields_and_are_known_by_their_identities(cursor, tmp_path):
    path = a_file(
        tmp_path,
        {"identityMap": ANNA, "we ird.\"name'": {"x y": 2}, "xEvent": [{"_id": "1", "eventType": "visit"}]},
        {"identityMap": BRAM, "_n": 99, "segmentMembership": {"ups": {}}, "late": True},
    )
    own_profiles.load(cursor, path, now=NOW)
    names = [column[0] for column in cursor.execute("SELECT * FROM profile LIMIT 0").description]
    assert names == ["_n", "_xid", "_ingested", "identityMap", "we ird.\"name'", "late", "xEvent"]
    rows = cursor.execute("SELECT _n, late, len(xEvent), _ingested = ? FROM profile ORDER BY _n", [NOW]).fetchall()
    assert rows == [(0, None, 1, True), (1, True, None, True)]
    assert identities(cursor) == [
        (0, "email", "anna@example.org"),
        (1, "crmid", "7"),
        (1, "crmid", "8"),
        (1, "email", "bram@example.org"),
    ]
    assert len({row[0] for row in cursor.execute("SELECT _xid FROM profile").fetchall()}) == 2


@pytest.mark.parametrize("name", ["p.ndjson", "p.jsonl", "p.json"])
def test_json_lines_are_read_under_each_of_their_names(cursor, tmp_path, name):
    own_profiles.load(cursor, a_file(tmp_path, {"identityMap": ANNA}, {"identityMap": BRAM}, name=name), now=NOW)
    assert len(identities(cursor)) == 4


MAP = pa.map_(pa.string(), pa.list_(pa.struct([("id", pa.string()), ("primary", pa.bool_())])))
STRUCT = pa.struct([("email", pa.list_(pa.struct([("id", pa.string()), ("primary", pa.bool_())])))])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param(list(ANNA.items()), MAP, id="map"),
        pytest.param(ANNA, STRUCT, id="struct-of-lists"),
        pytest.param(json.dumps(ANNA), pa.string(), id="json-text"),
    ],
)
def test_parquet_may_hold_identities_in_three_forms(cursor, tmp_path, value, kind):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"identityMap": pa.array([value], kind), "age": [41]}), path)
    own_profiles.load(cursor, path, now=NOW)
    assert identities(cursor) == [(0, "email", "anna@example.org")]
    assert cursor.execute("SELECT typeof(identityMap), age FROM profile").fetchone() == (
        'MAP(VARCHAR, STRUCT(id VARCHAR, "primary" BOOLEAN)[])',
        41,
    )


def test_a_time_of_ingestion_is_taken_over_where_there_is_one(cursor, tmp_path):
    path = a_file(tmp_path, {"identityMap": ANNA, "_ingested": "2026-01-05T02:00:00Z"}, {"identityMap": BRAM})
    own_profiles.load(cursor, path, now=NOW)
    assert cursor.execute("SELECT _ingested::VARCHAR FROM profile ORDER BY _n").fetchall() == [
        ("2026-01-05 02:00:00+00",),
        ("2026-11-23 14:00:00+00",),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param([{"identityMap": ANNA}, '{"a": 2,'], "row 2 is not JSON", id="broken-line"),
        pytest.param([{"identityMap": ANNA}, "[1]"], "row 2 is no object", id="array-line"),
        pytest.param([{"name": "x"}], "has no identityMap", id="no-identities"),
        pytest.param([{"identityMap": ANNA}, {"identityMap": {"email": []}}], "row 2 has no identity", id="empty"),
        pytest.param([{"identityMap": ANNA}, {"identityMap": {"email": "x"}}], "row 2 has no identity", id="text"),
        pytest.param([{"identityMap": ANNA}, {"name": "x"}], "row 2 has no identity", id="absent"),
        pytest.param(
            [{"identityMap": BRAM}, {"identityMap": ANNA | {"crm": [{"id": "1", "primary": True}]}}],
            "row 2 has more than one primary",
            id="two-primaries",
        ),
        pytest.param(
            [{"identityMap": BRAM}, {"identityMap": ANNA}, {"identityMap": ANNA}], "rows 2 and 3", id="shared-primary"
        ),
        pytest.param([{"identityMap": ANNA, "xEvent": "none"}], "xEvent is VARCHAR", id="events-are-text"),
        pytest.param([], "holds no profiles", id="no-rows"),
    ],
)
def test_what_cannot_be_loaded_is_said_with_its_row_and_leaves_nothing_behind(cursor, tmp_path, rows, said):
    assert said in refusal(cursor, a_file(tmp_path, *rows))


def test_a_missing_file_a_foreign_kind_and_broken_parquet_are_said(cursor, tmp_path):
    assert "is not there" in refusal(cursor, tmp_path / "gone.parquet")
    assert "Known kinds: .json, .jsonl, .ndjson, .parquet" in refusal(cursor, a_file(tmp_path, name="p.csv"))
    assert "cannot be read" in refusal(cursor, a_file(tmp_path, "nothing of the kind", name="p.parquet"))
