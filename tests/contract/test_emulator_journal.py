"""The journal: events of segment jobs, pulled by position."""

import pytest
from emulator_fixtures import ORG

from segwatch.emulator.engine import Kind
from segwatch.emulator.journal import KEPT_S, Journal

PATH = f"/events/organizations/1/integrations/2/{ORG}"
AS_ORG = {"x-gw-ims-org-id": None, "x-ims-org-id": ORG}


async def read(platform, path=PATH, **params):
    return await platform.call("GET", path, headers=AS_ORG, params=params)


def link(reply, relation="next"):
    (found,) = [one for one in reply.headers.getall("Link") if f'rel="{relation}"' in one]
    return found[1:].split(">")[0]


async def test_the_links_lead_through_all_events_and_wait_at_the_end(platform):
    jobs = await platform.place("segment_job", ["PROCESSING", 0], ["SUCCEEDED", 0], count=2)
    await platform.place("export_job", ["PROCESSING", 0], ["SUCCEEDED", 0])
    first = await read(platform, limit="3")
    assert first.status == 200
    assert first.body["_page"] == {"last": first.body["events"][-1]["position"], "count": 3}
    rest = await platform.call("GET", link(first), headers=AS_ORG)
    told = [
        (row["event"]["event"]["id"], row["event"]["event"]["name"])
        for row in first.body["events"] + rest.body["events"]
    ]
    assert told == [(job, name) for job in jobs for name in ("segment_job_start", "segment_job_success")]
    end = await platform.call("GET", link(rest), headers=AS_ORG)
    assert (end.status, end.raw, end.headers["retry-after"]) == (204, b"", "10")
    assert link(end).split("?")[1].startswith(f"since={rest.body['_page']['last']}")
    assert "/validate?" in link(end, "validate")
    await platform.place("segment_job", ["FAILED", 0])
    (event,) = (await platform.call("GET", link(end), headers=AS_ORG)).body["events"]
    body = event["event"]["event"]
    assert (body["status"], body["name"], body["sandboxName"], body["imsOrgId"]) == (
        "FAILED", "segment_job_failure", "prod", ORG,
    )  # fmt: skip
    assert body["header"]["_adobeio"]["eventCode"] == "segment_evaluation_job_error"


async def test_one_may_begin_with_what_comes_or_some_time_ago(platform):
    await platform.place("segment_job", ["SUCCEEDED", 0])
    latest = await read(platform, latest="true")
    assert latest.status == 204
    assert len((await read(platform, seek="-PT2H")).body["events"]) == 1
    (job,) = await platform.place("segment_job", ["SUCCEEDED", 0])
    (event,) = (await platform.call("GET", link(latest), headers=AS_ORG)).body["events"]
    assert event["event"]["event"]["id"] == job


async def test_both_addresses_lead_to_the_journal_and_another_organization_has_its_own(platform):
    await platform.place("segment_job", ["SUCCEEDED", 0])
    reply = await read(platform, PATH.removeprefix("/events"))
    assert len(reply.body["events"]) == 1
    assert link(reply).startswith(PATH)
    other = {"x-gw-ims-org-id": None, "x-ims-org-id": f"{'B' * 24}@AdobeOrg"}
    assert (await platform.call("GET", PATH, headers=other)).status == 204


@pytest.mark.parametrize("params", [{"since": "camel"}, {"seek": "PT2H"}, {"seek": "-P"}, {"limit": "0"}])
async def test_a_parameter_that_is_not_understood_is_a_400(platform, params):
    reply = await read(platform, **params)
    assert (reply.status, reply.body["status"]) == (400, 400)


async def test_the_gateway_wants_the_journals_own_header(platform):
    assert (await platform.call("GET", PATH)).body["error_code"] == "400003"
    no_token = AS_ORG | {"Authorization": None}
    assert (await platform.call("GET", PATH, headers=no_token)).body["error_code"] == "403010"


class AJob:
    kind, id, org, sandbox, status, is_final = Kind.SEGMENT_JOB, "j", ORG, "prod", "PROCESSING", False
    started_ms = updated_ms = 0


def test_a_job_that_takes_too_long_is_told_of_and_so_is_its_end():
    timers = []
    journal = Journal(speed=10.0, now=lambda: 0.0, call_later=lambda delay_s, look: timers.append((delay_s, look)))
    job = AJob()
    journal.note(job)
    ((delay_s, look),) = timers
    assert delay_s == 900
    look()
    look()
    job.status, job.is_final = "SUCCEEDED", True
    journal.note(job)
    told = [(entry.name, entry.status) for entry in journal.after(0, ORG)]
    assert told == [
        ("segment_job_start", "PROCESSING"),
        ("segment_job_delay", "FIRING"),
        ("segment_job_success", "SUCCEEDED"),
        ("segment_job_delay", "INACTIVE"),
    ]


def test_events_are_forgotten_after_seven_days():
    now = [0.0]
    journal = Journal(speed=1.0, now=lambda: now[0], call_later=lambda delay_s, look: None)
    journal.note(AJob())
    now[0] = KEPT_S / 2
    journal.note(AJob())
    now[0] = KEPT_S + 1.0
    assert journal.forgotten == 1
    assert [entry.number for entry in journal.after(0, ORG)] == [2]


async def test_a_position_that_is_forgotten_is_gone(platform, monkeypatch):
    await platform.place("segment_job", ["SUCCEEDED", 0])
    position = (await read(platform)).body["_page"]["last"]
    monkeypatch.setattr("segwatch.emulator.journal.KEPT_S", -1.0)
    await platform.place("segment_job", ["SUCCEEDED", 0])
    assert (await read(platform, since=position)).status == 410
    assert (await read(platform)).status == 204


async def test_a_jwt_is_exchanged_only_when_asked_for(platform):
    form = {"client_id": "an-id", "client_secret": "a-secret", "jwt_token": "a.b.c"}
    assert (await platform.call("POST", "/ims/exchange/jwt/", data=form)).status == 404
    await platform.control("quirks", {"jwt_exchange": True})
    reply = await platform.call("POST", "/ims/exchange/jwt/", data=form)
    assert (reply.status, reply.body["expires_in"]) == (200, 86_399_000)
    platform.headers["Authorization"] = f"Bearer {reply.body['access_token']}"
    assert (await read(platform)).status == 204
    wrong = await platform.call("POST", "/ims/exchange/jwt", data=form | {"jwt_token": "a"})
    assert (wrong.status, wrong.body["error"]) == (400, "invalid_token")
