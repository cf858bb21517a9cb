"""The segments that every sandbox begins with, over the profiles that are made up."""

import pytest
from made_up import NOW, a_lake

from segwatch.emulator import seed
from segwatch.emulator.lake import evaluation
from segwatch.emulator.lake.model import Evaluation

SIZE = 5_000


@pytest.fixture(scope="module")
def lake():
    with a_lake(size=SIZE) as connection:
        yield connection


def test_every_seeded_segment_has_a_plausible_share_and_sam_is_in_the_first_three(lake):
    definitions = {one: document["expression"] for one, document in seed.definitions("prod").items()}
    counted = evaluation.evaluate(lake, Evaluation(run_id="1", sandbox="prod", definitions=definitions, now=NOW))
    shares = {one: count.members / SIZE for one, count in counted.segments.items()}
    assert all(0.002 < share < 0.6 for share in shares.values()), shares
    sams = lake.execute("SELECT segment_id FROM membership WHERE _n = 0 AND namespace = 'ups'").fetchall()
    assert {one for (one,) in sams} >= set(seed.SEGMENT_IDS[:3])


def test_names_and_ids_are_unique():
    definitions = seed.definitions("prod")
    assert len({one["name"] for one in definitions.values()}) == len(definitions) == len(seed.SEGMENT_IDS)
    assert all(one == document["id"] for one, document in definitions.items())
