"""The threads of channels, in SQL: kept with the deliveries that began them, read with those that belong there."""

import sqlite3
from dataclasses import replace

from segwatch.alerts.model import Turn
from segwatch.deliveries.model import Delivery, Stage
from segwatch.deliveries.threads import subjects_of, turns_of
from segwatch.store.rows import micros


def with_thread(db: sqlite3.Connection, delivery: Delivery) -> Delivery:
    """Return the delivery with the thread that its channel has about the nearest of its subjects, if there is one."""
    for subject in subjects_of(delivery.event):
        found = db.execute("SELECT name FROM thread WHERE channel = ? AND subject = ?", (delivery.channel, subject))
        if row := found.fetchone():
            return replace(delivery, thread=row[0])
    return delivery


def keep(db: sqlite3.Connection, settled: Delivery) -> None:
    """Keep what a delivery that was accepted says of threads: what it opens goes on in its own, what it closes ends."""
    if settled.stage is not Stage.DELIVERED or not settled.thread:
        return
    for effect in turns_of(settled.event):
        whose = (settled.channel, effect.subject)
        match effect.turn:
            case Turn.OPENS:
                db.execute(
                    "INSERT INTO thread (channel, subject, name, told_us) VALUES (?, ?, ?, ?) ON CONFLICT"
                    " (channel, subject) DO UPDATE SET name = excluded.name, told_us = excluded.told_us",
                    (*whose, settled.thread, micros(settled.event.at)),
                )
            case Turn.CLOSES:
                db.execute("DELETE FROM thread WHERE channel = ? AND subject = ?", whose)
            case Turn.ADDS:
                pass


def forget(db: sqlite3.Connection, before_us: int) -> None:
    """Delete the threads of which nothing was told for so long."""
    db.execute("DELETE FROM thread WHERE told_us < ?", (before_us,))
