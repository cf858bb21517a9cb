"""Query Service: what SQL over exported datasets finds, how queries live and end, and that they see nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta
from resource import RUSAGE_SELF, getrusage

import lake_population as people
import pytest
from emulator_fixtures import DATASET, DATASETS, until
from exported import AT_MS, BATCH, MEMBERS, OTHER_BATCH, QUERIES, exporting
from query_calls import FINAL, ended, run, submit

from segwatch.emulator.api import queries
from segwatch.emulator.lake import query_order
from segwatch.emulator.lake.model import SegmentFilter

FOR_EVER = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


@pytest.fixture
async def exported(monkeypatch):
    async with exporting(monkeypatch, speed=1000) as exported:
        yield exported


async def test_a_query_counts_what_was_exported(exported):
    written = exported.export()
    submitted = await submit(exported.platform, "SELECT count(*) AS n FROM segment_export", name="how many")
    assert (submitted["state"], submitted["rowCount"], submitted["errors"]) == ("SUBMITTED", 0, [])
    assert submitted["request"] == {
        "dbName": "prod:all",
        "sql": "SELECT count(*) AS n FROM segment_export",
        "name": "how many",
    }
    assert submitted["created"].endswith("Z")
    href = submitted["_links"]["self"]["href"]
    assert href == f"{exported.platform.base_url}{QUERIES}/{submitted['id']}"
    query = await ended(exported.platform, submitted["id"])
    assert (query["state"], query["rowCount"]) == ("SUCCESS", 1)
    assert "rows" not in query
    assert not [name for name in query if name.startswith("_") and name != "_links"]
    kept = await exported.platform.control(f"queries/{query['id']}/rows", method="GET")
    assert kept["rows"] == [{"n": written.records}]


async def test_nested_fields_can_be_asked_for(exported):
    exported.export(segments=None)
    query, rows = await run(
        exported.platform,
        """SELECT person.name.firstName AS first, identityMap['email'][1].id AS email
           FROM segment_export WHERE homeAddress.country = 'NL' ORDER BY first -- the first ones
           ;""",
    )
    expected = sorted(
        (f"f{one.n}", dict(one.identities).get("email"))
        for one in people.profiles()
        if one.n % 2 and not one.is_empty and not one.is_lost
    )
    assert [(row["first"], row["email"]) for row in rows] == expected
    assert query["rowCount"] == len(expected)


async def test_only_the_first_hundred_rows_are_kept(exported):
    query, rows = await run(exported.platform, "SELECT range AS n FROM range(1000) ORDER BY n DESC")
    assert query["rowCount"] == 1000
    assert [row["n"] for row in rows] == list(range(999, 899, -1))


async def test_who_left_is_gone_from_the_next_equal_export(exported):
    lake = people.lake()
    exported.export(BATCH, lake=lake)
    lake.execute("UPDATE membership SET status = 'exited' WHERE segment_id = 's1' AND _n % 2 = 0")
    second = exported.export(OTHER_BATCH, at_ms=AT_MS + 60_000, lake=lake)
    lake.close()
    assert (await run(exported.platform, "SELECT count(*) n FROM segment_export"))[1] == [{"n": second.records}]


async def test_exports_of_different_orders_stand_beside_each_other(exported):
    first = exported.export(BATCH)
    other = SegmentFilter(segment_id="s2", namespace="ups", statuses=frozenset({"exited"}))
    second = exported.export(OTHER_BATCH, at_ms=AT_MS + 60_000, segments=(other,), fields=("person.birthYear",))
    again = exported.export("2" * 32, at_ms=AT_MS + 90_000, segments=(MEMBERS,))
    assert again.records == first.records
    _, rows = await run(exported.platform, "SELECT count(*) n, count(homeAddress) c FROM segment_export")
    assert rows[0]["n"] == first.records + second.records
    assert 0 < rows[0]["c"] < first.records


async def test_a_name_that_two_datasets_have_means_the_newest_that_holds_anything(exported):
    union = {"id": "https://ns.adobe.com/xdm/context/profile__union"}
    reply = await exported.platform.call("POST", DATASETS, json={"name": "Segment Export", "schemaRef": union})
    mine = reply.body[0].rpartition("/")[2]
    seeded = exported.export(BATCH, segments=None)
    assert (await run(exported.platform, "SELECT count(*) n FROM segment_export"))[1] == [{"n": seeded.records}]
    own = exported.export(OTHER_BATCH, dataset_id=mine)
    assert (await run(exported.platform, "SELECT count(*) n FROM segment_export"))[1] == [{"n": own.records}]
    assert (await run(exported.platform, f'SELECT count(*) n FROM "{DATASET}"'))[1] == [{"n": seeded.records}]


async def test_a_dataset_without_exports_and_another_sandboxs_are_empty(exported):
    exported.export()
    exported.platform.headers["x-sandbox-name"] = "dev"
    assert (await run(exported.platform, "SELECT count(identityMap) n FROM segment_export"))[1] == [{"n": 0}]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("UPDATE EXTENSIONS", "Only SELECT is run here"),
        ("-- nothing", "0 statements"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
        ("SELECT 1) AS answer); DROP TABLE x; (SELECT (1", "syntax error"),
    ],
)
async def test_wrong_sql_fails_with_what_is_wrong(exported, sql, words):
    query, rows = await run(exported.platform, sql)
    assert (query["state"], query["rowCount"], rows) == ("FAILED", 0, [])
    (error,) = query["errors"]
    assert error["errorType"] == "USER_ERROR"
    assert words in error["message"]
    assert "to_json" not in error["message"]


async def test_a_query_that_needs_too_much_memory_fails(monkeypatch):
    monkeypatch.setattr(queries, "_TIMEOUT_LEAST_S", 60.0)  # a busy machine takes its time to fill the memory
    async with exporting(monkeypatch, speed=1000) as exported:
        query, _ = await run(exported.platform, "SELECT range, random() r FROM range(100000000) ORDER BY r")
        assert query["state"] == "FAILED"
        assert "memory" in query["errors"][0]["message"].lower()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT len(range(300000000))",
        "SELECT length(repeat('x', 3000000000))",
        "SELECT list(range) FROM range(90000000)",
    ],
)
async def test_what_the_engine_does_not_count_fails_too_and_takes_nothing_from_the_platform(monkeypatch, sql):
    monkeypatch.setattr(queries, "_TIMEOUT_LEAST_S", 60.0)
    async with exporting(monkeypatch, speed=1000) as exported:
        before = getrusage(RUSAGE_SELF).ru_maxrss
        query, _ = await run(exported.platform, sql)
        assert query["state"] == "FAILED"
        assert "A query has 200MB here" in query["errors"][0]["message"]
        assert query["elapsedTime"] < 30_000
        assert getrusage(RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


async def test_rows_that_are_too_large_to_be_kept_are_refused(exported):
    query, rows = await run(exported.platform, "SELECT repeat('x', 1000000) AS a FROM range(30)")
    assert (query["state"], rows) == ("FAILED", [])
    assert "Select less" in query["errors"][0]["message"]


@pytest.mark.parametrize("sql", ["SELECT " + "(" * 5000 + "1" + ")" * 5000, "SELECT " + "+".join(["1"] * 20000)])
async def test_whatever_becomes_of_the_engine_the_platform_goes_on(exported, sql):
    query, _ = await run(exported.platform, sql)
    assert query["state"] in ("FAILED", "SUCCESS")
    assert (await run(exported.platform, "SELECT 1 a"))[1] == [{"a": 1}]


async def test_the_processor_is_limited_too_and_who_is_over_frees_the_place(exported, monkeypatch):
    monkeypatch.setattr(query_order, "_CPU_GRACE_S", 1 - int(queries._TIMEOUT_LEAST_S))
    for _ in range(3):
        query, _ = await run(exported.platform, FOR_EVER)
        assert query["state"] == "TIMEOUT"
        assert query["elapsedTime"] < 1000 * queries._TIMEOUT_LEAST_S


async def test_a_third_query_waits_until_the_process_of_another_is_gone(exported):
    first = (await submit(exported.platform, FOR_EVER))["id"]
    second = (await submit(exported.platform, FOR_EVER))["id"]

    async def both_run():
        states = [(await exported.platform.get(f"{QUERIES}/{one}"))["state"] for one in (first, second)]
        return states == ["IN_PROGRESS"] * 2

    await until(both_run)
    third = (await submit(exported.platform, "SELECT 1 a"))["id"]
    for _ in range(20):
        assert (await exported.platform.get(f"{QUERIES}/{third}"))["state"] == "SUBMITTED"
    await exported.platform.call("PATCH", f"{QUERIES}/{first}", json={"op": "cancel"})
    assert (await ended(exported.platform, third))["state"] == "SUCCESS"


async def test_a_cancelled_query_is_killed_and_its_engine_stops(exported):
    query_id = (await submit(exported.platform, FOR_EVER))["id"]

    async def in_progress():
        return (await exported.platform.get(f"{QUERIES}/{query_id}"))["state"] == "IN_PROGRESS"

    await until(in_progress)
    reply = await exported.platform.call("PATCH", f"{QUERIES}/{query_id}", json={"op": "cancel"})
    assert (reply.status, reply.body) == (202, {"message": "Query cancel request received", "statusCode": 202})
    assert (await exported.platform.get(f"{QUERIES}/{query_id}"))["state"] == "KILLED"
    again = await exported.platform.call("PATCH", f"{QUERIES}/{query_id}", json={"op": "cancel"})
    assert again.status == 409
    # were its engine still at work, two of them would leave no room for the next
    assert (await run(exported.platform, "SELECT 1 a"))[1] == [{"a": 1}]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT CAST(repeat('9', 5000) AS JSON) AS a", "integer string conversion"),
        ("SELECT CAST(repeat('[', 5000) || repeat(']', 5000) AS JSON) AS a", "recursion"),
    ],
)
async def test_an_answer_that_cannot_be_shown_is_the_querys_error(exported, sql, said):
    query, _ = await run(exported.platform, sql)
    assert query["state"] == "FAILED"
    assert query["errors"][0]["errorType"] == "USER_ERROR"
    assert query["errors"][0]["message"].startswith("The answer cannot be shown: ")
    assert said in query["errors"][0]["message"]


async def test_a_reset_ends_every_query_and_frees_their_places(exported):
    old = [(await submit(exported.platform, FOR_EVER))["id"] for _ in range(3)]

    async def two_run():
        states = [(await exported.platform.get(f"{QUERIES}/{one}"))["state"] for one in old]
        return states.count("IN_PROGRESS") == 2

    await until(two_run)
    await exported.platform.control("reset", {})
    assert (await exported.platform.get(QUERIES))["queries"] == []
    # the next query has the id of the first; were the old ones still at work, there would be no place for it
    query, rows = await run(exported.platform, "SELECT 1 a")
    assert (query["id"], rows) == (old[0], [{"a": 1}])


async def test_a_query_that_runs_too_long_times_out(monkeypatch):
    monkeypatch.setattr(queries, "_TIMEOUT_LEAST_S", 0.3)
    async with exporting(monkeypatch, speed=100_000) as exported:
        query, _ = await run(exported.platform, FOR_EVER)
        assert query["state"] == "TIMEOUT"
        assert query["errors"][0]["errorType"] == "USER_ERROR"
        assert query["elapsedTime"] >= 300


async def test_states_take_their_time(monkeypatch):
    async with exporting(monkeypatch, speed=10) as exported:
        query_id = (await submit(exported.platform, "SELECT 1"))["id"]
        seen = []

        async def is_over():
            state = (await exported.platform.get(f"{QUERIES}/{query_id}"))["state"]
            if not seen or seen[-1] != state:
                seen.append(state)
            return state in FINAL

        await until(is_over)
        assert seen == ["SUBMITTED", "IN_PROGRESS", "SUCCESS"]


async def test_lists_lead_on_from_the_newest_to_the_oldest(exported):
    ids = [(await submit(exported.platform, f"SELECT {number}"))["id"] for number in range(5)]
    found, path = [], f"{QUERIES}?limit=2"
    while path:
        page = await exported.platform.get(path)
        found.append([one["id"] for one in page["queries"]])
        assert page["_page"]["count"] == len(found[-1])
        assert (page["_page"]["orderby"], page["version"]) == ("-created", 1)
        href = page["_links"]["next"].get("href", "")
        assert ("next" in page["_page"]) == bool(href)
        path = href.removeprefix(exported.platform.base_url)
    assert found == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    oldest = await exported.platform.get(f"{QUERIES}?orderby=created&limit=1")
    assert [one["id"] for one in oldest["queries"]] == [ids[0]]


async def test_lists_are_filtered(exported):
    first, _ = await run(exported.platform, "SELECT 1")
    second, _ = await run(exported.platform, "SELECT nothing")
    for condition, expected in [
        ("state==SUCCESS", [first]),
        ("state!=SUCCESS", [second]),
        ("sql~nothing,state==FAILED", [second]),
        (f"created>{first['created']}", [second]),
        ("client==API", [second, first]),
    ]:
        page = await exported.platform.get(QUERIES, params={"property": condition})
        assert [one["id"] for one in page["queries"]] == [one["id"] for one in expected], condition
    assert (await exported.platform.call("PATCH", f"{QUERIES}/{first['id']}", json={"op": "soft_delete"})).status == 202
    assert len((await exported.platform.get(QUERIES))["queries"]) == 1
    assert len((await exported.platform.get(f"{QUERIES}?excludeSoftDeleted=false"))["queries"]) == 2


@pytest.mark.parametrize("query", ["limit=0", "orderby=size", "property=colour==red", "property=state"])
async def test_wrong_list_parameters_are_refused(exported, query):
    assert (await exported.platform.call("GET", f"{QUERIES}?{query}")).status == 400


@pytest.mark.parametrize(
    "body", [{}, {"sql": " "}, {"sql": 1}, [], {"templateId": "x"}, {"sql": "SELECT 1", "ctasParameters": {"a": 1}}]
)
async def test_a_body_without_sql_is_refused(exported, body):
    reply = await exported.platform.call("POST", QUERIES, json=body)
    assert reply.status == 400
    assert reply.body["type"] == "/placeholder/type/uri"


async def test_unknown_queries_and_changes_are_refused(exported):
    query_id = (await submit(exported.platform, "SELECT 1"))["id"]
    assert (await exported.platform.call("GET", f"{QUERIES}/unknown")).status == 404
    assert (await exported.platform.call("PATCH", f"{QUERIES}/{query_id}", json=[{"op": "cancel"}])).status == 400
    other = await exported.platform.call("GET", f"{QUERIES}/{query_id}", headers={"x-sandbox-name": "dev"})
    assert other.status == 404
    assert (await exported.platform.call("GET", "/_emulator/queries/unknown/rows")).status == 404


async def test_a_query_that_a_dead_process_ran_has_failed(exported):
    query, _ = await run(exported.platform, "SELECT 1")
    exported.world.sandbox("prod").queries[query["id"]]["state"] = "IN_PROGRESS"
    found = await exported.platform.get(f"{QUERIES}/{query['id']}")
    assert (found["state"], found["errors"][0]["errorType"]) == ("FAILED", "SYSTEM_ERROR")


async def test_the_loop_answers_while_a_query_works(exported):
    await submit(exported.platform, FOR_EVER)
    await submit(exported.platform, FOR_EVER)
    slowest = timedelta()
    for _ in range(30):
        began = datetime.now(UTC)
        await exported.platform.get(QUERIES)
        slowest = max(slowest, datetime.now(UTC) - began)
        await asyncio.sleep(0.01)
    assert slowest < timedelta(seconds=1)
