"""Which profiles an export's batch holds, what of them, and that it appears whole or not at all."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import lake_population as people
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_population import NOW, SANDBOX, Member, Profile

from segwatch.emulator.lake import batch_files, exports
from segwatch.emulator.lake.fields import UnknownField
from segwatch.emulator.lake.model import EventList, Extract, SegmentFilter

EVERYBODY = Extract(sandbox=SANDBOX, batch_id="b", segments=None, fields=None)


@pytest.fixture(scope="module")
def lake() -> Iterator[duckdb.DuckDBPyConnection]:
    with people.lake() as connection:
        yield connection


def rows_of(folder: Path, batch_id: str = "b") -> list[Any]:
    parts = sorted((folder / batch_id).glob("part-*.snappy.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def identities_by_duckdb(folder: Path) -> list[str]:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT list_sort(list_distinct(list_transform(flatten(map_values(identityMap)), lambda one: one.id)))"
            f"::VARCHAR FROM read_parquet('{folder}/b/*.parquet')"
        )
        return sorted(row[0] for row in found.fetchall())


moments = st.none() | st.sampled_from([NOW - timedelta(hours=hours) for hours in (0, 5, 24, 48, 60, 72, 90, 120)])
segment_filters = st.builds(
    SegmentFilter,
    segment_id=st.sampled_from(["s1", "s2", "s3"]),
    namespace=st.sampled_from(["ups", "UPS", "AAM", "aam"]),
    statuses=st.frozensets(st.sampled_from(people.STATUSES), min_size=1),
)
event_lists = st.builds(
    EventList,
    fields=st.sampled_from([(), ("_id",), ("_id", "device.type")]),
    ingested_after=moments,
    ingested_until=moments,
)
orders = st.builds(
    Extract,
    sandbox=st.just(SANDBOX),
    batch_id=st.just("b"),
    segments=st.none() | st.lists(segment_filters, min_size=1, max_size=3).map(tuple),
    fields=st.none()
    | st.lists(st.sampled_from(["person.name.firstName", "homeAddress", "person"]), min_size=1).map(tuple),
    qualified_from=moments,
    qualified_until=moments,
    ingested_after=moments,
    empty_profiles=st.booleans(),
    events=st.none() | event_lists,
    realized_is_all=st.booleans(),
)


def belongs(one: Profile, order: Extract) -> bool:
    """Say, by the contract's words and without SQL, whether a batch should hold a profile."""
    if one.is_empty and not order.empty_profiles:
        return False
    if order.ingested_after is not None and not one.ingested > order.ingested_after:
        return False
    if order.segments is None and order.qualified_from is None and order.qualified_until is None:
        return not one.is_lost
    return any(fits(member, order) for member in one.members if member.status == "exited" or not one.is_lost)


def fits(member: Member, order: Extract) -> bool:
    if order.qualified_from is not None and member.since < order.qualified_from:
        return False
    if order.qualified_until is not None and member.since > order.qualified_until:
        return False
    if order.segments is None:
        return member.status != "exited"
    return any(
        member.segment_id == wanted.segment_id
        and member.namespace.lower() == wanted.namespace.lower()
        and shown(member.status, order) in wanted.statuses
        for wanted in order.segments
    )


def shown(status: str, order: Extract) -> str:
    return "realized" if order.realized_is_all and status == "existing" else status


@settings(max_examples=examples(30))
@given(order=orders)
def test_a_batch_holds_exactly_those_whom_its_filter_selects(lake: Any, tmp_path_factory: Any, order: Extract) -> None:
    expected = [one for one in people.profiles() if belongs(one, order)]
    folder = tmp_path_factory.mktemp("batches")
    written = exports.write(lake.cursor(), folder, order)
    rows = rows_of(folder)

    assert [dict(row["identityMap"]) for row in rows] == [
        {namespace: [{"id": identity}] for namespace, identity in one.identities} for one in expected
    ]
    assert identities_by_duckdb(folder) == sorted(
        "[" + ", ".join(sorted(identity for _, identity in one.identities)) + "]" for one in expected
    )
    assert [memberships(row) for row in rows] == [
        {(m.namespace, m.segment_id): (shown(m.status, order), m.since) for m in one.members} for one in expected
    ]
    if order.events is not None:
        assert [[event["_id"] for event in row["xEvent"]] for row in rows] == [
            [event_id for event_id, came_in in one.events if is_between(came_in, order.events)] for one in expected
        ]
    assert written.records == len(expected) == sum(part.records for part in written.parts)
    counted = [namespace for one in expected for namespace, _ in one.identities]
    assert written.by_namespace == {namespace: counted.count(namespace) for namespace in sorted(set(counted))}
    shutil.rmtree(folder)


