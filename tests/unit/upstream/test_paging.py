"""Lists page after page: where they end, what is left out, and that links lead nowhere else."""

import pytest
from answering import Answering

from segwatch.kinds.base import Request
from segwatch.upstream.errors import BadReply, Fate, NotSendable
from segwatch.upstream.paging import by_ids, catalog_pages, pages
from segwatch.upstream.records import id_of

PATH = "/data/core/ups/segment/jobs"
LIST = Request(method="GET", path=PATH, endpoint=PATH, params=(("status", "NEW"), ("limit", "2")))


def page(*ids, link=None, **more):
    return {"children": [{"id": one} for one in ids], "_links": {"next": {"href": link} if link else {}}} | more


async def listed(client, **rest):
    rows = pages(client, LIST, rows_at="children", read=id_of, key=str, **rest)
    return [row async for row in rows]


async def test_pages_follow_the_answers_own_links_and_keep_the_filters():
    client = Answering(page("a", "b", link="@/segment/jobs?start=1&limit=2"), page("c"))
    assert await listed(client) == ["a", "b", "c"]
    assert [one.params for one in client.asked] == [
        (("status", "NEW"), ("limit", "2")),
        (("status", "NEW"), ("start", "1"), ("limit", "2")),
    ]


async def test_a_link_to_another_host_or_path_gives_its_query_alone():
    client = Answering(page("a", link="https://evil.example/other?start=7"), page())
    assert await listed(client) == ["a"]
    assert (client.asked[1].path, client.asked[1].params[-1]) == (PATH, ("start", "7"))


@pytest.mark.parametrize(
    ("answers", "calls"),
    [
        pytest.param([page("a")], 1, id="no-link"),
        pytest.param([page("a", link="?start=1"), page(link="?start=2")], 2, id="an-empty-page-with-a-link"),
        pytest.param([page("a", link="?start=1"), page("a", link="?start=2")], 2, id="a-page-without-a-new-row"),
        pytest.param([page("a", link="?status=NEW&limit=2")], 1, id="a-link-to-itself"),
        pytest.param([page("a", _page={"next": "1"}), page()], 2, id="no-links-but-a-next-start"),
        pytest.param([page("a") | {"children": None}], 1, id="null-in-place-of-rows"),
    ],
)
async def test_a_list_ends(answers, calls):
    client = Answering(*answers)
    assert await listed(client) == ([] if answers[0]["children"] is None else ["a"])
    assert len(client.asked) == calls


async def test_rows_that_shift_while_one_pages_come_once():
    client = Answering(page("a", "b", link="?start=1"), page("b", "c", link="?start=2"), page())
    assert await listed(client) == ["a", "b", "c"]


@pytest.mark.parametrize(("most", "calls"), [(0, 0), (1, 1), (2, 1), (3, 2)])
async def test_no_more_is_asked_for_than_is_wanted(most, calls):
    client = Answering(page("a", "b", link="?start=1"), page("c", "d", link="?start=2"))
    assert await listed(client, most=most) == ["a", "b", "c"][:most]
    assert len(client.asked) == calls


async def test_rows_that_cannot_be_read_are_counted_and_left_out():
    left_out = []
    first = {"children": [{"id": "a"}, {}, "word", None], "_links": {"next": {"href": "?start=1"}}}
    second = {"children": [{"no": "id"}], "_links": {"next": {"href": "?start=2"}}}
    client = Answering(first, second, page("b"))
    assert await listed(client, on_unreadable=left_out.append) == ["a", "b"]
    assert left_out == [3, 1]


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"", b'{"children": {"a": 1}}', b'{"children": "many"}', b'{"records": []}']
)
async def test_what_is_no_list_is_an_error_that_shows_it(body):
    with pytest.raises(BadReply) as caught:
        await listed(Answering(body))
    assert str(caught.value).startswith(f"Sandbox prod: GET {PATH}: 200, a")
    assert (caught.value.reason, caught.value.fate) == ("unreadable", Fate.LOST)


CATALOG = Request(method="GET", path="/c", endpoint="/c", params=(("name", "x"),))


async def entries(client, **rest):
    rows = catalog_pages(client, CATALOG, read=lambda id_, record: (id_, record["n"]), **rest)
    return [row async for row in rows]


async def test_in_the_catalog_we_count_what_we_received():
    client = Answering({"a": {"n": 1}, "b": {"n": 2}}, {"b": {"n": 2}, "c": {"n": 3}}, {})
    assert await entries(client, limit=2) == [("a", 1), ("b", 2), ("c", 3)]
    assert [dict(one.params)["start"] for one in client.asked] == ["0", "2", "4"]
    assert {dict(one.params)["name"] for one in client.asked} == {"x"}


async def test_a_page_of_the_catalog_without_a_new_entry_is_the_last_one():
    assert await entries(Answering({"a": {"n": 1}}, {"a": {"n": 1}})) == [("a", 1)]
    assert await entries(Answering({"a": {"n": 1}, "b": {"n": 1}}), most=1) == [("a", 1)]
    assert await entries(Answering(), most=0) == []


async def test_an_entry_that_is_no_object_is_counted_and_left_out():
    left_out = []
    assert await entries(Answering({"a": 5, "b": {"n": 1}}, {}), on_unreadable=left_out.append) == [("b", 1)]
    assert left_out == [1]


async def test_a_catalog_that_answers_no_object_is_an_error():
    with pytest.raises(BadReply, match="a list that cannot be read"):
        await entries(Answering([1]))


async def found(client, *ids):
    return await by_ids(client, PATH, ids, read=id_of)


async def test_records_are_asked_for_by_their_ids_a_hundred_at_a_time():
    ids = [str(number) for number in range(150)]
    client = Answering({"results": {one: {} for one in ids[:100]}}, {"results": [{"id": 149}, {"id": "other"}]})
    assert await found(client, *ids, "3") == {one: one for one in [*ids[:100], "149"]}
    assert [len(one.body["ids"]) for one in client.asked] == [100, 50]
    assert client.asked[0].body["ids"][0] == {"id": "0"}
    assert client.asked[0].path == f"{PATH}/bulk-get"


async def test_what_is_unknown_or_unreadable_is_absent():
    assert await found(Answering({"results": {"a": None, "b": 3, "c": {"id": "c"}}}), "a", "b", "c", "d") == {"c": "c"}
    assert await found(Answering({"results": None}), "a") == {}
    assert await found(Answering()) == {}


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"results": 3}'])
async def test_a_bulk_answer_without_results_is_an_error(body):
    with pytest.raises(BadReply):
        await found(Answering(body), "a")


async def test_what_cannot_be_an_id_is_not_sent():
    client = Answering()
    with pytest.raises(NotSendable):
        await found(client, "a", "..")
    assert client.asked == []
