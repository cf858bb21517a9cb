"""What is not PQL, does not fit the profiles, or is not computed, is refused where it stands; nothing is guessed."""

import re

import pytest
from pql_profiles import sql_of

from segwatch.emulator.pql import PqlError, Shape, parse, to_sql
from segwatch.emulator.pql.shape import TEXT, Kind, Type

# (query, line, column, how the sentence begins)
WRONG = [
    ('homeAddress.countri = "NL"', 1, 13, "there is no field countri here"),
    ('homeAdress.country = "NL"', 1, 1, "profiles have no field homeAdress"),
    ('person.birthYear = "1980"', 1, 20, "= after a number takes a number, and this is a text"),
    ("person.name.firstName = 5", 1, 25, "= after a text takes a text, and this is a number"),
    ('loyalty.tier > "gold"', 1, 14, "> compares numbers and times, and this is a text"),
    ("optInOut.email = 1", 1, 18, "= after a boolean takes a boolean, and this is a number"),
    ('xEvent.eventType = "web.view"', 1, 8, "eventType cannot be read through an array"),
    ('xEvent[homeAddress.city = "a"]', 1, 8, "there is no field homeAddress here. Write $1.homeAddress"),
    ("identityMap.email.count() > 1", 1, 13, "a map has no fields"),
    ('identityMap["email"].count() > 1', 1, 12, "brackets hold a condition"),
    ('xEvent[0].eventType = "a"', 1, 7, "items have no number"),
    ('homeAddress = "NL"', 1, 1, "= takes a text, and this is an object"),
    ("xEvent = 3", 1, 1, "= takes a number, and this is an array"),
    ('loyalty.points.startsWith("1")', 1, 9, "startsWith takes a text, and this is a number"),
    ('homeAddress.city.startWith("U")', 1, 18, "startWith is no function that is computed here"),
    ('homeAddress.city.startsWith("U", 1)', 1, 34, "startsWith takes true or false last, for whether case"),
    ("homeAddress.city.startsWith()", 1, 18, "startsWith has too few arguments"),
    ('homeAddress.city.matches("(?<=a)b")', 1, 26, "the pattern cannot be read at its character 1"),
    ('homeAddress.city.matches("a{1,200}")', 1, 26, "the pattern repeats up to 200 times at character 2"),
    ("homeAddress.city.matches(loyalty.tier)", 1, 34, "a pattern is written out"),
    ('homeAddress.city == "Utrecht"', 1, 18, "equality is a single sign"),
    ('homeAddress.city <> "Utrecht"', 1, 18, "inequality is another sign"),
    ("homeAddress.city = 'Utrecht'", 1, 20, "texts stand in double quotes"),
    ("homeAddress.city = “Utrecht”", 1, 20, "this is a typographic quote"),
    ('homeAddress.city = "Utrecht', 1, 20, "this text has no end"),
    ("homeAddress.city =", 1, 19, "the query ends too early"),
    ("homeAddress.city = null", 1, 20, "nothing is compared with null"),
    ("homeAddress.city is null", 1, 18, "there is no operator `is`"),
    ('homeAddress.city not in ["a"]', 1, 18, "this operator is one word"),
    ("homeAddress.city in []", 1, 22, "an array or a condition is missing in the brackets"),
    ('homeAddress.city in ["a", 3]', 1, 27, "every item of this array takes a text, and this is a"),
    ('person.birthYear in ["1980"]', 1, 8, "an array of texts takes a text, and this is a number"),
    ("person.birthYear between 1 and 2", 1, 18, "ranges of numbers take two comparisons"),
    ("person.birthYear = 1 && optInOut.email", 1, 22, "conditions are joined by words"),
    ("(person.birthYear = 1", 1, 1, "this parenthesis is not closed. Write what is missing in it, and )"),
    ('(person.birthYear = 1 and\n  ("(" = "a")', 1, 1, "this parenthesis is not closed"),
    (
        "person.birthYear = 1 and\n (not (loyalty.points > ",
        2,
        7,
        "this parenthesis is not closed. Nor is what was opened at line 2, column 2.",
    ),
    ('homeAddress.city in ["a", "b"', 1, 21, "this bracket is not closed. Write what is missing in it, and ]"),
    ("xEvent[web.count()", 1, 7, "this bracket is not closed"),
    ('homeAddress.city.startsWith("U"', 1, 28, "this parenthesis is not closed"),
    ('xEvent[eventType = "a").count() > 1', 1, 23, "the bracket of line 1, column 7 is still open here. Write ]"),
    ('(homeAddress.city in ["a")', 1, 26, "the bracket of line 1, column 22 is still open here. Write ]"),
    ('homeAddress.city.startsWith("U"]', 1, 32, "the parenthesis of line 1, column 28 is still open here. Write )"),
    ("person.birthYear = 1)", 1, 21, "this parenthesis closes nothing"),
    ('person.birthYear + "a" = 2', 1, 20, "+ takes a number, and this is a text"),
    ("loyalty.points + 1", 1, 16, "a condition is needed, and this is a number"),
    ("loyalty.joinDate occurs 3 days ago", 1, 27, "a distance is compared"),
    (
        "loyalty.joinDate occurs last 7 days",
        1,
        30,
        "`last` takes one unit, without a number. Write occurs <= 7 days before now.",
    ),
    (
        "xEvent[timestamp occurs Next 3 Weeks]",
        1,
        30,
        "`Next` takes one unit, without a number. Write occurs <= 3 Weeks after now.",
    ),
    ("loyalty.joinDate = last week", 1, 25, "a period stands after occurs. Write occurs last week."),
    (
        "loyalty.joinDate >= this month",
        1,
        26,
        "a period stands after occurs. Write not (field occurs before this month)",
    ),
    (
        "loyalty.points in (0)",
        1,
        20,
        "in takes an array, and this is a number. Write a field that is an array, or items in",
    ),
    ("loyalty.points in (0,1)", 1, 21, "an array stands in brackets. Write [0, 1]."),
    ('loyalty.tier notIn ("a, b", "c")', 1, 27, 'an array stands in brackets. Write ["a, b", "c"].'),
    ("loyalty.joinDate occurs on date(2026, 1.9, 31)", 1, 28, "there is no such day"),
    ('loyalty.joinDate = "2026-W05"', 1, 20, "a time is needed, and this text is none"),
    ("loyalty.points > 9007199254740992.5", 1, 18, "a fraction of so many digits cannot be kept"),
    (
        "loyalty.points in [9007199254740993, 1.5]",
        1,
        20,
        "whole numbers of this size and fractions cannot stand in one",
    ),
    ("loyalty.joinDate occurs <= 3 days from now", 1, 35, "no document says whether `from` looks back or ahead"),
    ("loyalty.joinDate occurs <= 3.5 days before now", 1, 29, "'.5' is not expected here"),
    ("loyalty.joinDate occurs on date(2026, 2, 30)", 1, 28, "there is no such day"),
    ('loyalty.joinDate occurs after "soon"', 1, 31, "a time is needed, and this text is none"),
    ("loyalty.joinDate occurs <= 99999999 years before now", 1, 25, "the distance is too large"),
    ("loyalty.joinDate occurs <= 3 days before last month", 1, 42, "a distance is measured from a day or a time"),
    ("loyalty.tier in [now]", 1, 18, "an array that is written out holds texts or numbers, and"),
    ("person.gender occurs today and homeAddress occurs today", 1, 32, "a time is needed, and this is an object"),
    (
        'exists X from xEvent where X.eventType = "a" and exists Y from xEvent where Y.eventType = "b"',
        1,
        50,
        "a search stands in parentheses here",
    ),
    ('exists X from homeAddress where X.city = "a"', 1, 15, "a search takes an array, and this is an object"),
    ('exists X from xEvent where Y.eventType = "a"', 1, 28, "profiles have no field Y"),
    ('select X from xEvent where X.timestamp < now, X.eventType = "a"', 1, 48, "'.' is not expected here"),
    ("forall X from xEvent", 1, 1, "forall says of every item that a condition holds"),
    (
        'forall X from xEvent where X.web, Y from X.productListItems where Y.SKU = "a"',
        1,
        35,
        "forall goes over one variable here",
    ),
    (
        'chain(xEvent, timestamp, [A: WHAT(eventType = "a"), B: WHAT(eventType = "b")])',
        1,
        53,
        "a chain of several events is not computed here",
    ),
    ('inSegment("a1b2")', 1, 1, "inSegment is not computed here"),
    ("xEvent.topN(timestamp, 5).count() > 1", 1, 8, "topN is not computed here"),
    ("xEvent.groupBy(eventType).count() > 1", 1, 8, "groupBy is not computed here"),
    ("let S = 3 in S > 2", 1, 1, "`let` is not computed here"),
    ('$2.homeAddress.city = "a"', 1, 1, "a segment has one parameter, the profile"),
    ("(A, B) => A.person.birthYear = B.person.birthYear", 1, 1, "a segment has one parameter, the profile"),
    ('xEvent.includes("a")', 1, 1, "whole items cannot be compared where they are objects"),
    ("interests.sum() > 1", 1, 11, "sum takes numbers, and these are texts"),
    ("interests.intersects([1, 2])", 1, 22, "intersects takes two arrays alike, and here are texts and"),
    ("unknown(3)", 1, 1, "unknown is no function that is computed here"),
    ("homeAddress.city.date(1, 2, 3)", 1, 18, "date is not written as a method"),
    ("_n = 3", 1, 1, "profiles have no field _n"),
    ("person.birthYear = 1 select", 1, 22, "a search stands in parentheses here"),
    ("", 1, 1, "the query is empty"),
    ('person.birthYear = 1 and\n  homeAddress.citty = "a"', 2, 15, "there is no field citty here"),
    (
        'person.birthYear = 1\n\tand (loyalty.points =\n   "x")',
        3,
        4,
        "= after a number takes a number, and this is a text",
    ),
]


