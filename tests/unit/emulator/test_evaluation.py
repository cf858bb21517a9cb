"""Who is in a segment after each run, and since when: against a plain reading of the rules."""

from datetime import timedelta

import duckdb
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import NOW, a_lake

from segwatch.emulator.lake import evaluation, external, losses, tables
from segwatch.emulator.lake.model import EXTERNAL_SEGMENT_ID, Evaluation
from segwatch.emulator.pql import ROW

SEGMENTS = ("s-one", "s-two")
SIZE = 8
SANDBOXES = iter(range(10**9))


@pytest.fixture(autouse=True)
def _sql_for_expressions(monkeypatch):
    """Let expressions be SQL already: what they may say is tested beside their language."""
    monkeypatch.setattr(
        evaluation, "conditions", lambda _cursor, expressions: {one: text["value"] for one, text in expressions.items()}
    )


@pytest.fixture(scope="module")
def lake():
    with a_lake(size=SIZE) as connection:
        yield connection


def sandbox():
    """Return a new one: they share the profiles and nothing else."""
    return f"box-{next(SANDBOXES)}"


def these(*members):
    return {"value": f"{ROW}._n IN ({', '.join(map(str, [-1, *members]))})"}


def run(lake, box, definitions, *, run_id=None, now=NOW):
    order = Evaluation(run_id=run_id or f"{box} {now}", sandbox=box, definitions=definitions, now=now)
    return evaluation.evaluate(lake, order)


def memberships(lake, box):
    found = lake.execute(
        "SELECT segment_id, _n, status, epoch(since) FROM membership WHERE sandbox = ? AND namespace = 'ups'", [box]
    ).fetchall()
    assert len({row[:2] for row in found}) == len(found)
    return {(segment_id, n): (status, since) for segment_id, n, status, since in found}


class Model:
    """The rules, one profile at a time."""

    def __init__(self):
        self.rows = {}

    def evaluate(self, segments, now):
        for segment_id, members in segments.items():
            for n in range(SIZE):
                self._judge((segment_id, n), n in members, now)

    def _judge(self, key, is_in, now):
        status, since = self.rows.get(key, (None, None))
        was_in = status in ("realized", "existing")
        if is_in:
            self.rows[key] = ("existing", since) if was_in else ("realized", now.timestamp())
        elif was_in:
            self.rows[key] = ("exited", now.timestamp())
        elif status == "exited" and since < (now - timedelta(days=30)).timestamp():
            del self.rows[key]


people = st.frozensets(st.integers(0, SIZE - 1))
steps = st.tuples(
    st.dictionaries(st.sampled_from(SEGMENTS), people, min_size=1),
    st.integers(0, 40),  # days since the run before
    st.sampled_from([None, None, None, 0.5, "restore"]),
)


@settings(max_examples=examples(15))
@given(st.lists(steps, min_size=1, max_size=6))
def test_every_history_of_runs_leaves_the_memberships_that_the_rules_say(lake, history):
    box, model, now, is_lost = sandbox(), Model(), NOW, frozenset()
    for number, (segments, days, loss) in enumerate(history):
        now += timedelta(days=days, seconds=1)
        if loss == "restore":
            losses.restore(lake, box)
        elif loss is not None:
            losses.lose(lake, sandbox=box, segment_id=None, share=loss)
        is_lost = {row[0] for row in lake.execute("SELECT _n FROM lost WHERE sandbox = ?", [box]).fetchall()}
        counted = run(lake, box, {one: these(*who) for one, who in segments.items()}, run_id=f"{box}/{number}", now=now)
        model.evaluate({one: who - is_lost for one, who in segments.items()}, now)
        assert memberships(lake, box) == model.rows
        assert counted.profiles == SIZE - len(is_lost)
        for segment_id in segments:
            statuses = [status for (one, _), (status, _) in model.rows.items() if one == segment_id]
            shown = counted.segments[segment_id]
            assert (shown.realized, shown.existing, shown.exited) == tuple(
                statuses.count(word) for word in ("realized", "existing", "exited")
            )


def test_counters_equal_a_direct_count(lake):
    box = sandbox()
    counted = run(lake, box, {"s-one": these(0, 2, 3, 5), "s-two": these()})
    one = counted.segments["s-one"]
    assert one.members == 4
    direct = lake.execute(
        "SELECT namespace, count(DISTINCT _n) FROM identity WHERE _n IN (0, 2, 3, 5) GROUP BY 1"
    ).fetchall()
    assert one.by_namespace == dict(direct)
    assert counted.segments["s-two"].by_namespace == {}


