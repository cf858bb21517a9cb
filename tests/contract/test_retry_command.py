"""What `segwatch jobs retry` says that will become of a person's wish."""

import pytest
from store_builders import answer, at, job, key

from segwatch.cli.jobs import retry
from segwatch.jobs.model import Facts, Status
from segwatch.jobs.resubmission import Step
from segwatch.store.base import Change
from segwatch.store.factory import store_of

SANDBOX = 'name = "prod"\norg_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"\nclient_id = "c"\naccess_token = "made-up-token"'
BROKEN = "the record of job 1 is not told: 500"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"step": Step.REFUSED, "reason": "undecided"}, "again if nothing stands in the way"),
        ({"step": Step.SCHEDULED}, "again if nothing stands in the way"),
        ({"step": Step.SCHEDULED, "waits_for": BROKEN}, f"again unless it still waits: {BROKEN}"),
    ],
)
async def test_it_promises_no_submission_that_may_have_to_wait(tmp_path, capsys, fields, said):
    config, url = tmp_path / "c.toml", f"sqlite://{tmp_path}/segwatch.db"
    config.write_text(f'[[sandboxes]]\n{SANDBOX}\n[store]\nurl = "{url}"\n')
    store = store_of(url)
    await store.open()
    failed = job("1", status=Status.FAILED, word="FAILED", ended_at=at(0), facts=Facts(request="{}"))
    await store.commit([Change(job=failed, resubmission=answer("1", **fields))])
    await store.close()
    await retry("1", config=str(config))
    told = " ".join(capsys.readouterr().out.split())
    assert f"it will look within seconds, and submit {key('1')} {said};" in told.replace("look anew", "look")
