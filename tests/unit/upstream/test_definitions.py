"""Segment definitions: filters, paging by links or by counting, and names that are kept for a while."""

from datetime import UTC, datetime

import pytest
from answering import Answering

from segwatch.upstream import definitions
from segwatch.upstream.definitions import Names, list_request, read
from segwatch.upstream.records import Expression


def page(*ids, total=1, link=None):
    return {
        "segments": [{"id": one, "name": f"Name of {one}"} for one in ids],
        "page": {"totalPages": total},
        "link": {"next": link} if link else {},
    }


async def listed(client, **rest):
    return [one.id async for one in definitions.list_(client, **rest)]


async def test_pages_are_followed_by_their_links():
    client = Answering(page("a", total=2, link="/segment/definitions?page=1&limit=1"), page("b", total=2))
    assert await listed(client, limit=1, batch=True) == ["a", "b"]
    switch = ("evaluationInfo.batch.enabled", "true")
    assert [one.params for one in client.asked] == [(switch, ("limit", "1")), (switch, ("page", "1"), ("limit", "1"))]


async def test_without_links_pages_are_counted():
    client = Answering(page("a", total=3), page("b", total=3), page("c", total=3))
    assert await listed(client) == ["a", "b", "c"]
    assert [dict(one.params).get("page") for one in client.asked] == [None, "1", "2"]


@pytest.mark.parametrize("envelope", [None, {}, {"totalPages": "many"}, {"totalPages": 1}, 3])
async def test_a_list_without_a_word_of_more_has_one_page(envelope):
    assert await listed(Answering({"segments": [{"id": "a"}], "page": envelope})) == ["a"]
    assert await listed(Answering({"segments": [{"id": "a"}]})) == ["a"]


def test_every_filter_is_sent():
    request = list_request(limit=5, batch=True, continuous=False, synchronous=True, sort="name:asc")
    assert request.params == (
        ("evaluationInfo.batch.enabled", "true"), ("evaluationInfo.continuous.enabled", "false"),
        ("evaluationInfo.synchronous.enabled", "true"), ("sort", "name:asc"), ("limit", "5"),
    )  # fmt: skip


def test_every_field_is_read():
    found = read({
        "id": "x", "name": "Adults", "description": "18 and older", "schema": {"name": "_xdm.context.profile"},
        "imsOrgId": "o", "profileInstanceId": "ups", "mergePolicyId": "m", "ttlInDays": 30,
        "expression": {"type": "PQL", "format": "pql/text", "value": "person.age > 17"},
        "evaluationInfo": {"batch": {"enabled": True}, "continuous": {"enabled": False}, "synchronous": {}},
        "dataGovernancePolicy": {"excludeOptOut": True}, "creationTime": 0, "updateTime": 1765000778000,
        "baselineTime": 1765000000,
    })  # fmt: skip
    assert (found.name, found.description, found.schema) == ("Adults", "18 and older", "_xdm.context.profile")
    assert found.expression == Expression(type="PQL", format="pql/text", value="person.age > 17")
    assert (found.merge_policy_id, found.org_id, found.profile_instance_id) == ("m", "o", "ups")
    assert (found.batch, found.continuous, found.synchronous) == (True, False, None)
    assert (found.exclude_opt_out, found.ttl_days, found.created_at) == (True, 30, None)
    assert found.updated_at == datetime.fromtimestamp(1765000778, UTC)
    assert found.baseline_at == datetime.fromtimestamp(1765000000, UTC)


@pytest.mark.parametrize("record", [{"id": "x"}, {"id": "x", "evaluationInfo": [], "expression": None, "schema": 1}])
def test_a_record_is_read_whatever_else_it_holds(record):
    found = read(record)
    assert (found.id, found.name, found.expression, found.batch) == ("x", "", None, None)


async def test_names_are_asked_for_once_and_kept_for_a_while():
    now = 1000.0
    client = Answering(
        {"results": {"a": {"id": "a", "name": "Adults"}}},
        {"results": {"b": {"id": "b", "name": "Buyers"}}},
        {"results": {"a": {"id": "a", "name": "Grown-ups"}}},
    )
    names = Names(client, monotonic=lambda: now, keep_s=60)
    assert await names.of(["a", "*", "gone", "no id"]) == {
        "a": "Adults", "*": "all segments", "gone": "gone", "no id": "no id",
    }  # fmt: skip
    assert await names.of(["a", "b", "gone"]) == {"a": "Adults", "b": "Buyers", "gone": "gone"}
    assert [one.body for one in client.asked] == [{"ids": [{"id": "a"}, {"id": "gone"}]}, {"ids": [{"id": "b"}]}]
    now += 60
    assert await names.of(["a"]) == {"a": "Grown-ups"}
    assert await names.of(["*"]) == {"*": "all segments"}
