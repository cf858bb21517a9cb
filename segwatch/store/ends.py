"""The alerts that a job's good end ends, in SQL: what tells of it says so."""

import json
import sqlite3
from dataclasses import replace

from segwatch.alerts.effects import effects_of
from segwatch.alerts.folding import is_end
from segwatch.alerts.model import Turn
from segwatch.deliveries.message import ENDS
from segwatch.deliveries.model import Delivery
from segwatch.store.rows import alert_of, micros


def with_ends(db: sqlite3.Connection, delivery: Delivery) -> Delivery:
    """Return the delivery with the alerts that its event ends, if it does not say so itself."""
    event = delivery.event
    if event.type not in ENDS:
        return delivery
    subjects = json.dumps([effect.subject for effect in effects_of(event) if effect.turn is Turn.CLOSES])
    rows = db.execute(
        "SELECT body FROM alert WHERE open = 1 AND subject IN (SELECT value FROM json_each(?1))"
        " UNION ALL SELECT body FROM alert"
        " WHERE open = 0 AND changed_us = ?2 AND json_extract(body, '$.ended_by') = ?3",
        (subjects, micros(event.at), event.id),
    )
    found = sorted((alert_of(body) for (body,) in rows), key=lambda alert: (alert.since, alert.id))
    # one that is still open was not taken in yet, unless something else is wrong by now
    untaken = (alert for alert in found if not alert.ended_by and alert.changed_at <= event.at and is_end(alert, event))
    return replace(delivery, ends=(*(alert for alert in found if alert.ended_by), *untaken))
