"""Moments that are written down as text, as numbers for the page. Pure."""

from datetime import UTC, datetime


def moment_of(text: str) -> float | None:
    """Seconds since 1970 of a time in ISO 8601, UTC where it names no zone; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