def memberships(row: Any) -> dict[tuple[str, str], tuple[str, datetime]]:
    return {
        (namespace, segment_id): (entry["status"], entry["lastQualificationTime"])
        for namespace, segments in row["segmentMembership"]
        for segment_id, entry in segments
    }


def is_between(came_in: datetime, events: EventList) -> bool:
    is_late_enough = events.ingested_after is None or came_in > events.ingested_after
    return is_late_enough and (events.ingested_until is None or came_in <= events.ingested_until)


def test_a_projection_leaves_every_field_where_it_is(lake: Any, tmp_path: Path) -> None:
    fields = ("person.name.firstName", "homeAddress.city", "interests.weight", "identities.id")
    exports.write(lake.cursor(), tmp_path, replace(EVERYBODY, fields=fields))
    one = next(row for row in rows_of(tmp_path) if dict(row["identityMap"]).get("email") == [{"id": "email1"}])
    assert set(one) == {"person", "homeAddress", "interests", "identities", "identityMap", "segmentMembership"}
    assert one["person"] == {"name": {"firstName": "f1"}}
    assert one["homeAddress"] == {"city": "c1"}
    assert one["interests"] == [{"weight": 1}]
    assert one["identities"] == [{"id": "ecid1"}, {"id": "email1"}]


def test_without_fields_all_of_the_record_is_there_and_nothing_of_ours(lake: Any, tmp_path: Path) -> None:
    exports.write(lake.cursor(), tmp_path, EVERYBODY)
    assert list(rows_of(tmp_path)[0]) == ["person", "homeAddress", "interests", "identityMap", "segmentMembership"]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        pytest.param("person.nick.firstName", "person.nick", id="a-typing-error"),
        pytest.param("homeAddress.city.district", "homeAddress.city.district", id="below-a-text"),
        pytest.param("_n", "_n", id="a-column-of-ours"),
        pytest.param("identityMap.email", "'identityMap.email': identityMap is a map", id="below-the-identities"),
        pytest.param("identityMap.", "'identityMap.'", id="below-the-identities-without-a-name"),
        pytest.param("segmentMembership.ups", "Write segmentMembership.", id="below-the-memberships"),
        pytest.param('person"; DROP TABLE profile; --', "DROP TABLE", id="sql"),
        pytest.param("person.name.x') FROM lost --", "x')", id="sql-in-a-literal"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_by_its_name(lake: Any, tmp_path: Path, path: str, named: str) -> None:
    with pytest.raises(UnknownField, match=re.escape(named)):
        exports.write(lake.cursor(), tmp_path, replace(EVERYBODY, fields=(path,)))
    with pytest.raises(UnknownField, match=re.escape(named)):
        exports.check(lake.cursor(), replace(EVERYBODY, fields=(path,)))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_is_there_is_not_written_twice(lake: Any, tmp_path: Path) -> None:
    first = exports.write(lake.cursor(), tmp_path, EVERYBODY)
    stamped = (tmp_path / "b" / first.parts[0].name).stat().st_mtime_ns
    assert exports.write(lake.cursor(), tmp_path, EVERYBODY) == first
    assert (tmp_path / "b" / first.parts[0].name).stat().st_mtime_ns == stamped


def test_what_a_dead_process_left_is_written_anew(lake: Any, tmp_path: Path) -> None:
    (tmp_path / "b.tmp").mkdir()
    (tmp_path / "b.tmp" / "part-00000.snappy.parquet").write_bytes(b"torn")
    assert batch_files.written(tmp_path, "b") is None
    assert exports.write(lake.cursor(), tmp_path, EVERYBODY).records > 0
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_bigger_batch_has_several_parts_in_a_stable_order(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        people.tables.create(connection)
        connection.execute(
            """CREATE TABLE profile AS SELECT range AS _n, now() AS _ingested, {'number': range} AS person
               FROM range(6000) ORDER BY hash(range)"""
        )
        written = exports.write(connection.cursor(), tmp_path, EVERYBODY)
    assert [part.records for part in written.parts] == [2500, 2500, 1000]
    assert [part.name for part in written.parts] == [f"part-0000{number}.snappy.parquet" for number in range(3)]
    assert [row["person"]["number"] for row in rows_of(tmp_path)] == list(range(6000))
    kept = pq.ParquetFile(tmp_path / "b" / written.parts[0].name).metadata.row_group(0).column(0)
    assert kept.compression == "SNAPPY"


def test_an_export_of_nobody_is_a_file_without_rows(lake: Any, tmp_path: Path) -> None:
    nobody = SegmentFilter(segment_id="unheard-of", namespace="ups", statuses=frozenset({"realized"}))
    written = exports.write(lake.cursor(), tmp_path, replace(EVERYBODY, segments=(nobody,)))
    assert [part.records for part in written.parts] == [0]
    assert rows_of(tmp_path) == []
