"""Every mistake in the settings is one line that says what to write instead."""

# ruff: noqa: E501  (a row of the tables is one mistake and the whole line that it is told in)

import base64
from pathlib import Path

import pytest
from settings_files import SANDBOX

from segwatch.config import ConfigError, load

CHANNEL = """
[[channels]]
name = "ops"
kind = "slack"
url = "https://hooks.example.test/hush-hush"
"""
PAGER = """
[[channels]]
name = "pager"
kind = "pagerduty"
routing_key = "https://events.example.test"
"""
REPLICAS = """
[[channels]]
name = "am"
kind = "alertmanager"
urls = ["https://am.example.test"]
"""
MAIL = """
[[channels]]
name = "mail"
kind = "email"
host = "smtp.example.test"
sender = "segwatch@example.test"
to = ["oncall@example.test"]
"""
PIPELINE = """
[[pipelines]]
name = 'nightly'
segments = ['seg-1']
dataset = 'Segment Export'
"""


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Return the problems of a file with this text, whose label is config.toml."""
    monkeypatch.chdir(tmp_path)

    def of(text, **env):
        Path("config.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load(Path("config.toml"), env)
        assert all("\n" not in line for line in caught.value.problems)
        assert caught.value.__context__ is None or caught.value.__suppress_context__
        return caught.value.problems

    return of


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("", "sandboxes is missing. Write [[sandboxes]] and the name of at least one sandbox.", id="none"),
        pytest.param(SANDBOX + "[polling]\nintervl = '5s'", "polling.intervl is not a setting. Did you mean interval?", id="unknown-key"),
        pytest.param(SANDBOX + "[metric]\nx = 1", "metric is not a setting. Did you mean metrics?", id="unknown-section"),
        pytest.param(SANDBOX + "[surprises]\nx = 1", "surprises is not a setting. Known here: platform, sandboxes, polling, retry, detectors, quota, store, http, channels, routes, error_codes, links, templates, pipelines, metrics, log, daemon.", id="an-unknown-section-like-no-other"),
        pytest.param("_env_file = 'x'" + SANDBOX, "_env_file is not a setting. Known here: platform, sandboxes, polling, retry, detectors, quota, store, http, channels, routes, error_codes, links, templates, pipelines, metrics, log, daemon.", id="no-way-into-the-constructor"),
        pytest.param(SANDBOX + "client_secrt = 'hush-hush'", "sandboxes[0].client_secrt is not a setting. Did you mean client_secret?", id="unknown-key-in-a-list"),
        pytest.param(SANDBOX + "[polling]\ninterval = 15", 'polling.interval is 15, which has no unit. Write "15s".', id="no-unit"),
        pytest.param(SANDBOX + "[polling]\ninterval = '1h30m'", 'polling.interval is "1h30m", which is no duration. Write a whole number and ms, s, m, h or d, such as "90s".', id="no-duration"),
        pytest.param(SANDBOX + "[polling]\ninterval = '500ms'", 'polling.interval is "500ms", which is below 1s. Write "1s" or longer.', id="too-short"),
        pytest.param(SANDBOX + "[polling]\nlookback = '9999d'", 'polling.lookback is "9999d", which is above 3650d. Write "3650d" or shorter.', id="too-long"),
        pytest.param(SANDBOX + "[daemon]\nshutdown_grace = '10s'", 'daemon.shutdown_grace is "10s", which is above 9s. Write "9s" or shorter.', id="grace"),
        pytest.param(SANDBOX + "[polling]\nconcurrency = 0", "polling.concurrency is 0, which is below 1. Write 1 or more.", id="below"),
        pytest.param(SANDBOX + "[polling]\nconcurrency = 101", "polling.concurrency is 101, which is above 100. Write 100 or less.", id="above"),
        pytest.param(SANDBOX + f"[metrics]\nsegments = {[str(n) for n in range(101)]}", "metrics.segments is a list, which names 101 segments. Name 100 or fewer: each is a series of its own.", id="too-many-segments"),
        pytest.param(SANDBOX + "[metrics]\nsegments = ['a', 'b c']", 'metrics.segments[1] is "b c", which is empty or contains a blank. Write one word.', id="no-segment-id"),
        pytest.param(SANDBOX + "requests_per_second = 0", "sandboxes[0].requests_per_second is 0, which is not above 0. Write more than 0.", id="no-rate"),
        pytest.param(SANDBOX + "requests_per_second = nan", "sandboxes[0].requests_per_second is nan, which is not a finite number. Write one.", id="nan"),
        pytest.param(SANDBOX + "burst = true", "sandboxes[0].burst is true, which is not a number. Write a number.", id="truth-is-no-number"),
        pytest.param(SANDBOX + "[retry]\nmax_attempts = 'many'", 'retry.max_attempts is "many", which is not a whole number. Write one, without quotes.', id="no-number"),
        pytest.param(SANDBOX + "[retry]\nmode = 'atuo'", 'retry.mode is "atuo". Known values: auto, propose, off. Did you mean auto?', id="choice"),
        pytest.param(SANDBOX + "[[retry.rules]]\ncode = 90\naction = 'never'", "retry.rules[0].code is 90, which is not text. Write it in quotes.", id="no-text"),
        pytest.param(SANDBOX + "[[retry.rules]]\ncode = '90'", "retry.rules[0].action is missing. Write action = ...", id="missing-key"),
        pytest.param("polling = 5" + SANDBOX, "polling is a number, which is not a table. Write [polling].", id="no-table"),
        pytest.param("[sandboxes]\nname = 'prod'", "sandboxes is a table, which is not a list. Write [[sandboxes]].", id="single-brackets"),
        pytest.param(SANDBOX + "scopes = 'openid'", 'sandboxes[0].scopes is text, which is not a list. Write scopes = ["..."].', id="no-list"),
        pytest.param(SANDBOX + "[platform]\nbase_url = 'platform.adobe.io'", 'platform.base_url is "platform.adobe.io", which has no scheme. Write https:// before it.', id="no-scheme"),
        pytest.param(SANDBOX + "[platform]\nims_url = 'http://ims.example.test'", 'platform.ims_url is "http://ims.example.test", which is not encrypted. Write https://; http:// is for loopback hosts only.', id="http"),
        pytest.param(SANDBOX + "[platform]\nims_url = 'http://127.0.0.1.example.test'", 'platform.ims_url is "http://127.0.0.1.example.test", which is not encrypted. Write https://; http:// is for loopback hosts only.', id="not-loopback"),
        pytest.param(SANDBOX + "[platform]\nbase_url = 'https://me:hush-hush@x.test'", 'platform.base_url is "https://**********@x.test", which has more than scheme, host, port and path. Write these only.', id="userinfo"),
        pytest.param(SANDBOX + "[platform]\nbase_url = 'https://x:99999'", 'platform.base_url is "https://x:99999", which is no URL. Write https:// and the host.', id="port"),
        pytest.param(SANDBOX + "[store]\nurl = 'postgresql://u:hush-hush@h/x'", 'store.url is "postgresql://**********@h/x". This version keeps its data in SQLite. Write sqlite:/// and an absolute path.', id="store"),
        pytest.param(SANDBOX + "[store]\nurl = 'sqlite://x.db'", 'store.url is "sqlite://x.db", which names no file by its absolute path. Write such as sqlite:///var/lib/segwatch/segwatch.db.', id="relative-store"),
        pytest.param(SANDBOX + "[http]\nlisten = ':9469'", 'http.listen is ":9469", which is not host:port. Write such as "127.0.0.1:9469"; "0.0.0.0:9469" for every interface.', id="listen"),
        pytest.param(SANDBOX + "[http]\nlisten = '300.0.0.1:1'", 'http.listen is "300.0.0.1:1", which is no address of a machine. Write such as "127.0.0.1:9469", or the name of a host.', id="no-address"),
        pytest.param(SANDBOX + "[http]\nlisten = '127.0.0:1'", 'http.listen is "127.0.0:1", which is no address of a machine. Write such as "127.0.0.1:9469", or the name of a host.', id="no-whole-address"),
        pytest.param(SANDBOX + "[http]\nlisten = '[::1::2]:1'", 'http.listen is "[::1::2]:1", which is no address of a machine. Write such as "127.0.0.1:9469", or the name of a host.', id="no-ipv6-address"),
        pytest.param(SANDBOX + "[http]\nlisten = '-a..b:1'", 'http.listen is "-a..b:1", which is no address of a machine. Write such as "127.0.0.1:9469", or the name of a host.', id="no-host-name"),
        pytest.param(SANDBOX + "[http]\ntoken = 'two words'", 'http.token is "**********", which contains a blank or a letter that a header cannot carry. Write the token only.', id="token"),
        pytest.param(SANDBOX.replace("prod", "Prod"), 'sandboxes[0].name is "Prod", which no sandbox can be called. Write lower-case letters, digits and hyphens.', id="sandbox-name"),
        pytest.param(SANDBOX.replace("@AdobeOrg", ""), 'sandboxes[0].org_id is "0A1B2C3D4E5F60718293A4B5", which is no organization id. Write 24 hex digits and "@AdobeOrg".', id="org"),
        pytest.param(SANDBOX + SANDBOX, 'sandboxes[1].name is "prod", which sandboxes[0] has already. Write another name.', id="same-sandbox"),
        pytest.param(SANDBOX + "access_token = 'x'", "sandboxes[0] has both client_secret and access_token. Write one of them.", id="two-credentials"),
        pytest.param(SANDBOX.replace('client_secret = "hush-hush"', ""), "sandboxes[0] has no credential. Write client_secret_file = ... or access_token_file = ...", id="no-credential"),
        pytest.param(SANDBOX + "client_secret_file = 'x'", "sandboxes[0].client_secret and client_secret_file are both given. Write one of them.", id="both-forms"),
        pytest.param(SANDBOX.replace('client_secret = "hush-hush"', "client_secret_file = 'nope'"), 'sandboxes[0].client_secret_file is "nope", which does not exist. Put the secret into that file.', id="no-secret-file"),
        pytest.param(SANDBOX.replace('client_secret = "hush-hush"', "client_secret_file = '.'"), 'sandboxes[0].client_secret_file is ".", which cannot be read: Is a directory. Let the user of this process read it.', id="unreadable-secret-file"),
        pytest.param(SANDBOX + CHANNEL + CHANNEL, 'channels[1].name is "ops", which channels[0] has already. Write another name.', id="same-channel"),
        pytest.param(SANDBOX + CHANNEL.replace("slack", "slak"), 'channels[0].kind is "slak". Did you mean slack?', id="channel-kind"),
        pytest.param(SANDBOX + CHANNEL.replace('kind = "slack"', ""), "channels[0].kind is missing. Known kinds: alertmanager, apprise, discord, email, google_chat, log, mattermost, pagerduty, slack, teams, webhook.", id="no-channel-kind"),
        pytest.param(SANDBOX + "[[channels]]\nname = 'ops'\nkind = 'webhook'", "channels[0] has no url. Write url_file = ... or url = ...", id="no-url"),
        pytest.param(SANDBOX + CHANNEL.replace("https", "http"), 'channels[0].url is "**********", which is not encrypted. Write https://; http:// is for loopback hosts only.', id="channel-http"),
        pytest.param(SANDBOX + CHANNEL.replace("https://", ""), 'channels[0].url is "**********", which has no scheme. Write https:// before it.', id="channel-scheme"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '8am', zone = 'UTC' }", 'channels[0].digest.at is "8am", which is no time of day. Write hours and minutes, such as "08:00".', id="digest-at"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '08:00' }", "channels[0].digest.zone is missing. Write zone = ...", id="digest-zone-missing"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '08:00', zone = 'amsterdam' }", 'channels[0].digest.zone is "amsterdam", which is no time zone. Write its IANA name, such as "Europe/Amsterdam". Did you mean Europe/Amsterdam?', id="digest-zone"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '08:00', zone = 'UTC', days = ['monday'] }", 'channels[0].digest.days[0] is "monday". Known values: mon, tue, wed, thu, fri, sat, sun. Did you mean mon?', id="digest-day"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '08:00', zone = 'UTC', days = [] }", "channels[0].digest.days is a list, which is empty. Leave the key out for all.", id="digest-no-day"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '08:00', zone = 'UTC', sandboxes = ['prd'] }", 'channels[0].digest.sandboxes[0] is "prd". Known sandboxes: prod. Did you mean prod?', id="digest-sandbox"),
        pytest.param(SANDBOX + SANDBOX.replace("prod", "dev") + CHANNEL + "digest = { at = '08:00', zone = 'UTC', sandboxes = ['prod'] }\n[[routes]]\nmatch = { sandbox = 'dev' }\nchannels = ['ops']", 'channels[0].digest.sandboxes[0] is "prod", of which no route tells this channel. Write "dev", or add a route.', id="digest-sandbox-not-told"),
        pytest.param(SANDBOX + CHANNEL + "digest = '08:00'", 'channels[0].digest is "08:00", which is no table. Write digest = { at = "08:00", zone = "Europe/Amsterdam" }.', id="digest-no-table"),
        pytest.param(SANDBOX + PAGER + "digest = { at = '08:00', zone = 'UTC' }", "channels[0].digest is set, but pagerduty keeps incidents, and a digest is none. Take it out, or give it to a chat or a mailbox.", id="digest-of-a-pager"),
        pytest.param(SANDBOX + CHANNEL + "secret = 'x'", "channels[0].secret is not a setting. Known here: name, kind, timeout, first_delay, max_delay, max_age, digest, url, token, channel_id, api_url, url_file, token_file.", id="key-of-another-kind"),
        pytest.param(SANDBOX + CHANNEL.replace("slack", "webhook") + "secret = 'whsec_a'", 'channels[0].secret is "**********", which is not base64, with or without "whsec_" before it. Copy it again from the receiver.', id="signing-secret"),
        pytest.param(SANDBOX + CHANNEL.replace("slack", "webhook") + "previous_secret = 'aGVsbG8gaGVsbG8='", 'channels[0].previous_secret is "**********", and there is no secret that replaces it. Write secret_file = ..., or leave this one out.', id="previous-secret"),
        pytest.param(SANDBOX + PAGER.replace("routing_key", "base_url"), "channels[0] has no routing_key. Write routing_key_file = ... or routing_key = ...", id="no-routing-key"),
        pytest.param(SANDBOX + REPLICAS.replace("https", "http"), 'channels[0].urls[0] is "http://am.example.test", which is not encrypted. Write https://; http:// is for loopback hosts only, or with allow_http = true.', id="replica-in-the-clear"),
        pytest.param(SANDBOX + REPLICAS.replace("https", "http") + "allow_http = true\nbearer_token = 'hush-hush'", 'channels[0].bearer_token is "**********", and would be sent to http://am.example.test for anybody to read. Write https:// there, or leave it out.', id="token-in-the-clear"),
        pytest.param(SANDBOX + REPLICAS + "password = 'hush-hush'", 'channels[0].password is "**********", which counts only with a username. Write that too, or take bearer_token.', id="password-of-nobody"),
        pytest.param(SANDBOX + SANDBOX.replace("prod", "dev") + CHANNEL + "digest = { at = '08:00', zone = 'UTC', sandboxes = ['dev'] }\n[[routes]]\nmatchers = ['sandbox=prod']\nchannels = ['ops']", 'channels[0].digest.sandboxes[0] is "dev", of which no route tells this channel. Write "prod", or add a route.', id="digest-sandbox-not-told-by-matchers"),
        pytest.param(SANDBOX + CHANNEL + "digest = { at = '08:00', zone = 'UTC', sandboxes = ['prod'] }\n[[routes]]\nmatch = { type = 'channel.failing' }\nchannels = ['ops']", 'channels[0].digest.sandboxes[0] is "prod", of which no route tells this channel. Add a route.', id="digest-of-no-job"),
        pytest.param(SANDBOX + REPLICAS + "labels = { severity = 'x' }", 'channels[0].labels, of which one cannot be a label here. Write such as { team = "data" }.', id="label"),
        pytest.param(SANDBOX + MAIL + "security = 'none'", 'channels[0].security is "none", which is for a server on this machine only. Write "starttls" or "tls".', id="mail-in-the-clear"),
        pytest.param(SANDBOX + MAIL.replace("oncall@example.test", "oncall"), 'channels[0].to[0] is "oncall", which is no address. Write such as oncall@example.org, without a name.', id="no-address"),
        pytest.param(SANDBOX + CHANNEL.replace("slack", "teams").replace("hooks.example.test", "x.webhook.office.com"), 'channels[0].url is "**********", which is an Office 365 connector, and Microsoft has retired these. In Teams, add the workflow "Send webhook alerts to a channel", and write its URL.', id="retired-connector"),
        pytest.param(SANDBOX + "[[channels]]\nname = 'ops'\nkind = 'slack'", "channels[0] has no url. Write url_file = ... or url = ..., or for an app token_file and channel_id.", id="slack-without-address"),
        pytest.param(SANDBOX + "[[channels]]\nname = 'ops'\nkind = 'slack'\nurl_file = 'nope'", 'channels[0].url_file is "nope", which does not exist. Put the secret into that file.', id="slack-url-file"),
        pytest.param(SANDBOX + CHANNEL + "token = 'xoxb-hush-hush'", "channels[0] has both url and token or channel_id. Write url for a webhook, the others for an app.", id="slack-in-two-ways"),
        pytest.param(SANDBOX + CHANNEL.replace("url =", "token = 'xoxb-hush-hush' #"), 'channels[0] has a token and no channel_id. Write channel_id = "C0123456789".', id="slack-app-nowhere"),
        pytest.param(SANDBOX + CHANNEL.replace("url =", "token = 'hush-hush' #"), 'channels[0].token is "**********", which is no bot token. Copy the "Bot User OAuth Token", which begins with xoxb-.', id="no-bot-token"),
        pytest.param(SANDBOX + CHANNEL.replace("url =", "token = 'xoxb-hush-hush'\nchannel_id = '#ops' #"), 'channels[0].channel_id is "#ops", which is no id of a channel. Copy it from the foot of the channel\'s details, such as "C0123456789".', id="slack-channel-by-name"),
        pytest.param(SANDBOX + "[[error_codes]]\ncause = 'x'", 'error_codes[0] has neither code nor text, and would fit every error. Write code = "0090000009".', id="code-of-every-error"),
        pytest.param(SANDBOX + "[[error_codes]]\ncode = '1'", 'error_codes[0] says nothing. Write cause = "...", advice = "..." or runbook = "https://...".', id="code-without-words"),
        pytest.param(SANDBOX + "[[error_codes]]\ncode = '00*9'\ncause = 'x'", 'error_codes[0].code is "00*9", in which a * may only stand at the end. Write the whole code, or such as "00900*".', id="code-with-a-star"),
        pytest.param(SANDBOX + "[[error_codes]]\ncode = '1'\nrunbook = 'wiki.example.test'", 'error_codes[0].runbook is "wiki.example.test", which has no scheme. Write https:// before it.', id="runbook"),
        pytest.param(SANDBOX + '[[error_codes]]\ncode = "1"\ncause = "a\\nb"', 'error_codes[0].cause is "a\\nb", which contains a line break or a control character. Write it on one line.', id="cause-in-lines"),
        pytest.param(SANDBOX + "[[error_codes]]\ncode = '1'\ncauses = 'x'\ncause = 'x'", "error_codes[0].causes is not a setting. Did you mean cause?", id="unknown-key-of-a-code"),
        pytest.param(SANDBOX + "[[links]]\nname = 'Logs'\nurl = 'https://x.example.test/{job}'", 'links[0].url is "https://x.example.test/{job}", in which {job} stands for nothing. Known: {sandbox}, {kind}, {job_id}, {type}, {event_id}, {dataset}, {segment}, {code}, {reason}.', id="unknown-placeholder"),
        pytest.param(SANDBOX + "[[links]]\nname = 'Logs'\nurl = 'https://x.example.test/{job_id'", 'links[0].url is "https://x.example.test/{job_id", in which a brace is without its other one. Write %7B or %7D for a brace itself.', id="half-a-placeholder"),
        pytest.param(SANDBOX + "[[links]]\nname = 'Logs'\nurl = 'https://{sandbox}.example.test/'", 'links[0].url is "https://{sandbox}.example.test/", in which a placeholder stands in the host. Write the host itself.', id="placeholder-in-a-host"),
        pytest.param(SANDBOX + "[[links]]\nname = 'Logs'\nurl = 'ftp://x.example.test/'", 'links[0].url is "ftp://x.example.test/", which is neither https:// nor http://. Write https:// and the host.', id="link-of-another-scheme"),
        pytest.param(SANDBOX + "[[links]]\nname = 'Logs'\nurl = 'https://me:hush-hush@x.example.test/{job_id}'", 'links[0].url is "https://**********@x.example.test/{job_id}", which has a name or a password before its host, and every reader sees it. Leave them out.', id="link-with-a-password"),
        pytest.param(SANDBOX + "[[error_codes]]\ncode = '1'\nrunbook = 'https://me@x.example.test/'", 'error_codes[0].runbook is "https://**********@x.example.test/", which has a name or a password before its host, and every reader sees it. Leave them out.', id="runbook-with-a-name"),
        pytest.param(SANDBOX + "[[links]]\nname = ''\nurl = 'https://x.example.test/'", 'links[0].name is "", which is empty. Write a name, such as "Runbook".', id="link-without-a-name"),
        pytest.param(SANDBOX + "[[links]]\nname = 'Logs'\nurl = 'https://x.example.test/'\nmatch = { sandbox = 'prd' }", 'links[0].match.sandbox is "prd". Known sandboxes: prod. Did you mean prod?', id="link-of-no-sandbox"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['opz']", 'routes[0].channels[0] is "opz". Known channels: ops. Did you mean ops?', id="unknown-channel"),
        pytest.param(SANDBOX + "[[routes]]\nchannels = ['ops']", 'routes[0].channels[0] is "ops", but there are no channels. Write [[channels]] and name = "ops".', id="no-channels"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = []", "routes[0].channels is a list, which is empty. Write at least one.", id="route-to-nobody"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\ngroup_bye = ['kind']", "routes[0].group_bye is not a setting. Did you mean group_by?", id="route-key"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\ngroup_by = ['knd']", 'routes[0].group_by[0] is "knd", which is no label of an event. Known labels: type, severity, sandbox, kind, status, reason, job_id, late, segment, dataset, pipeline, schedule, channel, alert.', id="group-label"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\ngroup_wait = 30", 'routes[0].group_wait is 30, which has no unit. Write "30s".', id="group-wait"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatchers = ['severty=critical']", 'routes[0].matchers[0] is "severty=critical", which names no label of ours. Known labels: type, severity, sandbox, kind, status, reason, job_id, late, segment, dataset, pipeline, schedule, channel, alert. Did you mean severity?', id="matcher-label"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatchers = ['sandbox']", 'routes[0].matchers[0] is "sandbox", which is no matcher. Write a label, one of = != =~ !~, and a value, such as severity="critical".', id="matcher"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatchers = 'sandbox=prod'", 'routes[0].matchers is text, which is not a list. Write matchers = ["..."].', id="matchers-not-a-list"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmin_severity = 'warn'", 'routes[0].min_severity is "warn". Known values: info, warning, critical. Did you mean warning?', id="min-severity"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\ncontinue = 'maybe'", 'routes[0].continue is "maybe", which is not a truth value. Write true or false.', id="continue"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nquiet_hours = { from = '22:00', to = '7:00', zone = 'UTC' }", 'routes[0].quiet_hours.to is "7:00", which is no time of day. Write hours and minutes, such as "08:00".', id="quiet-time"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nquiet_hours = { from = '22:00', to = '22:00', zone = 'UTC' }", 'routes[0].quiet_hours.to is "22:00", as `from` is, so they would never end. Write another time.', id="quiet-for-ever"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nquiet_hours = { from = '22:00', to = 22:00:00, zone = 'UTC' }", 'routes[0].quiet_hours.to is "22:00:00", as `from` is, so they would never end. Write another time.', id="quiet-for-ever-unquoted"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nquiet_hours = { from = '22:00', to = '07:00' }", 'routes[0].quiet_hours.zone is missing. Write zone = ...', id="quiet-without-zone"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nquiet_hours = { from = '22:00', to = '07:00', zone = 'amsterdam' }", 'routes[0].quiet_hours.zone is "amsterdam", which is no time zone. Write its IANA name, such as "Europe/Amsterdam". Did you mean Europe/Amsterdam?', id="quiet-zone"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { channel = 'opz' }", 'routes[0].match.channel is "opz". Known channels: ops. Did you mean ops?', id="match-channel"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { sandbx = 'prod' }", "routes[0].match.sandbx is not a setting. Did you mean sandbox?", id="match-key"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { sandbox = 'prd' }", 'routes[0].match.sandbox is "prd". Known sandboxes: prod. Did you mean prod?', id="match-sandbox"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { type = 'alert.firing' }", 'routes[0].match.type is "alert.firing", which is a message about alerts: made for one channel of a route that groups, it follows no route itself. Write the type of what opens the alert, such as job.failed.', id="match-a-notice"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { type = ['job.failed', 'alert.*'] }", 'routes[0].match.type[1] is "alert.*", which is a message about alerts: made for one channel of a route that groups, it follows no route itself. Write the type of what opens the alert, such as job.failed.', id="match-all-notices"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatchers = ['type=~\"alert[.].*\"']", 'routes[0].matchers[0] is "type=~"alert[.].*"", which is a message about alerts: made for one channel of a route that groups, it follows no route itself. Write the type of what opens the alert, such as job.failed.', id="matcher-of-notices"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { type = ['job.fayled'] }", 'routes[0].match.type[0] is "job.fayled". Did you mean job.failed?', id="match-type"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { severity = 'crit' }", 'routes[0].match.severity is "crit". Known values: info, warning, critical. Did you mean critical?', id="match-severity"),
        pytest.param(SANDBOX + CHANNEL + "[[routes]]\nchannels = ['ops']\nmatch = { job_id = [] }", "routes[0].match.job_id is a list, which is empty and would match nothing. Leave the key out to match everything.", id="match-nothing"),
        pytest.param(SANDBOX + PIPELINE + PIPELINE, 'pipelines[1].name is "nightly", which pipelines[0] has already. Write another name.', id="pipeline-twice"),
        pytest.param(SANDBOX + PIPELINE.replace("segments", "segments = ['s-1', 's-1']\n#"), 'pipelines[0].segments is a list, which names s-1 more than once. Name each segment once.', id="pipeline-segment-twice"),
        pytest.param(SANDBOX + PIPELINE + "sandbox = 'prd'", 'pipelines[0].sandbox is "prd". Known sandboxes: prod. Did you mean prod?', id="pipeline-sandbox"),
        pytest.param(SANDBOX + SANDBOX.replace("prod", "dev") + PIPELINE, 'pipelines[0] has no sandbox, and there are several. Write sandbox = "prod" or another.', id="pipeline-without-sandbox"),
        pytest.param(SANDBOX + PIPELINE + "schedule = 's1'", 'pipelines[0].schedule counts only with after = "schedule", not "manual". Write that.', id="pipeline-schedule"),
        pytest.param(SANDBOX + PIPELINE.replace("segments", "#"), 'pipelines[0] has no segments to evaluate. Write segments = ["..."], or after = "schedule".', id="pipeline-segments"),
        pytest.param(SANDBOX + PIPELINE.replace("dataset", "#"), 'pipelines[0] has no dataset to export to. Write dataset = "...", or adopt_export = "any".', id="pipeline-dataset"),
        pytest.param(SANDBOX + PIPELINE + "command = ['load']", 'pipelines[0].command[0] is "load", which is no absolute path. Write such as /usr/local/bin/load.', id="pipeline-command"),
        pytest.param(SANDBOX + CHANNEL + PIPELINE + "channels = ['opz']", 'pipelines[0].channels[0] is "opz". Known channels: ops. Did you mean ops?', id="pipeline-channel"),
        pytest.param(SANDBOX + PIPELINE + "download = 'exports'", 'pipelines[0].download is "exports", which is no absolute path. Write such as /var/lib/segwatch/exports.', id="pipeline-folder"),
        pytest.param(SANDBOX + PIPELINE.replace("'seg-1'", "'*'"), 'pipelines[0].segments is a list, which has "*" for all of them. Name those to export.', id="pipeline-of-all"),
        pytest.param(SANDBOX + PIPELINE + "fields = ['a,b']", 'pipelines[0].fields[0] is "a,b", which has a comma. Write each field in quotes of its own: "a", "b".', id="pipeline-fields-in-one"),
        pytest.param(SANDBOX + PIPELINE.replace("'Segment Export'", '"a\\nb"'), 'pipelines[0].dataset is "a\\nb", which has a line break or another control character. Write the dataset\'s id or name in one line.', id="pipeline-dataset-of-two-lines"),
        pytest.param(SANDBOX + PIPELINE + "step_deadline = '60s'", 'pipelines[0].adopt_within is "60s", and step_deadline ends the step after "60s". Write less, or a longer step_deadline.', id="pipeline-adopts-too-long"),
        pytest.param(SANDBOX + PIPELINE + "step_deadline = '2m'\ncommand_timeout = '3m'\ncommand = ['/bin/true']", 'pipelines[0].command_timeout is "3m", and step_deadline ends the step after "2m". Write that or less, or a longer step_deadline.', id="pipeline-command-too-long"),
        pytest.param(SANDBOX + PIPELINE + "statuses = ['realised']", 'pipelines[0].statuses[0] is "realised". Known values: realized, existing, exited. Did you mean realized?', id="pipeline-status"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(problems, text, line):
    assert problems(text) == (f"config.toml: {line}",)


def test_all_mistakes_are_told_at_once_section_by_section(problems):
    text = SANDBOX + CHANNEL + "[[routes]]\nchannels = ['opz']\n[polling]\ninterval = 5\n[platform]\ntimeou = '1s'"
    assert [line.split()[1] for line in problems(text)] == [
        "platform.timeou",
        "polling.interval",
        "routes[0].channels[0]",
    ]


def test_a_syntax_error_has_its_line_and_column(problems):
    assert problems("[polling]\ninterval = = 5") == (
        "config.toml: is not TOML: Invalid value (at line 2, column 12). Mend it there.",
    )


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "no.toml", {})
    assert caught.value.problems == (
        f"{tmp_path}/no.toml: no such file. Copy config.example.toml there, or name another file.",
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"is a directory\. Name the file in it"):
        load(tmp_path, {})
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "latin.toml", {})


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_secret_file_is_refused(problems, tmp_path, content):
    (tmp_path / "empty").write_bytes(content)
    assert problems(SANDBOX + "[http]\ntoken_file = 'empty'") == (
        'config.toml: http.token_file is "empty", which is empty. Put the secret into that file.',
    )


def test_a_bad_value_in_a_secret_file_names_that_file(problems, tmp_path):
    (tmp_path / "url").write_text("hooks.example.test/hush-hush\n", encoding="utf-8")
    text = SANDBOX + "[[channels]]\nname = 'ops'\nkind = 'slack'\nurl_file = 'url'"
    assert problems(text) == ('url: channels[0].url is "**********", which has no scheme. Write https:// before it.',)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("SEGWATCH_POLING__INTERVAL", "5s", "is not a setting. Did you mean SEGWATCH_POLLING__INTERVAL?"),
        ("SEGWATCH_POLLING_INTERVAL", "5s", "is not a setting. Did you mean SEGWATCH_POLLING__INTERVAL?"),
        ("SEGWATCH_POLLING__INTRVAL", "5s", "is not a setting. Did you mean SEGWATCH_POLLING__INTERVAL?"),
        ("SEGWATCH_QQQ", "5s", "is not a setting. segwatch config schema lists them all."),
        ("SEGWATCH_SANDBOXES__0__NAME", "x", "sets a part of a list. Write the whole list as JSON in SEGWATCH_SANDBOXES."),
        ("SEGWATCH_POLLING__INTERVAL", "5", 'polling.interval is "5", which has no unit. Write "5s".'),
        ("SEGWATCH_CHANNELS", "[{hush-hush", "channels is text, which is not a list. Write it as JSON."),
        ("SEGWATCH_LOG", "debug", "log is text, which is not a table. Write it as JSON, or set SEGWATCH_LOG__LEVEL and others."),
    ],
)  # fmt: skip
def test_a_mistake_in_the_environment_names_the_variable(problems, name, value, line):
    assert problems(SANDBOX, **{name: value}) == (f"{name}: {line}",)


def test_without_any_source_the_error_says_how_to_name_a_file():
    with pytest.raises(ConfigError) as caught:
        load(None, {})
    assert (
        caught.value.problems[0] == "environment: names no settings file. Give --config FILE, or set SEGWATCH_CONFIG."
    )


@pytest.mark.parametrize("wrong", ['"hush-hush\\n"', '["hush-hush"]', '{ a = "hush-hush" }', '"hüsh-hush hush-hush"'])
@pytest.mark.parametrize(
    "text",
    [
        SANDBOX.replace('"hush-hush"', "WRONG"),
        SANDBOX.replace("client_secret", "access_token").replace('"hush-hush"', "WRONG"),
        SANDBOX + CHANNEL.replace('"https://hooks.example.test/hush-hush"', "WRONG"),
        SANDBOX + CHANNEL.replace("slack", "slak").replace('"https://hooks.example.test/hush-hush"', "WRONG"),
        SANDBOX + "[http]\ntoken = WRONG",
        SANDBOX + "[http]\ntokn = WRONG",
        "http = WRONG" + SANDBOX,
        "channels = WRONG" + SANDBOX,
        "sandboxes = WRONG",
    ],
)
def test_no_error_shows_a_secret_whatever_its_type(tmp_path, text, wrong):
    file = tmp_path / "config.toml"
    file.write_text(text.replace("WRONG", wrong) + "\n[polling]\ninterval = 5", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert "hush" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_" + base64.b64encode(b"x" * 25).decode(),
        "whsec_" + base64.b64encode(b"x" * 25).decode().rstrip("="),
        base64.b64encode(b"x" * 25).decode(),
    ],
)
def test_whatever_the_webhook_can_sign_with_is_taken(tmp_path, secret):
    file = tmp_path / "config.toml"
    file.write_text(SANDBOX + CHANNEL.replace("slack", "webhook") + f"secret = '{secret}'", encoding="utf-8")
    assert load(file, {}).channels[0].secret.get_secret_value() == secret
