"""Texts within limits."""

from hypothesis import given
from hypothesis import strategies as st

from segwatch.deliveries.runes import HTML, PLAIN, backslashed, clip, fitting, listed

ESCAPES = st.sampled_from([PLAIN, HTML, backslashed("\\*_")])
TEXTS = st.text(alphabet=st.sampled_from("a&<*_\\😀é "))


def test_a_clipped_text_holds_no_half_escape():
    assert clip("a&b", 7, HTML) == "a&amp;b"
    assert clip("a&bc", 7, HTML) == "a&amp;…"
    assert clip("a&&&", 7, HTML) == "a&amp;…"
    assert clip("a*b", 3, backslashed("*")) == "a…"
    assert clip("😀" * 9, 5) == "😀😀😀😀…"


@given(TEXTS, st.integers(1, 60), ESCAPES)
def test_a_clipped_text_is_as_long_as_may_be(text, limit, escapes):
    got = clip(text, limit, escapes)
    assert len(got) <= limit
    whole = text.translate(escapes)
    assert got == whole or (len(whole) > limit and whole.startswith(got.removesuffix("…")) and got.endswith("…"))


def test_what_has_no_room_in_a_list_is_counted():
    assert listed(["one", "two"], 48) == ["one", "two"]
    lines = [f"export {number} failed" for number in range(200)]
    *shown, rest = listed(lines, 100)
    assert shown == lines[: len(shown)]
    assert rest == f"… and {200 - len(shown)} more"
    assert listed(["x" * 99], 50) == ["x" * 48 + "…"] or len(listed(["x" * 99], 50)[0]) <= 50


@given(st.lists(TEXTS, min_size=1, max_size=60), st.integers(48, 300), ESCAPES)
def test_a_list_keeps_its_limit_and_loses_no_count(lines, limit, escapes):
    got = listed(lines, limit, escapes)
    assert len("\n".join(got)) <= limit
    left = len(lines) - len(got)
    if left or got[-1].endswith("more"):
        assert got[-1] == f"… and {len(lines) - len(got) + 1} more"


def test_what_is_counted_beside_the_lines_is_in_the_count_and_the_command_where_there_is_room():
    assert listed(["one", "two"], 90, more=9, by="segwatch events list") == [
        "one", "two", "… and 9 more: segwatch events list",
    ]  # fmt: skip
    assert listed(["one", "two"], 48, more=9, by="segwatch events list") == ["one", "two", "… and 9 more"]
    lines = [f"export {number} failed" for number in range(50)]
    *shown, rest = listed(lines, 300, more=10, by="segwatch events list")
    assert rest == f"… and {60 - len(shown)} more: segwatch events list"


def test_the_fullest_layout_that_fits_is_taken():
    def laid(limit):
        return "x" * limit(1000)

    assert len(fitting(laid, lambda text: True)) == 1000
    assert len(fitting(laid, lambda text: len(text) <= 700)) == 600
    assert len(fitting(laid, lambda text: False)) == 50
