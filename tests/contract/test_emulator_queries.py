"""Query Service: what SQL over exported datasets finds, how queries live and end, and that they see nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta

import lake_population as people
import pytest
from emulator_fixtures import DATASET, DATASETS, until
from exported import AT_MS, BATCH, MEMBERS, OTHER_BATCH, QUERIES, exporting

from segwatch.emulator.api import queries
from segwatch.emulator.lake.model import SegmentFilter

FINAL = ("SUCCESS", "FAILED", "KILLED", "TIMEOUT")
FOR_EVER = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


@pytest.fixture
async def exported(monkeypatch):
    async with exporting(monkeypatch, speed=1000) as exported:
        yield exported


async def submit(platform, sql, **rest):
    reply = await platform.call("POST", QUERIES, json={"dbName": "prod:all", "sql": sql, **rest})
    assert reply.status == 202, reply.raw
    return reply.body


async def ended(platform, query_id):
    async def is_over():
        query = await platform.get(f"{QUERIES}/{query_id}")
        return query if query["state"] in FINAL else None

    return await until(is_over, deadline_s=20)


async def run(platform, sql):
    """Return a query after its end, and its rows."""
    query = await ended(platform, (await submit(platform, sql))["id"])
    kept = await platform.control(f"queries/{query['id']}/rows", method="GET")
    return query, kept["rows"]


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


SECRET = "the-secret-of-the-host"


@pytest.mark.parametrize(
    "sql",
    [
        "FROM '{file}'",
        "SELECT * FROM '{file}'",
        "SELECT * FROM '{folder}/*.csv'",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_csv_auto('{file}')",
        "SELECT * FROM sniff_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_json_objects('{file}')",
        "SELECT * FROM read_ndjson('{file}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM parquet_scan('{parquet}')",
        "SELECT * FROM read_parquet('{parquet}')",
        "SELECT * FROM read_parquet('{export}/../../../secret.parquet')",
        "SELECT * FROM read_parquet(['{part}', '{parquet}'])",
        "SELECT * FROM parquet_metadata('{parquet}')",
        "SELECT * FROM parquet_schema('{parquet}')",
        "SELECT * FROM parquet_kv_metadata('{parquet}')",
        "SELECT * FROM parquet_file_metadata('{parquet}')",
        "SELECT * FROM read_duckdb('{database}')",
        "SELECT * FROM query('FROM read_text(''{file}'')')",
        "SELECT * FROM query_table('{file}')",
        "SELECT (SELECT content FROM read_text('{file}'))",
        "WITH t AS (SELECT * FROM read_text('{file}')) SELECT * FROM t",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM 'https://localhost/secret.csv'",
        "SELECT getenv('SECRET')",
        "SELECT getvariable(getenv('SECRET'))",
        "SELECT * FROM secret_rows",
        "COPY (SELECT 1) TO '{file}'",
        "COPY segment_export FROM '{file}'",
        "COPY segment_export TO '{part}' (USE_TMP_FILE false)",
        "ATTACH '{database}'",
        "ATTACH '{database}' AS other (READ_ONLY)",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{file}'",
        "EXPORT DATABASE '{folder}/out'",
        "IMPORT DATABASE '{folder}'",
        "PRAGMA enable_profiling",
        "PRAGMA database_list",
        "SET enable_external_access = true",
        "SET GLOBAL allowed_directories = ['/']",
        "RESET lock_configuration",
        "SET VARIABLE x = (SELECT content FROM read_text('{file}'))",
        "CALL enable_logging(storage_path = '{folder}/log')",
        "CREATE TABLE t AS SELECT * FROM read_text('{file}')",
        "CREATE SECRET (TYPE http, BEARER_TOKEN 'x')",
        "CREATE MACRO f() AS TABLE SELECT * FROM read_text('{file}')",
        "INSERT INTO segment_export VALUES (1)",
        "WITH t AS (INSERT INTO segment_export VALUES (1) RETURNING *) SELECT * FROM t",
        "DROP VIEW segment_export",
        "EXPLAIN ANALYZE SELECT * FROM read_text('{file}')",
        "PREPARE p AS SELECT * FROM read_text('{file}')",
        "EXECUTE p",
        "VACUUM",
        "CHECKPOINT",
        "USE memory",
    ],
)
async def test_a_query_cannot_reach_the_host(exported, tmp_path, monkeypatch, sql):
    import duckdb

    exported.export()
    monkeypatch.setenv("SECRET", SECRET)
    secret_rows = [{"a": SECRET}]  # a variable is a table for an engine that looks for one
    secret = {name: tmp_path / f"secret.{name}" for name in ("csv", "parquet", "duckdb")}
    secret["csv"].write_text(f"a,b\n{SECRET},1\n")
    with duckdb.connect(str(secret["duckdb"])) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT '{SECRET}' AS a")
        connection.execute(f"COPY t TO '{secret['parquet']}' (FORMAT parquet)")
    folder = exported.world.batch_folder.path / BATCH
    part = folder / "part-00000.snappy.parquet"
    before = part.read_bytes()
    (folder.parent.parent / "secret.parquet").write_bytes(secret["parquet"].read_bytes())

    places = {"file": secret["csv"], "folder": tmp_path, "parquet": secret["parquet"], "database": secret["duckdb"]}
    query, rows = await run(exported.platform, sql.format(**places, export=folder, part=part))
    assert query["state"] == "FAILED", rows
    assert rows == []
    assert SECRET not in str(query["errors"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "secret.duckdb", "secret.parquet"]
    assert part.read_bytes() == before
    assert secret_rows


async def test_the_engines_settings_are_locked(exported):
    names = "'enable_external_access', 'lock_configuration', 'temp_directory', 'autoload_known_extensions'"
    _, rows = await run(
        exported.platform, f"SELECT name, value FROM duckdb_settings() WHERE name IN ({names}) ORDER BY 1"
    )
    assert {row["name"]: row["value"] for row in rows} == {
        "autoload_known_extensions": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
        "temp_directory": "",
    }


async def test_a_query_that_needs_too_much_memory_fails(exported):
    query, _ = await run(exported.platform, "SELECT range, random() r FROM range(100000000) ORDER BY r")
    assert query["state"] == "FAILED"
    assert "memory" in query["errors"][0]["message"].lower()


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
