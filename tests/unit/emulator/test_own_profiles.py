"""Profiles of the user's own: every form that is understood, and what is said about those that are not."""

import json
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segwatch.emulator.lake import own_profiles, tables
from segwatch.emulator.lake.conditions import conditions

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
        pytest.param(["", "  "], "holds no profiles", id="blank-lines"),
        pytest.param(["", "[]"], "row 2 is no object", id="an-empty-list"),
        pytest.param([{}, {}], "its rows have no fields. Write an identityMap", id="empty-objects"),
        pytest.param([{"identityMap": {"email": [{"id": ""}]}}], "row 1 has no identity", id="empty-id"),
        pytest.param(["\ufeff" + json.dumps({"identityMap": ANNA})], "row 1 begins with a byte order mark", id="bom"),
        pytest.param(
            [{"identityMap": ANNA}, '{"d": ' + "[" * 128 + "]" * 128 + "}"],
            "row 2 is nested more than 127 levels deep. Write it flatter.",
            id="deeper-than-the-reader",
        ),
        pytest.param(
            [{"identityMap": ANNA}, '{"d":' * 5000 + "1" + "}" * 5000], "row 2 is nested more than 127", id="very-deep"
        ),
    ],
)
def test_what_cannot_be_loaded_is_said_with_its_row_and_leaves_nothing_behind(cursor, tmp_path, rows, said):
    assert said in refusal(cursor, a_file(tmp_path, *rows))


def test_a_file_of_an_empty_list_holds_no_profiles(cursor, tmp_path):
    assert "holds no profiles" in refusal(cursor, a_file(tmp_path, "[]", name="p.json"))


def test_a_text_in_another_encoding_is_said_with_its_row(cursor, tmp_path):
    path = tmp_path / "latin.ndjson"
    path.write_bytes(json.dumps({"identityMap": ANNA}).encode() + b'\n{"k": "\xe9"}\n')
    assert "row 2 is not UTF-8: invalid continuation byte at byte 8." in refusal(cursor, path)


def test_as_deep_as_the_reader_goes_is_taken(cursor, tmp_path):
    deep = '{"identityMap": ' + json.dumps(ANNA) + ', "d": ' + '{"a":' * 126 + "1" + "}" * 127
    own_profiles.load(cursor, a_file(tmp_path, deep), now=NOW)
    assert len(identities(cursor)) == 1


def test_an_empty_id_is_none_beside_another(cursor, tmp_path):
    path = a_file(tmp_path, {"identityMap": {"email": [{"id": ""}], "crmid": [{"id": ""}, {"id": "7"}]}})
    own_profiles.load(cursor, path, now=NOW)
    assert identities(cursor) == [(0, "crmid", "7")]


AT = "2026-11-20T00:00:00Z"


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        pytest.param(lambda i: {f"own{i}": i}, {"own7": "BIGINT"}, id="attributes-of-a-row-each"),
        pytest.param(lambda i: {f"own{i % 40}": i}, {"own7": "BIGINT"}, id="rare-attributes"),
        pytest.param(
            lambda i: {"o": {f"own{i}": i, "all": i}}, {"o.own7": "BIGINT", "o.all": "BIGINT"}, id="in-an-object"
        ),
        pytest.param(
            lambda i: {"o": {f"t{i % 12}": "v", f"n{i % 12}": i}},
            {"o.t7": "VARCHAR", "o.n7": "BIGINT"},
            id="texts-and-numbers",
        ),
        pytest.param(lambda i: {"o": {f"own{j}": j for j in range(250)}}, {"o.own7": "BIGINT"}, id="many"),
        pytest.param(
            lambda i: {"xEvent": [{"timestamp": AT, f"own{i}": "x"}]},
            {"xEvent[1].own7": "VARCHAR", "xEvent[1].timestamp": "TIMESTAMP WITH TIME ZONE"},
            id="of-an-event-each",
        ),
        pytest.param(
            lambda i: {"xEvent": [{"timestamp": AT, "commerce": {f"kind{i % 14}": {"value": 1}}}]},
            {"xEvent[1].commerce.kind7.value": "BIGINT"},
            id="in-an-object-of-events",
        ),
    ],
)
def test_fields_that_are_rare_or_many_are_fields(cursor, tmp_path, row, kinds):
    rows = ({"identityMap": {"email": [{"id": str(number)}]}} | row(number) for number in range(100))
    own_profiles.load(cursor, a_file(tmp_path, *rows), now=NOW)
    shown = ", ".join(f"typeof({path})" for path in kinds)
    assert cursor.execute(f"SELECT {shown} FROM profile LIMIT 1").fetchone() == tuple(kinds.values())
    described = cursor.execute("SELECT * EXCLUDE (identityMap) FROM profile LIMIT 0").description
    assert not [name for name, kind, *_ in described if "MAP(" in str(kind)]


