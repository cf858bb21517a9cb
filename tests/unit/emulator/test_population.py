"""The profiles that are made up: the same ones again, and about as many of each sort as a company would have."""

from datetime import UTC, datetime, timedelta

import pytest
from made_up import NOW, a_lake

from segwatch.emulator.lake import external, population
from segwatch.emulator.lake.opening import opened
from segwatch.emulator.settings import EmulatorSettings

SIZE = 10_000
WEEK = "INTERVAL 7 DAY"


def rows(connection):
    return connection.execute("SELECT to_json(p) FROM profile AS p WHERE _n < 100 ORDER BY _n").fetchall()


@pytest.fixture(scope="module")
def lake():
    with a_lake(size=SIZE) as connection:
        yield connection


def share(lake, condition):
    (found,) = lake.execute(f"SELECT avg(CAST(coalesce({condition}, false) AS INTEGER)) FROM profile AS p").fetchone()
    return found


def test_the_same_seed_size_and_time_give_the_same_rows_whatever_the_threads(lake):
    with a_lake(size=SIZE, threads=1) as other:
        for table in ("profile", "identity"):
            fingerprint = f"SELECT bit_xor(hash(t)) FROM {table} AS t"
            assert other.execute(fingerprint).fetchone() == lake.execute(fingerprint).fetchone()


def test_slices_change_nothing(lake, monkeypatch):
    monkeypatch.setattr(population, "_SLICE", 30)
    with a_lake(size=100) as sliced:
        assert rows(sliced) == rows(lake)[:100]


def test_a_larger_population_begins_with_the_smaller_one(lake):
    with a_lake(size=50) as small:
        assert rows(small) == rows(lake)[:50]


def test_another_seed_gives_other_people(lake):
    with a_lake(seed=1, size=50) as other:
        # but sam is sam everywhere
        assert not set(rows(other)[1:]) & set(rows(lake))


def test_sam_is_the_first_one_and_bought_this_week(lake):
    sam = f"""
        _n = 0 AND identityMap['email'][1].id = 'sam@example.org' AND homeAddress.country = 'NL'
        AND person.birthYear = 1985 AND optInOut.email AND consents.marketing.email.val = 'y'
        AND len(list_filter(xEvent, lambda e: e.commerce.purchases.value > 0
                            AND e.timestamp BETWEEN TIMESTAMPTZ '{NOW}' - {WEEK} AND TIMESTAMPTZ '{NOW}')) > 0"""
    assert share(lake, sam) * 10_000 == pytest.approx(1)
    assert lake.execute("SELECT _n FROM identity WHERE id = 'sam@example.org'").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [
        pytest.param("homeAddress.country = 'NL'", 0.15, 0.25, id="country"),
        pytest.param("person.birthYear <= 2007 AND optInOut.email", 0.25, 0.5, id="adults-opted-in"),
        pytest.param("loyalty.tier = 'gold'", 0.05, 0.2, id="gold"),
        pytest.param("consents.marketing.email.val = 'y'", 0.3, 0.6, id="consent"),
        pytest.param("(consents.marketing.email.val = 'y') = optInOut.email", 0.8, 1, id="consent-agrees-with-opt-in"),
        pytest.param("len(xEvent) BETWEEN 1 AND 80", 0.7, 0.8, id="active"),
        pytest.param("map_contains(identityMap, 'email')", 0.85, 0.95, id="email"),
        pytest.param("map_contains(identityMap, 'ecid')", 0.7, 0.85, id="ecid"),
        pytest.param("map_contains(identityMap, 'crmid')", 0.4, 0.6, id="crmid"),
        pytest.param("cardinality(identityMap) >= 1", 1, 1, id="everybody-is-somebody"),
        pytest.param(
            "person IS NULL AND homeAddress IS NULL AND consents IS NULL AND xEvent IS NOT NULL", 0.01, 0.03, id="empty"
        ),
        pytest.param(
            "xEvent IS NULL OR xEvent[1].environment.browserDetails.name IS NOT NULL"
            " AND xEvent[1].environment.browserDetails.version LIKE '14_.0'",
            0.9,
            0.999,
            id="browser",
        ),
        pytest.param("_ingested <= TIMESTAMPTZ '2026-11-23 14:00:00+00'", 1, 1, id="ingested-by-now"),
    ],
)
def test_the_sorts_of_profiles_have_plausible_shares(lake, condition, low, high):
    assert low <= share(lake, condition) <= high


def test_who_has_events_only_has_no_record_field_at_all(lake):
    fields = [name for (name, *_) in lake.execute("DESCRIBE profile").fetchall()]
    record = [name for name in fields if not name.startswith("_") and name not in ("identityMap", "xEvent")]
    nothing = " AND ".join(f"{name} IS NULL" for name in record)
    assert share(lake, nothing) == share(lake, "person IS NULL") > 0.01


def test_events_are_in_order_within_90_days_and_ingested_after_they_happened(lake):
    found = lake.execute(
        """SELECT count(*), count(DISTINCT e._id),
                  bool_and(e.timestamp <= e.ingestTimestamp AND e.ingestTimestamp <= $now),
                  bool_and(e.timestamp > $now - INTERVAL 90 DAY)
           FROM (SELECT unnest(xEvent) AS e FROM profile)""",
        {"now": NOW},
    ).fetchone()
    assert found[0] == found[1]
    assert 40_000 < found[0] < 60_000
    assert found[2:] == (True, True)
    times = "list_transform(xEvent, lambda e: e.timestamp)"
    assert share(lake, f"xEvent IS NULL OR {times} = list_sort({times})") == 1


def test_identities_are_those_of_the_profiles(lake):
    counted = dict(lake.execute("SELECT namespace, count(*) FROM identity GROUP BY 1").fetchall())
    for namespace in ("email", "ecid", "crmid"):
        assert counted.pop(namespace) == round(10_000 * share(lake, f"map_contains(identityMap, '{namespace}')"))
    assert counted == {}
    assert lake.execute("SELECT count(*) = count(DISTINCT (namespace, id)) FROM identity").fetchone() == (True,)
    assert lake.execute("SELECT count(DISTINCT _xid) FROM profile").fetchone() == (10_000,)


def test_a_later_population_is_dated_later():
    with a_lake(size=200) as early, a_lake(size=200, now=NOW + timedelta(days=400)) as late:
        newest = "SELECT max(list_max(list_transform(xEvent, lambda e: e.timestamp)))::VARCHAR FROM profile"
        assert early.execute(newest).fetchone()[0].startswith("2026-11")
        assert late.execute(newest).fetchone()[0].startswith("2027-12")


def test_whenever_they_begin_on_one_day_two_platforms_hold_the_same(tmp_path):
    def content(hour):
        lake = opened(
            EmulatorSettings(size=300, data=tmp_path / str(hour)),
            now=datetime(2026, 11, 23, hour, 59, 3, tzinfo=UTC),
            began=lambda _: None,
            was_kept=lambda _sandbox, _job_id: False,
        )
        found = []

        def look(cursor):
            external.supply(cursor, "prod", now=datetime(2026, 11, 23, hour, 59, 9, tzinfo=UTC))
            for table in ("profile", "identity", "membership"):
                found.extend(cursor.execute(f"SELECT to_json(t) AS row FROM {table} AS t ORDER BY row").fetchall())

        lake.prepare(look)
        lake.close()
        return found

    early = content(0)
    assert len(early) > 600
    assert early == content(23)
