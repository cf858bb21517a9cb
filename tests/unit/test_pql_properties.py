"""What holds for every query: nothing breaks out of it, nothing in it breaks the run, and `not` is the other half."""

import re

import duckdb
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pql_profiles import NOW, selected, shape, sql_of, table

from segwatch.emulator.pql import ROW, PqlError, Shape, parse, shape_of, to_sql
from segwatch.emulator.pql.patterns import checked
from segwatch.emulator.pql.tree import Place, Text

HOSTILE = st.sampled_from(
    ["'", '"', "\\", "%", "_", "--", "/*", ";", "$now", "{0}", "\n", "é", "p.", "') OR (1=1", "a"]
)
texts = st.lists(HOSTILE | st.text(max_size=3), max_size=6).map("".join).filter(lambda text: "\0" not in text)


def written(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(texts, texts)
@settings(max_examples=examples(40))
def test_a_text_stays_a_text(held, asked):
    with table().cursor() as connection:
        connection.execute("CREATE OR REPLACE TEMP TABLE held (a VARCHAR, m MAP(VARCHAR, VARCHAR))")
        connection.execute("INSERT INTO held VALUES (?, MAP {?: 'x'})", [held, held])
        seen = shape_of([("a", duckdb.type("VARCHAR")), ("m", duckdb.type("MAP(VARCHAR, VARCHAR)"))])
        for query, expected in (
            (f"a = {written(asked)}", held == asked),
            (f"a in [{written(asked)}]", held == asked),
            (f"a.contains({written(asked)})", asked in held),
            (f"a.startsWith({written(asked)})", held.startswith(asked)),
            (f"a.endsWith({written(asked)})", held.endswith(asked)),
            (f"m.get({written(asked)}).isNotNull()", held == asked),
        ):
            sql = to_sql(parse({"type": "PQL", "format": "pql/text", "value": query}), seen)
            statement = f"SELECT {sql} FROM held AS {ROW}"
            assert len(connection.extract_statements(statement)) == 1
            assert connection.execute(statement).fetchall() == [(expected,)]


@given(texts.filter(lambda name: name.strip() and not name.startswith("xdm:")))
@settings(max_examples=examples(40))
def test_a_field_name_stays_a_field_name(name):
    quoted = '"' + name.replace('"', '""') + '"'
    document = {
        "nodeType": "fnApply",
        "fnName": "=",
        "params": [
            {"nodeType": "fieldLookup", "fieldName": name, "object": {"nodeType": "fieldLookup", "fieldName": name}},
            {"nodeType": "literal", "value": 1},
        ],
    }
    with table().cursor() as connection:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE named AS SELECT {{{quoted}: 1}} AS {quoted}")
        columns = connection.execute("FROM named").description
        sql = to_sql(
            parse({"type": "PQL", "format": "pql/json", "value": document}),
            shape_of((column[0], column[1]) for column in columns),
        )
        assert connection.execute(f"SELECT {sql} FROM named AS {ROW}").fetchall() == [(True,)]


@given(st.text(alphabet=st.sampled_from("ab(|)[]{}^$*+?.\\dwsb,123-:i "), max_size=14), st.text("aB1 -b2.", max_size=8))
@settings(max_examples=examples(150))
def test_a_pattern_that_is_taken_means_the_same_elsewhere(pattern, subject):
    try:
        checked(Text(value=pattern, at=Place()))
    except PqlError:
        return
    held = table().execute("SELECT regexp_matches(?, ?)", [subject, pattern]).fetchone()
    assert held == (re.search(pattern, subject, re.ASCII) is not None,)


WORDS = [
    "homeAddress.city",
    "homeAddress",
    "xEvent.count()",
    '"Utrecht"',
    "3",
    "2.5",
    "(",
    ")",
    "[",
    "]",
    "and",
    "or",
    "not",
    "=",
    "!=",
    "<",
    "in",
    "notIn",
    "like",
    "occurs",
    "before",
    "after",
    "between",
    "now",
    "today",
    "last",
    "month",
    "<=",
    "3",
    "days",
    "exists",
    "X",
    "from",
    "xEvent",
    "where",
    "X.timestamp",
    "X.eventType",
    ",",
    ":",
    ".",
    "!",
    "true",
    "select",
    "forall",
    "sum",
    "over",
    "-",
    "+",
    "*",
    "/",
    "%",
    "$1",
    "=>",
    "let",
    "null",
    "chain",
    "count()",
    "$2",
    "'",
    "#",
    ";",
    '"',
    "(P)",
    "=>",
    "date(2020,1,1)",
    "loyalty.points",
]


def complaint(expression):
    """Return the error that an expression meets, if any."""
    try:
        to_sql(parse({"type": "PQL", **expression}), shape())
    except PqlError as error:
        return error
    return None


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=30))
@settings(max_examples=examples(150))
def test_any_text_is_a_query_or_a_pql_error(text):
    error = complaint({"format": "pql/text", "value": text})
    assert error is None or 1 <= error.offset <= len(text) + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["nodeType", "fnName", "params", "object", "fieldName", "value", "variables", "where", "from"]
            )
            | st.text(max_size=3),
            inner
            | st.sampled_from(["fnApply", "fieldLookup", "literal", "select", "varDecl", "=", "and", "count", "X"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(json_values.filter(lambda value: isinstance(value, dict)))
@settings(max_examples=examples(100))
def test_any_document_is_a_query_or_a_pql_error(document):
    error = complaint({"format": "pql/json", "value": document})
    assert error is None or error.pointer is not None


numbers = st.sampled_from(
    [
        "loyalty.points",
        "person.birthYear",
        "xEvent.count()",
        "3",
        "-2",
        "0",
        "1.5e300",
        "9223372036854775807",
        "scores.sum()",
        "xEvent.max(commerce.order.priceTotal)",
        "person.birthDate.getYear()",
        "currentYear()",
        "scores.head()",
    ]
)
numbers = st.recursive(
    numbers,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*/%"), inner),
    max_leaves=4,
)
words = st.sampled_from(
    ["homeAddress.city", "loyalty.tier", '"a\'b"', "person.name.firstName", 'homeAddress.city.regexGroup("(.)t", 1)']
)
times = st.sampled_from(
    [
        "loyalty.joinDate",
        "person.birthDate",
        "now",
        "today",
        "date(2025, 2, 28)",
        "date(person.birthYear, 2, 29)",
        "loyalty.renewal",
        "seenAt",
        "xEvent.min(timestamp)",
        "date(loyalty.points * 1e300, 1, 1)",
    ]
)
units = st.sampled_from(["millisecond", "hour", "days", "weeks", "month", "years", "centuries"])
conditions = st.one_of(
    st.builds("{} {} {}".format, numbers, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), numbers),
    st.builds("{} {} {}".format, words, st.sampled_from(["=", "!=", "like"]), words),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["loyalty.joinDate", "person.birthDate", "xEvent.min(timestamp)", "today"]),
        st.sampled_from(["=", "!=", "<", ">="]),
        times,
    ),
    st.builds("{} occurs {}".format, times, times),
    st.builds("{} occurs {} {}".format, times, st.sampled_from(["before", "after"]), times),
    st.builds("{} occurs between {} and {}".format, times, times, times),
    st.builds(
        "{} occurs {} {} {} {} {}".format,
        times,
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.integers(0, 20),
        units,
        st.sampled_from(["before", "after"]),
        times,
    ),
    st.builds(
        "{} occurs {} {}".format,
        times,
        st.sampled_from(["this", "last", "next"]),
        st.sampled_from(["second", "week", "month", "decade", "millennium"]),
    ),
    st.builds("{}.isNull()".format, words),
    st.sampled_from(["optInOut.email", "xEvent", "interests", 'identityMap.get("email")', "homeAddress"]),
)
conditions = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("exists X from xEvent where X.timestamp < now and ({})".format, inner),
        st.builds("(select X from xEvent where ({})).count() > 1".format, inner),
        st.builds("forall X from xEvent where ({})".format, inner),
        st.builds("if(({}), 1, 2) = 1".format, inner),
    ),
    max_leaves=4,
)


