"""Single profiles and their events, over a real socket; and where the profiles come from."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from emulator_fixtures import DATASET, SEGMENT, UPS, emulating

from segwatch.emulator.lake import evaluation, losses
from segwatch.emulator.lake.lake import Lake
from segwatch.emulator.lake.model import EXTERNAL_SEGMENT_ID, Evaluation

ENTITIES = f"{UPS}/access/entities"
PROFILE = "_xdm.context.profile"
SAM = {"schema.name": PROFILE, "entityId": "sam@example.org", "entityIdNS": "email"}
SAMS_EVENTS = {
    "schema.name": "_xdm.context.experienceevent",
    "relatedSchema.name": PROFILE,
    "relatedEntityId": "sam@example.org",
    "relatedEntityIdNS": "email",
}
NOW = datetime.now(UTC)


@pytest.fixture
async def platform():
    async with emulating(size=200) as platform:
        yield platform


def asking(*ids, **rest):
    identities = [{"entityId": one, "entityIdNS": {"code": "email"}} for one in ids]
    return {"schema": {"name": PROFILE}, "identities": identities} | rest


async def the_only(platform, **params):
    ((xid, row),) = (await platform.get(ENTITIES, params=SAM | params)).items()
    assert row["entityId"] == xid
    return row


async def test_sam_is_found_by_any_identity_and_by_xid(platform):
    row = await the_only(platform)
    assert row["entity"]["homeAddress"]["country"] == "NL"
    assert row["sources"] == [DATASET]
    assert row["mergePolicy"]["id"]
    assert datetime.fromisoformat(row["lastModifiedAt"]) <= datetime.now(UTC)
    assert "xEvent" not in row["entity"]
    assert not [name for name in row["entity"] if name.startswith("_")]
    (crmid,) = row["entity"]["identityMap"]["crmid"]
    for known_as in (
        {"entityIdNS": "EMAIL"},
        {"entityId": crmid["id"], "entityIdNS": "crmid"},
        {"entityId": row["entityId"], "entityIdNS": ""},
    ):
        assert await the_only(platform, **known_as) == row


async def test_what_is_null_is_left_out_and_times_are_iso(platform):
    entity = (await the_only(platform))["entity"]
    assert "workAddress" not in entity
    asked_at = datetime.fromisoformat(entity["consents"]["marketing"]["email"]["time"])
    assert asked_at.utcoffset() == timedelta(0)
    assert entity["person"]["birthDate"] == "1985-04-12"


async def test_fields_choose_parts_of_a_profile(platform):
    row = await the_only(platform, fields="person.name.firstName,homeAddress.country,homeAddress,nothing.of.it")
    assert set(row["entity"]) == {"person", "homeAddress"}
    assert row["entity"]["person"] == {"name": {"firstName": "Sam"}}
    assert len(row["entity"]["homeAddress"]) > 4


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"entityId": "nobody@example.org"}, 404),
        ({"entityIdNS": "crmid"}, 404),
        ({"entityIdNS": ""}, 404),
        ({"mergePolicyId": "other"}, 404),
        ({"schema.name": ""}, 400),
        ({"schema.name": "_xdm.context.account"}, 400),
        ({"schema.name": "_xdm.context.experienceevent"}, 400),
        ({"entityId": ""}, 400),
    ],
)
async def test_refusals_are_in_the_envelope_of_profile_access_whose_values_are_texts(platform, changes, status):
    reply = await platform.call("GET", ENTITIES, params=SAM | changes)
    assert reply.status == status
    assert reply.body["statusCode"] == str(status)
    assert all(isinstance(value, str) for value in reply.body.values())


async def test_a_missing_token_is_still_refused_by_the_gateway(platform):
    reply = await platform.call("GET", ENTITIES, params=SAM, headers={"Authorization": None})
    assert (reply.status, reply.body["error_code"]) == (403, "403010")


async def test_several_profiles_are_asked_for_at_once(platform):
    assert (await platform.call("POST", ENTITIES, json=asking("sam@example.org"))).status == 200
    reply = await platform.call("POST", ENTITIES, json=asking("sam@example.org", "nobody", fields=["person.gender"]))
    assert reply.status == 207
    sam, nobody = reply.body.values()
    assert sam["entity"] == {"person": {"gender": "male"}}
    assert reply.body["nobody"] == nobody
    assert (nobody["entity"], nobody["sources"]) == ({}, [""])
    assert nobody["lastModifiedAt"].startswith("1970")
    assert (await platform.call("POST", ENTITIES, json=asking("nobody", "nor me"))).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({"schema": {"name": PROFILE}}, 400),
        (asking() | {"identities": [{"entityId": 7}]}, 400),
        (asking("x", fields="person"), 400),
        (asking(*map(str, range(51))), 422),
    ],
)
async def test_a_wrong_body_is_refused(platform, body, status):
    reply = await platform.call("POST", ENTITIES, json=body)
    assert (reply.status, reply.body["statusCode"]) == (status, str(status))


async def test_events_come_in_pages_in_the_order_asked_for(platform):
    whole = await platform.get(ENTITIES, params=SAMS_EVENTS)
    times = [child["timestamp"] for child in whole["children"]]
    assert len(times) == whole["_page"]["count"] == 7
    assert times == sorted(times)
    assert whole["_links"]["next"]["href"] == ""
    paged, href = [], f"/entities?{'&'.join(f'{name}={value}' for name, value in SAMS_EVENTS.items())}&limit=3"
    while href:
        page = await platform.get(f"{UPS}/access{href}&orderby=-timestamp")
        paged += [child["entityId"] for child in page["children"]]
        href = page["_links"]["next"]["href"].replace("&orderby=-timestamp", "")
    assert paged == [child["entityId"] for child in reversed(whole["children"])]


async def test_events_that_share_an_id_are_paged_to_their_end(tmp_path):
    path = tmp_path / "mine.ndjson"
    events = [
        {"_id": one, "timestamp": f"2026-01-0{day}T00:00:00Z"} for day, one in enumerate(["a", "a", "a#1", "a"], 1)
    ]
    path.write_text(json.dumps({"identityMap": {"mail": [{"id": "anna"}]}, "xEvent": events}))
    async with emulating(profiles=path) as platform:
        annas = SAMS_EVENTS | {"relatedEntityId": "anna", "relatedEntityIdNS": "mail", "limit": "1"}
        page, seen = await platform.get(ENTITIES, params=annas), []
        for _ in events:
            seen += [(child["entityId"], child["entity"]["timestamp"]) for child in page["children"]]
            if href := page["_links"]["next"]["href"]:
                page = await platform.get(f"{UPS}/access{href}")
        assert seen == [(one["_id"], one["timestamp"]) for one in events]
        assert page["_links"]["next"]["href"] == ""


async def test_events_are_chosen_by_time_and_field(platform):
    whole = (await platform.get(ENTITIES, params=SAMS_EVENTS))["children"]
    span = {"startTime": str(whole[1]["timestamp"]), "endTime": str(whole[3]["timestamp"])}
    some = await platform.get(ENTITIES, params=SAMS_EVENTS | span | {"fields": "eventType"})
    assert [child["entityId"] for child in some["children"]] == [child["entityId"] for child in whole[1:4]]
    assert all(set(child["entity"]) == {"eventType"} for child in some["children"])
    assert any(child["entity"]["eventType"] == "commerce.purchases" for child in whole)
    body = {
        "schema": {"name": SAMS_EVENTS["schema.name"]},
        "relatedSchema": {"name": PROFILE},
        "identities": [{"relatedEntityId": "sam@example.org", "relatedEntityIdNS": {"code": "email"}}],
        "timeFilter": {"startTime": whole[1]["timestamp"], "endTime": whole[3]["timestamp"]},
    }
    ((xid, posted),) = (await platform.call("POST", ENTITIES, json=body)).body.items()
    assert [child["relatedEntityId"] for child in posted["children"]] == [xid] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"startTime": "soon"},
        {"orderby": "name"},
        {"start": "x"},
        {"property": "a=b"},
    ],
)
async def test_a_wrong_question_for_events_is_a_400(platform, changes):
    assert (await platform.call("GET", ENTITIES, params=SAMS_EVENTS | changes)).status == 400


def a_run(number, *, members):
    expression = {"type": "PQL", "format": "pql/text", "value": f'homeAddress.country = "{members}"'}
    return Evaluation(
        run_id=f"run {number}", sandbox="prod", definitions={SEGMENT: expression}, now=NOW - timedelta(days=9 - number)
    )


@pytest.fixture
def lakes(monkeypatch):
    """Catch the lakes that servers open, to run in them what jobs would run."""
    opened = []
    begin = Lake.__init__
    monkeypatch.setattr(Lake, "__init__", lambda self, path: (begin(self, path), opened.append(self))[0])
    return opened


@pytest.mark.parametrize(
    ("dialect", "quirk", "stays"),
    [("seed", False, "existing"), ("current", False, "realized"), ("current", True, "existing")],
)
async def test_memberships_are_those_of_the_last_run_in_the_words_of_the_dialect(lakes, dialect, quirk, stays):
    async with emulating(size=50, dialect=dialect) as platform:
        await platform.control("quirks", {"existing_status": quirk})

        async def shown():
            return (await the_only(platform))["entity"].get("segmentMembership", {}).get("ups")

        assert await shown() is None
        (lake,) = lakes
        seen = []
        for number, members in enumerate(["NL", "NL", "BE"]):
            order = a_run(number, members=members)
            await lake.compute(partial(evaluation.evaluate, order=order))
            seen.append((await shown())[SEGMENT])
        assert [entry["status"] for entry in seen] == ["realized", stays, "exited"]
        times = [datetime.fromisoformat(entry["lastQualificationTime"]) for entry in seen]
        assert times == [NOW - timedelta(days=days) for days in (9, 9, 7)]
        assert datetime.fromisoformat((await the_only(platform))["lastModifiedAt"]) >= times[-1]
        await lake.compute(lambda cursor: losses.lose(cursor, sandbox="prod", segment_id=None, share=1))
        assert (await platform.call("GET", ENTITIES, params=SAM)).status == 404
        dev = {"x-sandbox-name": "dev"}
        elsewhere = await platform.get(ENTITIES, params=SAM, headers=dev)
        assert "ups" not in next(iter(elsewhere.values()))["entity"].get("segmentMembership", {})


async def test_some_profiles_are_in_the_external_audience_from_the_start(platform, lakes):
    async with emulating(size=100) as platform:
        await platform.get(ENTITIES, params=SAM)
        (lake,) = lakes
        found = await lake.answer(
            lambda cursor: cursor.execute("SELECT _xid, status FROM membership JOIN profile USING (_n)").fetchall()
        )
        assert 2 <= len(found) <= 25
        params = {"schema.name": PROFILE, "entityId": found[0][0]}
        (row,) = (await platform.get(ENTITIES, params=params)).values()
        assert set(row["entity"]["segmentMembership"]["AAM"]) == {EXTERNAL_SEGMENT_ID}


async def test_those_who_ask_first_together_wait_for_one_population(lakes):
    async with emulating(size=2_000) as platform:
        replies = await asyncio.gather(*(platform.call("GET", ENTITIES, params=SAM) for _ in range(5)))
        assert [reply.status for reply in replies] == [200] * 5
        assert len(lakes) == 1


async def test_profiles_of_one_s_own_are_looked_up_like_any(tmp_path):
    path = tmp_path / "mine.ndjson"
    many = {"mail": [{"id": f"{n}@example.org"} for n in range(51)]}
    rows = [
        {
            "identityMap": {"mail": [{"id": "anna"}]},
            "size in cm": 170,
            "xEvent": [{"timestamp": "2026-01-05T02:00:00Z"}],
        },
        {"identityMap": many},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    async with emulating(profiles=path) as platform:
        (row,) = (
            await platform.get(ENTITIES, params={"schema.name": PROFILE, "entityId": "anna", "entityIdNS": "mail"})
        ).values()
        assert row["entity"]["size in cm"] == 170
        events = SAMS_EVENTS | {"relatedEntityId": "anna", "relatedEntityIdNS": "mail"}
        (event,) = (await platform.get(ENTITIES, params=events))["children"]
        assert event["entity"] == {"timestamp": "2026-01-05T02:00:00Z"}
        crowded = {"schema.name": PROFILE, "entityId": "7@example.org", "entityIdNS": "mail"}
        reply = await platform.call("GET", ENTITIES, params=crowded)
        assert (reply.status, reply.body["message"]) == (422, "Too many related identities")


async def test_profiles_that_cannot_be_loaded_are_said_to_whoever_asks(tmp_path):
    async with emulating(profiles=tmp_path / "gone.ndjson") as platform:
        for _ in range(2):
            reply = await platform.call("GET", ENTITIES, params=SAM)
            assert reply.status == 500
            assert "gone.ndjson is not there" in reply.body["message"]


async def test_a_directory_keeps_the_profiles_it_has(tmp_path):
    async with emulating(size=30, data=tmp_path / "data") as platform:
        first = await platform.get(ENTITIES, params=SAM)
    async with emulating(size=40, seed=5, data=tmp_path / "data") as platform:
        assert await platform.get(ENTITIES, params=SAM) == first
