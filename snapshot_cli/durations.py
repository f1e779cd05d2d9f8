"""Durations for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return seconds in their two largest units: 14 s, 3 min 12 s, 2 h 05 min, 3 d 04 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
