"""Thirty expressions over ten thousand made-up profiles: a run counts what plain Python counts.

Nothing here reads PQL or SQL: every row holds a condition on a dict, written by hand.
"""

from collections import Counter
from datetime import date, timedelta
from functools import partial

import pytest
from made_up import NOW, a_lake

from segwatch.emulator.lake import evaluation, losses
from segwatch.emulator.lake.model import Evaluation, SegmentCount

MIDNIGHT = NOW.replace(hour=0)
DAY = timedelta(days=1)
LATER = NOW + 5 * DAY
SIZE = 4_000


def at(value, path):
    """Return what a path leads to; None where something on it is missing."""
    for step in path.split("."):
        value = None if value is None else value[step]
    return value


def events(p):
    return p["xEvent"] or []


def between(value, start, end):
    """Return whether start <= value < end."""
    return value is not None and start <= value < end


def recent(event, now, days):
    return between(event["timestamp"], now - days * DAY, now)


def total(found):
    return sum(at(one, "commerce.order.priceTotal") or 0 for one in found)


def bought(event):
    return (at(event, "commerce.purchases.value") or 0) > 0


def is_about(event, *skus):
    return any(item["SKU"] in skus for item in event["productListItems"] or [])


# expression, and what it says of a profile p at a time
ROWS = (
    ('homeAddress.country = "NL"', lambda p, now: at(p, "homeAddress.country") == "NL"),
    (
        'workAddress.country != "NL" and homeAddress.country = workAddress.country',
        lambda p, now: at(p, "workAddress.country") not in ("NL", None)
        and at(p, "homeAddress.country") == at(p, "workAddress.country"),
    ),
    (
        "person.birthYear >= 1980 and person.birthYear < 1990 and not (optInOut.email = true)",
        lambda p, now: 1980 <= (at(p, "person.birthYear") or 0) < 1990 and at(p, "optInOut.email") is not True,
    ),
    ('loyalty.tier in ["gold", "platinum"]', lambda p, now: at(p, "loyalty.tier") in ("gold", "platinum")),
    (
        'loyalty.tier notIn ["gold", "platinum"]',
        lambda p, now: at(p, "loyalty.tier") not in ("gold", "platinum", None),
    ),
    ("loyalty.points > 1000 or optInOut.sms", lambda p, now: (at(p, "loyalty.points") or 0) > 1000
        or at(p, "optInOut.sms") is True),
    ("loyalty.points * 2 + 1 <= 101", lambda p, now: (at(p, "loyalty.points") if p["loyalty"] else 51) <= 50),
    ("not homeAddress and person", lambda p, now: p["homeAddress"] is None and p["person"] is not None),
    ("person.gender.isNull() and mobilePhone.number.isNotNull()",
        lambda p, now: at(p, "person.gender") is None and at(p, "mobilePhone.number") is not None),
    ('homeAddress.city.startsWith("ut", false)', lambda p, now: (at(p, "homeAddress.city") or "").startswith("Ut")),
    ('homeAddress.city.startsWith("ut")', lambda p, now: False),
    ('homeAddress.city.endsWith("ö", false) or homeAddress.city.contains("ü")',
        lambda p, now: (at(p, "homeAddress.city") or "").endswith("ö") or "ü" in (at(p, "homeAddress.city") or "")),
    ('personalEmail.address.doesNotContain("EXAMPLE.ORG", false)',
        lambda p, now: not (at(p, "personalEmail.address") or "@example.org").endswith("@example.org")),
    ('mobilePhone.number like "+31%7_"',
        lambda p, now: (at(p, "mobilePhone.number") or "").startswith("+31")
        and at(p, "mobilePhone.number")[-2] == "7"),
    ('person.name.lastName.matches("^[dO].")',
        lambda p, now: (at(p, "person.name.lastName") or "x")[0] in "dO"),
    ('"running" in interests and interests.count() >= 2',
        lambda p, now: "running" in (p["interests"] or []) and len(p["interests"]) >= 2),
    ('interests.intersects(["yoga", "music"])', lambda p, now: bool({"yoga", "music"} & set(p["interests"] or []))),
    ("person.birthDate < date(1970, 1, 1)",
        lambda p, now: (at(p, "person.birthDate") or date.max) < date(1970, 1, 1)),
    ("person.birthDate.getMonth() = currentMonth()",
        lambda p, now: p["person"] is not None and p["person"]["birthDate"] is not None
        and p["person"]["birthDate"].month == 11),
    ("loyalty.joinDate occurs <= 365 days before today",
        lambda p, now: between(at(p, "loyalty.joinDate"), (now - 365 * DAY).date(), now.date())),
    ('consents.marketing.email.val = "y" and consents.marketing.email.time occurs this year',
        lambda p, now: at(p, "consents.marketing.email.val") == "y"
        and p["consents"]["marketing"]["email"]["time"].year == 2026),
    ("select e from xEvent where e.commerce.purchases.value > 0 and e.timestamp occurs <= 7 days before now",
        lambda p, now: any(bought(e) and recent(e, now, 7) for e in events(p))),
    (
        '(exists e from xEvent where e.eventType = "commerce.productListAdds"'
        " and e.timestamp occurs <= 14 days before now) and not (exists e from xEvent where"
        ' e.eventType = "commerce.purchases" and e.timestamp occurs <= 14 days before now)',
        lambda p, now: any(e["eventType"] == "commerce.productListAdds" and recent(e, now, 14) for e in events(p))
        and not any(bought(e) and recent(e, now, 14) for e in events(p)),
    ),
    ('xEvent[device.type = "mobile" and timestamp occurs <= 30 days before now].count() >= 3',
        lambda p, now: sum(e["device"]["type"] == "mobile" and recent(e, now, 30) for e in events(p)) >= 3),
    ("xEvent.sum(commerce.order.priceTotal) > 200", lambda p, now: total(events(p)) > 200),
    ("xEvent.max(timestamp) occurs > 45 days before now",
        lambda p, now: bool(events(p)) and max(e["timestamp"] for e in events(p)) < now - 45 * DAY),
    (
        'exists e from xEvent where (exists i from e.productListItems where i.SKU in ["SKU-003", "SKU-004"])',
        lambda p, now: any(is_about(e, "SKU-003", "SKU-004") for e in events(p)),
    ),
    (
        'exists A from xEvent where A.eventType = "commerce.productViews", B from xEvent where'
        ' B.eventType = "commerce.purchases" and B.timestamp occurs <= 3 days after A.timestamp',
        lambda p, now: any(
            a["eventType"] == "commerce.productViews" and bought(b)
            and a["timestamp"] < b["timestamp"] <= a["timestamp"] + 3 * DAY
            for a in events(p) for b in events(p)
        ),
    ),
    ('xEvent and (forall e from xEvent where e.environment.browserDetails.name != "Chrome")',
        lambda p, now: bool(events(p))
        and all(at(e, "environment.browserDetails.name") not in ("Chrome", None) for e in events(p))),
    ('identityMap.get("crmid").count() = 1 and (select i from identityMap.get("email") where i.id.contains(".smit"))',
        lambda p, now: "crmid" in p["identityMap"]
        and any(".smit" in one["id"] for one in p["identityMap"].get("email", []))),
)  # fmt: skip
DEFINITIONS = {
    f"s{n}": {"type": "PQL", "format": "pql/text", "value": text} for n, (text, _) in enumerate(ROWS, start=1)
}


