"""Alerts and their groups in SQL."""

import json
import sqlite3
from collections.abc import Sequence

from segwatch.alerts.alerting import Alerting
from segwatch.alerts.grouping import Group
from segwatch.alerts.model import Alert
from segwatch.store.base import Conflict
from segwatch.store.filters import AlertFilter
from segwatch.store.reads import Where, many
from segwatch.store.rows import alert_of, body_of, group_of, micros

_CURSOR = "alerted"  # in `meta`: the position of the last event that the alerts know of


def cursor(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT value FROM meta WHERE name = ?", (_CURSOR,)).fetchone()[0])


def alerts(db: sqlite3.Connection, wanted: AlertFilter, limit: int | None) -> list[Alert]:
    where = Where()
    where.given("subject = ?", wanted.subject)
    if wanted.open_only:
        where.literally("open = 1")
    if wanted.ids is not None:
        where.given("id IN (SELECT value FROM json_each(?))", json.dumps(list(wanted.ids)))
    rows = db.execute(
        f"SELECT body FROM alert{where.sql} ORDER BY open DESC, changed_us DESC, id LIMIT ?",  # noqa: S608
        (*where.values, many(limit)),
    )
    return [alert_of(body) for (body,) in rows]


def groups(db: sqlite3.Connection) -> list[Group]:
    return [group_of(body) for (body,) in db.execute("SELECT body FROM alert_group ORDER BY id")]


def channels_told(db: sqlite3.Connection, event_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    rows = db.execute(
        "SELECT e.id, d.channel FROM json_each(?) wanted CROSS JOIN event e ON e.id = wanted.value"
        " CROSS JOIN delivery d USING (position) ORDER BY d.position, d.channel",
        (json.dumps(list(event_ids)),),
    )
    for id_, channel in rows:
        found[id_] = (*found.get(id_, ()), channel)
    return found


def save(db: sqlite3.Connection, new: Alerting) -> None:
    """Write what follows from the events up to the cursor. Raises Conflict if somebody else has gone on from there."""
    if cursor(db) != new.cursor_before:
        raise Conflict(f"the alerts have moved on from event {new.cursor_before}")
    db.execute("UPDATE meta SET value = ? WHERE name = ?", (new.cursor, _CURSOR))
    for alert in sorted(new.alerts, key=lambda alert: alert.is_open):  # the old one of a subject ends before the new
        db.execute(
            "INSERT INTO alert (id, subject, open, changed_us, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET open = excluded.open, changed_us = excluded.changed_us, body = excluded.body",
            (alert.id, alert.subject, alert.is_open, micros(alert.changed_at), body_of(alert)),
        )
    for group in new.groups:
        db.execute(
            "INSERT INTO alert_group (id, stream, channel, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (group.id, group.stream, group.way.channel, body_of(group)),
        )
    for id_ in new.finished:
        db.execute("DELETE FROM alert_group WHERE id = ?", (id_,))
