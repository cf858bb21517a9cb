"""Segment definitions that are written, and the list of audiences, over a real socket."""

import pytest
from emulator_fixtures import DEFINITIONS, OTHER_SEGMENT, SEGMENT, SEGMENT_JOBS, UPS, emulating

AUDIENCES = f"{UPS}/audiences"


@pytest.fixture
async def platform():
    async with emulating(size=50) as platform:
        yield platform


def a_definition(**changes):
    return {
        "name": "Lives in Belgium",
        "schema": {"name": "_xdm.context.profile"},
        "expression": {"type": "PQL", "format": "pql/text", "value": 'homeAddress.country = "BE"'},
    } | changes


def pql(value):
    return {"type": "PQL", "format": "pql/text", "value": value}


async def create(platform, **changes):
    reply = await platform.call("POST", DEFINITIONS, json=a_definition(**changes))
    assert reply.status == 200, reply.raw
    return reply


async def test_a_new_definition_is_listed_found_and_can_be_evaluated(platform):
    reply = await create(platform, description="Neighbours")
    created = reply.body
    assert reply.headers["X-Location"] == f"/segment/definitions/{created['id']}"
    assert await platform.get(DEFINITIONS + "/" + created["id"]) == created
    assert (created["name"], created["description"]) == ("Lives in Belgium", "Neighbours")
    assert {name: one["enabled"] for name, one in created["evaluationInfo"].items()} == {
        "batch": True,
        "continuous": False,
        "synchronous": False,
    }
    newest = (await platform.get(DEFINITIONS, params={"limit": "1"}))["segments"]
    assert [one["id"] for one in newest] == [created["id"]]
    assert (await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": created["id"]}])).status == 200


async def test_a_query_that_is_wrong_is_refused_with_its_position(platform):
    reply = await platform.call("POST", DEFINITIONS, json=a_definition(expression=pql("person.birthYear >")))
    assert reply.status == 400
    assert "line 1, column" in reply.body["errors"]["400"][0]["message"]
    unknown = await platform.call("POST", DEFINITIONS, json=a_definition(expression=pql("shoeSize = 41")))
    assert "shoeSize" in unknown.body["errors"]["400"][0]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": 7},
        {"schema": {"name": "_xdm.context.account"}},
        {"schema": None},
        {"expression": None},
        {"expression": {"type": "SQL", "format": "pql/text", "value": "true"}},
        {"expression": {"type": "PQL", "format": "pql/text"}},
        {"mergePolicyId": "other"},
        {"evaluationInfo": {"batch": {"enabled": "yes"}}},
        {"evaluationInfo": {"batch": {"enabled": False}}},
        {"description": 7},
    ],
)
async def test_a_definition_that_makes_no_sense_is_a_400_and_leaves_nothing(platform, changes):
    before = await platform.get(DEFINITIONS)
    assert (await platform.call("POST", DEFINITIONS, json=a_definition(**changes))).status == 400
    assert await platform.get(DEFINITIONS) == before


async def test_names_are_unique_in_a_sandbox(platform):
    created = (await create(platform)).body
    assert (await platform.call("POST", DEFINITIONS, json=a_definition())).status == 422
    dev = {"x-sandbox-name": "dev"}
    assert (await platform.call("POST", DEFINITIONS, json=a_definition(), headers=dev)).status == 200
    path = f"{DEFINITIONS}/{SEGMENT}"
    assert (await platform.call("PATCH", path, json={"name": created["name"]})).status == 422


async def test_a_definition_is_changed_by_its_whole_or_a_part_of_it(platform):
    created = (await create(platform)).body
    path = f"{DEFINITIONS}/{created['id']}"
    whole = await platform.call("PATCH", path, json=a_definition(description="changed"))
    assert whole.status == 200
    assert whole.body["description"] == "changed"
    part = await platform.call("PATCH", path, json={"name": "Renamed", "id": "other", "creationTime": 0})
    assert part.body["id"] == created["id"]
    assert (part.body["name"], part.body["description"]) == ("Renamed", "changed")
    assert part.body["creationTime"] == created["creationTime"] <= part.body["updateTime"]
    assert await platform.get(path) == part.body


@pytest.mark.parametrize("body", [[{"op": "add", "path": "/name", "value": "x"}], {"expression": pql("and")}])
async def test_a_wrong_change_is_a_400_and_changes_nothing(platform, body):
    before = await platform.get(f"{DEFINITIONS}/{SEGMENT}")
    assert (await platform.call("PATCH", f"{DEFINITIONS}/{SEGMENT}", json=body)).status == 400
    assert await platform.get(f"{DEFINITIONS}/{SEGMENT}") == before


async def test_a_deleted_definition_is_gone_and_its_name_free(platform):
    created = (await create(platform)).body
    path = f"{DEFINITIONS}/{created['id']}"
    reply = await platform.call("DELETE", path)
    assert (reply.status, reply.body["status"]) == (200, True)
    for method in ("GET", "DELETE"):
        assert (await platform.call(method, path)).status == 404
    assert (await platform.call("PATCH", path, json={"name": "x"})).status == 404
    assert (await create(platform)).body["id"] != created["id"]


async def test_the_three_first_definitions_keep_their_ids_and_names(platform):
    names = {one["id"]: one["name"] for one in (await platform.get(DEFINITIONS))["segments"]}
    assert names[SEGMENT] == "Lives in the Netherlands"
    assert names[OTHER_SEGMENT] == "Adults with a newsletter"
    assert names["a1b2c3d4-0003-4000-8000-000000000003"] == "Bought this week"


async def test_audiences_are_the_definitions_and_one_from_outside(platform):
    whole = await platform.get(AUDIENCES)
    assert whole["_links"] == {"next": {}}
    kinds = [(one["type"], one["namespace"]) for one in whole["children"]]
    assert kinds.count(("SegmentDefinition", "AEPSegments")) == 10
    assert kinds.count(("ExternalSegment", "AAM")) == 1
    first = await platform.get(AUDIENCES, params={"limit": "6"})
    second = await platform.get(UPS + first["_links"]["next"]["href"].removeprefix("@"))
    assert first["children"] + second["children"] == whole["children"]
    by_name = await platform.get(AUDIENCES, params={"name": "netherlands"})
    assert [one["audienceId"] for one in by_name["children"]] == [SEGMENT]
    external = await platform.get(AUDIENCES, params={"property": "namespace==AAM"})
    assert [one["type"] for one in external["children"]] == ["ExternalSegment"]
