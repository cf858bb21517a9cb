"""A job that a command cancels: who watches it knows that, however it ends and whenever something dies."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from store_builders import START, job, key, told

from segwatch.cli.cancellation import cancelled
from segwatch.jobs.model import Status
from segwatch.store.base import Store
from segwatch.store.factory import store_of
from segwatch.upstream.errors import Fate, NotFound, Refused, Unavailable, UpstreamError
from segwatch.upstream.wire import Reply

RECORD = {"id": 7, "status": "PROCESSING", "creationTime": 1767579600000, "destination": {"datasetId": "d1"}}


class Client:
    """A platform that has one export, or none; `answer` is raised by a DELETE. at_delete: what was on disk then."""

    sandbox = "prod"
    clock_shows = START - timedelta(minutes=20)

    def __init__(self, store: Store, record: dict[str, Any] | None = None, answer: Exception | None = None) -> None:
        self._store, self._record, self._answer = store, record, answer
        self.at_delete: list[Any] = []

    async def call(self, request: Any, *, before_send: object = None) -> Any:
        if request.method == "DELETE":
            self.at_delete.append(await self._store.job(key("7")))
            if self._answer:
                raise self._answer
            return None
        if self._record is None:
            raise NotFound("no such job", fate=Fate.ANSWERED, reason="http_404", status=404)
        return Reply(status=200, body=json.dumps(self._record).encode())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    one = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await one.open()
    yield one
    assert await one.check() == []
    await one.close()


async def cancel(client: Client, tmp_path: Path) -> str:
    settings = SimpleNamespace(store=SimpleNamespace(url=f"sqlite://{tmp_path}/segwatch.db"))
    return await cancelled(SimpleNamespace(settings=settings, client=client, budget=None), key("7"))


async def test_it_is_on_disk_before_the_platform_hears_of_it_and_confirmed_when_it_agrees(store, tmp_path):
    _, change = told(job("7"))
    await store.commit([change])
    client = Client(store)
    await cancel(client, tmp_path)
    (then,) = client.at_delete
    assert (then.cancel_asked_at is None, then.cancel_at) == (False, None)
    assert then.cancel_there == client.clock_shows
    after = await store.job(key("7"))
    assert after.cancel_at is not None
    assert replace(after, cancel_at=None) == then


async def test_also_of_a_job_that_nobody_has_recorded(store, tmp_path):
    client = Client(store, RECORD)
    await cancel(client, tmp_path)
    (then,) = client.at_delete
    assert (then.status, then.is_untold, then.unlisted, then.facts.dataset) == (Status.PROCESSING, True, True, "d1")
    assert then.cancel_asked_at is not None
    assert then.cancel_there == client.clock_shows
    assert (await store.job(key("7"))).cancel_at is not None


async def test_what_the_platform_does_not_know_is_left_to_it_to_say(store, tmp_path):
    client = Client(store, None)
    await cancel(client, tmp_path)
    assert client.at_delete == [None]


@pytest.mark.parametrize("recorded", [True, False])
async def test_of_a_job_that_has_ended_its_end_is_told_and_nothing_is_asked(store, tmp_path, recorded):
    if recorded:  # as it was when the daemon last looked
        await store.commit([told(job("7"))[1]])
    client = Client(store, RECORD | {"status": "SUCCEEDED"})
    assert await cancel(client, tmp_path) == "SUCCEEDED"
    assert client.at_delete == []
    assert not recorded or (await store.job(key("7"))).cancel_at is None


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        (Refused("no", fate=Fate.ANSWERED, reason="http_409", status=409), False),
        (Unavailable("no way there", fate=Fate.NOT_SENT, reason="connect"), False),
        (Unavailable("lost", fate=Fate.LOST, reason="reset"), True),
        (Unavailable("bad gateway", fate=Fate.ANSWERED, reason="http_502", status=502), True),
        (Unavailable("busy", fate=Fate.ANSWERED, reason="http_503", status=503), True),
    ],
    ids=["refused", "not-sent", "lost", "gateway", "busy"],
)
async def test_what_surely_had_no_effect_is_taken_back_and_what_may_have_had_one_is_never_confirmed(
    store, tmp_path, capsys, answer, stays
):
    _, change = told(job("7"))
    await store.commit([change])
    with pytest.raises(UpstreamError):
        await cancel(Client(store, answer=answer), tmp_path)
    after = await store.job(key("7"))
    assert (after.cancel_asked_at is not None, after.cancel_at) == (stays, None)
    assert (after.cancel_there is not None) == stays
    assert ("should 7 fail now" in capsys.readouterr().err) == stays


async def test_the_wish_of_another_command_is_not_taken_back(store, tmp_path):
    _, change = told(job("7", cancel_asked_at=START))
    await store.commit([change])
    refused = Refused("no", fate=Fate.ANSWERED, reason="http_409", status=409)
    with pytest.raises(Refused):
        await cancel(Client(store, answer=refused), tmp_path)
    assert (await store.job(key("7"))).cancel_asked_at == START


async def test_a_second_command_to_which_the_platform_agrees_confirms_the_first(store, tmp_path):
    _, change = told(job("7", cancel_asked_at=START))
    await store.commit([change])
    await cancel(Client(store), tmp_path)
    after = await store.job(key("7"))
    assert (after.cancel_asked_at, after.cancel_at is None) == (START, False)
