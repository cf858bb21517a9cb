"""What a store keeps of the threads in which channels tell of alerts."""

from dataclasses import replace

import pytest
from store_builders import at, delivery

from segwatch.deliveries.model import Stage
from segwatch.jobs.events import Event, EventType, severity_of
from segwatch.store.base import Change
from segwatch.store.factory import store_of


@pytest.fixture
async def store(tmp_path):
    opened = store_of(f"sqlite://{tmp_path}/segwatch.db")
    await opened.open()
    yield opened
    assert await opened.check() == []
    await opened.close()


class Telling:
    """Commits events, and settles what is due on each channel as a receiver with threads would have it."""

    def __init__(self, store):
        self.store = store
        self._sequences = {}

    async def of(self, type_, stream, *, to=("ops",), accepted=True, names=True, **details):
        """Tell of an event; return by channel the thread that it was due in. names: the receiver has threads."""
        sequence = self._sequences[stream] = self._sequences.get(stream, 0) + 1
        job_id = stream.rsplit("/", 1)[1] if type_.value.startswith(("job.", "export.")) else ""
        said = Event(
            type=type_, stream=stream, sequence=sequence, at=at(sequence), severity=severity_of(type_),
            sandbox="prod", kind="export_job" if job_id else "", job_id=job_id, details=details,
        )  # fmt: skip
        await self.store.commit([Change(events=(said,), deliveries=tuple(delivery(said, name) for name in to))])
        due = {}
        for name in to:
            (one,) = await self.store.due_deliveries(name, now=at(60), limit=10)
            due[name] = one.thread
            name_given = one.thread or (f"thread-of-{said.type.value}-{name}" if names else "")
            stage = Stage.DELIVERED if accepted else Stage.DEAD
            await self.store.settle([replace(one, stage=stage, attempts=1, thread=name_given)])
        return due if len(to) > 1 else due[to[0]]


JOB = "prod/export_job/j1"


async def test_what_is_told_of_one_alert_is_due_in_the_thread_of_what_opened_it(store):
    telling = Telling(store)
    assert await telling.of(EventType.SANDBOX_UNREACHABLE, "sandbox/prod") == ""
    assert await telling.of(EventType.SANDBOX_UNAUTHORIZED, "sandbox/prod") == "thread-of-sandbox.unreachable-ops"
    assert await telling.of(EventType.SANDBOX_RECOVERED, "sandbox/prod") == "thread-of-sandbox.unreachable-ops"
    assert await telling.of(EventType.SANDBOX_UNREACHABLE, "sandbox/prod") == "", "another alert, another thread"


async def test_each_channel_has_threads_of_its_own(store):
    telling = Telling(store)
    both = ("chat", "ops")
    assert await telling.of(EventType.ALERT_FIRING, "alerts/1", to=both) == {"chat": "", "ops": ""}
    assert await telling.of(EventType.ALERT_RESOLVED, "alerts/1", to=both) == {
        "chat": "thread-of-alert.firing-chat", "ops": "thread-of-alert.firing-ops",
    }  # fmt: skip


async def test_a_job_that_was_overdue_and_fails_goes_on_in_its_thread_until_its_work_is_done(store):
    telling = Telling(store)
    work = {"fingerprint": "f1", "root": "j1"}
    await telling.of(EventType.JOB_OVERDUE, JOB)
    begun = "thread-of-job.overdue-ops"
    assert await telling.of(EventType.JOB_FAILED, JOB, **work) == begun
    assert await telling.of(EventType.RETRY_SCHEDULED, JOB, **work) == begun
    assert await telling.of(EventType.RECOVERED, JOB, **work) == begun
    assert await telling.of(EventType.JOB_FAILED, "prod/export_job/j2", fingerprint="f1", root="j2") == ""


async def test_a_story_begins_no_thread(store):
    telling = Telling(store)
    await telling.of(EventType.RETRY_SCHEDULED, JOB, fingerprint="f1")
    assert await telling.of(EventType.RETRY_SUBMITTED, JOB, fingerprint="f1") == ""


@pytest.mark.parametrize("how", [{"accepted": False}, {"names": False}], ids=["given-up", "without-threads"])
async def test_what_was_not_told_in_a_thread_leaves_none(store, how):
    telling = Telling(store)
    await telling.of(EventType.SANDBOX_UNREACHABLE, "sandbox/prod", **how)
    assert await telling.of(EventType.SANDBOX_UNAUTHORIZED, "sandbox/prod") == ""


async def test_a_thread_that_nothing_closed_is_forgotten_with_the_rest(store):
    telling = Telling(store)
    await telling.of(EventType.SANDBOX_UNREACHABLE, "sandbox/prod")
    await store.forget(at(1))
    assert await telling.of(EventType.SANDBOX_UNAUTHORIZED, "sandbox/prod") != ""
    await store.forget(at(10))
    assert await telling.of(EventType.SANDBOX_UNAUTHORIZED, "sandbox/prod") == ""


async def test_a_thread_outlives_a_restart(store, tmp_path):
    await Telling(store).of(EventType.SANDBOX_UNREACHABLE, "sandbox/prod")
    await store.close()
    await store.open()
    telling = Telling(store)
    telling._sequences["sandbox/prod"] = 1
    assert await telling.of(EventType.SANDBOX_RECOVERED, "sandbox/prod") == "thread-of-sandbox.unreachable-ops"