@given(conditions)
@settings(max_examples=examples(40))
def test_a_query_that_is_taken_runs_and_its_negation_selects_the_rest(query):
    """`selected` fails if the database does, or if a row's answer is NULL."""
    found, others = selected(sql_of(query), among=200), selected(sql_of(f"not ({query})"), among=200)
    assert sorted(found + others) == list(range(200))


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_characters_that_sql_cannot_carry_are_refused(text):
    with pytest.raises(PqlError):
        sql_of(f'homeAddress.city = "{text}"')


def test_columns_of_every_type_can_be_read():
    with duckdb.connect() as connection:
        connection.execute(
            """CREATE TABLE profile AS SELECT 'a'::ENUM('a', 'b') AS e, 1.5::DECIMAL(38, 2) AS d, 3::UHUGEINT AS h,
            4::TINYINT AS t, '00000000-0000-0000-0000-000000000001'::UUID AS u, [1, 2]::INTEGER[2] AS fixed,
            ['a']::ENUM('a', 'b')[] AS l, TIMESTAMP_NS '2020-01-01 00:00:00' AS ns, TIMESTAMP '2020-01-01' AS ts,
            DATE '5000000-01-01' AS far, 'x'::BLOB AS blob, MAP {1: 'a'} AS numbered, [1.5::DECIMAL(4, 1)] AS ds"""
        )
        columns = connection.execute("FROM profile").description
        seen: Shape = shape_of((column[0], column[1]) for column in columns)
        for query, expected in {
            'e = "zzz"': False,
            'e = "a"': True,
            "d = 1.5 and h >= 3 and t = 4 and t < 1000": True,
            'u.startsWith("0000")': True,
            "fixed.includes(2) and fixed.sum() = 3 and (exists X from fixed where X = 1)": True,
            'l.includes("zzz") or "b" in l': False,
            'l.includes("a")': True,
            "ns occurs on date(2020, 1, 1) and ts = ns": True,
            "far occurs after today": True,
            "blob.isNotNull() and numbered": True,
            "ds.sum() = 1.5 and 1.5 in ds": True,
        }.items():
            sql = to_sql(parse({"type": "PQL", "format": "pql/text", "value": query}), seen)
            values = {"now": NOW} if "$now" in sql else None
            found = connection.execute(f"SELECT {sql} FROM profile AS {ROW}", values)
            assert (query, found.fetchone()) == (query, (expected,))
