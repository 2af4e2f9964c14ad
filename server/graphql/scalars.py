"""How values look in GraphQL."""

from datetime import UTC, datetime


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC, with microseconds."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"  # instead of +00:00
