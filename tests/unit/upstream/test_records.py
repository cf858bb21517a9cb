"""What records have in common, in every type that the platform was seen to give it."""

from datetime import UTC, datetime, timedelta

import pytest
from answering import Answering

from segwatch.kinds.base import Request
from segwatch.upstream import records
from segwatch.upstream.errors import BadReply, NotSendable
from segwatch.upstream.records import SandboxInfo, Span, checked_id, id_of, record

GET = Request(method="GET", path="/x/1", endpoint="/x/{id}")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


@pytest.mark.parametrize(
    "id_", ["24115", "54a20f19-9a0w-293a-9b82-409b1p3v0192", "abcd@adobe.com", "*", "a/b", "é"], ids=str
)
def test_any_text_without_blanks_may_be_an_id(id_):
    assert checked_id(id_, "It") == id_


@pytest.mark.parametrize("id_", ["", " ", "a b", "a\n", ".", "..", "a\x00b", "\u200bx"], ids=repr)
def test_what_cannot_be_an_id_is_refused_before_it_is_sent(id_):
    with pytest.raises(NotSendable, match="It has the id"):
        checked_id(id_, "It")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"3", b'"x"', b"null", b"{}", b'{"id": ""}', b'{"id": null}', b"[" * 9999]
)
async def test_an_answer_that_is_no_record_is_an_error_that_shows_it(body):
    with pytest.raises(BadReply) as caught:
        await record(Answering(body), GET, id_of)
    assert str(caught.value).startswith("Sandbox prod: GET /x/{id}: 200, an answer that cannot be read")


@pytest.mark.parametrize(
    ("told", "span"),
    [
        pytest.param({}, None, id="not-begun"),
        pytest.param(None, None, id="absent"),
        pytest.param("soon", None, id="a-word"),
        pytest.param({"startTimeInMs": NOON_MS}, Span(started_at=NOON), id="running"),
        pytest.param(
            {"startTimeInMs": float(NOON_MS), "endTimeInMs": NOON_MS + 2000, "totalTimeInMs": 2e3},
            Span(started_at=NOON, ended_at=NOON + timedelta(seconds=2), took=timedelta(seconds=2)),
            id="floats",
        ),
        pytest.param(
            {"startTimeInMs": NOON_MS, "endTimeInMs": NOON_MS + 2000},
            Span(started_at=NOON, ended_at=NOON + timedelta(seconds=2), took=timedelta(seconds=2)),
            id="no-total",
        ),
        pytest.param(
            {"startTimeInMs": NOON_MS, "endTimeInMs": NOON_MS - 2000},
            Span(started_at=NOON, ended_at=NOON - timedelta(seconds=2), took=timedelta()),
            id="an-end-before-the-beginning",
        ),
        pytest.param(
            {"startTimeInMs": 0, "totalTimeInMs": 1e29}, None, id="placeholders"
        ),
    ],
)  # fmt: skip
def test_a_phase_is_read_as_far_as_it_is_told(told, span):
    assert records.span_of(told) == span


def test_ids_of_the_computing_job_are_read_in_all_their_forms():
    assert records.compute_ids_of("abc") == {"job": "abc"}
    assert records.compute_ids_of({"exportJob": "a", "pushJob": ""}) == {"exportJob": "a"}
    assert [records.compute_ids_of(value) for value in ("", {}, None, [], True)] == [{}] * 5


def test_counters_that_are_none_are_left_out():
    told = {"a": 4, "b": 3.0, "c": "7", "d": -1, "e": None, "f": "many"}
    assert records.counters_of(told) == {"a": 4, "b": 3, "c": 7}
    assert records.nested_counters_of({"x": told, "y": {}, "z": 3}) == {"x": {"a": 4, "b": 3, "c": 7}, "y": {}}
    assert records.counters_of([1]) == {}


def test_what_is_not_told_is_not_false():
    assert [records.known_truth(value) for value in (True, "False", None, 1, "yes")] == [True, False, None, None, None]
    assert records.sandbox_of({"sandboxName": "prod"}) == SandboxInfo(name="prod")
    assert records.sandbox_of(None) is None
    assert records.expression_of("PQL") is None