@pytest.mark.parametrize("name", ["p.ndjson", "p.json"])
def test_texts_of_json_stay_as_they_are_written(cursor, tmp_path, name):
    texts = {
        "uuid": "A1B2C3D4-0001-4000-8000-00000000ABCD",
        "time": "12:30:00",
        "day": "2026-01-31",
        "moment": "2026-01-31T23:30:00-05:00",
        "number": "007",
        "deep": {"list": ["A1B2C3D4-0001-4000-8000-00000000ABCD"], "day": "2026-01-31"},
    }
    ids = {"ecid": [{"id": "A1B2C3D4-0001-4000-8000-00000000ABCD"}]}
    own_profiles.load(cursor, a_file(tmp_path, {"identityMap": ids} | texts, name=name), now=NOW)
    ((found,),) = cursor.execute("SELECT to_json(profile) FROM profile").fetchall()
    assert {name: value for name, value in json.loads(found).items() if name in texts} == texts
    assert identities(cursor) == [(0, "ecid", "A1B2C3D4-0001-4000-8000-00000000ABCD")]
    kinds = cursor.execute(
        "SELECT [typeof(uuid), typeof(time), typeof(day), typeof(moment), typeof(number)] FROM profile"
    )
    assert set(kinds.fetchall()[0][0]) == {"VARCHAR"}


def test_the_times_of_events_and_consents_are_times_and_others_are_not(cursor, tmp_path):
    at = "2026-01-31T23:30:00Z"
    row = {
        "consents": {"marketing": {"email": {"val": "y", "time": at}}},
        "xEvent": [{"timestamp": at, "ingestTimestamp": at, "bookedFor": at}],
        "timestamp": at,
    }
    own_profiles.load(cursor, a_file(tmp_path, {"identityMap": ANNA} | row), now=NOW)
    assert cursor.execute(
        """SELECT typeof(consents.marketing.email.time), typeof(xEvent[1].timestamp),
        typeof(xEvent[1].ingestTimestamp), typeof(xEvent[1].bookedFor), typeof(timestamp) FROM profile"""
    ).fetchone() == (*["TIMESTAMP WITH TIME ZONE"] * 3, "VARCHAR", "VARCHAR")


def test_times_in_a_form_of_their_own_stay_texts(cursor, tmp_path):
    own_profiles.load(cursor, a_file(tmp_path, {"identityMap": ANNA, "xEvent": [{"timestamp": "31-01-2026"}]}), now=NOW)
    assert cursor.execute("SELECT xEvent[1].timestamp FROM profile").fetchone() == ("31-01-2026",)


def test_what_is_a_text_in_one_row_only_is_a_text_in_all(cursor, tmp_path):
    rows = [{"identityMap": ANNA, "code": 7, "tags": []}, {"identityMap": BRAM, "code": "seven"}]
    own_profiles.load(cursor, a_file(tmp_path, *rows), now=NOW)
    assert cursor.execute("SELECT code, tags FROM profile ORDER BY _n").fetchall() == [("7", []), ("seven", None)]


def test_whole_numbers_of_json_keep_their_digits(cursor, tmp_path):
    own_profiles.load(cursor, a_file(tmp_path, {"identityMap": ANNA, "big": 2**64 - 1, "small": -(2**63)}), now=NOW)
    assert cursor.execute("SELECT big, small FROM profile").fetchone() == (2**64 - 1, -(2**63))


