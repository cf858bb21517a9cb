"""A query sees the files of exported batches, and nothing else of the host."""

import duckdb
import pytest
from exported import BATCH, exporting
from query_calls import run


@pytest.fixture
async def exported(monkeypatch):
    async with exporting(monkeypatch, speed=1000) as exported:
        yield exported


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


async def test_views_file_names_and_settings_do_not_show_where_the_files_lie(exported, monkeypatch):
    exported.export()
    monkeypatch.setenv("HOME", "/home/somebody")
    folder = str(exported.world.batch_folder.path)
    part = f"{BATCH}/part-00000.snappy.parquet"
    for sql in (
        "SELECT sql FROM duckdb_views() WHERE view_name = 'segment_export'",
        f"SELECT DISTINCT filename FROM read_parquet('{part}')",
        "SELECT name, value FROM duckdb_settings() WHERE name <> 'allowed_paths'",
    ):
        _, rows = await run(exported.platform, sql)
        assert rows
        assert folder not in str(rows)
        assert "somebody" not in str(rows)
