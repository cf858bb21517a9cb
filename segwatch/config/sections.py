"""The settings, section by section: their types, defaults and meaning."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from segwatch.backoff import Backoff
from segwatch.config.values import (
    Count,
    CountOrZero,
    Duration,
    Grace,
    HeaderSecret,
    ListenAddress,
    OrgId,
    Rate,
    SandboxName,
    Secret,
    SegmentIds,
    ServiceUrl,
    ShortDuration,
    StoreUrl,
    Word,
    format_duration,
)
from segwatch.jobs.cadence import Cadence
from segwatch.jobs.quota import Allowance
from segwatch.jobs.retry import Action, Mode, RetryPolicy, Rule
from segwatch.kinds.base import JobKind, load_kinds


class Section(BaseModel):
    """A table of the settings file. It cannot be changed, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


def setting(description: str, *, default: Any = ..., **more: Any) -> Any:
    """Return a field with `default` as a user writes it: it is read like the file, so the documents show the same."""
    return Field(default, description=description, **more)


class Platform(Section):
    """Where Adobe Experience Platform answers."""

    base_url: ServiceUrl = setting(
        "Root of the platform's API. Change it for the local emulator or a proxy.", default="https://platform.adobe.io"
    )
    ims_url: ServiceUrl = setting(
        "Root of Adobe's identity service, which issues tokens.", default="https://ims-na1.adobelogin.com"
    )
    timeout: ShortDuration = setting("Longest wait for one answer, the connection included.", default="30s")


class Sandbox(Section):
    """One sandbox to watch, and the credential to do it with."""

    name: SandboxName = setting("The sandbox's name, as the platform writes it. Labels every job and metric.")
    org_id: OrgId = setting("The organization: 24 hex digits and `@AdobeOrg`.")
    client_id: Word = setting("The credential's client id, also sent as `x-api-key`.")
    client_secret: Secret | None = setting("The credential's client secret, to get tokens with.", default=None)
    client_secret_file: Path | None = setting("File that holds `client_secret`.", default=None)
    access_token: HeaderSecret | None = setting(
        "A ready token, in place of `client_secret`. It ends after a day.", default=None
    )
    access_token_file: Path | None = setting(
        "File that holds `access_token`; read again while running, so that something else can renew it.", default=None
    )
    scopes: tuple[Word, ...] = setting(
        "What a token is asked for.",
        default=("openid", "AdobeID", "read_organizations", "additional_info.projectedProductContext", "session"),
    )
    requests_per_second: Rate = setting(
        "Calls a second that this sandbox may make. Sandboxes of one credential slow down together after a 429.",
        default=2.0,
    )
    burst: Count = setting("Calls that may be made at once after a quiet time.", default=10)


class _OverdueAfter(Section):
    """How old a job may grow before it is told as overdue."""

    def of(self, kind: str) -> timedelta:
        """Return the age for the job kind `kind`."""
        ages: dict[str, timedelta] = dict(self)
        return ages[kind]


def _overdue_after(kind: JobKind) -> tuple[Any, Any]:
    described = f"Age at which an active {kind.name.replace('_', ' ')} is overdue."
    return Duration, setting(described, default=format_duration(kind.overdue_after))


if TYPE_CHECKING:  # which kinds there are is known when their files have been found
    OverdueAfter = _OverdueAfter
else:
    OverdueAfter = create_model(
        "OverdueAfter",
        __base__=_OverdueAfter,
        __doc__=_OverdueAfter.__doc__,
        **{kind.name: _overdue_after(kind) for kind in load_kinds().values()},
    )


class Polling(Section):
    """How often the platform is looked at."""

    interval: Duration = setting("How soon a change must be seen while a job is active.", default="15s")
    idle_interval: Duration = setting("How often new jobs are looked for while none is active.", default="60s")
    reconcile_interval: Duration = setting(
        "How often every active job is asked for by its id, whatever the lists say.", default="10m"
    )
    lookback: Duration = setting(
        "How far back the first start reads; jobs that ended in this time are recorded, not announced.", default="24h"
    )
    concurrency: Count = setting("Calls to one sandbox that may be under way at the same time.", default=4, le=100)
    names: bool = setting(
        "Whether the names of segments and datasets are read, so that messages tell them; a few calls a day.",
        default=True,
    )
    overdue_after: OverdueAfter = Field(default_factory=OverdueAfter, description=str(OverdueAfter.__doc__))

    @property
    def cadence(self) -> Cadence:
        """Return when to look, in the form that decides."""
        return Cadence(interval=self.interval, idle=self.idle_interval, reconcile=self.reconcile_interval)


