"""How values look in GraphQL."""

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC, with microseconds."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"  # instead of +00:00


def json_text(value: Mapping[str, object]) -> str:
    return orjson.dumps(value).decode()
