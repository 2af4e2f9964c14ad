"""How values look in GraphQL."""

from datetime import UTC, datetime


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC, with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