@pytest.mark.parametrize(("query", "line", "column", "beginning"), WRONG, ids=[row[0] for row in WRONG])
def test_an_error_says_where_it_is_and_what_to_write(query, line, column, beginning):
    with pytest.raises(PqlError) as caught:
        sql_of(query)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert error.message.startswith(beginning)
    assert str(error) == f"line {line}, column {column}: {error.message}"
    assert re.search(r"\. (Write|Did you mean|Leave|Close|docs/)|contradict", error.message)
    assert error.offset == sum(len(text) + 1 for text in query.split("\n")[: line - 1]) + column
    assert error.pointer is None


def refusal(query, known):
    with pytest.raises(PqlError) as caught:
        to_sql(parse({"type": "PQL", "format": "pql/text", "value": query}), known)
    return caught.value.message


def an_object(*names, **fields):
    return Type(kind=Kind.OBJECT, fields=dict.fromkeys(names, TEXT) | fields)


def test_an_unknown_field_is_told_with_those_that_are_near_and_with_all_that_there_are():
    known = Shape(
        fields={"address": an_object("city", "country", "countryCode", "region", "street", "zip", "a", "b", "c", "d")}
    )
    assert refusal('address.countri = "NL"', known) == (
        "there is no field countri here. Did you mean country, or countryCode?"
        " Write one of a, b, c, city, country, countryCode, d, region, street, zip."
    )
    assert refusal('address.xyz = "NL"', known) == (
        "there is no field xyz here. Write one of a, b, c, city, country, countryCode, d, region, street, zip."
    )


