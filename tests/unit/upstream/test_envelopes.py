"""Every way in which the platform is known to say no (AEP contract 1.3)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.upstream.envelopes import Complaint, complaint_of, is_complaint, retry_after_of, words_of

NOON = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
A = {"error_code": "403010", "message": "Oauth token is missing."}
B = {"type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError", "detail": "A content-type please"}
C = {
    "requestId": "req-1",
    "errors": {"403": [{"code": "UPAPI-113752-403", "message": "No access"}]},
    "type": "https://ns.adobe.com/aep/errors/UPAPI-113740-403",
    "title": "Forbidden",
    "status": 403,
}
C_NESTED = {
    "requestId": "req-1",
    "errors": {"403": [{"code": 403, "message": "No access"}], "title": "t", "status": 403},
}
D = {
    "message": "Too many requests",
    "cause": '{"Errors":["Request rate is large"]}',
    "retryAfterMs": "500",
    "statusCode": "429",
}
F = {"errorMessage": "Supplied version=1 does not match"}
G = {"error": "invalid_client", "error_description": "invalid client_secret parameter"}
H = {"type": "x", "title": "Not now", "status": 400, "report": {"requestId": "req-2", "code": "EC-1"}, "detail": "why"}


@pytest.mark.parametrize(
    ("envelope", "code", "words", "request_id"),
    [
        pytest.param(A, "403010", "Oauth token is missing.", "", id="A"),
        pytest.param(B, "", "BadRequestError; A content-type please", "", id="B"),
        pytest.param(C, "UPAPI-113752-403", "Forbidden; No access", "req-1", id="C"),
        pytest.param(C_NESTED, "403", "No access", "req-1", id="C-nested"),
        pytest.param(D, "", 'Too many requests; {"Errors":["Request rate is large"]}', "", id="D"),
        pytest.param({"statusCode": "404"}, "", '{"statusCode": "404"}', "", id="D-bare"),
        pytest.param(F, "", "Supplied version=1 does not match", "", id="F"),
        pytest.param(G, "invalid_client", "invalid client_secret parameter", "", id="G"),
        pytest.param(H, "EC-1", "Not now; why", "req-2", id="H"),
    ],
)
def test_every_envelope_is_read(envelope, code, words, request_id):
    said = complaint_of(json.dumps(envelope).encode())
    assert (said.code, said.words, said.request_id) == (code, words, request_id)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"<html><h1>502 Bad Gateway</h1>", "<html><h1>502 Bad Gateway</h1>"),
        (b"[1]", "[1]"),
        (b"\xff", "�"),
        (b"[" * 50_000, "[" * 120 + "..."),
    ],
)
def test_a_body_of_another_shape_is_quoted(body, words):
    assert complaint_of(body).words == words


def test_what_is_quoted_is_short_and_masked():
    said = complaint_of(json.dumps({"message": "token eyJhbGciOiJSUzI1NiJ9.abc.def " + "x" * 5_000}).encode())
    assert "eyJ" not in said.words
    assert len(said.words) <= 303


@pytest.mark.parametrize("envelope", [A, B, C, D, {"statusCode": "404"}, F, G, H])
def test_an_error_is_known_without_its_status(envelope):
    assert is_complaint(json.dumps(envelope).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"x",
        b'{"children":[],"_page":{}}',
        b'{"id":"a","status":"FAILED","errors":[{"code":"1"}],"errorMessage":"m"}',
        b'{"status":true,"message":"Export job has been marked for cancelling"}',
        b'{"message":"Query cancel request received","statusCode":202}',
    ],
)
def test_a_good_answer_is_no_error(body):
    assert not is_complaint(body)


@pytest.mark.parametrize(
    ("header", "from_body", "wait"),
    [
        pytest.param("7", None, 7.0, id="seconds"),
        pytest.param("0.5", None, 0.5, id="fraction"),
        pytest.param("Sat, 06 Dec 2025 12:00:09 GMT", None, 9.0, id="date"),
        pytest.param("Sat, 06 Dec 2025 11:00:00 GMT", None, 0.0, id="date-in-the-past"),
        pytest.param("", 0.5, 0.5, id="body"),
        pytest.param("soon", 0.5, 0.5, id="unreadable-header"),
        pytest.param("7", 0.5, 7.0, id="header-before-body"),
        pytest.param("999999999999999999999999", None, 3600.0, id="absurd"),
        pytest.param("-5", None, None, id="negative"),
        pytest.param("", None, None, id="nothing"),
    ],
)
def test_a_wait_is_read_from_header_or_body(header, from_body, wait):
    said = Complaint(retry_after=timedelta(seconds=from_body) if from_body is not None else None)
    found = retry_after_of({"retry-after": header} if header else {}, said, NOON)
    assert found == (timedelta(seconds=wait) if wait is not None else None)


def test_envelope_d_carries_its_wait_as_text():
    assert complaint_of(json.dumps(D).encode()).retry_after == timedelta(milliseconds=500)


@given(st.binary(max_size=100), st.text(max_size=20))
def test_no_body_and_no_header_breaks_the_reader(body, header):
    said = complaint_of(body)
    is_complaint(body)
    retry_after_of({"retry-after": header}, said, NOON)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"code": "404", "message": "404 Not Found"}, 404, "Not Found"),
        ("404: Not Found", 404, "Not Found"),
        ({"error_code": "404001", "message": "No"}, 404, "404001 No"),
        ({"code": "429", "message": "429"}, 429, "(no words)"),
        ("", 503, "(no body)"),
    ],
)
def test_a_status_is_not_said_twice(body, status, words):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert words_of(complaint_of(sent), status) == words
