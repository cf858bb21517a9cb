"""pql/text and pql/json are two ways to write one tree."""

import json

import pytest
from pql_profiles import selected, shape, sql_of

from segwatch.emulator.pql import parse, to_sql

EVENTS = {
    "nodeType": "fnApply",
    "fnName": "modelInstances",
    "params": [
        {"nodeType": "literal", "literalType": "String", "value": "https://ns.adobe.com/xdm/context/experienceevent"}
    ],
}


def root():
    return {"nodeType": "parameterReference", "position": 1}


def lookup(*names, of=None):
    node = of or root()
    for name in names:
        node = {"nodeType": "fieldLookup", "fieldName": name, "object": node}
    return node


def literal(value, kind):
    return {"nodeType": "literal", "literalType": kind, "value": value}


def apply(function, *params):
    return {"nodeType": "fnApply", "fnName": function, "params": list(params)}


def variable(name):
    return {"nodeType": "varRef", "varName": name}


def declared(name, array, where=None):
    node = {"nodeType": "varDecl", "varName": name, "from": array}
    return node | ({} if where is None else {"where": where})


PAIRS = [
    ("loyalty.points < 1e308", apply("<", lookup("loyalty", "points"), literal(1e308, "Double"))),
    ("loyalty.points < 1.7e308", apply("<", lookup("loyalty", "points"), literal(1.7e308, "Number"))),
    # this one is in Adobe's guide to the segment definitions endpoint, in both forms
    ('workAddress.country = "US"', apply("=", lookup("workAddress", "country"), literal("US", "String"))),
    # and this one in its tutorials
    (
        'person.gender in ["female"]',
        apply(
            "in",
            lookup("gender", of=lookup("person", of=literal("profile", "XDMObject"))),
            literal(["female"], "List"),
        ),
    ),
    (
        "$1.person.birthYear >= 1985 and loyalty.points / 2.5 < 10 and optInOut.email = true",
        apply(
            "and",
            apply(">=", lookup("person", "birthYear"), literal(1985, "Integer")),
            apply(
                "and",
                apply("<", apply("/", lookup("loyalty", "points"), literal(2.5, "Double")), literal(10, "Integer")),
                apply("=", lookup("optInOut", "email"), literal(True, "Boolean")),
            ),
        ),
    ),
    (
        '(P) => not (P.homeAddress.city.startsWith("U", false) or P.homeAddress.isNull())',
        apply(
            "not",
            apply(
                "or",
                apply("startsWith", lookup("homeAddress", "city"), literal("U", "String"), literal(False, "Boolean")),
                apply("isNull", lookup("homeAddress")),
            ),
        ),
    ),
    (
        'exists x from xEvent where x.eventType = "web.view", i from x.productListItems where i.SKU like "A%"',
        {
            "nodeType": "quantification",
            "quantifier": "some",
            "variables": [
                declared(
                    "x", EVENTS, apply("=", lookup("xdm:eventType", of=variable("x")), literal("web.view", "String"))
                ),
                declared(
                    "i",
                    lookup("productListItems", of=variable("x")),
                    apply("like", lookup("SKU", of=variable("i")), literal("A%", "String")),
                ),
            ],
        },
    ),
    (
        "forall x from xEvent where x.web",
        {
            "nodeType": "quantification",
            "quantifier": "all",
            "variables": [declared("x", lookup("xEvent"), lookup("web", of=variable("x")))],
        },
    ),
    (
        "(select x from xEvent).count() > 3",
        apply(
            ">",
            apply("count", {"nodeType": "select", "variables": [declared("x", lookup("xEvent"))]}),
            literal(3, "Integer"),
        ),
    ),
    (
        'identityMap.get("email").count() = 1',
        apply(
            "=", apply("count", apply("get", lookup("identityMap"), literal("email", "String"))), literal(1, "Integer")
        ),
    ),
    (
        "person.birthDate.getMonth() = currentMonth() and person.birthDate < date(1990, 1, 1)",
        apply(
            "and",
            apply("=", apply("getMonth", lookup("person", "birthDate")), apply("currentMonth")),
            apply(
                "<",
                lookup("person", "birthDate"),
                apply("date", *(literal(part, "Integer") for part in (1990, 1, 1))),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("text", "document"), PAIRS, ids=[text for text, _ in PAIRS])
@pytest.mark.parametrize("written", [False, True], ids=["object", "string"])
def test_both_forms_give_the_same_tree(text, document, written):
    value = json.dumps(document) if written else document
    query = parse({"type": "PQL", "format": "pql/json", "value": value})
    assert query == parse({"type": "PQL", "format": "pql/text", "value": text})
    assert selected(to_sql(query, shape())) == selected(sql_of(text))


def test_a_field_may_leave_out_that_it_is_one_of_the_profile():
    document = apply("=", {"nodeType": "fieldLookup", "fieldName": "seenAt"}, {"nodeType": "literal", "value": 1})
    query = parse({"type": "PQL", "format": "pql/json", "value": document})
    assert query == parse({"type": "PQL", "format": "pql/text", "value": "seenAt = 1"})


def test_text_under_the_name_of_json_is_read_as_text():
    expression = {"type": "PQL", "value": 'homeAddress.country = "US"'}
    assert parse(expression | {"format": "pql/json"}) == parse(expression | {"format": "pql/text"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = 1 and b = 2 and c = 3", "a = 1 AND (b = 2 And c = 3)"),
        ("xEvent[a = 1]", "xEvent.filter(a = 1)"),
        ("exists X from xEvent where X.a", "exists X from xEvent : X.a"),
        ("X occurs date(2020, 1, 1)", "X occurs on date(2020, 1, 1)"),
        ("X occurs <= 1 centuries before now", "X occurs <= 1 century before now"),
        ("!(a)", "not a"),
        ("(P) => P.a.b = 1", "$1.a.b = 1"),
        ("a notIn [1]", "a NOTIN [ 1 ]"),
        ("a.today = 1", "(a).today=1"),
        ("a = -5", "a=-5"),
    ],
)
def test_two_ways_to_write_the_same(one, other):
    first, second = (parse({"type": "PQL", "format": "pql/text", "value": text}) for text in (one, other))
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = 1 or b = 2 and c = 3", "(a = 1 or b = 2) and c = 3"),
        ("not a = 1 and b = 2", "not (a = 1 and b = 2)"),
        ("a - 1 - 2 = 0", "a - (1 - 2) = 0"),
        ("a + 2 * 3 = 0", "(a + 2) * 3 = 0"),
        ("exists X from e where X.a and X.b", "(exists X from e where X.a) and X.b"),
        ("a = 1", "a = true"),
        ('a = "1"', "a = 1"),
        ("a.b", 'a.get("b")'),
    ],
)
def test_what_looks_alike_and_is_not(one, other):
    first, second = (parse({"type": "PQL", "format": "pql/text", "value": text}) for text in (one, other))
    assert first != second
