"""The fingerprint: equal for equal orders however they are written, different for anything that matters."""

import copy
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segwatch.jobs.model import Facts
from segwatch.kinds.export_order import is_another, is_broad, may_be, order_of, same_but_filled_in

RECORD = {
    "id": 24115,
    "status": "FAILED",
    "fields": "identities.id,personalEmail.address",
    "mergePolicy": {"id": "e5bc94de", "version": 1},
    "filter": {
        "segments": [
            {"segmentId": "4edc8488", "segmentNs": "AAM", "status": ["realized"]},
            {"segmentId": "1rfe8422", "segmentNs": "UPS", "status": ["realized", "existing"]},
        ],
        "segmentQualificationTime": {"startTime": "2019-09-01T00:00:00Z", "endTime": "2019-09-02T00:00:00Z"},
        "fromIngestTimestamp": "2018-10-25T13:22:04-07:00",
    },
    "additionalFields": {
        "eventList": {"fields": "a.name,a.version", "filter": {"fromIngestTimestamp": "2018-10-25T13:22:04-07:00"}}
    },
    "destination": {"datasetId": "5b020a27", "segmentPerBatch": True, "batchId": "b1"},
    "schema": {"name": "_xdm.context.profile"},
}
MISSING = object()


def changed(path, value, record=RECORD):
    record = copy.deepcopy(record)
    *parents, last = path.split("/")
    place = record
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    last = int(last) if isinstance(place, list) else last
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return record


def fingerprint(record):
    return order_of(record)[1]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fields", "personalEmail.address, identities.id"),
        ("fields", " identities.id ,, personalEmail.address,identities.id"),
        ("fields", ["personalEmail.address", "identities.id"]),
        ("filter/segments/0/segmentNs", "aam"),
        ("filter/segments/1/segmentNs", MISSING),
        ("filter/segments/1/segmentNs", ""),
        ("filter/segments/1/status", MISSING),
        ("filter/segments/1/status", ["existing", "REALIZED"]),
        ("filter/segments/0/status", "realized"),
        ("filter/emptyProfiles", False),
        ("filter/emptyProfiles", None),
        ("filter/fromIngestTimestamp", "2018-10-25T20:22:04Z"),
        ("filter/fromIngestTimestamp", "2018-10-25T20:22:04.000+00:00"),
        ("filter/segmentQualificationTime/startTime", "2019-09-01T02:00:00+02:00"),
        ("filter/x_extra", None),
        ("additionalFields/eventList/fields", "a.version, a.name"),
        ("additionalFields/eventList/filter/fromIngestTimestamp", "2018-10-25t20:22:04z"),
        ("additionalFields/eventList/filter/toIngestTimestamp", ""),
        ("mergePolicy/version", "1"),
        ("mergePolicy/version", 1.0),
        ("destination", {"dataSetId": "5b020a27", "segmentPerBatch": True, "batches": [{"batchId": "b2"}]}),
        ("destination/batchId", ""),
        ("schema", MISSING),
        ("evaluationInfo", {"segmentation": True}),
        ("status", "SUCCEEDED"),
        ("id", 99),
        ("errors", [{"code": "1"}]),
    ],
)
def test_what_means_the_same_has_the_same_fingerprint(path, value):
    assert fingerprint(changed(path, value)) == fingerprint(RECORD)


MEANINGFUL = [
    ("fields", "identities.id"),
    ("fields", MISSING),
    ("mergePolicy", MISSING),
    ("mergePolicy/id", "other"),
    ("mergePolicy/version", 2),
    ("mergePolicy/version", MISSING),
    ("filter", MISSING),
    ("filter/segments", []),
    ("filter/segments/0", MISSING),
    ("filter/segments/0/segmentId", "other"),
    ("filter/segments/0/segmentNs", "AdCloud"),
    ("filter/segments/0/status", ["exited"]),
    ("filter/segments/0/status", MISSING),
    ("filter/segmentQualificationTime", MISSING),
    ("filter/segmentQualificationTime/startTime", "2019-09-01T00:00:01Z"),
    ("filter/segmentQualificationTime/endTime", MISSING),
    ("filter/fromIngestTimestamp", "2018-10-25T13:22:04Z"),
    ("filter/emptyProfiles", True),
    ("filter/x_new_filter", "x"),
    ("additionalFields", MISSING),
    ("additionalFields/eventList/fields", "a.name"),
    ("additionalFields/eventList/filter/toIngestTimestamp", "2020-01-01T00:00:00Z"),
    ("destination/datasetId", "other"),
    ("destination/segmentPerBatch", False),
    ("schema/name", "_xdm.context.other"),
]


