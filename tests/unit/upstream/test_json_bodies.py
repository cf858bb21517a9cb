"""Bodies with a slip of their writer's are read, and the slip costs nobody else's record."""

import json
import math
import re

import msgspec
import pytest
from fakes import T0
from hypothesis import example, given
from hypothesis import strategies as st

from segwatch.kinds.base import Asked
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.upstream.json_bodies import CONTROL, HALF, MARK, NO_NUMBER, NO_UTF8, is_json, mended

LIST = EXPORT.list_newest(limit=3)
HALVES = re.compile("[\ud800-\udfff]")
texts = st.text(st.characters() | st.sampled_from(["\ud83c", "\udf1e", "\t", "\n", "\x00", '"', "\\"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def raw(text: str) -> str:
    """Return JSON with all but the half characters written as it is: control characters too."""
    for escape, sign in {r"\t": "\t", r"\n": "\n", r"\u0000": "\x00"}.items():
        text = text.replace(escape, sign)
    return text


def written(value, encoding: str, *, is_ascii: bool, is_raw: bool) -> bytes:
    text = json.dumps(value, ensure_ascii=is_ascii)
    return (raw(text) if is_raw else text).encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")


encodings = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
writings = st.builds(written, values, encodings, is_ascii=st.booleans(), is_raw=st.booleans())


@pytest.mark.parametrize(
    ("body", "read", "faults"),
    [
        (rb'{"a": "x\ud83d", "b\udc00": 1}', {"a": "x\ufffd", "b\ufffd": 1}, [HALF]),
        (rb'["\ud83d\ude00 \ude00\ud83d"]', ["\U0001f600 \ufffd\ufffd"], [HALF]),
        (b"[NaN, Infinity, -Infinity, 1.5]", [None, None, None, 1.5], [NO_NUMBER]),
        (b'["\t\n\x00", 1e999]', ["\t\n\x00", None], [CONTROL, NO_NUMBER]),
        (b"[NaN, -1%s, 1%s]" % (b"0" * 400, b"0" * 5000), [None, -(10**400), None], [NO_NUMBER]),
        (b"\xef\xbb\xbf[1]", [1], [MARK]),
        ('\ufeff["é"]'.encode("utf-16-le"), ["é"], [NO_UTF8]),
        ('["é"]'.encode("latin-1"), ["\ufffd"], [NO_UTF8]),
        (b'["\xed\xa0\xbd"]', ["\ufffd" * 3], [NO_UTF8]),
        (b'{"id": 1234567890123456789012, "x": NaN}', {"id": 1234567890123456789012, "x": None}, [NO_NUMBER]),
        (b'{"id": 1, "x": NaN, "id": 2}', {"id": 2, "x": None}, [NO_NUMBER]),
    ],
)  # fmt: skip
def test_a_slip_is_mended_and_named(body, read, faults):
    after, found = mended(body)
    assert is_json(after)
    assert (json.loads(after), list(found)) == (read, faults)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b'{"id": 1, "x": [1e999, 1.50], "id": 2}', b'["\xf0\x9f\x98\x80"]', b"[" * 100_000 + b"]" * 100_000,
        b"[NaN", rb'{"a": "\ud83', b"<html>", b"\x1f\x8b\x00", b"[01]", b"{'a': 1}", b"[1] [2]", b"\xef\xbb\xbf",
        b"[NaN," + b"[" * 100_000 + b"]" * 100_000 + b"]",
    ],
    ids=lambda body: body[:12],
)  # fmt: skip
def test_what_needs_no_mending_and_what_is_no_json_stays_byte_by_byte(body):
    assert mended(body) == (body, ())


@given(writings | st.binary(max_size=40) | st.binary(max_size=20).map(lambda some: b'{"a":"' + some + b'"}'))
@example(rb'"\ud83d"')
def test_all_that_python_takes_for_json_is_read(body):
    after, faults = mended(body)
    if is_json(body) and not faults:
        assert after == body
        return
    try:
        json.loads(body, strict=False)
    except ValueError:
        return
    assert is_json(after)
    assert faults
    expected = json.loads(body.decode(json.detect_encoding(body), "replace"), strict=False)
    assert json.loads(after.decode()) == plain(expected)


def plain(value):
    """Return what Python made of a body, with what is no character and no number replaced."""
    match value:
        case str():
            return HALVES.sub("\ufffd", value)
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [plain(one) for one in value]
        case dict():
            return {plain(name): plain(one) for name, one in value.items()}
    return value


@given(values, values, st.sampled_from([json.dumps, lambda value: raw(json.dumps(value))]))
def test_whatever_a_record_holds_the_others_are_read(errors, label, write):
    odd = {"id": 1, "status": "FAILED", "errors": errors, "label": label}
    rows = [odd, {"id": 2, "status": "FAILED"}]
    body, _ = mended(write({"records": rows}).encode())
    page = EXPORT.parse_page(body, asked=Asked(sandbox="prod", at=T0), request=LIST)
    assert [row.key.id for row in page.rows][-1] == "2"
    assert len(page.rows) + page.unreadable == 2


@pytest.mark.parametrize(
    "record",
    [
        {"destination": {"datasetId": "d\ufffd"}},
        {"destination": {"datasetId": "d"}, "filter": {"segments": [{"segmentId": "s\ufffd"}]}},
        {"destination": {"datasetId": "d"}, "fields": "Z\ufffdrich"},
        {"destination": {"datasetId": "d"}, "additionalFields": {"\ufffd": "x"}},
    ],
)
def test_an_order_that_did_not_come_whole_is_never_submitted(record):
    body = msgspec.json.encode({"id": 1, "status": "FAILED"} | record)
    assert EXPORT.parse_one(body, asked=Asked(sandbox="prod", at=T0)).facts.request == ""


def test_a_job_whose_id_did_not_come_whole_costs_one_row():
    body, _ = mended(rb'{"records": [{"id": "a\ud83c", "status": "NEW"}, {"id": "b", "status": "NEW"}]}')
    page = EXPORT.parse_page(body, asked=Asked(sandbox="prod", at=T0), request=LIST)
    assert ([row.key.id for row in page.rows], page.unreadable) == (["b"], 1)
