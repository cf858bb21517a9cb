"""What is configured rather than run: schedules and crons, definitions, merge policies, datasets."""

import pytest
from emulator_fixtures import (
    DATASET,
    DATASETS,
    DEFINITIONS,
    ORG,
    OTHER_SEGMENT,
    SCHEDULES,
    SEGMENT,
    UPS,
    emulating,
)

from segwatch.emulator.cron import frequency

NIGHTLY = {
    "name": "nightly",
    "type": "batch_segmentation",
    "properties": {"segments": ["*"]},
    "schedule": "0 0 2 * * ?",
    "state": "active",
}


async def test_a_schedule_is_created_found_and_deleted(platform):
    created = (await platform.call("POST", SCHEDULES, json=NIGHTLY)).body
    assert NIGHTLY.items() <= created.items()
    assert created["frequency"] == "daily"
    assert created["createEpoch"] == created["updateEpoch"] < 1e11
    assert await platform.get(f"{SCHEDULES}/{created['id']}") == created
    assert await platform.get(SCHEDULES) == {
        "_page": {"totalCount": 1, "pageSize": 1},
        "children": [created],
        "_links": {"next": {}},
    }
    assert (await platform.control("state", method="GET"))["schedules"][0]["id"] == created["id"]
    assert (await platform.get(SCHEDULES, headers={"x-sandbox-name": "dev"}))["children"] == []
    assert (await platform.call("DELETE", f"{SCHEDULES}/{created['id']}")).status == 204
    assert (await platform.call("GET", f"{SCHEDULES}/{created['id']}")).status == 404


async def test_what_a_schedule_leaves_out_is_filled_in(platform):
    short = {"name": "n", "type": "export", "properties": {}}
    created = (await platform.call("POST", SCHEDULES, json=short)).body
    assert (created["schedule"], created["state"]) == ("0 0 1 * * ?", "inactive")


@pytest.mark.parametrize("verb", ["PATCH", "POST"])
async def test_both_verbs_update_the_state_and_the_cron(platform, verb):
    path = f"{SCHEDULES}/{(await platform.call('POST', SCHEDULES, json=NIGHTLY)).body['id']}"
    changes = [
        {"op": "add", "path": "/state", "value": "inactive"},
        {"op": "replace", "path": "/schedule", "value": "0 30 4 ? * SUN"},
    ]
    reply = await platform.call(verb, path, json=changes)
    assert (reply.status, reply.raw) == (204, b"")
    schedule = await platform.get(path)
    assert (schedule["state"], schedule["frequency"]) == ("inactive", "weekly")


@pytest.mark.parametrize(
    "change",
    [
        [],
        {"op": "add", "path": "/state", "value": "active"},
        [{"op": "remove", "path": "/state"}],
        [{"op": "add", "path": "/name", "value": "n"}],
        [{"op": "add", "path": "/state", "value": "asleep"}],
        [
            {"op": "add", "path": "/state", "value": "inactive"},
            {"op": "add", "path": "/schedule", "value": "0 0 1 * *"},
        ],
        [{"op": "add", "path": "/schedule", "value": 5}],
    ],
)
async def test_an_update_that_is_not_understood_changes_nothing(platform, change):
    created = (await platform.call("POST", SCHEDULES, json=NIGHTLY)).body
    assert (await platform.call("PATCH", f"{SCHEDULES}/{created['id']}", json=change)).status == 400
    assert await platform.get(f"{SCHEDULES}/{created['id']}") == created


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"type": "nightly"},
        {"properties": None},
        {"properties": {"segments": []}},
        {"schedule": "0 0 1 * *"},
        {"schedule": "0 */5 * * * ?"},
        {"state": "asleep"},
    ],
)
async def test_a_schedule_that_is_not_in_order_is_a_400(platform, change):
    reply = await platform.call("POST", SCHEDULES, json=NIGHTLY | change)
    assert reply.status == 400
    assert reply.body["errors"]["400"]


