"""Event logs in XES (IEEE Std 1849-2016): `concept:name`, `time:timestamp`, `lifecycle:transition`, `org:resource`.

A trace is a token, an event an event of its history. What fired is `complete`, a sub-workflow that began `start`; what
happened to a token besides has the lifecycle `unknown` and its kind in place of an activity. Read are the events that
are complete, or do not say.

Reading trusts nothing: a document type or an entity is refused before it is looked at, so that neither a file of this
machine nor a billion laughs comes in.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from xml.parsers import expat

from engine.nets.token import Event, Token
from engine.workflows.logs.model import (
    MOST_EVENTS,
    Case,
    EventLog,
    Step,
    moment,
    named,
    too_many_events,
    wrong,
)

MOST_DEPTH = 50
_LIFECYCLE = {"fired": "complete", "started": "start", "abandoned": "ate_abort", "cancelled": "pi_abort"}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0, section 2.2
_EXTENSIONS = (("Concept", "concept"), ("Time", "time"), ("Lifecycle", "lifecycle"), ("Organizational", "org"))
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<log xes.version="1849-2016" xes.features="" xmlns="http://www.xes-standard.org/">\n'
    + "".join(
        f'  <extension name="{name}" prefix="{prefix}" uri="http://www.xes-standard.org/{prefix}.xesext"/>\n'
        for name, prefix in _EXTENSIONS
    )
    + '  <global scope="trace">\n    <string key="concept:name" value=""/>\n  </global>\n'
    '  <global scope="event">\n'
    '    <string key="concept:name" value=""/>\n'
    '    <date key="time:timestamp" value="1970-01-01T00:00:00.000+00:00"/>\n'
    '    <string key="lifecycle:transition" value="complete"/>\n'
    "  </global>\n"
    '  <classifier name="Activity" keys="concept:name"/>\n'
)


def write(workflow: str, histories: Iterable[tuple[Token, Sequence[Event]]]) -> Iterator[str]:
    """The document in pieces."""
    yield f'{_HEAD}  <string key="concept:name" value="{_text(workflow)}"/>\n'
    yield '  <string key="lifecycle:model" value="standard"/>\n'
    for token, events in histories:
        yield f'  <trace>\n    <string key="concept:name" value="{_text(token.id)}"/>\n'
        for event in events:
            yield (
                "    <event>\n"
                f'      <string key="concept:name" value="{_text(event.transition or event.kind)}"/>\n'
                f'      <date key="time:timestamp" value="{_date(event.at)}"/>\n'
                f'      <string key="lifecycle:transition" value="{_LIFECYCLE.get(event.kind, "unknown")}"/>\n'
                f'      <string key="org:resource" value="{_text(event.actor)}"/>\n'
                f'      <string key="kind" value="{event.kind}"/>\n'
                f'      <int key="sequence" value="{event.sequence}"/>\n'
                "    </event>\n"
            )
        yield "  </trace>\n"
    yield "</log>\n"


def _date(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _text(text: str) -> str:
    """As the value of an attribute: line ends would become spaces, and some characters have no place in XML at all."""
    escaped = escape(_FORBIDDEN.sub("\ufffd", text))
    return escaped.replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def read(text: str) -> EventLog:
    """Raises InvalidInput with the line, TooLarge."""
    return _Reading().log(text)


class _Reading:
    """What has been read so far: the traces, and the attributes of the trace and the event that are open."""

    def __init__(self) -> None:
        self._parser = parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self._open: list[str] = []
        self._cases: list[Case] = []
        self._trace: dict[str, str] = {}
        self._event: dict[str, str] = {}
        self._steps: list[Step] = []
        self._events = 0

    def log(self, text: str) -> EventLog:
        try:
            self._parser.Parse(_without_encoding(text).encode(), True)
        except expat.ExpatError as error:
            raise wrong(f"{expat.ErrorString(error.code)}.", error.lineno, "It is no well-formed XML.") from None
        except UnicodeEncodeError as error:
            raise wrong(f"{error}.", 1) from None
        return EventLog(tuple(self._cases))

    def _refuse(self, *_: object) -> int:
        raise wrong(
            "It has a document type or an entity.",
            self._parser.CurrentLineNumber,
            "XES needs neither; take it out. Nothing was read.",
        )

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        name = tag.rpartition(":")[2]
        if not self._open and name != "log":
            raise wrong(f"It begins with <{name[:80]}> instead of <log>.", line, "Give an XES document.")
        if len(self._open) >= MOST_DEPTH:
            raise wrong(f"It is nested more than {MOST_DEPTH} deep.", line)
        match self._open:
            case ["log"] if name == "trace":
                self._trace, self._steps = {}, []
            case ["log", "trace"] if name == "event":
                self._event = {}
                self._events += 1
                if self._events > MOST_EVENTS:
                    raise too_many_events()
            case ["log", "trace"]:
                self._trace.setdefault(attributes.get("key", ""), attributes.get("value", ""))
            case ["log", "trace", "event"]:
                self._event.setdefault(attributes.get("key", ""), attributes.get("value", ""))
            case _:
                pass  # globals, classifiers, attributes of the log and of attributes
        self._open.append(name)

    def _end(self, _: str) -> None:
        line = self._parser.CurrentLineNumber
        match self._open:
            case ["log", "trace", "event"] if self._counts():
                activity = named(self._event.get("concept:name"), "concept:name of an event", line)
                at = moment(self._event.get("time:timestamp"), line)
                self._steps.append(Step(activity, at, self._event.get("org:resource", "")))
            case ["log", "trace"]:
                case = self._trace.get("concept:name") or f"trace {len(self._cases) + 1}"
                self._cases.append(Case(named(case, "concept:name of a trace", line), tuple(self._steps)))
            case _:
                pass
        self._open.pop()

    def _counts(self) -> bool:
        lifecycle = self._event.get("lifecycle:transition", "").casefold()
        return lifecycle in ("", "complete") and self._event.get("kind", "fired") == "fired"


def _without_encoding(text: str) -> str:
    """It is a text already, whatever it was written in."""
    return re.sub(
        r"^\s*<\?xml[^>]*\?>", lambda found: "\n" * found[0].count("\n"), text.removeprefix("\ufeff"), count=1
    )