@pytest.mark.parametrize("events", [[[], []], [[], None], [None, None]])
def test_a_file_in_which_nothing_ever_happened_is_taken(cursor, tmp_path, events):
    rows = [{"identityMap": who, "xEvent": one} for who, one in zip((ANNA, BRAM), events, strict=True)]
    own_profiles.load(cursor, a_file(tmp_path, *rows), now=NOW)
    assert cursor.execute("SELECT xEvent FROM profile ORDER BY _n").fetchall() == [(one,) for one in events]
    expression = {"type": "PQL", "format": "pql/text", "value": "xEvent[timestamp < now].count() > 0"}
    assert conditions(cursor, {"one": expression})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"k": 1, "K": "x"}, "fields K and k differ only in case", id="two-of-theirs"),
        pytest.param({"a": [{"b": {"c": 1, "C": 2}}]}, "fields a.b.c and a.b.C differ only in case", id="inside"),
        pytest.param(
            {"SegmentMembership": 1}, "SegmentMembership differs only in case from segmentMembership", id="ours"
        ),
        pytest.param({"_Ingested": 5}, "_Ingested differs only in case from _ingested", id="ingested"),
        pytest.param({"XEvent": []}, "XEvent differs only in case from xEvent", id="events"),
        pytest.param({"Identities": []}, "Identities differs only in case from identities", id="identities"),
        pytest.param({"Segwatch p": 1}, "'Segwatch p' begins with a word that is reserved", id="reserved"),
    ],
)
@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_fields_that_differ_only_in_case_are_refused_by_their_names(cursor, tmp_path, fields, said, kind):
    path = a_file(tmp_path, {"identityMap": ANNA} | fields)
    if kind == "parquet":
        path = tmp_path / "p.parquet"
        names = dict(sorted(fields.items()))
        columns = {name: pa.array([value] if value != [] else [["x"]]) for name, value in names.items()}
        pq.write_table(pa.table({"identityMap": [json.dumps(ANNA)]} | columns), path)
        said = said.replace("a.b.c and a.b.C", "a.list.element.b.c and a.list.element.b.C")
    said_of_it = refusal(cursor, path)
    assert said in said_of_it
    assert "ignore_errors" not in said_of_it
    assert "Rename" in said_of_it


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"": 1}, "a row has", id="of-a-row"),
        pytest.param({"o": {"": 1, "b": 2}}, "its field o has", id="in-an-object"),
        pytest.param({"xEvent": [{"": 1, "timestamp": AT}]}, "its field xEvent has", id="in-an-event"),
    ],
)
@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_a_field_without_a_name_is_refused(cursor, tmp_path, fields, said, kind):
    path = a_file(tmp_path, {"identityMap": ANNA, "say": 'it is "":'}, {"identityMap": BRAM} | fields)
    if kind == "parquet":
        path = tmp_path / "p.parquet"
        columns = {name: pa.array([value]) for name, value in fields.items()}
        pq.write_table(pa.table({"identityMap": [json.dumps(ANNA)]} | columns), path)
        said = said.replace("xEvent", "xEvent.list.element")
    assert f'{said} a field whose name is empty (""). Rename it.' in refusal(cursor, path)


def test_fields_that_differ_between_rows_only_are_refused_too(cursor, tmp_path):
    rows = [{"identityMap": ANNA, "o": {"k": 1}}, {"identityMap": BRAM, "o": {"K": 1}}]
    assert "o.k and o.K differ only in case" in refusal(cursor, a_file(tmp_path, *rows))


def test_a_missing_file_a_foreign_kind_and_broken_parquet_are_said(cursor, tmp_path):
    assert "is not there" in refusal(cursor, tmp_path / "gone.parquet")
    assert "Known kinds: .json, .jsonl, .ndjson, .parquet" in refusal(cursor, a_file(tmp_path, name="p.csv"))
    assert "cannot be read" in refusal(cursor, a_file(tmp_path, "nothing of the kind", name="p.parquet"))
