"""A document that is not pql/json, or has a key that means nothing, is refused with the JSON pointer of the place."""

import json

import pytest
from pql_profiles import shape

from segwatch.emulator.pql import PqlError, parse, to_sql


def lookup(*names):
    node = {"nodeType": "parameterReference", "position": 1}
    for name in names:
        node = {"nodeType": "fieldLookup", "fieldName": name, "object": node}
    return node


def text(value):
    return {"nodeType": "literal", "literalType": "String", "value": value}


def number(value):
    return {"nodeType": "literal", "literalType": "Double", "value": value}


def apply(function, *params):
    return {"nodeType": "fnApply", "fnName": function, "params": list(params)}


def declared(**more):
    return {"nodeType": "varDecl", "varName": "x", "from": lookup("xEvent")} | more


CITY = lookup("homeAddress", "city")
WRONG_DOCUMENTS = [
    (apply("=", lookup("homeAddress", "citty"), text("a")), "/params/0", "there is no field citty"),
    (
        apply("and", CITY, apply("=", CITY, {"nodeType": "literal", "literalType": "Integer", "value": 3})),
        "/params/1/params/1",
        "= after a text takes a text",
    ),
    (apply("=", CITY), "", "= has too few arguments"),
    (apply("startWith", CITY, text("a")), "", "startWith is no function"),
    (apply("occurs", lookup("loyalty", "joinDate"), text("today")), "", "no public document shows occurs"),
    *(
        (
            apply("<", lookup("loyalty", "joinDate"), apply(name)),
            "/params/1",
            f"no public document shows {name} as a node",
        )
        for name in ("now", "today", "yesterday", "tomorrow")
    ),
    (
        apply("count", apply("map", lookup("xEvent"), CITY)),
        "/params/0",
        "no public document shows map with an expression",
    ),
    (apply("not", {"nodeType": "fnAply", "fnName": "="}), "/params/0", "no public document shows the nodeType fnAply"),
    (apply("not", "homeAddress"), "/params/0", "a node is a JSON object"),
    (apply("=", CITY, {"nodeType": "literal", "literalType": "Integer", "value": "3"}), "/params/1", "the value is no"),
    (apply("=", CITY, {"nodeType": "literal", "literalType": "Time", "value": "3"}), "/params/1", "no public document"),
    (apply("=", CITY, {"nodeType": "literal", "value": None}), "/params/1", "a literal is a text"),
    (apply("=", {"nodeType": "varRef", "varName": "x"}, text("a")), "/params/0", "no variable x is in sight"),
    (apply("=", {"nodeType": "varRef", "varName": "$item"}, text("a")), "/params/0", "a variable's name is made"),
    ({"nodeType": "parameterReference", "position": 2}, "", "a segment has one parameter"),
    ({"nodeType": "select", "variables": []}, "", "a search needs a variable"),
    ({"nodeType": "quantification", "quantifier": "most", "variables": []}, "", "there is no quantifier most"),
    (
        {"nodeType": "select", "variables": [{"nodeType": "varDecl", "varName": "x", "from": text("a")}]},
        "/variables/0/from",
        "a search takes an array",
    ),
    (apply("modelInstances", text("https://ns.adobe.com/xdm/other")), "", "only the events"),
    ({"fnName": "="}, "", 'the node lacks "nodeType"'),
    ({"nodeType": "select", "variables": [declared()], "where": CITY}, "/where", "a select has no such key"),
    (
        {"nodeType": "quantification", "quantifier": "some", "variables": [declared()], "where": CITY},
        "/where",
        "a quantification has no such key",
    ),
    ({"nodeType": "select", "variables": [declared(Where=CITY)]}, "/variables/0/Where", "a varDecl has no such key"),
    ({"nodeType": "select", "variables": [declared(where={})]}, "/variables/0/where", 'the node lacks "nodeType"'),
    ({"nodeType": "select", "variables": [declared(where=False)]}, "/variables/0/where", "a node is a JSON object"),
    ({"nodeType": "select", "variables": [declared(where=None)]}, "/variables/0/where", "a node is a JSON object"),
    ({"nodeType": "select", "variables": [{"nodeType": "varDecl", "varName": "x"}]}, "/variables/0", "the node lacks"),
    ({"nodeType": "select", "variables": {}}, "/variables", '"variables" is no array'),
    (apply("not", CITY) | {"negated": True}, "/negated", "a fnApply has no such key"),
    (apply("not", CITY) | {"a/b~": 1}, "/a~1b~0", "a fnApply has no such key"),
    (apply("not", CITY) | {"params": CITY}, "/params", '"params" is no array'),
    ({"nodeType": "fieldLookup", "fieldName": "seenAt", "object": {}}, "/object", 'the node lacks "nodeType"'),
    ({"nodeType": "fieldLookup", "fieldName": "seenAt", "object": None}, "/object", "a node is a JSON object"),
    ({"nodeType": "fieldLookup", "fieldName": 3}, "/fieldName", '"fieldName" is no text'),
    ({"nodeType": "parameterReference", "position": 1.0}, "", "a segment has one parameter"),
    ({"nodeType": "parameterReference", "position": 1, "name": "p"}, "/name", "a parameterReference has no such key"),
    (apply("=", CITY, text("a") | {"type": "x"}), "/params/1/type", "a literal has no such key"),
    (apply("=", CITY, text("a") | {"literalType": None}), "/params/1/literalType", '"literalType" is no text'),
    (apply("in", CITY, text(["a"]) | {"literalType": "List", "Value": []}), "/params/1/Value", "a literal has no such"),
    (apply("=", lookup("seenAt"), number(10**400)), "/params/1", "the number is too large. Write one below"),
    (apply("=", lookup("seenAt"), number(float("inf"))), "/params/1", "the number is too large. Write one below"),
    (apply("modelInstances", text("x") | {"where": CITY}), "/params/0/where", "a literal has no such key"),
]


@pytest.mark.parametrize(("document", "pointer", "beginning"), WRONG_DOCUMENTS)
@pytest.mark.parametrize("written", [False, True])
def test_an_error_in_a_document_points_at_the_node(document, pointer, beginning, written):
    value = json.dumps(document) if written else document
    with pytest.raises(PqlError) as caught:
        to_sql(parse({"type": "PQL", "format": "pql/json", "value": value}), shape())
    assert caught.value.pointer == caught.value.offset == pointer
    assert caught.value.message.startswith(beginning)
    assert caught.value.line is None
