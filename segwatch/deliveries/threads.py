"""Which messages a channel keeps together: those about one alert, from what opens it to what closes it."""

from segwatch.alerts.effects import effects_of
from segwatch.alerts.model import Effect, Turn
from segwatch.jobs.events import Event, EventType

_OF_NOTICES = {EventType.ALERT_FIRING: Turn.OPENS, EventType.ALERT_RESOLVED: Turn.CLOSES}


def turns_of(event: Event) -> tuple[Effect, ...]:
    """Return what the event means for the threads of a channel; a notice is about its group.

    What opens a subject goes on in the thread of any other that it is about: of a job that was overdue and now failed.
    """
    if event.type.value.startswith("alert."):
        return (Effect(subject=event.stream, turn=_OF_NOTICES.get(event.type, Turn.ADDS)),)
    return effects_of(event)


def subjects_of(event: Event) -> tuple[str, ...]:
    """Return the subjects in whose threads the event belongs, the nearest first."""
    return tuple(dict.fromkeys(effect.subject for effect in turns_of(event)))
