"""What is known beside an event reaches every kind of channel, within its limits, and marks up nothing there."""

from functools import partial

import aiohttp
import pytest
from channel_cases import CASES, CHATS, NOW, assert_within_limits, delivery, event, filled
from notices import firing
from receiver import Answer, Receiver

from segwatch.deliveries.error_codes import ErrorCode
from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.links import Link
from segwatch.deliveries.message import message_of
from segwatch.deliveries.names import NameKey, Resource
from segwatch.deliveries.phrases import text as as_told
from segwatch.deliveries.runes import HTML
from segwatch.jobs.events import EventType
from segwatch.notifiers.alertmanager import alert_of
from segwatch.notifiers.apprise import _text
from segwatch.notifiers.email import mail_of
from segwatch.notifiers.pagerduty import order_of

NAME, CAUSE = "Gold <b>members</b> & [x](https://evil.test)", "It could not *write* <!channel>."
URL = "https://logs.example.test/{job_id}?d={dataset}"
ERRORS = [{"code": "0090000009", "message": "Error writing"}]


def knowledge(name: str, cause: str, *, sandbox: str = "prod", id_: str = "d1") -> Knowledge:
    names = {NameKey(sandbox=sandbox, resource=resource, id=id_): name for resource in Resource}
    codes = (ErrorCode(cause=cause, advice="Wait.", runbook="https://wiki.example.test/9"),)
    return Knowledge(names=names, errors=codes, links=(Link(name="Logs", url=URL),))


KNOWN = knowledge(NAME, CAUSE)
FAILED = event(details={"errors": ERRORS, "dataset": "d1"})
NOTICE = firing(details={"dataset": "d1", "code": "0090000009", "cause": "Error writing (0090000009)"})
LOGS = "https://logs.example.test/24116?d=d1"


def test_pagerduty_has_links_and_what_the_error_means():
    order = order_of(NOTICE, message_of(NOTICE, KNOWN))
    assert [one["href"] for one in order["links"]] == ["https://wiki.example.test/9", LOGS]
    details = order["payload"]["custom_details"]
    assert details["What it means"] == f"{CAUSE} Wait."
    assert details["Dataset"] == f"{NAME} (d1)"


def test_alertmanager_has_them_as_annotations_and_the_first_link_as_its_source():
    alert = alert_of(NOTICE, message_of(NOTICE, KNOWN), NOW, fires_for=NOW - NOW.replace(minute=0))
    assert alert["generatorURL"] == "https://wiki.example.test/9"
    assert alert["annotations"]["logs_url"] == LOGS
    assert CAUSE in alert["annotations"]["description"]


def test_mail_has_them_and_its_html_escapes_them():
    mail = mail_of(delivery(FAILED), message_of(FAILED, KNOWN), sender="a@example.org", to=("b@example.org",))
    assert "Gold" in mail["Subject"]
    plain, rich = (part.get_content() for part in mail.iter_parts())
    assert f"{CAUSE} Wait." in plain
    assert LOGS in plain
    assert f"{CAUSE.translate(HTML)} Wait." in rich
    assert LOGS in rich
    assert "<b>" not in rich


def test_apprise_has_them():
    text = _text(message_of(FAILED, KNOWN))
    assert f"{CAUSE} Wait." in text
    assert LOGS in text


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize(
    "text", ["*_~`<!channel>|[x](http://x)@all " * 40, "路径\u202e\x1b[31m\r\n" * 400], ids=["markup", "odd"]
)
@pytest.mark.parametrize("type_", [EventType.JOB_FAILED, EventType.ALERT_FIRING, EventType.AUDIENCE_ANOMALY])
async def test_names_and_causes_of_any_length_stay_within_the_limits(name, text, type_):
    case, of = CASES[name], filled(text, type_)
    known = knowledge(text, text * 20, sandbox=text, id_=as_told(text))
    async with aiohttp.ClientSession() as session, Receiver(case.answered(Answer())) as receiver:
        await case.build(receiver.url, session, compose=partial(message_of, knowledge=known)).send(delivery(of))
    (got,) = receiver.got
    assert_within_limits(name, got.body)
