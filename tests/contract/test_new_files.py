"""A new file in notifiers/ is a new kind of channel, one in kinds/ a new kind of job: nothing else has to be told."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process

import aiohttp
import pytest

CHAT = '''
"""A chat."""

from pydantic import Field, SecretStr

from segwatch.deliveries.model import Accepted
from segwatch.notifiers.base import Options


class ChatOptions(Options):
    """Writes to a room of a chat."""

    token: SecretStr = Field(description="Lets us in.")
    room: str = Field("lobby", description="Where to write.")


class Chat:
    def __init__(self, options):
        self._options = options

    async def send(self, delivery):
        assert self._options.token.get_secret_value() == "hush-hush"
        assert self._options.room == "lobby"
        return Accepted()


class ChatKind:
    name = "team_chat"
    options = ChatOptions
    stateful = False

    def build(self, options, context):
        return Chat(options)


NOTIFIER = ChatKind()
'''
QUERY = '''
"""A query."""

from datetime import timedelta

from segwatch.kinds.segment_job import SegmentJob


class QueryJob(SegmentJob):
    name = "query_job"
    overdue_after = timedelta(hours=5)


KIND = QueryJob()
'''
WITH_FILES = """
import sys
import segwatch.kinds, segwatch.notifiers
segwatch.kinds.__path__.append(sys.argv.pop(1))
segwatch.notifiers.__path__.append(sys.argv.pop(1))
"""
SEGWATCH = f"{WITH_FILES}\nfrom segwatch.__main__ import main\nmain()"
REFERENCE = f"{WITH_FILES}\nfrom segwatch.config import reference\nprint(reference())"


@pytest.fixture
def config(tmp_path):
    """Return a settings file that uses the new kinds, with the files of these beside it."""
    for folder, name, text in (("kinds", "query_job", QUERY), ("notifiers", "team_chat", CHAT)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(text)
    (tmp_path / "token").write_text("hush-hush\n")
    file = tmp_path / "config.toml"
    file.write_text(f"""
[platform]
base_url = "http://127.0.0.1:9"
ims_url = "http://127.0.0.1:9"
[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "abc"
client_secret = "hush"
[polling.overdue_after]
query_job = "7h"
[store]
url = "sqlite://{tmp_path}/segwatch.db"
[http]
listen = "127.0.0.1:0"
[[channels]]
name = "ops"
kind = "team_chat"
token_file = "token"
[[routes]]
match = {{ kind = "query_job" }}
channels = ["ops"]
[log]
format = "json"
""")
    return file


async def python(config, code, *arguments) -> Process:
    folder = config.parent
    found = (str(folder / "kinds"), str(folder / "notifiers"))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *found, *arguments, stdout=PIPE, stderr=PIPE
    )


async def segwatch(config, *arguments) -> tuple[int | None, str]:
    process = await python(config, SEGWATCH, *arguments, "--config", str(config))
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


async def test_a_new_kind_of_channel_is_set_and_sent_to(config):
    code, text = await segwatch(config, "notify", "test", "ops")
    assert (code, text) == (0, "ops: accepted\n")


async def test_its_settings_are_checked_and_its_secrets_hidden(config):
    code, text = await segwatch(config, "config", "show")
    assert code == 0
    assert "lobby" in text
    assert "hush-hush" not in text
    config.write_text(config.read_text().replace("token_file", "romo"))
    code, text = await segwatch(config, "check")
    assert code == 2
    assert "channels[0] has no token. Write token_file = ... or token = ..." in text
    assert "channels[0].romo is not a setting. Did you mean room?" in text


async def test_the_reference_tells_of_both(config):
    process = await python(config, REFERENCE)
    page, _ = await process.communicate()
    rows = page.decode().splitlines()
    assert '| `query_job` | duration | `"5h"` | Age at which an active query job is overdue. |' in rows
    assert "| `token` | secret | required, or `token_file` | Lets us in. |" in rows


async def test_the_daemon_watches_a_new_kind_of_job(config):
    process = await python(config, SEGWATCH, "run", "--config", str(config))
    try:
        async with asyncio.timeout(30):
            lines = [json.loads(await process.stderr.readline())]
            while lines[-1]["event"] != "started":
                lines.append(json.loads(await process.stderr.readline()))
            (url,) = [line["url"] for line in lines if line["event"] == "listening"]
            async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as reply:
                assert 'kind="query_job"' in await reply.text()
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