@pytest.mark.parametrize(("path", "value"), MEANINGFUL)
def test_what_matters_changes_the_fingerprint(path, value):
    assert fingerprint(changed(path, value)) not in ("", fingerprint(RECORD))


def test_all_meaningful_changes_differ_from_each_other():
    prints = [fingerprint(changed(path, value)) for path, value in MEANINGFUL if path != "filter/segments"]
    assert len(set(prints)) == len(prints)


def shuffled(draw, value):
    if isinstance(value, dict):
        return {name: shuffled(draw, value[name]) for name in draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [shuffled(draw, one) for one in draw(st.permutations(value))]
    return value


@given(st.data())
def test_no_order_of_keys_or_entries_matters(data):
    record = shuffled(data.draw, RECORD)
    record["fields"] = ", ".join(data.draw(st.permutations(RECORD["fields"].split(","))))
    assert fingerprint(record) == fingerprint(RECORD)


@given(st.data(), st.sampled_from(MEANINGFUL))
def test_no_reordering_hides_a_meaningful_change(data, change):
    assert fingerprint(shuffled(data.draw, changed(*change))) == fingerprint(changed(*change)) != fingerprint(RECORD)


def nothings(draw, value):
    """Return `value` with keys sprinkled in that say nothing."""
    if isinstance(value, dict):
        grown = {name: nothings(draw, one) for name, one in value.items()}
        extra = draw(st.dictionaries(st.sampled_from(["x1", "x2"]), st.sampled_from([None, "", {}, []]), max_size=2))
        return grown | extra
    return [nothings(draw, one) for one in value] if isinstance(value, list) else value


@given(st.data())
def test_null_and_empty_are_absent(data):
    assert order_of(nothings(data.draw, RECORD)) == order_of(RECORD)


@given(st.integers(10**9, 3 * 10**9), st.integers(-14, 14))
def test_equal_instants_are_equal(seconds, hours):
    utc = datetime.fromtimestamp(seconds, tz=UTC)
    other = utc.astimezone(timezone(timedelta(hours=hours)))
    path = "filter/fromIngestTimestamp"
    assert fingerprint(changed(path, utc.isoformat())) == fingerprint(changed(path, other.isoformat()))


def test_the_request_repeats_the_order_and_nothing_that_came_of_it():
    request = order_of(RECORD)[0]
    body = json.loads(request)
    assert request == json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert body["destination"] == {"datasetId": "5b020a27", "segmentPerBatch": True}
    assert body["filter"] == RECORD["filter"]
    assert body["additionalFields"] == RECORD["additionalFields"]
    assert set(body) == {"fields", "mergePolicy", "filter", "additionalFields", "destination", "schema"}


def test_the_request_of_a_repeated_order_is_the_same_order():
    request, mark = order_of(RECORD)
    assert order_of(json.loads(request)) == (request, mark)


def test_a_request_keeps_evaluation_first():
    assert json.loads(order_of(RECORD | {"evaluationInfo": {"segmentation": True}})[0])["evaluationInfo"] == {
        "segmentation": True
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("destination", MISSING),
        ("destination/datasetId", ""),
        ("destination", "x"),
        ("filter", "unreadable"),
        ("filter", ["unreadable"]),
        ("filter/segments/0/segmentId", MISSING),
        ("filter/segments", [None]),
        ("additionalFields", 7),
    ],
)
def test_a_record_that_tells_too_little_repeats_nothing(path, value):
    assert order_of(changed(path, value)) == ("", "")


