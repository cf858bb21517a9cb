"""Schedules: what is sent, what is refused before, and records in forms that the tutorial does not show."""

import pytest
from answering import Answering

from segwatch.cron import CronError
from segwatch.upstream import schedules
from segwatch.upstream.errors import NotSendable

DAILY = "0 0 1 * * ?"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": " "}, NotSendable),
        ({"type_": "stream"}, NotSendable),
        ({"segments": ()}, NotSendable),
        ({"segments": ("*", "a")}, NotSendable),
        ({"segments": ("a b",)}, NotSendable),
        ({"cron": "0 0 1 * *"}, CronError),
        ({"cron": "0 0 * * * ?"}, CronError),
    ],
)
def test_what_the_platform_would_refuse_is_not_sent(changes, error):
    with pytest.raises(error):
        schedules.create_request(**{"name": "nightly", "cron": DAILY} | changes)


def test_segments_are_named_once_and_a_schedule_may_begin_active():
    request = schedules.create_request(
        name="n", cron="  0 0 1  * * ?", segments=["a", "b", "a"], type_="export", active=True
    )
    assert request.body == {
        "name": "n", "type": "export", "properties": {"segments": ["a", "b"]}, "schedule": DAILY, "state": "active",
    }  # fmt: skip


async def test_updates_are_patches_whose_answers_are_not_read():
    client = Answering(b"", b"whatever", b"", b"")
    await schedules.enable(client, "s/1")
    await schedules.disable(client, "s/1")
    await schedules.set_time(client, "s/1", "0 15 10 * * ?")
    await schedules.delete(client, "s/1")
    assert {one.path for one in client.asked} == {"/data/core/ups/config/schedules/s%2F1"}
    assert [one.method for one in client.asked] == ["PATCH", "PATCH", "PATCH", "DELETE"]
    assert [one.body[0]["value"] for one in client.asked[:3]] == ["active", "inactive", "0 15 10 * * ?"]


async def test_a_wrong_cron_or_id_is_not_sent():
    client = Answering()
    with pytest.raises(CronError):
        await schedules.set_time(client, "s", "0 0 25 * * ?")
    with pytest.raises(NotSendable):
        await schedules.delete(client, "")
    assert client.asked == []


@pytest.mark.parametrize(
    "record",
    [
        {"id": "x"},
        {"id": "x", "name": None, "properties": [], "createEpoch": "soon", "sandbox": None},
        {"id": "x", "properties": {"segments": []}, "schedule": None},
    ],
)
def test_a_record_is_read_whatever_else_it_holds(record):
    found = schedules.read(record)
    assert (found.id, found.segments, found.cron, found.created_at) == ("x", (), "", None)
    assert not found.is_active


def test_a_state_is_read_in_any_case():
    assert schedules.read({"id": "x", "state": "ACTIVE", "frequency": "daily"}).is_active
