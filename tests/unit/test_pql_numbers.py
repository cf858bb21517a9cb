"""Numbers are compared as what they are: whole ones to their last digit, and what is no number with nothing."""

import duckdb
import pytest

from segwatch.emulator.pql import ROW, parse, shape_of, to_sql

WIDE = 9_007_199_254_740_993  # the first whole number that no double holds: it becomes the one before
A_ROW = f"""
SELECT {WIDE}::BIGINT AS b, {2**64 - 1}::UBIGINT AS u, {2**126 + 1}::HUGEINT AS h, {WIDE}::DECIMAL(20, 0) AS n,
  {WIDE - 1}::DOUBLE AS d, 'nan'::DOUBLE AS nan, 'nan'::FLOAT AS nan32, 'inf'::DOUBLE AS inf, 5::INTEGER AS i,
  [{WIDE}, 1]::BIGINT[] AS bs, [{WIDE - 1}, 2.5]::DOUBLE[] AS ds, ['nan'::DOUBLE, 1] AS nans, 7::BIGINT AS seven,
  (-170141183460469231731687303715884105727)::HUGEINT AS low, 170141183460469231731687303715884105727::HUGEINT AS high,
  -170141183460469231731687303715884105728::DOUBLE AS lower, 170141183460469231731687303715884105728::DOUBLE AS higher,
  TIMESTAMP '2026-01-31 12:00:00' AS t
"""


def holds(query, form="pql/text"):
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE profile AS {A_ROW}")
        seen = shape_of((column[0], column[1]) for column in connection.execute("FROM profile").description)
        sql = to_sql(parse({"type": "PQL", "format": form, "value": query}), seen)
        ((found,),) = connection.execute(f"SELECT {sql} FROM profile AS {ROW}").fetchall()
    return found


@pytest.mark.parametrize(
    "query",
    [
        f"b = {WIDE} and b != {WIDE - 1} and b > {WIDE - 1} and not (b > {WIDE}) and b < {WIDE + 1}",
        f"n = {WIDE} and n > {WIDE - 1} and n = b",
        f"b = {WIDE}.0 and b = {WIDE}e0 and b != {WIDE - 1}.0",
        f"u = {2**64 - 1} and u != {2**64 - 2} and u > {2**64 - 2} and u > b",
        f"h = {2**126 + 1} and h > {2**126} and h < 1e300 and not (h = 1e300)",
        f"b != d and b > d and not (b <= d) and d < b and d = {WIDE - 1} and d != {WIDE}",
        "b > 2.5 and not (b = 2.5) and seven = seven * 1 and seven < seven + 0.5",
        "high < higher and low > lower and high != higher and low != lower",
        f"b in [{WIDE}] and b notIn [{WIDE - 1}, {WIDE + 1}] and b notIn [d] and b notIn [1.5, 2]",
        f"d notIn [{WIDE}] and d in [{WIDE - 1}] and d notIn [{WIDE}, {WIDE + 2}]",
        f"u in [{2**64 - 1}, 3] and u notIn [{2**64 - 2}]",
        f"bs.includes({WIDE}) and not bs.includes({WIDE - 1}) and not bs.includes(d) and not ds.includes(b)",
        f"bs.includes(b) and [{WIDE}, 1].includes(b) and not [{WIDE - 1}].includes(b) and ds.includes(d)",
        f"bs.intersects([{WIDE}]) and not bs.intersects([{WIDE - 1}]) and not bs.intersects(ds)",
        f"bs.supersetOf([{WIDE}, 1]) and not bs.subsetOf(ds) and bs.intersection(ds).count() = 0",
        f"bs.max() = {WIDE} and bs.head() = {WIDE} and bs.intersection([{WIDE}]).head() = {WIDE}",
        f"if(i = 5, b, 0) = {WIDE} and (exists X from bs where X = {WIDE}) and not (exists X from bs where X = d)",
        f"-b = -{WIDE - 1} and b + 0 = {WIDE - 1}",  # arithmetic is done in doubles
    ],
)
def test_whole_numbers_are_compared_to_their_last_digit(query):
    assert holds(query) is True


def test_a_document_keeps_its_whole_numbers_too():
    def equals(value):
        field = {"nodeType": "fieldLookup", "fieldName": "u"}
        literal = {"nodeType": "literal", "literalType": "Integer", "value": value}
        return holds({"nodeType": "fnApply", "fnName": "=", "params": [field, literal]}, "pql/json")

    assert equals(2**64 - 1) is True
    assert equals(2**64 - 2) is False


@pytest.mark.parametrize("name", ["nan", "nan32", "(inf - inf)", "nans.head()", "nans[true].head()"])
def test_what_is_no_number_is_missing(name):
    for operator in ("=", "!=", "<", "<=", ">", ">="):
        assert holds(f"{name} {operator} 0 or 0 {operator} {name} or {name} {operator} {name}") is False
    assert holds(f"{name} in [1, 2] or {name} notIn [1, 2] or nans.includes({name})") is False


def test_what_is_no_number_is_left_out_of_sums():
    assert holds("nans.sum() = 1 and nans.max() = 1 and nans.min() = 1 and nan.isNull() and inf > 5") is True


@pytest.mark.parametrize("text", ["2026-01-31", "20260131", "2026-W05-6", "2026W056"])
def test_a_written_day_is_a_day_in_every_form(text):
    assert holds(f't = "{text}" and t >= "{text}" and not (t > "{text}") and t occurs on "{text}"') is True


def test_a_day_of_computed_parts_is_missing_if_one_is_a_fraction():
    assert holds("t > date(2025, i / 5, i)") is True
    assert holds("t > date(2025, i / 4, i)") is False