def parts(value):
    """What a record may tell of `value`: any part of it, at any depth, in any case."""
    if isinstance(value, dict):
        return st.fixed_dictionaries({}, optional={name: parts(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return st.lists(st.sampled_from(value).flatmap(parts), max_size=len(value))
    return st.sampled_from([value, value.lower(), f" {value} "]) if isinstance(value, str) else st.just(value)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(parts({name: RECORD[name] for name in RECORD if name not in ("destination", "schema")}))
def test_a_record_that_leaves_parts_out_may_still_be_the_order(part):
    told, _ = order_of(part | {"destination": {"datasetId": "5b020a27"}})
    assert may_be(told, order_of(RECORD)[0])


def test_a_record_that_tells_nothing_may_be_any_order():
    assert may_be("", order_of(RECORD)[0])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("destination/datasetId", "another", id="dataset"),
        pytest.param("fields", "identities.id,another", id="fields"),
        pytest.param("mergePolicy/id", "another", id="merge-policy"),
        pytest.param("filter/segments/0/segmentId", "another", id="segment"),
        pytest.param("filter/segments/0/status", ["exited"], id="segment-status"),
        pytest.param("filter/fromIngestTimestamp", "2018-10-26T13:22:04-07:00", id="time"),
        pytest.param("filter/emptyProfiles", True, id="more-than-was-ordered"),
    ],
)
def test_a_record_that_says_something_else_is_another_order(path, value):
    told, _ = order_of(changed(path, value))
    assert not may_be(told, order_of(RECORD)[0])


SEGMENTS = ("4edc8488", "1rfe8422")


@pytest.mark.parametrize(
    ("told", "another"),
    [
        pytest.param({}, False, id="nothing-is-told"),
        pytest.param({"dataset": "5B020A27"}, False, id="the-same-dataset"),
        pytest.param({"dataset": "another"}, True, id="another-dataset"),
        pytest.param({"segments": SEGMENTS[::-1]}, False, id="the-same-segments"),
        pytest.param({"segments": SEGMENTS[1:]}, True, id="fewer-segments"),
        pytest.param({"segments": (*SEGMENTS, "more")}, True, id="more-segments"),
        pytest.param({"request": '{"fields":"another"}', "fingerprint": "another"}, False, id="all-else-may-change"),
    ],
)
def test_only_dataset_and_segments_say_that_a_new_export_is_plainly_another(told, another):
    assert is_another(Facts(**told), order_of(RECORD)[0]) is another


@pytest.mark.parametrize(
    ("path", "broad"), [("filter", True), ("fields", False), ("mergePolicy", False), ("additionalFields", False)]
)
def test_an_order_without_a_filter_is_broad(path, broad):
    assert is_broad(order_of(changed(path, MISSING))[0]) == broad


NO_VERSION = {"id": "mp"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(NO_VERSION, {"id": "mp", "version": 3}, True, id="the-version"),
        pytest.param(None, {"id": "mp", "version": 3}, True, id="the-policy"),
        pytest.param(NO_VERSION, {"id": "mp", "version": None}, True, id="nothing"),
        pytest.param(NO_VERSION, {"id": "mq", "version": 3}, False, id="another-policy"),
        pytest.param({"id": "mp", "version": 2}, {"id": "mp", "version": 3}, False, id="another-version"),
    ],
)
def test_two_orders_are_the_same_but_for_what_the_platform_fills_in(one, other, same):
    first, second = (order_of(RECORD | {"mergePolicy": policy})[0] for policy in (one, other))
    assert same_but_filled_in(first, second) == same
    assert same_but_filled_in(second, first) == same


def test_two_orders_that_differ_in_anything_else_are_not():
    first = order_of(RECORD | {"mergePolicy": None})[0]
    assert not same_but_filled_in(first, order_of(RECORD | {"fields": "person.name"})[0])
    assert not same_but_filled_in(first, order_of(RECORD | {"filter": None})[0])
    assert not same_but_filled_in(first, "")
    assert not same_but_filled_in(first, "[")