def test_a_field_that_stands_further_down_is_proposed_with_its_path():
    known = Shape(fields={"home": an_object("city", place=an_object("zip")), "work": an_object("city")})
    assert "Did you mean home.city, or work.city?" in refusal('city = "a"', known)
    assert "Did you mean home.place.zip?" in refusal('zip = "a"', known)


def test_of_very_many_fields_it_is_said_where_they_are():
    known = Shape(fields={f"field{number}": TEXT for number in range(21)})
    assert refusal('plan = "a"', known) == (
        "profiles have no field plan. Write one of the 21 fields that are here in the file of --profiles."
    )


@pytest.mark.parametrize(
    "expression",
    [
        {},
        {"type": "ARL", "format": "pql/text", "value": "a = 1"},
        {"type": "PQL", "format": "pql/xml", "value": "a = 1"},
        {"type": "PQL", "format": "pql/text", "value": {"nodeType": "fnApply"}},
        {"type": "PQL", "format": "pql/text"},
        {"type": "PQL", "format": "pql/json", "value": None},
        {"type": "PQL", "format": "pql/json", "value": '{"nodeType": "fnApply", "nodeType": "literal"}'},
        {"type": "PQL", "format": "pql/json", "value": '{"nodeType": '},
        {"type": "PQL", "format": "pql/json", "value": '{"nodeType":"literal","literalType":"Double","value":NaN}'},
        {"type": "PQL", "format": "pql/json", "value": '{"a":' * 100_000 + "1" + "}" * 100_000},
        {"type": "PQL", "format": "pql/json", "value": '{"nodeType":"fnApply","fnName":"not","params":[' * 9_000},
    ],
)
def test_an_expression_that_holds_no_query_is_refused(expression):
    with pytest.raises(PqlError):
        parse(expression)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 30_000 + "a = 1" + ")" * 30_000,
        "not " * 15_000 + "a = 1",
        "- " * 20_000 + "a = 1",
        "a" + ".b" * 30_000 + " = 1",
        "interests" + ".distinct()" * 5_000,
        "a = 1 or " * 7_000 + "a = 1",
        "a in [" + "1, " * 20_000 + "1]",
        "(select X from xEvent where " * 2_000 + "a" + ")" * 2_000,
        "if(a = 1, " * 5_000 + "1" + ", 2)" * 5_000,
        "a = 1 " * 20_000,
        '"' * 60_000,
        "[" * 60_000,
    ],
    ids=lambda query: query[:12],
)
def test_a_monstrous_query_is_refused_in_good_order(query):
    with pytest.raises(PqlError):
        sql_of(query)


def test_a_search_for_five_events_at_once_is_refused():
    searches = ", ".join(f"X{number} from xEvent where X{number}.web" for number in range(5))
    with pytest.raises(PqlError, match="searches stand within each other"):
        sql_of(f"exists {searches}")


def test_a_query_that_would_grow_without_end_is_refused():
    query = "loyalty.joinDate"
    for _ in range(40):
        query = f"if({query} < now, {query}, now)" if len(query) < 2_000 else f"if({query} < now, now, now)"
    with pytest.raises(PqlError, match=r"too large|stand within"):
        sql_of(f"{query} < now")