def test_a_run_is_applied_once_however_often_it_is_asked_for(lake):
    box = sandbox()
    first = run(lake, box, {"s-one": these(1, 2)}, run_id=f"{box} a")
    before = memberships(lake, box)
    later = NOW + timedelta(days=1)
    assert run(lake, box, {"s-one": these(3)}, run_id=f"{box} a", now=later) == first
    assert memberships(lake, box) == before
    assert evaluation.counters(lake, f"{box} a") == first
    assert evaluation.counters(lake, "nobody's") is None


def test_a_run_that_fails_on_its_way_changes_nothing_and_can_be_asked_for_again(lake, monkeypatch):
    box = sandbox()
    run(lake, box, {"s-one": these(1)}, run_id=f"{box} a")
    before = memberships(lake, box)
    broken = {"s-one": these(2), "s-two": {"value": "error('out of space')"}}
    with pytest.raises(duckdb.Error, match="out of space"):
        run(lake, box, broken, run_id=f"{box} b")
    assert memberships(lake, box) == before
    assert evaluation.counters(lake, f"{box} b") is None
    assert run(lake, box, {"s-one": these(2)}, run_id=f"{box} b").segments["s-one"].exited == 1


def test_a_run_that_is_refused_when_it_settles_changes_nothing(lake):
    def refuse():
        raise InterruptedError

    box = sandbox()
    order = Evaluation(run_id=f"{box} refused", sandbox=box, definitions={"s-one": these(1)}, now=NOW)
    with pytest.raises(InterruptedError):
        evaluation.evaluate(lake, order, settles=refuse)
    assert memberships(lake, box) == {}
    assert evaluation.counters(lake, order.run_id) is None
    assert evaluation.evaluate(lake, order).segments["s-one"].members == 1


def test_now_in_an_expression_is_the_run_s(lake):
    late = {"s-one": {"value": "$now > TIMESTAMPTZ '2026-11-24 00:00:00+00'"}}
    box = sandbox()
    assert run(lake, box, late).segments["s-one"].members == 0
    assert run(lake, box, late, now=NOW + timedelta(days=1)).segments["s-one"].members == SIZE


def test_sandboxes_do_not_see_each_other(lake):
    ours, theirs = sandbox(), sandbox()
    run(lake, ours, {"s-one": these(1, 2)})
    losses.lose(lake, sandbox=theirs, segment_id=None, share=1)
    assert run(lake, theirs, {"s-one": these(1, 2)}).segments["s-one"].members == 0
    assert run(lake, ours, {"s-one": these(1, 2)}, now=NOW + timedelta(1)).segments["s-one"].existing == 2


def test_a_share_of_a_segment_is_lost_once_and_given_back(lake):
    box = sandbox()
    run(lake, box, {"s-one": these(*range(6))})
    assert losses.lose(lake, sandbox=box, segment_id="s-one", share=1) == 6
    assert losses.lose(lake, sandbox=box, segment_id="s-one", share=1) == 0
    gone = run(lake, box, {"s-one": these(*range(SIZE))}, now=NOW + timedelta(1)).segments["s-one"]
    assert (gone.realized, gone.existing, gone.exited) == (2, 0, 6)
    assert losses.restore(lake, box) == 6
    assert run(lake, box, {"s-one": these(*range(SIZE))}, now=NOW + timedelta(2)).segments["s-one"].members == SIZE


def test_an_evaluation_of_nothing_counts_the_profiles(lake):
    counted = run(lake, sandbox(), {})
    assert (counted.profiles, counted.segments) == (SIZE, {})


def test_the_external_audience_is_there_from_the_start_and_stays_through_runs(lake):
    box = sandbox()
    found = "SELECT count(*) FROM membership WHERE sandbox = ? AND namespace = 'AAM' AND segment_id = ?"
    with duckdb.connect() as larger:
        tables.create(larger)
        larger.execute("CREATE TABLE profile AS SELECT range AS _n, false AS x FROM range(5000)")
        for _ in range(2):
            external.supply(larger, box, now=NOW)
        (members,) = larger.execute(found, [box, EXTERNAL_SEGMENT_ID]).fetchone()
        assert 400 < members < 600
        run(larger, box, {EXTERNAL_SEGMENT_ID: these()})
        assert larger.execute(found, [box, EXTERNAL_SEGMENT_ID]).fetchone() == (members,)


def test_forgotten_runs_leave_the_profiles(lake):
    with a_lake(size=3) as other:
        run(other, "prod", {"s-one": these(1)}, run_id="a")
        losses.lose(other, sandbox="prod", segment_id=None, share=1)
        tables.forget_runs(other)
        counts = "SELECT (SELECT count(*) FROM membership), (SELECT count(*) FROM lost), (SELECT count(*) FROM profile)"
        assert other.execute(counts).fetchone() == (0, 0, 3)
        assert run(other, "prod", {"s-one": these(1)}, run_id="a").segments["s-one"].realized == 1
