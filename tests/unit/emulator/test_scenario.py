"""Scenario files: what they may hold, and what is said of one that is not in order."""

import pytest

from segwatch.emulator.control.scenario import ScenarioError, bundled, load

SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"


DAILY = '[[schedules]]\nname="{}"\nat={}\nschedule="0 0 1 * * ?"\n'


def problems(tmp_path, text):
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(str(path))
    found = [line.removeprefix(f"{path}: ") for line in caught.value.problems]
    assert all(line.startswith(f"{path}: ") for line in caught.value.problems)
    return found


@pytest.mark.parametrize("name", bundled())
def test_what_comes_along_is_in_order(name):
    scenario = load(name)
    assert scenario.steps
    assert [step.at_s for step in scenario.steps] == sorted(step.at_s for step in scenario.steps)


def test_steps_come_in_the_order_of_their_times(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(
        f"""
        begins = 01:30:00
        [[jobs]]
        at = "2m"
        kind = "export_job"
        [[evaluations]]
        at = 30
        segments = ["{SEGMENT}"]
        [[faults]]
        at = "1.5h"
        fault = {{ status = 503 }}
        [[quirks]]
        at = "2m"
        no_links = true
        """
    )
    scenario = load(str(path))
    assert [(step.at_s, step.place) for step in scenario.steps] == [
        (30, "evaluations[0]"), (120, "quirks[0]"), (120, "jobs[0]"), (5400, "faults[0]"),
    ]  # fmt: skip
    assert str(scenario.begins) == "01:30:00"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param('[[jobs]]\nat="1s"\nkind="segmnt_job"', "jobs[0]: kind is 'segmnt_job'. Known kinds:", id="kind"),
        pytest.param('[[jobs]]\nat="soon"\nkind="export_job"', "jobs[0]: at is 'soon'. Write the time since", id="at"),
        pytest.param('[[jobs]]\nat=inf\nkind="export_job"', "jobs[0]: at is inf. Write the time", id="at-no-end"),
        pytest.param(f'[[jobs]]\nat=1{400 * "0"}\nkind="export_job"', "jobs[0]: at is 1000", id="at-no-double"),
        pytest.param(
            '[[jobs]]\nat=1\nkind="export_job"\nscript=[["NEW",inf]]', "jobs[0]: script has the step", id="no-end"
        ),
        pytest.param("[[faults]]\nat=1\nfault={delay_s=inf}", "faults[0]: delay_s is inf. Write", id="delay"),
        pytest.param('[[jobs]]\nkind="export_job"', "jobs[0]: at is missing. Write the time since", id="no-time"),
        pytest.param(
            '[[jobs]]\nat=1\nkind="export_job"\ncuont=2',
            "jobs[0]: it has 'cuont'. Known names: at, says, name, kind,",
            id="key",
        ),
        pytest.param(
            '[[jobs]]\nat=1\nkind="export_job"\nbody={fields=1}', "jobs[0]: fields is not a text", id="what-it-asks-for"
        ),
        pytest.param(
            '[[outcomes]]\nat=1\nkind="export_job"\nnext="FAILED"', "outcomes[0]: next is 'FAILED'.", id="next"
        ),
        pytest.param("[[faults]]\nat=1\nfault={}", "faults[0]: fault has nothing. Write one of status", id="fault"),
        pytest.param("[[quirks]]\nat=1\nno_lnks=true", "quirks[0]: it has 'no_lnks'. Known names:", id="quirk"),
        pytest.param("[[profiles]]\nat=1", "profiles[0]: Write either lose", id="profiles"),
        pytest.param('[[evaluations]]\nat=1\nsandbox="A b"', "evaluations[0]: sandbox is 'A b'. Write", id="sandbox"),
        pytest.param("[[evaluations]]\nat=1\nsegments=[]", "evaluations[0]: segments is [].", id="segments"),
        pytest.param(
            '[[schedules]]\nat=1\nname="n"\nschedule="daily"', "schedules[0]: the cron 'daily' has 1", id="cron"
        ),
        pytest.param('[[skips]]\nat=1\nschedule="n"', "skips[0]: 'n' names nothing that is there by then.", id="skip"),
        pytest.param('[[statuses]]\nat=1\nstatus="FAILED"', "statuses[0]: job is None. Write the name", id="whose"),
        pytest.param("[[exports]]\nat=1\nbody=[]", "exports[0]: body is not an object.", id="body"),
        pytest.param("jobs = 3", "jobs: it is no list of tables. Write [[jobs]].", id="no-list"),
        pytest.param("jobs = [3]", "jobs[0]: it is 3. Write [[jobs]]", id="no-table"),
        pytest.param("[[evalutions]]\nat=1", "Did you mean evaluations?", id="table"),
        pytest.param('begins = "01:00"', "begins: it is '01:00'. Write a time of day without quotes", id="begins"),
        pytest.param('meets = "soon"', "meets: it is 'soon'. Write the time since the start", id="meets"),
        pytest.param('meets = "1m"\nbegins = 01:00:00', "meets: it is '1m'. Write", id="meets-and-begins"),
        pytest.param(
            '[[schedules]]\nat="2m"\nname="n"\ndue="1m"', "schedules[0]: due is '1m'. Write the time", id="due-by-then"
        ),
        pytest.param(
            '[[schedules]]\nat=0\nname="n"\ndue="30h"', "schedules[0]: due is '30h'. Write the time", id="due-too-late"
        ),
        pytest.param(
            '[[schedules]]\nat="6h"\nname="n"\ndue="30h"', "schedules[0]: due is '30h'. Write", id="due-a-day-later"
        ),
        pytest.param(
            DAILY.format("n", 0) + 'due="1m"',
            "schedules[0]: it has due and schedule. Write one of them.",
            id="due-twice",
        ),
        pytest.param("[[jobs", "no TOML:", id="no-toml"),
        pytest.param("[[exports]]\nat=1\nsays=3", "exports[0]: says is 3. Write a text, or leave it out.", id="says"),
        pytest.param("[[exports]]\nat=1e300", "exports[0]: at is 1e+300, and nobody waits", id="far-off"),
        pytest.param('[[exports]]\nat="9999999d"', "exports[0]: at is '9999999d', and nobody waits", id="far-off-days"),
        pytest.param(
            DAILY.format("a", 1) + DAILY.format("b", 0),
            "schedules[0]: schedules[1] evaluates in the sandbox 'prod' already, and one is allowed.",
            id="second-schedule",
        ),
        pytest.param(
            '[[jobs]]\nat=1\nname="n"\nkind="export_job"\n' + DAILY.format("n", 9),
            "jobs[0]: name is 'n', as that of schedules[0]. Write another",
            id="name-twice",
        ),
        pytest.param(
            DAILY.format("n", 0) + '[[statuses]]\nat=1\njob="n"\nstatus="FAILED"',
            "statuses[0]: 'n' names nothing that is there by then. Give that name to an entry of [[jobs]].",
            id="name-of-something-else",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write_instead(tmp_path, text, told):
    (line,) = problems(tmp_path, text)
    assert told in line
    assert "\n" not in line


def test_every_entry_with_a_mistake_is_told(tmp_path):
    text = '[[jobs]]\nat=1\nkind="a"\n[[jobs]]\nat=1\nkind="b"\n[[faults]]\nat=-1\n[other]\n'
    assert len(problems(tmp_path, text)) == 5


def test_every_mistake_of_an_entry_is_told_not_the_first_alone(tmp_path):
    text = f"""
    [[jobs]]
    at = "soon"
    kind = "segmnt_job"
    script = [["NEW", -1], ["QUEUED", 1], ["DONE"]]
    cuont = 2
    cuotn = 2
    count = 0
    [[evaluations]]
    at = 1
    sandbox = 3
    segments = ["{SEGMENT}", "one", "two"]
    [[faults]]
    at = 1
    method = "FETCH"
    times = 0
    [[statuses]]
    at = 1
    job = "nobody"
    """
    told = problems(tmp_path, text)
    for begins in (
        "jobs[0]: at is 'soon'",
        "jobs[0]: kind is 'segmnt_job'",
        "jobs[0]: script has the step ['NEW', -1]",
        "jobs[0]: script has the step ['DONE']",
        "jobs[0]: it has 'cuont'",
        "jobs[0]: it has 'cuotn'",
        "jobs[0]: count is 0",
        "evaluations[0]: sandbox is 3",
        "evaluations[0]: No segment definition with id 'one' in sandbox 'prod'",
        "evaluations[0]: No segment definition with id 'two' in sandbox 'prod'",
        "faults[0]: fault is not an object",
        "faults[0]: method is 'FETCH'",
        "faults[0]: times is 0",
        "statuses[0]: status is None",
        "statuses[0]: 'nobody' names nothing that is there by then",
    ):
        (one,) = [line for line in told if line.startswith(begins)]
        told.remove(one)
    assert told == []


@pytest.mark.parametrize(
    "entry",
    [
        '[[evaluations]]\nat=1\nsegments=["unknown"]',
        '[[schedules]]\nat=1\nname="n"\nschedule="0 0 1 * * ?"\nsegments=["unknown"]',
        '[[profiles]]\nat=1\nlose=0.5\nsegment_id="unknown"',
        '[[exports]]\nat=1\nbody={filter={segments=[{segmentId="unknown"}]}}',
    ],
)
def test_a_segment_that_does_not_exist_is_told_before_anything_is_played(tmp_path, entry):
    (line,) = problems(tmp_path, entry)
    assert "[0]: No segment definition with id 'unknown' in sandbox 'prod'" in line
    known = tmp_path / "known.toml"
    for there in (SEGMENT, "*"):
        if there == SEGMENT or ("profiles" not in entry and "exports" not in entry):
            known.write_text(entry.replace("unknown", there))
            assert load(str(known)).steps


def test_a_dataset_that_does_not_exist_is_told_too(tmp_path):
    (line,) = problems(tmp_path, '[[exports]]\nat=1\nbody={destination={datasetId="unknown"}}')
    assert line.startswith("exports[0]: No dataset with id 'unknown'")


def test_more_schedules_are_in_order_where_a_quirk_is_or_in_another_sandbox_or_for_exports(tmp_path):
    path = tmp_path / "scenario.toml"
    for rest in (
        DAILY.format("b", 1) + "[[quirks]]\nat=1\nmulti_schedules=true",
        DAILY.format("b", 1) + 'sandbox="dev"',
        DAILY.format("b", 1) + 'type="export"',
    ):
        path.write_text(DAILY.format("a", 1) + rest)
        assert len(load(str(path)).steps) >= 2
    path.write_text(DAILY.format("a", 1) + DAILY.format("b", 1) + "[[quirks]]\nat=2\nmulti_schedules=true")
    with pytest.raises(ScenarioError, match="one is allowed"):
        load(str(path))


def test_a_job_must_be_named_before_its_status_is_set(tmp_path):
    text = '[[jobs]]\nat="1m"\nname="it"\nkind="export_job"\n[[statuses]]\nat=1\njob="it"\nstatus="FAILED"'
    (line,) = problems(tmp_path, text)
    assert line.startswith("statuses[0]: 'it' names nothing")


def test_a_file_that_is_not_there_is_told_with_what_comes_along(tmp_path):
    with pytest.raises(ScenarioError, match="night"):
        load(str(tmp_path / "none.toml"))


def test_a_schedule_may_be_due_until_a_day_after_it_is_made(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('[[schedules]]\nat = "7h"\nname = "n"\ndue = "30h"\n')
    assert load(str(path)).steps[0].due_s == 30 * 3600
