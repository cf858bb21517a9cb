"""What a download consists of: names, ranges, and answers that fit or do not."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.upstream.parts import (
    Refusal,
    Skip,
    content_range,
    fit,
    places,
    range_of,
    resume_at,
    safe_name,
    unfinished,
)


@pytest.mark.parametrize(
    "name", ["part-00000.snappy.parquet", "a b.csv", "row_errors/part-0.json", "größe=1/ä.parquet", ".hidden", "a:b"]
)
def test_a_name_within_the_folder_is_kept(name):
    assert str(safe_name(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", ".", "..", "/etc/passwd", "../a", "a/../b", "a/..", "a//b", "a/", "a/./b", "a\0b", "a\nb", "\x1b[2J",
        "a\u202eb", "x" * 201, "ä" * 101, "dir/" + "x" * 201, "\ud800", ".segwatch-download.json", ".SEGWATCH-x/y",
    ],
)  # fmt: skip
def test_a_name_that_would_leave_the_folder_or_deceive_is_refused(name):
    with pytest.raises(ValueError):  # noqa: PT011 - each says what is wrong with its name
        safe_name(name)


@given(st.text(max_size=30))
def test_whatever_a_name_says_its_path_stays_within_the_folder(name):
    try:
        path = safe_name(name)
    except ValueError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert str(path) == name


def test_names_that_several_files_use_go_to_folders_of_their_own():
    found = places([("b-1", "part-0.parquet"), ("b-2", "PART-0.parquet"), ("b-2", "other.parquet")])
    assert list(map(str, found)) == ["b-1/part-0.parquet", "b-2/PART-0.parquet", "other.parquet"]


@pytest.mark.parametrize(
    "parts",
    [
        [("b-1", "a"), ("b-1", "A")],
        [("b-1", "a"), ("b-2", "a.part")],
        [("b-1", "a"), ("b-2", "a/b")],
        [("..", "a"), ("b-2", "a")],
    ],
)
def test_files_that_cannot_lie_beside_each_other_are_refused(parts):
    with pytest.raises(ValueError):  # noqa: PT011 - each says what is wrong with its name
        places(parts)


def test_a_file_that_is_not_complete_is_named_so():
    assert unfinished(PurePosixPath("a/b.parquet")) == PurePosixPath("a/b.parquet.part")


@pytest.mark.parametrize(("there", "first"), [(0, 0), (5, 5), (10, 10), (11, 0)])
def test_a_file_goes_on_where_it_ended_and_one_that_is_too_long_begins_anew(there, first):
    assert resume_at(there, 10) == first


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 100))
def test_the_pieces_of_a_file_are_all_of_it_once(first, length, piece_bytes):
    asked = []
    while first < length:
        begin, _, last = range_of(first, length, piece_bytes=piece_bytes).removeprefix("bytes=").partition("-")
        assert int(begin) == first
        assert int(last) - first < piece_bytes
        asked += range(first, int(last) + 1)
        first = int(last) + 1
    assert asked == list(range(asked[0], length)) if asked else True


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes 0-99/249058", (0, 99, 249058)),
        (" Bytes 5-5/* ", (5, 5, None)),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("items 0-9/10", None),
        ("", None),
        ("bytes 0-9", None),
    ],
)
def test_a_content_range_is_read_or_is_none(header, found):
    assert content_range(header) == found


@pytest.mark.parametrize(
    ("status", "headers", "skip"),
    [
        pytest.param(206, {"content-range": "bytes 40-99/100"}, 0, id="what-was-asked"),
        pytest.param(206, {"content-range": "bytes 40-49/*"}, 0, id="fewer-and-no-total"),
        pytest.param(206, {"content-range": "bytes 10-99/100"}, 30, id="more-than-was-asked"),
        pytest.param(200, {"content-length": "100"}, 40, id="all-of-it"),
        pytest.param(200, {}, 40, id="all-of-it-without-a-length"),
        pytest.param(206, {"content-range": "bytes 40-99/100", "content-encoding": "identity"}, 0, id="identity"),
    ],
)
def test_an_answer_that_holds_the_byte_that_is_missing_fits(status, headers, skip):
    assert fit(status, headers, first=40, length_bytes=100) == Skip(skip, if_whole=status == 200 and not headers)


@pytest.mark.parametrize(
    ("status", "headers", "why"),
    [
        pytest.param(206, {"content-range": "bytes 41-99/100"}, "byte 40 was asked for", id="too-late"),
        pytest.param(206, {"content-range": "bytes 0-39/100"}, "byte 40 was asked for", id="too-early"),
        pytest.param(206, {"content-range": "bytes 40-99/101"}, "101 bytes", id="another-length"),
        pytest.param(206, {}, "does not say which", id="no-range"),
        pytest.param(206, {"content-type": "multipart/byteranges"}, "does not say which", id="several-ranges"),
        pytest.param(200, {"content-length": "99"}, "99 bytes", id="another-whole"),
        pytest.param(204, {}, "204", id="nothing"),
        pytest.param(200, {"content-encoding": "gzip"}, "compressed", id="gzip"),
    ],
)
def test_an_answer_that_does_not_is_refused_and_says_why(status, headers, why):
    refusal = fit(status, headers, first=40, length_bytes=100)
    assert isinstance(refusal, Refusal)
    assert why in refusal.why
