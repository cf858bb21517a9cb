"""The settings of what is noticed beyond the jobs' own words."""

from segwatch.config.sections import Section, setting
from segwatch.config.values import CountOrZero, Duration, FractionOrMore


class DetectorsSection(Section):
    """What is noticed beyond what jobs tell themselves, in every sandbox."""

    overdue_factor: FractionOrMore = setting(
        "An active job is overdue, whatever `[polling.overdue_after]` says, when it is this many times as old as "
        "nearly all (95%) of those before it that did the same work. 0 looks only at the limit.",
        default=1.5,
    )
    audiences: bool = setting("Whether sizes of audiences are compared with those before.", default=True)
    audience_change: FractionOrMore = setting(
        "Smaller changes of an audience, or of what an export writes of it, are never told: 0.35 lets 1,000 become "
        "1,350, or 740. What changes more by itself has a wider band of its own.",
        default=0.35,
    )
    audience_least: CountOrZero = setting("Audiences that have fewer members are not judged.", default=10)
    exports: bool = setting("Whether exports that succeeded are looked at: batch there, count plausible.", default=True)
    schedules: bool = setting("Whether the platform's schedules are read, and expected to fire.", default=True)
    schedules_interval: Duration = setting("How often schedules are read.", default="10m")
    schedule_grace: Duration = setting(
        "How long after its time a schedule may begin its job. "
        "The platform's scheduler takes up changes within half an hour.",
        default="45m",
    )
    token_warning: Duration = setting(
        "How long before its end a token is told that nobody renews: one in `access_token` or `access_token_file`.",
        default="2h",
    )
    flapping_times: CountOrZero = setting(
        "So many failures within `flapping_window`, each followed by a recovery, are told as a habit. 0 for never.",
        default=4,
    )
    flapping_window: Duration = setting("The time within which `flapping_times` counts.", default="7d")
