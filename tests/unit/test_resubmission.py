"""When the next step of an answer may be taken."""

from datetime import timedelta

from builders import answer, at


def test_an_answer_that_was_put_off_by_a_wrong_clock_is_due_now():
    cap = timedelta(hours=3)
    assert not answer(due_at=at(60)).is_due(at(0), max_delay=cap)
    assert answer(due_at=at(60)).is_due(at(60), max_delay=cap)
    assert not answer(due_at=at(180)).is_due(at(0), max_delay=cap)
    assert answer(due_at=at(181)).is_due(at(0), max_delay=cap)
    assert not answer(due_at=at(60)).is_due(at(0), max_delay=timedelta(seconds=2)), "the platform may have asked for it"
