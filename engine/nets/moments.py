"""Moments as people and programs write them. Pure."""

from datetime import UTC, datetime


def moment_of(text: str) -> datetime:
    """The moment that `text` says in ISO 8601, in UTC; without an offset it is UTC. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:  # its offset leads out of the years there are
        raise ValueError(f"{text} is out of range") from error
