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


def test_data_loses_whole_secrets_only_and_stays_json():
    mask = Redactor(SECRET, "a-short-one", ids=("the-api-key-0001",))
    record = {"errors": [{"msg": f"bad {SECRET}"}], "by": "the-api-key-0001", "cut": SECRET[:12], "x": "a-short-one"}
    for encoded in (json.dumps(record), json.dumps(record, ensure_ascii=False)):
        masked = json.loads(mask.body(encoded.encode()))
        assert masked == record | {"errors": [{"msg": "bad [masked]"}]}
