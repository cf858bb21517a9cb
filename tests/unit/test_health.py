"""Who is alive, and what keeps us from our work."""

from segwatch.telemetry.health import Heartbeats, Readiness, Stale


class Watch:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_is_alive_for_as_long_as_it_said():
    watch = Watch()
    hearts = Heartbeats(monotonic=watch)
    hearts.beat("reader", within_s=60)
    watch.now += 60
    assert hearts.stale() == []
    watch.now += 2
    assert hearts.stale() == [Stale(worker="reader", late_s=2)]


def test_a_beat_puts_off_the_next_one_and_may_also_shorten_it():
    watch = Watch()
    hearts = Heartbeats(monotonic=watch)
    hearts.beat("reader", within_s=60)
    watch.now += 50
    hearts.beat("reader", within_s=60)
    watch.now += 50
    assert hearts.stale() == []
    hearts.beat("reader", within_s=1)
    watch.now += 2
    assert [stale.worker for stale in hearts.stale()] == ["reader"]


def test_the_worker_that_is_overdue_for_longest_comes_first():
    watch = Watch()
    hearts = Heartbeats(monotonic=watch)
    hearts.beat("new", within_s=30)
    hearts.beat("old", within_s=10)
    hearts.beat("well", within_s=100)
    watch.now += 40
    assert hearts.stale() == [Stale(worker="old", late_s=30), Stale(worker="new", late_s=10)]
    assert len(hearts) == 3


def test_nothing_more_is_expected_of_a_worker_that_ended():
    watch = Watch()
    hearts = Heartbeats(monotonic=watch)
    hearts.beat("poller", within_s=1)
    hearts.forget("poller")
    hearts.forget("poller")
    watch.now += 10
    assert hearts.stale() == []
    assert len(hearts) == 0


def test_nobody_is_ready_before_the_start_is_over():
    ready = Readiness()
    assert ready.problems() == {"start": "still starting"}
    assert ready.ok("start")
    assert ready.problems() == {}


def test_a_problem_is_news_once_and_its_text_is_the_latest():
    ready = Readiness()
    ready.ok("start")
    assert ready.problem("store", "disk full")
    assert not ready.problem("store", "read-only")
    assert ready.problems() == {"store": "read-only"}
    assert ready.ok("store")
    assert not ready.ok("store")
    assert ready.problems() == {}