@pytest.mark.parametrize(
    ("cron", "result"),
    [
        ("0 0 1 * * ?", "daily"),
        ("0 0 1 ? * *", "daily"),
        ("0 0 1 ? * mon-fri", "weekly"),
        ("0 0 1 ? * 6L", "monthly"),
        ("0 0 1 ? * 2#1", "monthly"),
        ("0 0 1 L * ?", "monthly"),
        ("0 0 1 LW * ?", "monthly"),
        ("0 0 1 18W * ?", "monthly"),
        ("0 0 1 1/2 * ?", "daily"),
        ("59 59 23 1 JAN ? 2030-2040", "yearly"),
    ],
)
def test_a_cron_tells_how_often_it_fires(cron, result):
    assert frequency(cron) == result


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "0 0 1 * *",
        "0 0 1 * * ? * *",
        "0 0 1 * * *",
        "0 0 1 ? * ?",
        "60 0 1 * * ?",
        "0 0 24 * * ?",
        "0 0 1 0 * ?",
        "0 0 1 32 * ?",
        "0 0 1 32W * ?",
        "0 0 1 * 13 ?",
        "0 0 1 ? * 8",
        "0 0 1 ? * MOO",
        "0 0 1 ? * 2#6",
        "0 0 1 */0 * ?",
        "0 0 1 * * ? 1969",
        "0 0 1,13 * * ?",
        "0 * 1 * * ?",
        "*/30 0 1 * * ?",
        "0 0 ? * * ?",
    ],
)
def test_a_cron_that_is_wrong_or_fires_twice_a_day_is_refused(cron):
    with pytest.raises(ValueError, match=r"write|needs"):
        frequency(cron)


async def test_definitions_are_listed_by_page(platform):
    whole = await platform.get(DEFINITIONS)
    assert whole["link"] == {}
    assert whole["page"]["totalCount"] == len(whole["segments"]) == 10
    first = await platform.get(DEFINITIONS, params={"limit": "6"})
    assert first["link"] == {"next": "/segment/definitions?page=1&limit=6"}
    assert first["page"]["totalPages"] == 2
    second = await platform.get(UPS + first["link"]["next"])
    assert first["segments"] + second["segments"] == whole["segments"]
    assert (await platform.get(DEFINITIONS, params={"page": "9"}))["segments"] == []
    streaming = {"evaluationInfo.continuous.enabled": "true"}
    assert (await platform.get(DEFINITIONS, params=streaming))["segments"] == []
    named = (await platform.get(DEFINITIONS, params={"sort": "name:asc"}))["segments"]
    assert [one["name"] for one in named] == sorted(one["name"] for one in named)


async def test_a_definition_is_found_by_id_alone_or_in_bulk(platform):
    one = await platform.get(f"{DEFINITIONS}/{SEGMENT}")
    assert one["name"]
    assert one["expression"]["type"] == "PQL"
    body = {"ids": [{"id": SEGMENT}, {"id": "unknown"}, {"id": OTHER_SEGMENT}]}
    reply = await platform.call("POST", f"{DEFINITIONS}/bulk-get", json=body)
    assert reply.status == 207
    assert list(reply.body["results"]) == [SEGMENT, OTHER_SEGMENT]
    assert (await platform.call("GET", f"{DEFINITIONS}/unknown")).status == 404


async def test_there_is_one_merge_policy_and_it_is_the_default(platform):
    body = await platform.get(f"{UPS}/config/mergePolicies")
    assert body["_links"]["next"] == {}
    assert [(one["default"], one["imsOrgId"]) for one in body["children"]] == [(True, ORG)]


UNION = {
    "id": "https://ns.adobe.com/xdm/context/profile__union",
    "contentType": "application/vnd.adobe.xed+json;version=1",
}


@pytest.mark.parametrize(("dialect", "prefix"), [("current", "@/dataSets/"), ("seed", "@/datasets/")])
async def test_a_dataset_is_created_and_found_by_its_reference(dialect, prefix):
    async with emulating(dialect=dialect) as platform:
        reply = await platform.call("POST", DATASETS, json={"name": "Segment Export", "schemaRef": UNION})
        assert reply.status == 201
        (reference,) = reply.body
        assert reference.startswith(prefix)
        dataset_id = reference.rsplit("/")[-1]
        assert len(dataset_id) == 24
        assert reply.headers["Location"].endswith(dataset_id)
        found = await platform.get(f"/data/foundation/catalog/datasets/{dataset_id}")
        assert found[dataset_id]["tags"]["adobe/pqs/table"] == ["segment_export"]
        assert found[dataset_id]["classification"]["managedBy"] == "CUSTOMER"
        assert (await platform.get(DATASETS)).keys() == {DATASET, dataset_id}
        assert (await platform.get(DATASETS, params={"start": "1", "limit": "1"})).keys() == {dataset_id}


async def test_the_catalog_refuses_in_its_own_envelope(platform):
    for body in ({}, {"name": "n"}, {"name": "n", "schemaRef": {}}, []):
        reply = await platform.call("POST", DATASETS, json=body)
        assert (reply.status, reply.body["title"]) == (400, "BadRequestError")
    for limit in ("0", "101", "x"):
        assert (await platform.call("GET", DATASETS, params={"limit": limit})).status == 400
    assert (await platform.call("GET", f"{DATASETS}/unknown")).status == 404
