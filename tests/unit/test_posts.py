"""Which jobs are known to be equal by our own orders and resubmissions."""

from datetime import UTC, datetime

from segwatch.jobs.model import JobKey, Status
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.posts import Posts
from segwatch.jobs.resubmission import Resubmission, Step

NOW = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


def key(id_: str) -> JobKey:
    return JobKey(sandbox="prod", kind="export_job", id=id_)


def order(id_: str, step: OrderStep, job_id: str = "", fingerprint: str = "asked", **fields) -> Order:
    return Order(
        id=id_, sandbox="prod", kind="export_job", owner="command", request="{}", fingerprint=fingerprint, step=step,
        since=NOW, due_at=NOW, not_before=NOW, job_id=job_id, **({"posted_at": NOW, "tries": 1} | fields),
    )  # fmt: skip


def answer(failed: str, step: Step, new_id: str = "", fingerprint: str = "recorded", **fields) -> Resubmission:
    return Resubmission(
        failed=key(failed), root=failed, attempt=2, fingerprint=fingerprint, request="{}", step=step, due_at=NOW,
        since=NOW, new_id=new_id, **({"posted_at": NOW, "tries": 1} | fields),
    )  # fmt: skip


def test_what_an_order_asked_for_follows_its_job_through_all_resubmissions():
    placed = order("cmd-1", OrderStep.PLACED, "1")
    assert Posts(orders=(placed,)).aliases(key("1")) == ("asked",)
    first = answer("1", Step.SUBMITTED, "2", aliases=("asked",))
    assert Posts(orders=(placed,), answers=(first,)).aliases(key("2")) == ("asked", "recorded")
    second = answer("2", Step.SUBMITTED, "3", "recorded later", aliases=("asked", "recorded"))
    posts = Posts(orders=(placed,), answers=(first, second))
    assert posts.aliases(key("3")) == ("asked", "recorded", "recorded later")
    assert posts.equal({"asked"}) == {"1", "2", "3"}
    assert posts.equal({"another"}) == set()


def test_only_what_our_posts_made_is_known_by_them():
    posts = Posts(
        orders=(order("a", OrderStep.ADOPTED, "1"), order("b", OrderStep.UNDECIDED), order("c", OrderStep.PLACED, "2")),
        answers=(answer("7", Step.ADOPTED, "3"), answer("8", Step.REFUSED), answer("9", Step.SUBMITTED, "4")),
    )
    assert [made.key.id for made in posts.made()] == ["2", "4"]
    assert posts.effects(besides="b") == {"2", "4"}
    assert posts.effects(besides="c") == {"4"}
    assert posts.claimed() == {"3", "4"}
    assert posts.claimed(besides=key("9")) == {"3"}


def test_each_post_that_may_have_had_an_effect_has_a_name_of_its_own():
    first, second = order("a", OrderStep.POSTING), order("a", OrderStep.POSTING, tries=2)
    assert len(Posts(orders=(first,)).names | Posts(orders=(second,)).names) == 2
    assert Posts(orders=(order("a", OrderStep.INTENDED, posted_at=None),)).names == set()


def test_a_job_of_which_the_platform_tells_nothing_is_known_by_what_was_asked():
    (made,) = Posts(orders=(order("a", OrderStep.PLACED, "1", job_created_at=NOW),)).made()
    seen = made.untold(NOW)
    assert (seen.key, seen.status, seen.word, seen.created_at) == (key("1"), Status.UNKNOWN, "", NOW)
    assert seen.facts.fingerprint == "asked"
