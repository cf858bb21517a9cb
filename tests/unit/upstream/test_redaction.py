"""What the redactor finds, and what it leaves alone."""

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.upstream.redaction import Redactor

SECRET = 'p8e-0pAque/T+k3n="ü~' + "abcdefghij" * 3
TELLING = 8


def lowered(text: str) -> str:
    return "".join(f"%{part[:2].lower()}{part[2:]}" if n else part for n, part in enumerate(text.split("%")))


WRITTEN = {
    "as it is": SECRET,
    "percent-encoded": quote(SECRET, safe=""),
    "percent-encoded in lower case": lowered(quote(SECRET, safe="")),
    "in JSON": json.dumps(SECRET, ensure_ascii=False),
    "in JSON of ASCII": json.dumps(SECRET),
    "in HTML": html.escape(SECRET),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in base64 behind a name": base64.b64encode(f"the-client:{SECRET}".encode()).decode(),
    "in base64 between others": base64.urlsafe_b64encode(f"x{SECRET}yz".encode()).decode(),
    "in hexadecimal": SECRET.encode().hex(),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_secret_is_masked_however_it_is_written(form):
    shown = Redactor(SECRET)(f"invalid token {WRITTEN[form]} given")
    assert shown.startswith("invalid token ")
    assert shown.endswith(" given")
    assert "[masked]" in shown
    inside = WRITTEN[form].strip('"')[-36:-4]  # in base64 the ends also depend on what stands around
    assert not any(inside[n : n + TELLING] in shown for n in range(len(inside) - TELLING))


@given(st.integers(TELLING, len(SECRET)))
def test_a_secret_that_was_cut_is_masked(length):
    assert Redactor(SECRET)(f"token {SECRET[:length]}... [request 7]") == "token [masked]... [request 7]"


def test_tokens_of_late_are_remembered_and_the_secret_always():
    mask = Redactor(SECRET)
    for n in range(100):
        mask.know(f"{n:04}-number-of-many", owner="one")
        mask.know("the-one-in-use", owner="one")
    mask.know("0pq-of-another", owner="two")
    assert mask(f"{SECRET} 0099-number-of-many") == "[masked] [masked]"
    assert mask("0040-number-of-many, the-one-in-use, 0pq-of-another") == "[masked], [masked], [masked]"
    assert mask("0000-number-of-many") == "0000-number-of-many", "it is bounded"


def test_what_is_no_secret_stays():
    mask = Redactor("", "abc", SECRET, ids=("the-api-key-0001",))
    assert mask("abc and p8e-0pA") == "abc and p8e-0pA", "too short to tell anything"
    assert mask("key the-api-key-0001") == "key [masked]"
    assert mask.line("key the-api-key-0001") == "key the-api-key-0001"


def test_a_short_secret_is_masked_as_a_whole_word_only():
    mask = Redactor("test", "Zq7!xyz99Kwv")
    assert mask("(test) tests, latest, pre-test; =test") == "([masked]) tests, latest, pre-test; =[masked]"
    assert mask("token Zq7!xyz99Kwv, Zq7!xyz9... (cut)") == "token [masked], [masked]... (cut)"


def test_a_beginning_that_runs_into_another_secret_hides_nothing():
    mask = Redactor("opaque-Tok3n-0123", "0123-another-0paque")
    assert mask("x opaque-Topaque-Tok3n-0123-another-0paque y") == "x [masked] y"


def test_data_loses_secrets_whole_or_cut_and_stays_the_json_it_was():
    mask = Redactor(SECRET, "a-short-one", "tiny", ids=("the-api-key-0001",))
    record = {
        "errors": [{"msg": f"bad {SECRET} and {SECRET[:20]}... \ud83d\ude00 \"ü\"\\"}], SECRET[:12]: "destiny, tiny!",
        "by": "the-api-key-0001", "x": "\na-short-one", "n": [1.10, 12345678901234567890, None],
    }  # fmt: skip
    wanted = {
        "errors": [{"msg": 'bad [masked] and [masked]... \ud83d\ude00 "ü"\\'}], "[masked]": "destiny, [masked]!",
        "by": "the-api-key-0001", "x": "\n[masked]", "n": [1.10, 12345678901234567890, None],
    }  # fmt: skip
    record, wanted = (json.loads(json.dumps(one)) for one in (record, wanted))
    plain, ascii_ = json.dumps(record, ensure_ascii=False), json.dumps(record)
    escaped = plain.replace("a-short", "\\u0061\\u002dshort").replace("/", "\\/")
    for encoded in (plain, ascii_, escaped):
        assert json.loads(mask.body(encoded.encode())) == wanted


@given(st.integers(0, 30), st.integers(0, 9))
def test_data_is_searched_everywhere(before, behind):
    body = b" " * before + b'"%s"' % SECRET[:TELLING].encode() + b" " * behind
    assert Redactor(SECRET).body(body) == b" " * before + b'"[masked]"' + b" " * behind


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "ü", "€", "a€"])
def test_data_loses_a_secret_in_every_form_and_at_every_place(form, before):
    told = json.dumps({"x": "0", "msg": f"{before} {WRITTEN[form]} given"}, ensure_ascii=False)
    shown = json.loads(Redactor(SECRET).body(told.encode()))["msg"]
    assert shown.startswith(f"{before} ")
    assert shown.endswith(" given")
    assert "[masked]" in shown
    inside = WRITTEN[form].strip('"')[-36:-4]
    assert not any(inside[n : n + TELLING] in shown for n in range(len(inside) - TELLING))


@given(
    st.lists(st.text("abü", min_size=4, max_size=12), min_size=1, max_size=4),
    st.text('abü"', max_size=60),
)
def test_of_many_secrets_that_begin_alike_none_is_overlooked(secrets, text):
    mask = Redactor(*secrets)
    shown = json.loads(mask.body(json.dumps(text, ensure_ascii=False).encode()))
    assert shown == mask.line(text)
    assert not any(secret in shown for secret in secrets if len(secret) >= TELLING)


def test_a_character_that_json_writes_as_a_pair_hides_no_secret():
    secret = "\U0001f511-is-the-key-to-all"
    assert json.loads(Redactor(secret).body(json.dumps({"msg": f"bad {secret}"}).encode())) == {"msg": "bad [masked]"}


def test_data_that_tells_no_secret_stays_byte_by_byte():
    mask = Redactor(SECRET, "tiny")
    for body in (b'{"a": 1.10,  "b":"\\u0041\\/destiny"}', b"\xff\xfe", b""):
        assert mask.body(body) == body
    assert mask.body(b'{ "a": 1.10,"b":"\\u0041", "c":"tiny" }') == b'{ "a": 1.10,"b":"\\u0041", "c":"[masked]" }'


def test_the_first_letter_of_a_secret_is_not_taken_for_that_of_an_escape():
    mask = Redactor("nQ7xyz99KwvLmPqRsTuV", "0123456789abcdef")
    body = json.dumps({"msg": "header:\nQ7xyz99KwvLmPqRsTuV and\nnQ7xyz99KwvLmPqRsTuV"}).encode()
    assert json.loads(mask.body(body)) == {"msg": "header:\nQ7xyz99KwvLmPqRsTuV and\n[masked]"}
    assert mask.body(b'no JSON: "nQ7xyz99K... ') == b'no JSON: "[masked]... '
