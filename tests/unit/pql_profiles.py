"""A few thousand profiles like those of XDM, with something missing everywhere, as dicts and as a DuckDB table."""

import random
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from segwatch.emulator.lake.tables import OWN_COLUMNS
from segwatch.emulator.pql import ROW, Shape, parse, shape_of, to_sql

NOW = datetime(2026, 3, 18, 10, 30, tzinfo=UTC)  # a Wednesday
MIDNIGHT = NOW.replace(hour=0, minute=0)
SIZE = 2_000
Profile = dict[str, Any]

_TEXT, _TIME = pa.string(), pa.timestamp("us", tz="UTC")
_ADDRESS = pa.struct(dict.fromkeys(("street1", "city", "postalCode", "stateProvince", "country", "countryCode"), _TEXT))
_CHOICE = pa.struct({"val": _TEXT, "time": _TIME})
SCHEMA = pa.schema(
    {
        "_n": pa.int64(),
        "identityMap": pa.map_(_TEXT, pa.list_(pa.struct({"id": _TEXT, "primary": pa.bool_()}))),
        "person": pa.struct(
            {
                "name": pa.struct({"firstName": _TEXT, "lastName": _TEXT}),
                "birthDate": pa.date32(),
                "birthYear": pa.int32(),
                "gender": _TEXT,
            }
        ),
        "homeAddress": _ADDRESS,
        "workAddress": _ADDRESS,
        "personalEmail": pa.struct({"address": _TEXT}),
        "loyalty": pa.struct({"tier": _TEXT, "points": pa.int64(), "joinDate": _TIME, "renewal": _TEXT}),
        "consents": pa.struct({"marketing": pa.struct({"email": _CHOICE, "push": _CHOICE})}),
        "optInOut": pa.struct({"email": pa.bool_()}),
        "interests": pa.list_(_TEXT),
        "scores": pa.list_(pa.int32()),
        "seenAt": pa.int64(),
        "_acme": pa.struct({"plan": _TEXT}),
        "xEvent": pa.list_(
            pa.struct(
                {
                    "_id": _TEXT,
                    "timestamp": _TIME,
                    "eventType": _TEXT,
                    "commerce": pa.struct(
                        {
                            "purchases": pa.struct({"value": pa.float64()}),
                            "order": pa.struct({"priceTotal": pa.float64(), "purchaseID": _TEXT}),
                        }
                    ),
                    "web": pa.struct(
                        {
                            "webPageDetails": pa.struct(
                                {"name": _TEXT, "URL": _TEXT, "pageViews": pa.struct({"value": pa.float64()})}
                            )
                        }
                    ),
                    "productListItems": pa.list_(
                        pa.struct({"SKU": _TEXT, "name": _TEXT, "quantity": pa.int32(), "priceTotal": pa.float64()})
                    ),
                }
            )
        ),
    }
)


