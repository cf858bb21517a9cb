"""Headers that the gateway demands, envelopes, request ids, slashes and sandboxes."""

import pytest
from emulator_fixtures import (
    DATASETS,
    DEFINITIONS,
    EXPORT_JOBS,
    SCHEDULES,
    SEGMENT,
    SEGMENT_JOBS,
    UPS,
    an_export,
)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": None}, 403, "403010"),
        ({"Authorization": "Bearer other"}, 401, "401013"),
        ({"Authorization": "Basic other"}, 401, "401013"),
        ({"x-api-key": None}, 403, "403000"),
        ({"x-gw-ims-org-id": None}, 400, "400003"),
        ({"x-gw-ims-org-id": "ABC@AdobeOrg"}, 403, "403027"),
    ],
)
@pytest.mark.parametrize("path", [SEGMENT_JOBS, DATASETS])
async def test_a_missing_or_wrong_header_is_refused_by_the_gateway(platform, path, headers, status, code):
    reply = await platform.call("GET", path, headers=headers)
    assert reply.status == status
    assert reply.body["error_code"] == code
    assert reply.body["message"]


async def test_any_well_formed_org_is_accepted_and_shown_on_its_jobs(platform):
    org = "FFFFFFFFFFFFFFFFFFFFFFFF@AdobeOrg"
    reply = await platform.call("POST", SEGMENT_JOBS, json=[{"segmentId": SEGMENT}], headers={"x-gw-ims-org-id": org})
    assert reply.body["imsOrgId"] == org


async def test_jobs_are_seen_in_their_own_sandbox_only_and_no_sandbox_means_prod(platform):
    dev = {"x-sandbox-name": "dev-2"}
    (segment_id,) = await platform.place("segment_job", sandbox="dev-2")
    (export_id,) = await platform.place("export_job", sandbox="dev-2")
    assert (await platform.get(SEGMENT_JOBS))["children"] == []
    assert (await platform.get(EXPORT_JOBS))["records"] == []
    assert (await platform.call("GET", f"{EXPORT_JOBS}/{export_id}")).status == 404
    assert (await platform.get(f"{SEGMENT_JOBS}/{segment_id}", headers=dev))["sandbox"]["sandboxName"] == "dev-2"
    created = await platform.call("POST", EXPORT_JOBS, json=an_export(), headers={"x-sandbox-name": None})
    assert [job["id"] for job in (await platform.get(EXPORT_JOBS))["records"]] == [created.body["id"]]
    assert created.body["id"] != export_id


async def test_a_malformed_sandbox_name_is_a_400(platform):
    reply = await platform.call("GET", SEGMENT_JOBS, headers={"x-sandbox-name": "Not A Sandbox"})
    assert reply.status == 400
    assert "400" in reply.body["errors"]


async def test_a_request_id_is_echoed_or_made_up_also_on_errors(platform):
    reply = await platform.call("GET", f"{SEGMENT_JOBS}/nobody", headers={"x-request-id": "mine"})
    assert reply.headers["x-request-id"] == "mine"
    assert reply.body["requestId"] == "mine"
    assert (await platform.call("GET", SEGMENT_JOBS)).headers["x-request-id"]


@pytest.mark.parametrize(
    "path", [SEGMENT_JOBS, EXPORT_JOBS, SCHEDULES, DEFINITIONS, DATASETS, f"{UPS}/config/mergePolicies"]
)
async def test_every_collection_answers_with_and_without_a_slash_and_without_a_redirect(platform, path):
    plain, slashed = await platform.call("GET", path), await platform.call("GET", f"{path}/")
    assert (plain.status, slashed.status) == (200, 200)
    assert plain.raw == slashed.raw
    assert (await platform.ledger())["requests"][f"GET {path} 200"] == 2


@pytest.mark.parametrize("path", [f"{UPS}/preview", f"{UPS}/estimate", f"{UPS}/system/jobs", "/nowhere"])
async def test_what_is_not_served_is_a_404_in_the_envelope_of_segmentation(platform, path):
    reply = await platform.call("GET", path)
    assert reply.status == 404
    assert reply.body["errors"]["404"][0]["code"] == 404


async def test_what_the_catalog_does_not_serve_is_a_404_in_its_own_envelope(platform):
    reply = await platform.call("GET", "/data/foundation/catalog/nothing")
    assert (reply.status, reply.body["status"], reply.body["title"]) == (404, 404, "NotFoundError")
    assert reply.body["detail"]


async def test_a_method_that_is_not_served_is_a_404_too(platform):
    assert (await platform.call("PUT", SEGMENT_JOBS, json={})).status == 404


async def test_a_body_that_is_not_json_is_a_400_and_its_declared_type_does_not_matter(platform):
    assert (await platform.call("POST", SEGMENT_JOBS, data=b"{")).status == 400
    text = {"Content-Type": "text/plain"}
    body = f'[{{"segmentId":"{SEGMENT}"}}]'
    assert (await platform.call("POST", SEGMENT_JOBS, data=body, headers=text)).status == 200
    await platform.control("quirks", {"strict_content_type": True})
    assert (await platform.call("POST", SEGMENT_JOBS, data=body, headers=text)).status == 400