class RetryRule(Section):
    """What to do about one sort of error. The first rule that matches wins; unmatched errors are retried."""

    code: str = setting("The error's code, whole. Empty matches every code.", default="")
    text: str = setting("Part of the error's text, in any case. Empty matches every text.", default="")
    action: Action = setting("Whether such an export is submitted again.")


class Retry(Section):
    """When a failed export is submitted again."""

    mode: Mode = setting(
        "`auto` submits, `propose` waits for `segwatch jobs retry`, `off` does nothing.", default="auto"
    )
    max_attempts: Count = setting("Jobs in a chain of resubmissions, the first included.", default=3)
    first_delay: Duration = setting("Wait after the first failure; it doubles with each one.", default="2m")
    max_delay: Duration = setting("Longest wait between a failure and the next submission.", default="1h")
    max_per_day: CountOrZero = setting("Submissions in 24 hours for each sandbox; more are refused.", default=20)
    breaker_failures: Count = setting(
        "So many different exports failing within `breaker_window` hold all submissions, but for one on trial.",
        default=5,
    )
    breaker_window: Duration = setting("The time within which `breaker_failures` counts.", default="15m")
    settle_window: Duration = setting(
        "How long a submission whose answer was lost is looked for, before it is refused as undecided; "
        "three times as long after a 500 or 503, before it is made again. "
        "Not below the 60s that the platform may hold a request.",
        default="60s",
    )
    rules: tuple[RetryRule, ...] = setting(str(RetryRule.__doc__), default=())

    @property
    def policy(self) -> RetryPolicy:
        """Return these settings in the form that decides."""
        return RetryPolicy(
            mode=self.mode,
            max_attempts=self.max_attempts,
            backoff=Backoff(first=self.first_delay, cap=self.max_delay),
            max_per_day=self.max_per_day,
            breaker_failures=self.breaker_failures,
            breaker_window=self.breaker_window,
            settle_window=self.settle_window,
            rules=tuple(Rule(code=rule.code, text=rule.text, action=rule.action) for rule in self.rules),
        )


class Quota(Section):
    """How many evaluations the platform lets you ask for in a sandbox. Those of its own schedules do not count."""

    evaluations_per_day: CountOrZero = setting(
        "Evaluations on demand in a day of UTC. The last one is spent only where somebody insists.", default=2
    )
    evaluations_per_year: CountOrZero = setting(
        "The same in a calendar year of UTC; Adobe gives development sandboxes 100.", default=50
    )

    @property
    def allowance(self) -> Allowance:
        """Return these settings in the form that decides."""
        return Allowance(per_day=self.evaluations_per_day, per_year=self.evaluations_per_year)


class StoreSection(Section):
    """Where jobs, events and promised notifications are kept."""

    url: StoreUrl = setting(
        "The database: `sqlite:///` and an absolute path on a local disk.",
        default="sqlite:///var/lib/segwatch/segwatch.db",
    )
    retention: Duration = setting(
        "Age at which ended jobs and their events are deleted. Never less than an hour above `polling.lookback`.",
        default="90d",
    )


class Http(Section):
    """The HTTP server: metrics, health, reload, API."""

    listen: ListenAddress = setting(
        "Host and port. Port 0 lets the system choose; IPv6 as `[::1]:9469`.",
        default="127.0.0.1:9469",
    )
    token: HeaderSecret | None = setting(
        "Bearer token that `/api/` and `POST /-/reload` ask for. Without one, only this host may use them.",
        default=None,
    )
    token_file: Path | None = setting("File that holds `token`.", default=None)


class MetricsSection(Section):
    """What the metrics show beyond the usual."""

    segments: SegmentIds = setting(
        "Ids of segments whose size `segwatch_segment_profiles` shows, at most 100: each is a series of its own.",
        default=(),
    )


class LogSection(Section):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "The least severe lines that are written.", default="info"
    )
    format: Literal["auto", "json", "console"] = setting(
        "`auto` is `console` on a terminal, else `json`.", default="auto"
    )


class DaemonSection(Section):
    """The process as a whole."""

    shutdown_grace: Grace = setting(
        "How long deliveries that are under way may finish after SIGTERM or SIGINT; at most 9s.", default="8s"
    )
