"""Mail, Apprise and CloudEvents from the real daemon, with everything logged: what arrives; no secret shows."""

import asyncio
import email
import email.policy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from house import House, an_export, until
from inbox import URL_SECRET
from receiver import Receiver


class Mailbox:
    """Takes every mail."""

    def __init__(self) -> None:
        self.mails: list[email.message.Message] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Listen on loopback; yield the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, hostname="mail.test", loop=loop), "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


async def test_a_failure_arrives_by_mail_by_apprise_and_as_a_cloud_event(house: House) -> None:
    mailbox = Mailbox()
    async with Receiver() as phone, Receiver() as router, mailbox.open() as port:
        quick = {"first_delay": "100ms", "max_delay": "500ms"}
        daemon = await house.daemon(
            channels=[
                house.channel("events"),
                {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": port, "security": "none",
                 "sender": "segwatch@example.org", "to": ["oncall@example.org"]} | quick,
                {"name": "phone", "kind": "apprise",
                 "url": f"json://{phone.origin.removeprefix('http://')}/{URL_SECRET}"} | quick,
                {"name": "router", "kind": "webhook", "url": router.url, "format": "cloudevents"} | quick,
            ],
            routes=[
                {"match": {}, "channels": ["events"]},
                {"match": {"type": "job.failed"}, "channels": ["mail", "phone", "router"]},
            ],
            log={"format": "json", "level": "debug"},
            polling={"names": False},  # else a title has them from some moment on
        )  # fmt: skip
        await house.watching(daemon)
        [failed] = await house.platform.place("export_job", ["NEW", 1], ["FAILED", 0], body=an_export())
        await house.inbox.until("job.failed", job_id=failed)

        async def all_told() -> bool:
            return bool(mailbox.mails and phone.got and router.got)

        await until(all_told, "mail, Apprise and the router are told")
        [mail], [message], [event] = mailbox.mails, phone.got, router.got
        assert mail["Subject"] == f"[critical] Export {failed} failed in prod"
        assert json.loads(message.body)["title"] == f"Export {failed} failed in prod"
        read = from_http_event(HTTPMessage(headers=event.headers, body=event.body))
        assert (read.get_type(), read.get_data()["job_id"]) == ("job.failed", failed)
        for channel in ("mail", "phone", "router"):
            await daemon.until_metric(1, "segwatch_deliveries_total", channel=channel)
        assert await daemon.stop() == 0
