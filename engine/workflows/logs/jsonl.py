"""Event logs as JSON Lines: an object an event.

Written are whole histories: `case` is the token's id, `activity` the transition, or what happened instead; besides them
everything that stands in the history. Read is what has `case` and `activity`, and `kind` fired or none.
"""

from collections.abc import Iterable, Iterator, Sequence

import orjson

from engine.nets.token import Event, Token
from engine.workflows.logs.model import EventLog, Step, gathered, lines, moment, named, wrong


def write(histories: Iterable[tuple[Token, Sequence[Event]]]) -> Iterator[str]:
    """A line with its end for each event."""
    for token, events in histories:
        for event in events:
            yield orjson.dumps(
                {
                    "case": token.id,
                    "workflow": token.workflow,
                    "sequence": event.sequence,
                    "kind": event.kind,
                    "activity": event.transition or event.kind,
                    "timestamp": event.at,
                    "resource": event.actor,
                    "before": event.before,
                    "after": event.after,
                    "source": event.source,
                    "data": event.data,
                    "reason": event.reason,
                    "detail": event.detail,
                    "hash": event.hash.hex(),
                },
                option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
            ).decode()


def read(text: str) -> EventLog:
    """Raises InvalidInput with the line, TooLarge."""
    return gathered(_steps(text))


def _steps(text: str) -> Iterator[tuple[str, Step]]:
    for number, line in lines(text):
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise wrong(f"{error.msg} (column {error.colno}).", number, "Write a JSON object on each line.") from None
        if not isinstance(found, dict):
            raise wrong("It is no object.", number, "Write a JSON object on each line.")
        if found.get("kind", "fired") != "fired":
            continue
        case, activity = (named(found.get(name), name, number) for name in ("case", "activity"))
        resource = found.get("resource")
        yield (
            case,
            Step(activity, moment(found.get("timestamp"), number), resource if isinstance(resource, str) else ""),
        )