@pytest.fixture(scope="module")
def lake():
    with a_lake(seed=1, size=SIZE) as connection:
        yield connection


@pytest.fixture(scope="module")
def profiles(lake):
    rows = lake.sql("FROM profile ORDER BY _n").to_arrow_table().to_pylist()
    return [p | {"identityMap": dict(p["identityMap"])} for p in rows]  # Arrow gives a map as pairs


def members(profiles, now):
    """Return the numbers of those for whom each expression holds."""
    return [{p["_n"] for p in profiles if holds(p, now)} for _, holds in ROWS]


def counted(profiles, inside, before):
    """Return what a run should count of each segment."""
    namespaces = {p["_n"]: tuple(p["identityMap"]) for p in profiles}
    return {
        segment_id: SegmentCount(
            realized=len(now_in - was_in),
            existing=len(now_in & was_in),
            exited=len(was_in - now_in),
            by_namespace=Counter(namespace for n in now_in for namespace in namespaces[n]),
        )
        for segment_id, now_in, was_in in zip(DEFINITIONS, inside, before, strict=True)
    }


def test_two_runs_count_what_plain_python_counts(lake, profiles):
    order = partial(Evaluation, sandbox="prod", definitions=DEFINITIONS)
    first = members(profiles, NOW)
    assert len(first) == 30
    assert [len(found) for found in first].count(0) == 1  # the one that is there because case counts
    assert max(map(len, first)) < SIZE * 0.9
    run = evaluation.evaluate(lake, order(run_id="first", now=NOW))
    assert run.profiles == len(profiles) == SIZE
    assert run.segments == counted(profiles, first, [set()] * len(ROWS))

    # days later events have grown old, and some people are gone
    losses.lose(lake, sandbox="prod", segment_id="s1", share=0.2)
    lost = {n for (n,) in lake.execute("SELECT _n FROM lost WHERE sandbox = 'prod'").fetchall()}
    assert lost
    left = [p for p in profiles if p["_n"] not in lost]
    run = evaluation.evaluate(lake, order(run_id="second", now=LATER))
    assert run.profiles == len(left)
    assert run.segments == counted(left, members(left, LATER), first)
