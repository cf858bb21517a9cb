"""The settings of the demo's daemon."""

from pathlib import Path

from segwatch.cli.story import HISTORY_DAYS, grace_s, overdue_after_s

_SETTINGS = """\
# The demo's settings: everything is local, and everything is fast.
[platform]
base_url = "{platform}"
ims_url = "{platform}"

[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "demo"
client_secret = "demo-secret"
requests_per_second = 20.0
burst = 20

[polling]
interval = "1s"
idle_interval = "1s"
lookback = "{days}d"
overdue_after = {{ segment_job = "{overdue_s}s", export_job = "{overdue_s}s" }}

[detectors]
overdue_factor = 0  # the limits above do: jobs of the story are too few, and too unlike, to say how long one takes
schedules_interval = "1s"
schedule_grace = "{grace_s}s"

[retry]
first_delay = "2s"
max_delay = "4s"
[[retry.rules]]
text = "schema"
action = "never"

[store]
url = "sqlite:///{folder}/segwatch.db"

[http]
listen = "127.0.0.1:{port}"

[[channels]]
name = "events"
kind = "webhook"
url = "{receiver}/events"
secret = "whsec_ZGVtby1zaWduaW5nLWtleS1ub3Qtc2VjcmV0ISE="
[[channels]]
name = "chat"
kind = "slack"
url = "{receiver}/chat"

[[routes]]
match = {{}}
channels = ["events"]
[[routes]]
match = {{ severity = "critical" }}
channels = ["chat"]
[[routes]]
match = {{ type = "export.recovered" }}
channels = ["chat"]

[log]
format = "json"
"""


def written(folder: Path, platform: str, receiver: str, *, port: int, length_s: float) -> Path:
    """Write them into the folder, where the store will lie too, and return their path.

    platform, receiver: their URLs. port: where the daemon serves its metrics. length_s: of the story.
    """
    path = folder / "config.toml"
    path.write_text(
        _SETTINGS.format(
            platform=platform,
            receiver=receiver,
            port=port,
            folder=folder,
            days=HISTORY_DAYS + 1,
            overdue_s=overdue_after_s(length_s),
            grace_s=grace_s(length_s),
        )
    )
    return path
