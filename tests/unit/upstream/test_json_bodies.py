"""Bodies with a slip of their writer's are read, and the slip costs nobody else's record."""

import json
import math
import re
import threading

import msgspec
import pytest
from fakes import T0
from hypothesis import example, given
from hypothesis import strategies as st

from segwatch.kinds.base import Asked
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.kinds.segment_job import KIND as SEGMENT
from segwatch.upstream import json_bodies
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
        (b"[NaN, Infinity, -Infinity, 1.5]", ["\ufffd", "\ufffd", "\ufffd", 1.5], [NO_NUMBER]),
        (b'["\t\n\x00", 1e999]', ["\t\n\x00", "\ufffd"], [CONTROL, NO_NUMBER]),
        (b"[NaN, -1%s, 1%s]" % (b"0" * 400, b"0" * 5000), ["\ufffd", -(10**400), "\ufffd"], [NO_NUMBER]),
        (b"\xef\xbb\xbf[1]", [1], [MARK]),
        ('\ufeff["é"]'.encode("utf-16-le"), ["é"], [NO_UTF8]),
        ('["é"]'.encode("latin-1"), ["\ufffd"], [NO_UTF8]),
        (b'["\xed\xa0\xbd"]', ["\ufffd" * 3], [NO_UTF8]),
        (b'{"id": 1234567890123456789012, "x": NaN}', {"id": 1234567890123456789012, "x": "\ufffd"}, [NO_NUMBER]),
        (b'{"id": 1, "x": NaN, "id": 2}', {"id": 2, "x": "\ufffd"}, [NO_NUMBER]),
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
            return value if math.isfinite(value) else "\ufffd"
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


WHOLE = {
    "destination": {"datasetId": "d", "segmentPerBatch": True},
    "fields": ["a", "b"],
    "mergePolicy": {"id": "m", "version": 1},
    "filter": {
        "segments": [{"segmentId": "s", "segmentNs": "ups", "status": ["realized"]}],
        "segmentQualificationTime": {"startTime": 1, "endTime": 2},
        "emptyProfiles": True,
    },
    "additionalFields": {"eventList": {"fields": "c", "filter": {"fromIngestTimestamp": 3}}},
    "evaluationInfo": {"segmentation": True},
    "schema": {"name": "x"},
}


def places(value, path=()):
    """Yield where a value may be replaced, at any depth."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, name))


def with_nan(value, path):
    if not path:
        return math.nan
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    changed = {name: with_nan(inner, path[1:]) if name == path[0] else inner for name, inner in pairs}
    return changed if isinstance(value, dict) else [*changed.values()]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 5000])
@pytest.mark.parametrize("path", list(places(WHOLE)), ids=str)
def test_what_cannot_be_read_as_a_number_never_passes_for_what_an_order_leaves_out(path, number):
    """An order without its filter would export everybody."""
    record = json.dumps({"id": 1, "status": "FAILED"} | with_nan(WHOLE, path)).replace("NaN", number)
    body, _ = mended(b"\xef\xbb\xbf" + record.encode())
    told = EXPORT.parse_one(body, asked=Asked(sandbox="prod", at=T0))
    assert (told.facts.request, told.facts.fingerprint) == ("", "")


async def test_a_large_body_is_mended_in_a_thread(monkeypatch):
    threads = []
    monkeypatch.setattr(json_bodies, "mended", lambda body: threads.append(threading.get_ident()) or (body, ()))
    for size in (10, 2_000_000):
        await json_bodies.mended_beside(b"1" * size)
    assert threads[0] == threading.get_ident() != threads[1]


def test_the_whole_order_is_read():
    body, _ = mended(json.dumps({"id": 1, "status": "FAILED", "progress": math.nan} | WHOLE).encode())
    assert EXPORT.parse_one(body, asked=Asked(sandbox="prod", at=T0)).facts.request


@pytest.mark.parametrize("kind", [EXPORT, SEGMENT], ids=lambda kind: kind.name)
def test_metrics_and_counters_that_are_no_number_are_unknown(kind):
    metrics = {
        "totalTime": {"startTimeInMs": math.nan, "endTimeInMs": math.nan},
        "profileExportTime": math.nan, "profileSegmentationTime": math.nan,
        "totalExportedProfileCounter": math.nan, "segmentedProfileCounter": {"s": math.nan, "t": 3},
        "totalExportedProfilesCounter": math.nan, "segmentProfileCounter": math.nan,
    }  # fmt: skip
    times = {"creationTime": math.nan, "updateTime": math.nan}
    record = {"id": 1, "status": "FAILED", "metrics": metrics, "errors": math.nan, "segments": math.nan} | times
    body, _ = mended(json.dumps(record).encode())
    told = kind.parse_one(body, asked=Asked(sandbox="prod", at=T0))
    assert (told.created_at, told.updated_at, told.started_at, told.ended_at) == (None, None, None, None)
    assert (told.facts.exported, told.facts.profiles) in [(None, {}), (None, {"t": 3})]


def test_a_job_whose_id_did_not_come_whole_costs_one_row():
    body, _ = mended(rb'{"records": [{"id": "a\ud83c", "status": "NEW"}, {"id": "b", "status": "NEW"}]}')
    page = EXPORT.parse_page(body, asked=Asked(sandbox="prod", at=T0), request=LIST)
    assert ([row.key.id for row in page.rows], page.unreadable) == (["b"], 1)