def _profile(rng: random.Random, number: int) -> Profile:
    def perhaps(value: Any, missing: float = 0.12) -> Any:
        return None if rng.random() < missing else value

    def time(days: int = 120) -> datetime:
        # On the edges of days and of distances as often as between them.
        if rng.random() < 0.3:
            base = rng.choice([NOW, MIDNIGHT])
            return base + timedelta(days=rng.choice([-90, -31, -30, -10, -8, -7, -3, -2, -1, 0, 1, 3]))
        return NOW - timedelta(seconds=rng.randrange(-5 * 86_400, days * 86_400))

    def address() -> Any:
        return perhaps(
            {
                "street1": perhaps(f"{rng.randrange(99)} Main St"),
                "city": perhaps(rng.choice(["Utrecht", "utrecht", "Köln", "Paris", "O'Fallon", "100% City", "A_b"])),
                "postalCode": perhaps(f"{rng.randrange(1000, 9999)}"),
                "stateProvince": perhaps(rng.choice(["CA", "UT", "NW"])),
                "country": perhaps(rng.choice(["NL", "DE", "US", "FR"])),
                "countryCode": None,
            }
        )

    def choice() -> Any:
        return perhaps({"val": perhaps(rng.choice(["y", "n", "p"])), "time": perhaps(time(400))})

    def item() -> Any:
        return perhaps(
            {
                "SKU": perhaps(rng.choice(["PS", "AB-1", "AB-2", "ZZ"])),
                "name": perhaps("thing"),
                "quantity": perhaps(rng.randrange(0, 4)),
                "priceTotal": perhaps(rng.randrange(0, 400) / 4),
            },
            0.05,
        )

    def event() -> Any:
        kind = perhaps(rng.choice(["web.view", "commerce.purchases", "email.open", "Email.Open"]))
        bought = kind == "commerce.purchases"
        return {
            "_id": f"e{rng.randrange(10**9)}",
            "timestamp": perhaps(time(), 0.05),
            "eventType": kind,
            "commerce": perhaps(
                {
                    "purchases": perhaps({"value": perhaps(float(bought))}),
                    "order": perhaps({"priceTotal": perhaps(rng.randrange(0, 2000) / 4), "purchaseID": perhaps("p1")}),
                },
                0.1 if bought else 0.9,
            ),
            "web": perhaps(
                {
                    "webPageDetails": perhaps(
                        {
                            "name": perhaps(rng.choice(["home", "cart"])),
                            "URL": "https://example.org/",
                            "pageViews": perhaps({"value": perhaps(float(rng.randrange(3)))}),
                        }
                    )
                },
                0.5,
            ),
            "productListItems": perhaps([item() for _ in range(rng.randrange(4))], 0.3 if bought else 0.8),
        }

    born = date(1940, 1, 1) + timedelta(days=rng.randrange(27_000))
    names = ["Joe", "joe", "Johanna", "UpJohn", "Anna", "Zoë", "Bob\nby"]
    identities = {
        namespace: perhaps([{"id": f"{namespace}{number}@Example.org", "primary": perhaps(i == 0)} for i in range(n)])
        for namespace, n in (("email", rng.randrange(3)), ("ecid", 1), ("crmid", 1))
        if rng.random() < 0.6
    }
    return {
        "_n": number,
        "identityMap": perhaps(identities),
        "person": perhaps(
            {
                "name": perhaps({"firstName": perhaps(rng.choice(names)), "lastName": perhaps(rng.choice(names))}),
                "birthDate": perhaps(rng.choice([born, born, born.replace(month=3, day=15), date(2026, 3, 15)])),
                "birthYear": perhaps(born.year),
                "gender": perhaps(rng.choice(["female", "male", "x"])),
            }
        ),
        "homeAddress": address(),
        "workAddress": address(),
        "personalEmail": perhaps(
            {"address": perhaps(rng.choice(["a@x.org", "B@X.ORG", "c@mail.example.com", "none"]))}
        ),
        "loyalty": perhaps(
            {
                "tier": perhaps(rng.choice(["gold", "silver", "bronze"])),
                "points": perhaps(rng.choice([0, 7, 5_000, rng.randrange(10_000)])),
                "joinDate": perhaps(time(1500)),
                "renewal": perhaps(rng.choice(["2026-03-18T12:00:00+02:00", "2025-01-01", "soon", time().isoformat()])),
            }
        ),
        "consents": perhaps({"marketing": perhaps({"email": choice(), "push": choice()})}),
        "optInOut": perhaps({"email": perhaps(rng.random() < 0.5)}),
        "interests": perhaps([perhaps(rng.choice("abcde")) for _ in range(rng.randrange(5))]),
        "scores": perhaps([perhaps(rng.randrange(5)) for _ in range(rng.randrange(4))]),
        "seenAt": perhaps(int(time().timestamp() * 1000)),
        "_acme": None if number % 5 == 0 else {"plan": ("free", "team", None)[number % 3]},
        "xEvent": perhaps([event() for _ in range(rng.randrange(8))], 0.05),
    }


@cache
def profiles() -> tuple[Profile, ...]:
    rng = random.Random(3)
    return tuple(_profile(rng, number) for number in range(SIZE))


@cache
def table() -> duckdb.DuckDBPyConnection:
    """Return a connection to a database in memory whose table `profile` holds the profiles."""
    rows = [
        {**row, "identityMap": None if row["identityMap"] is None else list(row["identityMap"].items())}
        for row in profiles()
    ]
    connection = duckdb.connect(":memory:", config={"threads": 2})
    connection.execute("SET TimeZone = 'America/New_York'")  # must make no difference
    connection.register("rows", pa.Table.from_pylist(rows, schema=SCHEMA))
    connection.execute("CREATE TABLE profile AS SELECT * FROM rows")
    return connection


@cache
def shape() -> Shape:
    columns = table().execute("FROM profile LIMIT 0").description
    return shape_of((column[0], column[1]) for column in columns if column[0] not in OWN_COLUMNS)


def sql_of(query: str) -> str:
    return to_sql(parse({"type": "PQL", "format": "pql/text", "value": query}), shape())


def selected(condition: str, among: int = SIZE) -> list[int]:
    """Return the numbers of the first profiles for which an SQL condition holds; fail if it is NULL for one."""
    values = {"now": NOW} if "$now" in condition else None
    rows = (
        table()
        .execute(f"SELECT _n, {condition} FROM profile AS {ROW} WHERE _n < {among} ORDER BY _n", values)
        .fetchall()
    )
    assert all(holds is not None for _, holds in rows)
    return [number for number, holds in rows if holds]
